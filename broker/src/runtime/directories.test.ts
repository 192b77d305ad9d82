import { describe, expect, it } from 'vitest';
import { resolveRuntimeDir, resolveStateDir } from './directories.ts';

const everything = {
  LEASEHOLD_RUNTIME_DIR: '/own',
  RUNTIME_DIRECTORY: '/run/first:/run/second',
  XDG_RUNTIME_DIR: '/run/user/1000',
  LEASEHOLD_STATE_DIR: '/own-state',
  STATE_DIRECTORY: '/var/lib/first:/var/lib/second',
  XDG_STATE_HOME: '/home/u/state',
  HOME: '/home/u',
};
const without = (...names: (keyof typeof everything)[]) =>
  Object.fromEntries(Object.entries(everything).filter(([name]) => !names.some((other) => other === name)));

describe('resolveRuntimeDir', () => {
  it('prefers the flag, then our variable, then the first of systemd, then the XDG directory, then /tmp', () => {
    const uid = 1000;
    expect(resolveRuntimeDir({ runtimeDir: '/flag', env: everything, uid })).toEqual({
      path: '/flag',
      origin: '--runtime-dir',
    });
    expect(resolveRuntimeDir({ env: everything, uid })).toEqual({ path: '/own', origin: 'LEASEHOLD_RUNTIME_DIR' });
    const noOwn = without('LEASEHOLD_RUNTIME_DIR');
    expect(resolveRuntimeDir({ env: noOwn, uid })).toEqual({ path: '/run/first', origin: 'RUNTIME_DIRECTORY' });
    const noSystemd = without('LEASEHOLD_RUNTIME_DIR', 'RUNTIME_DIRECTORY');
    expect(resolveRuntimeDir({ env: noSystemd, uid })).toEqual({
      path: '/run/user/1000/leasehold',
      origin: 'XDG_RUNTIME_DIR',
    });
    expect(resolveRuntimeDir({ env: {}, uid })).toEqual({ path: '/tmp/leasehold-1000', origin: 'default' });
  });

  it('gives root and a system broker /run/leasehold, whatever XDG says', () => {
    const env = { XDG_RUNTIME_DIR: '/run/user/0' };
    expect(resolveRuntimeDir({ env, uid: 0 }).path).toBe('/run/leasehold');
    expect(resolveRuntimeDir({ env, uid: 1000, system: true }).path).toBe('/run/leasehold');
  });

  it('makes relative directories absolute, and ignores empty and relative XDG values', () => {
    expect(resolveRuntimeDir({ runtimeDir: 'rel', env: {}, uid: 1 }).path).toBe(`${process.cwd()}/rel`);
    const env = { LEASEHOLD_RUNTIME_DIR: '', RUNTIME_DIRECTORY: '', XDG_RUNTIME_DIR: 'relative' };
    expect(resolveRuntimeDir({ env, uid: 1000 }).path).toBe('/tmp/leasehold-1000');
  });
});

describe('resolveStateDir', () => {
  it('prefers the flag, then our variable, then the first of systemd, then the XDG directory, then the home', () => {
    const uid = 1000;
    expect(resolveStateDir({ stateDir: '/flag', env: everything, uid }).path).toBe('/flag');
    expect(resolveStateDir({ env: everything, uid }).path).toBe('/own-state');
    expect(resolveStateDir({ env: without('LEASEHOLD_STATE_DIR'), uid }).path).toBe('/var/lib/first');
    expect(resolveStateDir({ env: { XDG_STATE_HOME: '/s', HOME: '/h' }, uid }).path).toBe('/s/leasehold');
    expect(resolveStateDir({ env: { HOME: '/h' }, uid })).toEqual({
      path: '/h/.local/state/leasehold',
      origin: 'HOME',
    });
    expect(resolveStateDir({ env: { HOME: '/root' }, uid: 0 }).path).toBe('/var/lib/leasehold');
  });

  it('says what to do where there is no home', () => {
    expect(() => resolveStateDir({ env: {}, uid: 1000 })).toThrow(/--state-dir/);
  });
});
