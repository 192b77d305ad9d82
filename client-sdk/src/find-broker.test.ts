import { chownSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { findBroker, runtimeDirCandidates, socketsOf } from './find-broker.ts';

let base = '';
beforeEach(() => {
  base = mkdtempSync('/tmp/find-broker-');
});
afterEach(() => rmSync(base, { recursive: true, force: true }));

function broker(directory: string, owner?: number): string {
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, 'attach.sock'), '');
  if (owner !== undefined) chownSync(directory, owner, owner);
  return directory;
}

describe('where a client looks for its broker', () => {
  it('is only what was asked for, when something was', () => {
    const env = { LEASEHOLD_RUNTIME_DIR: '/b', XDG_RUNTIME_DIR: '/c' };
    expect(runtimeDirCandidates({ runtimeDir: '/a', env, uid: 5 })).toEqual(['/a']);
    expect(runtimeDirCandidates({ env, uid: 5 })).toEqual(['/b']);
  });

  it("is the user's own directories before the system's", () => {
    const env = { XDG_RUNTIME_DIR: '/run/user/5', LEASEHOLD_RUNTIME_DIR: '' };
    expect(runtimeDirCandidates({ env, uid: 5 })).toEqual([
      '/run/user/5/leasehold',
      '/tmp/leasehold-5',
      '/run/leasehold',
    ]);
    expect(runtimeDirCandidates({ env, uid: 0 })).toEqual(['/run/leasehold']);
  });

  it('is told in full, with the command that starts one, when nothing is there', () => {
    const env = { XDG_RUNTIME_DIR: join(base, 'nothing') };
    expect(() => findBroker({ env, uid: 54_321 })).toThrow(
      expect.objectContaining({
        code: 'BROKER_UNREACHABLE',
        message: expect.stringMatching(
          /nothing\/leasehold\/attach\.sock .*leasehold-54321.*\/run\/leasehold.*leasehold serve/,
        ),
      }),
    );
  });

  it('finds the first that is there', () => {
    const own = broker(join(base, 'leasehold'), process.getuid?.());
    expect(findBroker({ env: { XDG_RUNTIME_DIR: base }, uid: process.getuid?.() || 1 }).runtimeDir).toBe(own);
  });

  it.skipIf(process.getuid?.() !== 0)('never follows another user who poses as a broker (needs root)', () => {
    broker(join(base, 'leasehold'), 54_322);
    expect(() => findBroker({ env: { XDG_RUNTIME_DIR: base }, uid: 54_321 })).toThrow(
      expect.objectContaining({ code: 'BROKER_UNREACHABLE' }),
    );
  });

  it('is refused with the numbers when a socket path would be too long', () => {
    expect(() => socketsOf(`/tmp/${'x'.repeat(100)}`)).toThrow(
      expect.objectContaining({ code: 'PATH_TOO_LONG', message: expect.stringMatching(/107 bytes.*118/) }),
    );
  });
});
