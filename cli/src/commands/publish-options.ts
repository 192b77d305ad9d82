/** The options of `leasehold publish`, as typed and as meant. Pure. */
import { Option } from 'commander';
import { UsageError } from '../program/errors.ts';
import { parseChoice, parseInteger } from '../program/parse.ts';
import { parseRawFormat, type RawFormat } from '../video/raw-reader.ts';

export const WAIT_MS_MAX = 2 ** 31 - 1;
const SLOTS_MAX = 4096;
const SUBSCRIBERS_MAX = 127;
const PAGES = ['auto', 'require', 'never'] as const;
const PACES = ['native', 'max'] as const;
const OVERFLOWS = ['overwrite', 'block'] as const;

/** As commander hands them over. */
export interface PublishFlags {
  readonly input: string;
  readonly raw?: string;
  readonly fourcc?: string;
  readonly fps?: string;
  readonly pages: string;
  readonly slots: string;
  readonly pace: string;
  readonly overflow: string;
  readonly awaitSubscribers?: string;
  readonly waitMs?: string;
  readonly persistent?: boolean;
}

export interface PublishOptions {
  /** A path, or `-` for stdin. */
  readonly input: string;
  /** Null for YUV4MPEG2, which says itself what it is. */
  readonly raw: RawFormat | null;
  readonly pages: (typeof PAGES)[number];
  readonly slots: number;
  readonly pace: (typeof PACES)[number];
  readonly overflow: (typeof OVERFLOWS)[number];
  readonly awaitSubscribers: number;
  /** How long to wait for them; null is until told to stop. */
  readonly waitMs: number | null;
  readonly persistent: boolean;
}

export function publishFlags(): Option[] {
  return [
    new Option('--input <file>', 'what to publish; - is stdin').default('-'),
    new Option('--raw <WxH>', 'the input is raw pictures of that size, not YUV4MPEG2'),
    new Option('--fourcc <code>', 'pixel format of raw pictures, for example RGBA or NV12'),
    new Option('--fps <rate>', 'frames per second of raw pictures, for example 25 or 30000/1001'),
    new Option('--pages <policy>', 'large pages: where they can be had, or fail without, or never')
      .choices(PAGES)
      .default('auto'),
    new Option('--slots <n>', 'how many frames the channel holds').default('8'),
    new Option('--pace <pace>', "publish at the video's own frame rate, or as fast as the input comes")
      .choices(PACES)
      .default('max'),
    new Option(
      '--overflow <policy>',
      'when a subscriber is slow: overwrite its oldest frames, or block until it has them',
    )
      .choices(OVERFLOWS)
      .default('overwrite'),
    new Option('--await-subscribers <n>', 'begin when so many subscribers are there'),
    new Option('--wait-ms <ms>', 'wait no longer for them than this (default: until Ctrl-C)'),
    new Option('--persistent', 'keep the channel when publisher and subscribers are gone'),
  ];
}

/** @throws UsageError saying which option is wrong */
export function parsePublishFlags(flags: PublishFlags): PublishOptions {
  const raw = parseRawFlags(flags);
  const pace = parseChoice(flags.pace, PACES);
  if (pace === 'native' && raw !== null && raw.frameRate === null) {
    throw new UsageError('--pace native needs the frame rate of the raw pictures: add --fps');
  }
  if (flags.waitMs !== undefined && flags.awaitSubscribers === undefined) {
    throw new UsageError('--wait-ms says how long to wait for subscribers: add --await-subscribers');
  }
  return {
    input: flags.input,
    raw,
    pages: parseChoice(flags.pages, PAGES),
    slots: option('--slots', () => parseInteger(flags.slots, 1, SLOTS_MAX)),
    pace,
    overflow: parseChoice(flags.overflow, OVERFLOWS),
    awaitSubscribers: option('--await-subscribers', () =>
      parseInteger(flags.awaitSubscribers ?? '0', 0, SUBSCRIBERS_MAX),
    ),
    waitMs: parseWaitMs(flags.waitMs),
    persistent: flags.persistent ?? false,
  };
}

/** Null when there is no limit. */
export function parseWaitMs(text: string | undefined): number | null {
  return text === undefined ? null : option('--wait-ms', () => parseInteger(text, 0, WAIT_MS_MAX));
}

/** Puts the option's name before what is wrong with its value. */
export function option<T>(name: string, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    if (error instanceof UsageError) throw new UsageError(`${name}: ${error.message}`, { cause: error });
    throw error;
  }
}

function parseRawFlags({ raw, fourcc, fps }: PublishFlags): RawFormat | null {
  if (raw === undefined) {
    if (fourcc === undefined && fps === undefined) return null;
    throw new UsageError('--fourcc and --fps describe raw pictures: add --raw WIDTHxHEIGHT');
  }
  if (fourcc === undefined)
    throw new UsageError('--raw needs the pixel format: add --fourcc, for example --fourcc RGBA');
  try {
    return parseRawFormat(raw, fourcc, fps ?? null);
  } catch (error) {
    if (error instanceof RangeError) throw new UsageError(error.message, { cause: error });
    throw error;
  }
}
