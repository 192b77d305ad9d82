/**
 * Where `subscribe` puts its pictures: a file or stdout. Writing happens out of shared memory, so `close` ends a write that
 * nobody reads: without that, neither the frame nor the process could ever be let go.
 */
import { constants, fstatSync, open as openDescriptor } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import { Socket } from 'node:net';
import { Writable } from 'node:stream';
import { promisify } from 'node:util';
import type { CliContext } from '../program/context.ts';
import { UsageError } from '../program/errors.ts';

const STDOUT_FD = 1;
const nothingToDo = async (): Promise<void> => undefined;

export interface VideoOutput {
  readonly stream: Writable;
  /** Whether it ends with the video; stdout is not ours to end. */
  readonly ownsStream: boolean;
  /** Once, before the first byte is written: a file loses now, and not before, what it held. */
  begin(): Promise<void>;
  /** Gives it up, a pending write with it. Idempotent. */
  close(): Promise<void>;
}

/** @throws UsageError when the output is a terminal, and what `open` throws */
export async function openVideoOutput(path: string, context: CliContext): Promise<VideoOutput> {
  if (path !== '-') {
    const pipe = await openPipe(path);
    return pipe === null ? openFile(path) : owned(pipe);
  }
  if (context.stdoutIsTty) {
    throw new UsageError('video does not belong on a terminal: pipe it on, or name a file with --output');
  }
  const pipe = fstatSync(STDOUT_FD).isFIFO() ? await openPipe('/dev/stdout') : null;
  if (pipe !== null) return owned(pipe);
  if (!(context.stdout instanceof Writable)) throw new TypeError('the standard output takes no binary data');
  return { stream: context.stdout, ownsStream: false, begin: nothingToDo, close: nothingToDo };
}

/** Tells at once that it cannot be written, but keeps an older recording until there is a new one. */
async function openFile(path: string): Promise<VideoOutput> {
  const file = await open(path, constants.O_WRONLY | constants.O_CREAT);
  const isRegular = (await file.stat()).isFile();
  return owned(file.createWriteStream(), isRegular ? () => file.truncate() : nothingToDo);
}

/**
 * A pipe opened anew can be closed while a write is pending, and its O_NONBLOCK is ours alone.
 * Null when the path is no pipe, or one that cannot be opened so: nobody reads yet, or another user made it.
 */
async function openPipe(path: string): Promise<Writable | null> {
  const isFifo = await stat(path).then(
    (status) => status.isFIFO(),
    () => false,
  );
  if (!isFifo) return null;
  try {
    const fd = await promisify(openDescriptor)(path, constants.O_WRONLY | constants.O_NONBLOCK);
    return new Socket({ fd, readable: false, writable: true });
  } catch {
    return null;
  }
}

function owned(stream: Writable, begin = nothingToDo): VideoOutput {
  // The write that meets a failure reports it; the event alone must not end the process.
  stream.on('error', () => undefined);
  return {
    stream,
    ownsStream: true,
    begin,
    close: async () => {
      if (stream.closed) return;
      const closed = new Promise<void>((resolve) => stream.once('close', () => resolve()));
      stream.destroy();
      await closed;
    },
  };
}
