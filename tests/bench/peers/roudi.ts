/**
 * RouDi, the daemon of iceoryx, with memory for our payloads. Invariants: it is asked to end by the kernel if this process is killed, and leaves
 * none of its files in /tmp and /dev/shm then; there can be one on a machine, so that somebody else's makes ours impossible.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, stat, statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { endProcess } from './peer-program.ts';

const SHARED_MEMORY = '/dev/shm';
/** iceoryx has it there whatever TMPDIR is. */
const LOCK_FILE = '/tmp/iox-unique-roudi.lock';
/** Of the payload sizes that are measured, and of those between. Each process holds three chunks at most; a chunk's header and alignment come on top. */
const CHUNK_HEADER_BYTES = 128;
const POOLS = [
  { payloadBytes: 128, count: 16 },
  { payloadBytes: 4_096, count: 16 },
  { payloadBytes: 65_536, count: 8 },
  { payloadBytes: 1_048_576, count: 8 },
  { payloadBytes: 8_294_400, count: 8 },
  { payloadBytes: 33_177_600, count: 8 },
] as const;
/** With what RouDi keeps for itself: 66 MB. */
const SHARED_BYTES = POOLS.reduce((sum, { payloadBytes, count }) => sum + payloadBytes * count, 80_000_000);

const CONFIGURATION = [
  '[general]\nversion = 1\n\n[[segment]]\n',
  ...POOLS.map(
    ({ payloadBytes, count }) => `[[segment.mempool]]\nsize = ${payloadBytes + CHUNK_HEADER_BYTES}\ncount = ${count}\n`,
  ),
].join('\n');

/** Why RouDi cannot be started now; null if it can. */
export async function whyNoRouDi(): Promise<string | null> {
  const { bavail, bsize } = await statfs(SHARED_MEMORY);
  if (bavail * bsize < SHARED_BYTES) {
    return `${SHARED_MEMORY} has ${bavail * bsize} bytes left, RouDi takes ${SHARED_BYTES}`;
  }
  const lock = await stat(LOCK_FILE).catch(() => null);
  const locks = lock === null ? '' : await readFile('/proc/locks', 'utf8');
  return locks.includes(`:${lock?.ino} `) ? 'another RouDi runs here: end it first' : null;
}

export class RouDi {
  #child: ChildProcess | null = null;
  #ended: Promise<unknown> = Promise.resolve();

  /** Resolves when clients can connect. @throws Error with what RouDi said, when it ends before. */
  async start(directory: string): Promise<void> {
    const file = join(directory, 'roudi.toml');
    await writeFile(file, CONFIGURATION);
    const command = [
      '--pdeathsig',
      'TERM',
      'iox-roudi',
      '--config-file',
      file,
      '--log-level',
      'error',
      '--kill-delay',
      '1',
    ];
    const child = spawn('setpriv', command, { stdio: ['ignore', 'pipe', 'pipe'], detached: true });
    this.#child = child;
    this.#ended = once(child, 'close').catch(() => undefined);
    let said = '';
    child.stderr.on('data', (chunk: Buffer) => {
      said += chunk.toString();
    });
    child.on('error', (error) => {
      said += error.message;
    });
    for await (const line of createInterface({ input: child.stdout })) {
      if (line.startsWith('RouDi is ready')) {
        child.stdout.resume();
        return;
      }
      said += `${line}\n`;
    }
    throw new Error(`RouDi did not start: ${said.trim()}`);
  }

  async stop(): Promise<void> {
    if (this.#child === null) return;
    await endProcess(this.#child, this.#ended);
    this.#child = null;
  }
}
