/**
 * The number of this broker's incarnation, kept on disk. It is the upper part of every fencing token, so it must never be given out
 * twice: it is on the disk before it is used, it only rises, and when in doubt the broker does not start.
 *
 * `epoch` is replaced by rename, so the lock is on a file of its own, `epoch.lock`, which is never removed.
 */
import { mkdirSync, renameSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { LeaseholdError } from '@leasehold/proto';
import { type OwnedFd, tryLockFile } from '@leasehold/shm-core/internal';
import { EPOCH_MAX } from '../domain/fencing-tokens.ts';
import { readHead, syncDirectory, writeDurably } from './files.ts';
import { requireTrustedDirectory } from './private-directory.ts';

/** Another broker holds the lock for as long as two fsyncs take; a slow disk may need seconds for them. */
const LOCK_ATTEMPTS = 400;
const LOCK_RETRY_MS = 25;

export interface EpochOptions {
  /** Absolute; made with mode 0700, parents included, if it is not there. */
  readonly stateDir: string;
  /** Effective user of the broker; by default that of this process. */
  readonly uid?: number;
}

/**
 * The epoch that follows the last one, already on the disk.
 * @throws LeaseholdError TOKENS_EXHAUSTED after the last epoch; Error when the file is damaged or cannot be written.
 */
export async function nextEpoch(options: EpochOptions): Promise<number> {
  const { stateDir } = options;
  const uid = options.uid ?? process.geteuid?.() ?? 0;
  const lock = await attempt(stateDir, () => {
    makeDurably(stateDir);
    requireTrustedDirectory(stateDir, { role: 'state directory', uid, symlink: 'follow' });
    return lockEpoch(stateDir);
  });
  try {
    const epoch = readEpoch(join(stateDir, 'epoch')) + 1;
    if (epoch > EPOCH_MAX) throw exhausted(stateDir);
    await attempt(stateDir, () => storeEpoch(stateDir, epoch));
    return epoch;
  } finally {
    lock.close();
  }
}

/** A directory is on the disk when the one it stands in is: without that, a crash could take the epoch with it. */
function makeDurably(stateDir: string): void {
  const path = resolve(stateDir);
  const first = mkdirSync(path, { recursive: true, mode: 0o700 });
  if (first === undefined) return;
  for (let made = path; made.length >= first.length; made = dirname(made)) syncDirectory(dirname(made));
}

async function lockEpoch(stateDir: string): Promise<OwnedFd> {
  const path = join(stateDir, 'epoch.lock');
  for (let tries = 0; tries < LOCK_ATTEMPTS; tries++) {
    const lock = tryLockFile(path);
    if (lock !== null) return lock;
    await delay(LOCK_RETRY_MS);
  }
  throw new Error(`${path} stayed locked for ${(LOCK_ATTEMPTS * LOCK_RETRY_MS) / 1000} s; another process holds it`);
}

function readEpoch(path: string): number {
  // One byte more than the longest epoch with its newline, so that anything longer shows.
  const text = readHead(path, 7);
  if (text === undefined) return 0;
  const epoch = /^[1-9][0-9]{0,4}\n?$/.test(text) ? Number.parseInt(text, 10) : Number.NaN;
  if (epoch >= 1 && epoch <= EPOCH_MAX) return epoch;
  throw new Error(
    `${path} does not hold an epoch (a number from 1 to ${EPOCH_MAX}) but ${JSON.stringify(text)}; write the number of the last ` +
      'epoch into it, or any greater one: fencing tokens of an epoch that is used again would not protect anything',
  );
}

function storeEpoch(stateDir: string, epoch: number): void {
  const temporary = join(stateDir, 'epoch.new');
  writeDurably(temporary, `${epoch}\n`);
  renameSync(temporary, join(stateDir, 'epoch'));
  syncDirectory(stateDir);
}

function exhausted(stateDir: string): LeaseholdError {
  return new LeaseholdError(
    'TOKENS_EXHAUSTED',
    `all ${EPOCH_MAX} epochs of ${stateDir} are used up; start with a new --state-dir only when no fencing token of this one is ` +
      'remembered anywhere',
    { metadata: { stateDir, epochMax: String(EPOCH_MAX) } },
  );
}

/** A full or read-only disk says only ENOSPC or EROFS; people need to know what was being done and where. */
async function attempt<T>(stateDir: string, step: () => T | Promise<T>): Promise<T> {
  try {
    return await step();
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new Error(
      `cannot keep the epoch in ${stateDir}: ${why}; make it writable, or name another with --state-dir`,
      {
        cause: error,
      },
    );
  }
}
