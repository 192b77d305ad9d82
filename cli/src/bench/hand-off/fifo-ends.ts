/** Two named pipes. Both sides read and write without an event loop: the thread sleeps in the kernel until the pipe is ready. */
import { spawnSync } from 'node:child_process';
import { closeSync, constants, existsSync, openSync, readSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { monotonicNs } from '@leasehold/client';
import { checkMark, type EndOptions, type Follower, type Leader, mark, type Transport } from './ends.ts';

class Pipes {
  readonly next: Uint8Array;
  readonly #arrived: Uint8Array;
  readonly #reading: number;
  readonly #writing: number;

  constructor(payloadBytes: number, reads: string, writes: string) {
    this.next = new Uint8Array(payloadBytes);
    this.#arrived = new Uint8Array(payloadBytes);
    // Opened both ways, neither waits for the other side to open it: fifo(7).
    this.#reading = openSync(reads, constants.O_RDWR);
    this.#writing = openSync(writes, constants.O_RDWR);
  }

  send(): void {
    for (let at = 0; at < this.next.length; ) at += writeSync(this.#writing, this.next, at);
  }

  receive(): Uint8Array {
    for (let at = 0; at < this.#arrived.length; )
      at += readSync(this.#reading, this.#arrived, at, this.#arrived.length - at, null);
    return this.#arrived;
  }

  close(): void {
    closeSync(this.#reading);
    closeSync(this.#writing);
  }
}

/** Whichever side comes first makes both. @throws Error when there is no `mkfifo`, of coreutils. */
function pipePaths(directory: string): { out: string; back: string } {
  const paths = { out: join(directory, 'fifo-out'), back: join(directory, 'fifo-back') };
  const { status, stderr, error } = spawnSync('mkfifo', [paths.out, paths.back], { encoding: 'utf8' });
  const there = existsSync(paths.out) && existsSync(paths.back);
  if (status === 0 || there) return paths;
  throw new Error(`mkfifo failed: ${error?.message ?? stderr.trim()}`);
}

function openLeader({ directory, payloadBytes }: EndOptions): Leader {
  const { out, back } = pipePaths(directory);
  const pipes = new Pipes(payloadBytes, back, out);
  let number = 0;
  const lead = (count: number): Float64Array => {
    const tookNs = new Float64Array(count);
    mark(pipes.next, number + 1);
    let startedNs = monotonicNs();
    for (let index = 0; index < count; index += 1) {
      number += 1;
      pipes.send();
      mark(pipes.next, number + 1);
      checkMark(pipes.receive(), payloadBytes, number);
      const heldNs = monotonicNs();
      tookNs[index] = heldNs - startedNs;
      startedNs = heldNs;
    }
    return tookNs;
  };
  return { lead, close: () => pipes.close() };
}

function openFollower({ directory, payloadBytes }: EndOptions): Follower {
  const { out, back } = pipePaths(directory);
  const pipes = new Pipes(payloadBytes, out, back);
  let number = 0;
  const follow = (count: number): void => {
    for (let index = 0; index < count; index += 1) {
      number += 1;
      mark(pipes.next, number);
      checkMark(pipes.receive(), payloadBytes, number);
      pipes.send();
    }
  };
  return { follow, close: () => pipes.close() };
}

export const FIFO: Transport = {
  openLeader: async (options) => openLeader(options),
  openFollower: async (options) => openFollower(options),
};
