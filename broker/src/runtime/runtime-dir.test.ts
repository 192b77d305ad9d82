import {
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bindDoorbell, tryLockFile } from '@leasehold/shm-core/internal';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openRuntimeDir, type RuntimeDir } from './runtime-dir.ts';

const isRoot = process.getuid?.() === 0;
let parent: string;
let path: string;
const opened: RuntimeDir[] = [];

beforeEach(() => {
  parent = mkdtempSync(join(tmpdir(), 'lh-'));
  path = join(parent, 'run');
});
afterEach(() => {
  for (const dir of opened.splice(0)) dir.close();
  rmSync(parent, { recursive: true, force: true });
});

const open = (options: { system?: boolean; path?: string; uid?: number } = {}): RuntimeDir => {
  const dir = openRuntimeDir({ path, system: false, ...options });
  opened.push(dir);
  return dir;
};
const modeOf = (file: string) => (statSync(file).mode & 0o7777).toString(8);
const listen = (file: string) =>
  new Promise<Server>((resolve) => {
    const server = createServer();
    server.listen(file, () => resolve(server));
  });
/** Leaves a socket file behind, as a broker that was killed does. */
const leaveSocket = async (file: string) => {
  const server = await listen(`${file}.x`);
  linkSync(`${file}.x`, file);
  await new Promise((resolve) => server.close(resolve));
};

describe('openRuntimeDir', () => {
  it('makes a private directory with private sockets', () => {
    const dir = open();
    expect([modeOf(path), modeOf(dir.bellsDir), dir.socketMode]).toEqual(['700', '700', 0o600]);
    expect(dir.controlSocket).toBe(join(path, 'control.sock'));
  });

  it('makes the directory of a system broker searchable whatever the umask, and its bells not listable', () => {
    const umask = process.umask(0o077);
    try {
      const dir = open({ system: true });
      expect([modeOf(path), modeOf(dir.bellsDir), dir.socketMode]).toEqual(['755', '711', 0o666]);
    } finally {
      process.umask(umask);
    }
  });

  it('refuses a second broker and names the directory and the pid of the first', () => {
    open();
    expect(() => open()).toThrow(`a broker (pid ${process.pid}) already serves ${path}`);
  });

  it('leaves the sockets of a living broker alone', async () => {
    const dir = open();
    const server = await listen(dir.controlSocket);
    expect(() => open()).toThrow(/already serves/);
    expect(existsSync(dir.controlSocket)).toBe(true);
    await new Promise((resolve) => server.close(resolve));
  });

  it('removes the sockets and bells of a dead broker', async () => {
    mkdirSync(join(path, 'bells'), { recursive: true, mode: 0o700 });
    chmodSync(path, 0o700);
    writeFileSync(join(path, 'broker.lock'), '999999\n');
    const stale = ['control.sock', 'attach.sock', 'http.sock', 'bells/0123'].map((name) => join(path, name));
    for (const file of stale) await leaveSocket(file);
    expect(stale.every(existsSync)).toBe(true);
    open();
    expect(stale.filter(existsSync)).toEqual([]);
    expect(readFileSync(join(path, 'broker.lock'), 'utf8')).toBe(`${process.pid}\n`);
  });

  it('does not trust a lock on a file that its last broker deleted meanwhile, with or without the directory', () => {
    for (const deleted of ['broker.lock', '']) {
      let deletions = 0;
      const tryLock = (lockPath: string) => {
        const lock = tryLockFile(lockPath);
        if (deletions++ === 0) rmSync(join(path, deleted), { recursive: true });
        return lock;
      };
      const dir = openRuntimeDir({ path, system: false, tryLock });
      expect(deletions).toBe(2);
      expect(() => open()).toThrow(`a broker (pid ${process.pid}) already serves`);
      dir.close();
    }
  });

  it('starts over when the directory vanishes before it is locked, but not for ever', () => {
    const vanish = (lockPath: string) => {
      rmSync(path, { recursive: true });
      return tryLockFile(lockPath);
    };
    expect(() => openRuntimeDir({ path, system: false, tryLock: vanish })).toThrow(/again and again/);
  });

  it('refuses what is in the place of a socket and is none, and gives the lock back', () => {
    mkdirSync(path, { mode: 0o700 });
    const file = join(path, 'control.sock');
    writeFileSync(file, 'precious');
    expect(() => open()).toThrow(`${file} is in the way`);
    expect(readFileSync(file, 'utf8')).toBe('precious');
    rmSync(file);
    open();
  });

  it('refuses a symbolic link, a file, and a directory that others can write', () => {
    mkdirSync(join(parent, 'real'), { mode: 0o700 });
    symlinkSync(join(parent, 'real'), path);
    expect(() => open()).toThrow(/is a symbolic link/);
    rmSync(path);
    writeFileSync(path, '');
    expect(() => open()).toThrow(/is not a directory/);
    rmSync(path);
    mkdirSync(path);
    chmodSync(path, 0o770);
    expect(() => open()).toThrow(/mode 0770.*chmod go-w/);
  });

  it.skipIf(!isRoot)('refuses the directory of another user (skipped: needs root)', () => {
    mkdirSync(path, { mode: 0o700 });
    chownSync(path, 65_534, 65_534);
    expect(() => open()).toThrow('belongs to uid 65534, not to uid 0');
  });

  it('leaves the bells that clients of a dead broker still hear', () => {
    mkdirSync(join(path, 'bells'), { recursive: true, mode: 0o700 });
    const heard = join(path, 'bells', 'heard');
    const bell = bindDoorbell(heard, 0o600);
    const silent = join(path, 'bells', 'silent');
    bindDoorbell(silent, 0o600).close();
    open();
    expect([existsSync(heard), existsSync(silent)]).toEqual([true, false]);
    bell.close();
  });

  it('refuses bells that are a symbolic link, and does not sweep what it leads to', () => {
    mkdirSync(path, { mode: 0o700 });
    symlinkSync(parent, join(path, 'bells'));
    expect(() => open()).toThrow(/is a symbolic link/);
  });

  it('says which bytes are too many', () => {
    const long = join(parent, 'x'.repeat(68 - Buffer.byteLength(parent)));
    expect(Buffer.byteLength(long)).toBe(69);
    expect(() => open({ path: long })).toThrow(/is 69 bytes long.*108 bytes.*takes 107.*at most 68 bytes/);
    expect(() => open({ path: long })).toThrow(expect.objectContaining({ code: 'PATH_TOO_LONG' }));
    open({ path: long.slice(0, -1) });
  });

  it('does not make parents, and says which one is missing', () => {
    expect(() => open({ path: join(parent, 'no/run') })).toThrow(`${join(parent, 'no')} does not exist`);
  });
});

describe('close', () => {
  it('removes a directory that was made for the broker', async () => {
    const dir = open();
    const server = await listen(dir.attachSocket);
    dir.close();
    expect(existsSync(path)).toBe(false);
    await new Promise((resolve) => server.close(resolve));
  });

  it('keeps a directory that was there before, with its mode, and lets the lock go', () => {
    mkdirSync(path);
    chmodSync(path, 0o755);
    open().close();
    expect(modeOf(path)).toBe('755');
    expect(existsSync(join(path, 'bells'))).toBe(false);
    open();
  });

  it('keeps a directory in which somebody put something else', () => {
    const dir = open();
    writeFileSync(join(path, 'notes'), 'mine');
    dir.close();
    expect(readFileSync(join(path, 'notes'), 'utf8')).toBe('mine');
    open();
  });

  it('does nothing the second time, even to a broker that followed', async () => {
    const first = open();
    first.close();
    const second = open();
    const server = await listen(second.controlSocket);
    first.close();
    expect(existsSync(second.controlSocket)).toBe(true);
    expect(() => open()).toThrow(/already serves/);
    await new Promise((resolve) => server.close(resolve));
  });
});
