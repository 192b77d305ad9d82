import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, statSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openFds, useTemporaryDirectory } from '../testing/temporary-directory.ts';
import { tryLockFile } from './file-lock.ts';

describe('a locked file', () => {
  const directory = useTemporaryDirectory();

  it('is created with mode 0600, held once, and free again after closing', () => {
    const path = join(directory(), 'broker.lock');
    const held = tryLockFile(path);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    const before = openFds();
    expect(tryLockFile(path)).toBeNull();
    expect(openFds()).toEqual(before);
    held?.close();
    const again = tryLockFile(path);
    expect(again).not.toBeNull();
    again?.close();
  });

  it('is free when its holder was killed', async () => {
    const path = join(directory(), 'broker.lock');
    tryLockFile(path)?.close();
    const child = spawn('flock', ['-x', path, '-c', 'echo held; exec cat'], { stdio: ['pipe', 'pipe', 'inherit'] });
    await once(child.stdout, 'data');
    expect(tryLockFile(path)).toBeNull();
    child.stdin.destroy();
    await once(child, 'exit');
    const lock = tryLockFile(path);
    expect(lock).not.toBeNull();
    lock?.close();
  });

  it('does not stay held by children', () => {
    const path = join(directory(), 'broker.lock');
    const lock = tryLockFile(path);
    const script = `try { console.log(require('fs').readlinkSync('/proc/self/fd/${lock?.raw}')) } catch { console.log('none') }`;
    expect(execFileSync(process.execPath, ['-e', script]).toString()).not.toContain('broker.lock');
    lock?.close();
  });

  it('is a regular file that is reached through no symbolic link', () => {
    const target = join(directory(), 'target');
    symlinkSync(target, join(directory(), 'link'));
    mkdirSync(join(directory(), 'folder'));
    expect(() => tryLockFile(join(directory(), 'link'))).toThrow(expect.objectContaining({ code: 'ELOOP' }));
    expect(() => tryLockFile(join(directory(), 'folder'))).toThrow(expect.objectContaining({ code: 'EISDIR' }));
    expect(() => tryLockFile('/dev/null')).toThrow('not a regular file');
    expect(() => tryLockFile(join(directory(), 'no/such'))).toThrow(expect.objectContaining({ code: 'ENOENT' }));
  });
});
