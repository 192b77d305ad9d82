/** The options of `leasehold subscribe`, as typed and as meant. Pure. */
import { Option } from 'commander';
import { parseChoice, parseInteger } from '../program/parse.ts';
import { option, parseWaitMs } from './publish-options.ts';

const MODES = ['queue', 'latest'] as const;
const HISTORY_MAX = 4096;

/** As commander hands them over. */
export interface SubscribeFlags {
  readonly output: string;
  readonly frames?: string;
  readonly mode: string;
  readonly history?: string;
  readonly raw?: boolean;
  readonly waitMs?: string;
}

export interface SubscribeOptions {
  /** A path, or `-` for stdout. */
  readonly output: string;
  /** How many to take; null is until the stream ends. */
  readonly frames: number | null;
  readonly mode: (typeof MODES)[number];
  /** Frames published before now that are wanted; null is whatever the channel promises. */
  readonly history: number | null;
  readonly raw: boolean;
  /** How long to wait for the channel; null is until told to stop. */
  readonly waitMs: number | null;
}

export function subscribeFlags(): Option[] {
  return [
    new Option('--output <file>', 'where to write; - is stdout').default('-'),
    new Option('--frames <n>', 'end after so many frames'),
    new Option('--mode <mode>', 'every frame in order, or only the newest').choices(MODES).default('queue'),
    new Option('--history <n>', 'begin with so many frames from before (default: 0; all there are of a block channel)'),
    new Option('--raw', 'write the pictures alone, with nothing between them'),
    new Option('--wait-ms <ms>', 'wait no longer for the channel to appear than this (default: until Ctrl-C)'),
  ];
}

/** @throws UsageError saying which option is wrong */
export function parseSubscribeFlags(flags: SubscribeFlags): SubscribeOptions {
  const { frames, history } = flags;
  return {
    output: flags.output,
    frames: frames === undefined ? null : option('--frames', () => parseInteger(frames, 1, Number.MAX_SAFE_INTEGER)),
    mode: parseChoice(flags.mode, MODES),
    history: history === undefined ? null : option('--history', () => parseInteger(history, 0, HISTORY_MAX)),
    raw: flags.raw ?? false,
    waitMs: parseWaitMs(flags.waitMs),
  };
}
