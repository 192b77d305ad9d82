import { closeSync, fstatSync, openSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { LinuxFd, ownedFd } from './fd.ts';
import { libc } from './libc.ts';

describe('an owned descriptor', () => {
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
