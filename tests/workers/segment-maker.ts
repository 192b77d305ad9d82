/**
 * Makes segments as whatever user it was started as, with no broker between it and the kernel, and tells what was granted and what the
 * kernel says of a new mapping of it. Nothing of a segment is left when the answer goes out.
 */
import { readFileSync } from 'node:fs';
import { createLinuxSegmentOs, LargePagesUnavailable, SegmentAllocator } from '@leasehold/shm-core/internal';
import { serveQuestions } from '../support/worker-side.ts';

const LABEL = 'segment-maker';

/** What to make. */
export interface Order {
  readonly payloadBytes: number;
  readonly pages: 'auto' | 'require' | 'never';
  readonly largePages?: 'auto' | 'never';
  readonly reserveBytes?: number;
}

/** What was made of it, or why not. */
export type Made =
  | {
      readonly pageKind: string;
      readonly mappedBytes: number;
      readonly stepDowns: readonly { readonly pageKind: string; readonly reason: string }[];
      readonly fallbackReason: string | null;
      /** Size of the pages that the MMU uses for a mapping of it, as smaps says, B. */
      readonly mmuPageBytes: number;
    }
  | { readonly reason: string; readonly message: string };

const os = createLinuxSegmentOs();

async function make({ payloadBytes, pages, largePages = 'auto', reserveBytes = 0 }: Order): Promise<Made> {
  const allocator = new SegmentAllocator(os, { largePages });
  try {
    const request = { label: LABEL, payloadBytes, pages, reserveBytes, admit: () => undefined };
    const segment = await allocator.allocate(request);
    const { pageKind, mappedBytes, stepDowns, fallbackReason } = segment.grant;
    const range = os.map(segment.fd, segment.bytes, 'write', pageKind);
    const bytes = range.bytes(0, mappedBytes);
    for (let at = 0; at < mappedBytes; at += os.basePageBytes) bytes[at] = 1;
    const mmuPageBytes = mmuPageBytesOf(mappedBytes);
    range.release();
    // Not in the background: the pool is as it was when the answer is out.
    segment.fd.close();
    segment.close();
    return { pageKind, mappedBytes, stepDowns, fallbackReason, mmuPageBytes };
  } catch (error) {
    if (!(error instanceof LargePagesUnavailable)) throw error;
    return { reason: error.reason, message: error.message };
  }
}

function mmuPageBytesOf(mappedBytes: number): number {
  const figures = readFileSync('/proc/self/smaps', 'utf8').split(`/memfd:${LABEL}`)[1] ?? '';
  const kib = (name: string): number => Number(new RegExp(`${name}:\\s+(\\d+) kB`).exec(figures)?.[1] ?? 0);
  return kib('ShmemPmdMapped') * 1024 >= mappedBytes ? 2 ** 21 : kib('MMUPageSize') * 1024;
}

serveQuestions(make);
