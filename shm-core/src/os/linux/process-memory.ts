/** What the kernel says about this process's own memory. Reads /proc and /sys, changes nothing; tests pass fixtures. */
import { readFileSync } from 'node:fs';
import { smapsFigure } from './smaps.ts';

/** Size of one transparent large page, B: 2 MiB, or 512 MiB on arm64 with base pages of 64 KiB. 0 when there are none. */
export function transparentPageBytes(size = readOrEmpty('/sys/kernel/mm/transparent_hugepage/hpage_pmd_size')): number {
  return Number(size);
}

/**
 * How much of `[address, address + bytes)` transparent large pages back, B. 0 unless the kernel reports exactly these addresses as one
 * area, because a figure for more than that proves nothing about this part.
 */
export function transparentBytesAt(address: number, bytes: number, smaps = readOrEmpty('/proc/self/smaps')): number {
  return smapsFigure(smaps, 'AnonHugePages', address, bytes);
}

/** The soft limit on locked memory, in words. */
export function lockedMemoryLimit(limits = readOrEmpty('/proc/self/limits')): string {
  const soft = /^Max locked memory\s+(\d+|unlimited)/m.exec(limits)?.[1];
  if (soft === undefined) return 'unknown';
  return soft === 'unlimited' ? soft : `${soft} B`;
}

function readOrEmpty(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
