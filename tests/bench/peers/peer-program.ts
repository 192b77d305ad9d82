/**
 * Runs a peer's program: it starts both processes, measures, prints one JSON object and ends. Invariants: a run that goes wrong says what the
 * program said; `end` ends whatever still runs; a program whose parent is killed ends by itself, which is the program's own doing.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import type { PingPong } from 'leasehold/bench';

/** For what is not there, as automake's tests have it. */
export const EXIT_NOT_HERE = 77;
/** A program that takes longer waits for something that never comes. */
const RUN_MS_MAX = 120_000;
/** From SIGTERM to SIGKILL. */
const END_MS = 3_000;

export type Command = readonly [string, ...string[]];

/** What every program understands. */
export function pingPongArguments({ payloadBytes, roundTrips, warmUp, cores }: PingPong): readonly string[] {
  const numbers = ['--payload', payloadBytes, '--round-trips', roundTrips, '--warm-up', warmUp].map(String);
  return cores === null ? numbers : [...numbers, '--cores', cores.join(',')];
}

/** @throws Error when this is not what a program prints. */
function parseRoundTrips(output: string, expected: number): readonly number[] {
  const { roundTripNs } = JSON.parse(output) as { roundTripNs?: unknown };
  const whole = Array.isArray(roundTripNs) && roundTripNs.length === expected;
  if (!whole || !roundTripNs.every((ns) => Number.isFinite(ns) && ns > 0)) {
    throw new Error(`expected ${expected} durations in ns: ${output.slice(0, 200)}`);
  }
  return roundTripNs;
}

const said = (output: Readable | null): Promise<string> => (output === null ? Promise.resolve('') : text(output));

export class PeerProgram {
  readonly #running = new Map<ChildProcess, Promise<unknown>>();

  /** @throws Error when the program fails, takes too long, or is ended. */
  async run(command: Command, pingPong: PingPong): Promise<readonly number[]> {
    const [file, ...args] = command;
    // A group of its own: Ctrl-C is for whoever runs the benchmark, who then calls `end`.
    const child = spawn(file, [...args, ...pingPongArguments(pingPong)], {
      // The channel is for programs in JavaScript: it closes when this process ends, however it does.
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      detached: true,
    });
    const closed = once(child, 'close');
    this.#running.set(
      child,
      closed.catch(() => undefined),
    );
    const limit = setTimeout(() => child.kill('SIGTERM'), RUN_MS_MAX);
    try {
      const [output, complaint, [code, signal]] = await Promise.all([said(child.stdout), said(child.stderr), closed]);
      if (code === 0) return parseRoundTrips(output, pingPong.roundTrips);
      throw new Error(`${file} ended (${signal ?? `exit code ${code}`}): ${complaint.trim()}`);
    } finally {
      clearTimeout(limit);
      this.#running.delete(child);
    }
  }

  async end(): Promise<void> {
    await Promise.all([...this.#running].map(([child, closed]) => endProcess(child, closed)));
  }
}

/** Asks it to end, makes it after a while, and waits until it has. */
export async function endProcess(child: ChildProcess, ended: Promise<unknown>): Promise<void> {
  child.kill('SIGTERM');
  const force = setTimeout(() => child.kill('SIGKILL'), END_MS);
  await ended;
  clearTimeout(force);
}
