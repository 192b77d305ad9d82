import { once } from 'node:events';
import { closeSync, fstatSync, openSync, readdirSync, readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { describe, expect, it } from 'vitest';
import { useTemporaryDirectory } from '../testing/temporary-directory.ts';
import { LinuxFd, ownedFd } from './fd.ts';
import { libc } from './libc.ts';

/** How many descriptors of this process are `path`. */
const openOf = (path: string): number =>
  readdirSync('/proc/self/fd').filter((number) => {
    try {
      return readlinkSync(`/proc/self/fd/${number}`) === path;
    } catch {
      return false;
    }
  }).length;

/** Owns descriptors of a file; closes as many as it is told. */
const OWNER = `
  const { parentPort, workerData: { fd, libc, path, owned, closed } } = require('node:worker_threads');
  (async () => {
    const { ownedFd } = await import(fd);
    const { libc: functions } = await import(libc);
    const fds = Array.from({ length: owned }, () => ownedFd('open', functions().open(path, 0, 0)));
    for (const each of fds.slice(0, closed)) each.close();
    parentPort.postMessage('owned');
    parentPort.once('message', () => undefined);
  })();`;

describe('an owned descriptor', () => {
  const directory = useTemporaryDirectory();

  it('closes its number once, however often it is asked', () => {
    const fd = new LinuxFd(openSync('/dev/null', 'r'));
    const { raw } = fd;
    fd.close();
    const reused = openSync('/dev/null', 'r');
    expect(reused).toBe(raw);
    fd.close();
    fd[Symbol.dispose]();
    expect(fstatSync(reused).isCharacterDevice()).toBe(true);
    closeSync(reused);
  });

  it.each([-1, 1.5, Number.NaN])('refuses %d as a number', (raw) => {
    expect(() => new LinuxFd(raw)).toThrow(RangeError);
  });

  it('is closed with the thread that owns it, although that is ended from outside', async () => {
    const path = join(directory(), 'file');
    writeFileSync(path, '');
    const [fd, libc] = ['./fd.ts', './libc.ts'].map((file) => new URL(file, import.meta.url).href);
    const worker = new Worker(OWNER, { eval: true, workerData: { fd, libc, path, owned: 3, closed: 1 } });
    await once(worker, 'message');
    expect(openOf(path)).toBe(2);
    await worker.terminate();
    expect(openOf(path)).toBe(0);
  });

  it('carries call, errno and name of what failed', () => {
    expect(() => ownedFd('open', libc().open('/nowhere/at/all', 0, 0), 'detail')).toThrow(
      expect.objectContaining({
        name: 'OsError',
        call: 'open',
        errno: 2,
        code: 'ENOENT',
        message: 'open failed: ENOENT (detail)',
      }),
    );
  });
});
