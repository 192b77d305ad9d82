/**
 * Where log lines go: a descriptor that may be full, gone or read by nobody. Owns the lines that are not written yet.
 *
 * Invariants: a write never waits and never throws. What a slow reader has not taken is kept up to a bound; beyond it, and when the
 * descriptor refuses for good (a full disk), lines are lost whole and counted, and the count is the first thing written afterwards.
 */
import { closeSync, constants, fstatSync, openSync, writeSync } from 'node:fs';
import { isErrno } from './files.ts';

const STDERR_FD = 2;
const PENDING_BYTES_MAX = 4 * 1024 * 1024;
const RETRY_MS = 50;
/** How long the last words may wait for a reader. */
const LAST_FLUSH_MS = 50;
const LAST_FLUSH_STEP_MS = 5;
/** As pino counts levels. */
const WARN = 40;

export interface LogDescriptor {
  /** Must not block: see `openStderr`. */
  readonly fd: number;
  close(): void;
}

/**
 * Standard error as a descriptor that does not block. A pipe or terminal is opened anew, so that its O_NONBLOCK is ours alone and not
 * that of whoever shares it; writing to a file or a device such as /dev/null waits for nobody.
 */
export function openStderr(): LogDescriptor {
  const shared: LogDescriptor = { fd: STDERR_FD, close: () => undefined };
  const stats = fstatSync(STDERR_FD);
  if (stats.isFIFO() || stats.isCharacterDevice()) {
    try {
      const { O_WRONLY, O_NONBLOCK, O_NOCTTY } = constants;
      const fd = openSync(`/proc/self/fd/${STDERR_FD}`, O_WRONLY | O_NONBLOCK | O_NOCTTY);
      return { fd, close: () => closeSync(fd) };
    } catch {
      // Nobody reads the pipe any more, or it is another user's.
    }
  }
  // A socket (that of journald) cannot be opened anew. Node sets O_NONBLOCK on sockets and pipes when it makes this stream of them.
  void process.stderr;
  return shared;
}

interface Line {
  /** What of it is not written yet. */
  rest: Buffer;
  /** How many lines are lost with it: one, or those that it reports. */
  readonly worth: number;
}

export class LogDestination {
  readonly #descriptor: LogDescriptor;
  #pending: Line[] = [];
  #pendingBytes = 0;
  #lostLines = 0;
  /** Whether what was written last is the beginning of a line. */
  #midLine = false;
  #retry: NodeJS.Timeout | null = null;
  #closed = false;

  constructor(descriptor: LogDescriptor) {
    this.#descriptor = descriptor;
  }

  /** One line with its newline. */
  write(text: string): void {
    const bytes = Buffer.from(text);
    if (this.#closed || this.#pendingBytes + bytes.length > PENDING_BYTES_MAX) {
      this.#lostLines += 1;
      return;
    }
    if (this.#lostLines > 0) this.#reportLoss();
    this.#append(bytes, 1);
    if (this.#retry === null) this.#drain();
  }

  /** Gives pending lines a last, short chance, and the descriptor back. Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#retry !== null) clearTimeout(this.#retry);
    const endMs = performance.now() + LAST_FLUSH_MS;
    while (this.#writePending() === 'full' && performance.now() < endMs) pauseMs(LAST_FLUSH_STEP_MS);
    this.#descriptor.close();
  }

  #append(bytes: Buffer, worth: number): void {
    this.#pending.push({ rest: bytes, worth });
    this.#pendingBytes += bytes.length;
  }

  #drain(): void {
    this.#retry = null;
    if (this.#writePending() === 'full') this.#retry = setTimeout(() => this.#drain(), RETRY_MS).unref();
  }

  /** `full`: the reader must take something first. */
  #writePending(): 'done' | 'full' {
    for (let line = this.#pending[0]; line !== undefined; line = this.#pending[0]) {
      try {
        const bytes = writeSync(this.#descriptor.fd, line.rest);
        this.#pendingBytes -= bytes;
        this.#midLine = bytes < line.rest.length;
        if (this.#midLine) line.rest = line.rest.subarray(bytes);
        else this.#pending.shift();
      } catch (error) {
        if (isErrno(error, 'EAGAIN')) return 'full';
        this.#loseAll();
      }
    }
    return 'done';
  }

  #loseAll(): void {
    for (const { worth } of this.#pending) this.#lostLines += worth;
    this.#pending = [];
    this.#pendingBytes = 0;
  }

  #reportLoss(): void {
    const lostLines = this.#lostLines;
    this.#lostLines = 0;
    const fields = { level: WARN, time: new Date().toISOString(), component: 'log', lostLines };
    const report = `${JSON.stringify({ ...fields, msg: 'log lines were lost: nothing took them' })}\n`;
    // The end of a line that was begun is lost: what follows must not look like it.
    const torn = this.#midLine && this.#pending.length === 0;
    this.#append(Buffer.from(torn ? `\n${report}` : report), lostLines);
  }
}

function pauseMs(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}
