/**
 * Where `publish` gets its pictures: a file, a named pipe or stdin; YUV4MPEG2 or raw.
 * A regular file is read straight into the caller's memory. A pipe is read by the event loop, which costs a copy: read by the
 * thread pool, a pipe that nobody writes to would keep the process from ever ending.
 */
import { closeSync, constants, open as openDescriptor, openSync } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import { Socket } from 'node:net';
import { promisify } from 'node:util';
import type { CliContext } from '../program/context.ts';
import { UsageError } from '../program/errors.ts';
import { type ByteSource, fileSource, streamSource } from '../video/byte-source.ts';
import { TruncatedVideoError } from '../video/errors.ts';
import { type FrameFormat, frameFormatFromRaw, frameFormatFromVideoHeader } from '../video/frame-format.ts';
import type { FrameReader } from '../video/frame-reader.ts';
import { type RawFormat, RawReader } from '../video/raw-reader.ts';
import { frameBytes } from '../video/y4m-header.ts';
import { Y4mReader } from '../video/y4m-reader.ts';

const FIFO_RETRY_MS = 5;

export interface VideoInput {
  readonly format: FrameFormat;
  readonly frameBytes: number;
  readonly reader: FrameReader;
}

/** Opens the input and reads its header. @throws UsageError, VideoFormatError, TruncatedVideoError, the signal's reason */
export async function openVideoInput(
  { input, raw }: { readonly input: string; readonly raw: RawFormat | null },
  context: CliContext,
): Promise<VideoInput> {
  const source = input === '-' ? standardInput(context) : await openFile(input, context.signal);
  if (raw !== null) {
    const reader = new RawReader(source, raw);
    return { format: frameFormatFromRaw(raw), frameBytes: reader.frameBytes, reader };
  }
  const reader = new Y4mReader(source);
  const header = await readAbortably(reader, context.signal, () => reader.readHeader()).catch(
    async (error: unknown) => {
      await reader.close();
      throw isEmptyInput(error) ? new Error('the input is empty: no video came', { cause: error }) : error;
    },
  );
  return { format: frameFormatFromVideoHeader(header), frameBytes: frameBytes(header), reader };
}

/** Reads, and gives the input up when the signal aborts. @throws the signal's reason */
export async function readAbortably<T>(reader: FrameReader, signal: AbortSignal, read: () => Promise<T>): Promise<T> {
  signal.throwIfAborted();
  const giveUp = () => void reader.close().catch(() => undefined);
  signal.addEventListener('abort', giveUp);
  try {
    const result = await read();
    signal.throwIfAborted();
    return result;
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  } finally {
    signal.removeEventListener('abort', giveUp);
  }
}

function isEmptyInput(error: unknown): boolean {
  return (
    error instanceof TruncatedVideoError && error.part === 'stream header' && error.missingBytes === error.expectedBytes
  );
}

function standardInput({ stdin }: CliContext): ByteSource {
  if ('isTTY' in stdin && stdin.isTTY === true) {
    throw new UsageError('there is no video on a terminal: pipe YUV4MPEG2 in, or name a file with --input');
  }
  return streamSource(stdin);
}

async function openFile(path: string, signal: AbortSignal): Promise<ByteSource> {
  const status = await stat(path);
  if (!status.isFIFO()) return fileSource(await open(path, 'r'));
  const fd = await openFifo(path, signal);
  return streamSource(new Socket({ fd, readable: true, writable: false }));
}

/** Opening a FIFO waits for its writer, in the kernel; to give up, we are that writer for a moment. */
async function openFifo(path: string, signal: AbortSignal): Promise<number> {
  let opened = false;
  const giveUp = () => {
    if (opened) return;
    try {
      closeSync(openSync(path, constants.O_WRONLY | constants.O_NONBLOCK));
    } catch (error) {
      // The thread that is to wait for us has not come to it yet.
      if ((error as NodeJS.ErrnoException).code === 'ENXIO') setTimeout(giveUp, FIFO_RETRY_MS);
    }
  };
  signal.throwIfAborted();
  signal.addEventListener('abort', giveUp);
  try {
    return await promisify(openDescriptor)(path, 'r');
  } finally {
    opened = true;
    signal.removeEventListener('abort', giveUp);
  }
}
