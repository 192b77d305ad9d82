import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { EPOCH_MAX } from '../domain/fencing-tokens.ts';
import { nextEpoch } from './epoch.ts';

let parent: string;
let stateDir: string;
let file: string;

beforeEach(() => {
  parent = mkdtempSync(join(tmpdir(), 'lh-'));
  stateDir = join(parent, 'a/state');
  file = join(stateDir, 'epoch');
});
afterEach(() => rmSync(parent, { recursive: true, force: true }));

const write = (text: string) => {
  mkdirSync(stateDir, { recursive: true, mode: 0o700 });
  writeFileSync(file, text);
};

describe('nextEpoch', () => {
  it('starts at 1, in a directory it makes, and rises by one each time', async () => {
    expect(await nextEpoch({ stateDir })).toBe(1);
    expect(await nextEpoch({ stateDir })).toBe(2);
    expect(readFileSync(file, 'utf8')).toBe('2\n');
  });

  it('never gives two brokers that start together the same epoch', async () => {
    const epochs = await Promise.all(Array.from({ length: 20 }, () => nextEpoch({ stateDir })));
    expect(new Set(epochs)).toEqual(new Set(Array.from({ length: 20 }, (_, index) => index + 1)));
  });

  it('gives the last epoch and then refuses, every time, without wrapping', async () => {
    write(`${EPOCH_MAX - 1}\n`);
    expect(await nextEpoch({ stateDir })).toBe(EPOCH_MAX);
    for (let time = 0; time < 2; time++) {
      await expect(nextEpoch({ stateDir })).rejects.toMatchObject({ code: 'TOKENS_EXHAUSTED' });
    }
    expect(readFileSync(file, 'utf8')).toBe('65535\n');
  });

  it.each(['', '0\n', '65536\n', '99999999\n', '-1', '1.5', ' 7', '7\n7', 'seven', '\0\0'])(
    'refuses the damaged file %j, names it, and leaves it as it is',
    async (text) => {
      write(text);
      await expect(nextEpoch({ stateDir })).rejects.toThrow(`${file} does not hold an epoch`);
      expect(readFileSync(file, 'utf8')).toBe(text);
    },
  );

  it('does not use a file left half written by a crash', async () => {
    write('41\n');
    writeFileSync(join(stateDir, 'epoch.new'), '4');
    expect(await nextEpoch({ stateDir })).toBe(42);
    expect(existsSync(join(stateDir, 'epoch.new'))).toBe(false);
  });

  it('does not follow links in the place of its files', async () => {
    write('5\n');
    const precious = join(parent, 'precious');
    writeFileSync(precious, 'precious');
    symlinkSync(precious, join(stateDir, 'epoch.new'));
    await expect(nextEpoch({ stateDir })).rejects.toThrow(/ELOOP/);
    expect(readFileSync(precious, 'utf8')).toBe('precious');
  });

  it('takes a state directory that is a link, as systemd makes it', async () => {
    mkdirSync(join(parent, 'private'), { mode: 0o700 });
    symlinkSync(join(parent, 'private'), join(parent, 'link'));
    expect(await nextEpoch({ stateDir: join(parent, 'link') })).toBe(1);
  });

  it('refuses a directory that others can write', async () => {
    mkdirSync(stateDir, { recursive: true });
    chmodSync(stateDir, 0o777);
    await expect(nextEpoch({ stateDir })).rejects.toThrow(/can be written by others/);
  });
});

describe('on a disk that cannot be written', () => {
  const mount = (...args: string[]) => spawnSync('mount', args).status === 0;
  const probe = mkdtempSync(join(tmpdir(), 'lh-probe-'));
  const mayMount = mount('-t', 'tmpfs', '-o', 'size=4k', 'tmpfs', probe);
  if (mayMount) spawnSync('umount', [probe]);
  rmSync(probe, { recursive: true });

  beforeEach(() => {
    stateDir = join(parent, 'disk');
    file = join(stateDir, 'epoch');
    mkdirSync(stateDir, { mode: 0o700 });
    if (mayMount) mount('-t', 'tmpfs', '-o', 'size=8k,mode=0700', 'tmpfs', stateDir);
  });
  afterEach(() => {
    if (mayMount) spawnSync('umount', [stateDir]);
  });

  it.skipIf(!mayMount)(
    'says so when it is full, and keeps the old epoch (skipped: needs the right to mount)',
    async () => {
      write('7\n');
      writeFileSync(join(stateDir, 'ballast'), Buffer.alloc(4096));
      await expect(nextEpoch({ stateDir })).rejects.toThrow(new RegExp(`cannot keep the epoch in ${stateDir}: ENOSPC`));
      expect(readFileSync(file, 'utf8')).toBe('7\n');
    },
  );

  it.skipIf(!mayMount)('says so when it is read-only (skipped: needs the right to mount)', async () => {
    write('7\n');
    mount('-o', 'remount,ro', stateDir);
    await expect(nextEpoch({ stateDir })).rejects.toThrow(new RegExp(`cannot keep the epoch in ${stateDir}:.*EROFS`));
  });
});
