import { readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { OwnedFd } from '../os.ts';
import { useTemporaryDirectory } from '../testing/temporary-directory.ts';
import { drainDoorbell } from './doorbell-ear.ts';
import { bindDoorbell, openRinger, type Ringer } from './doorbells.ts';
import { waitReadable } from './sockets.ts';

const RING = Uint8Array.of(1, 2, 3, 4);

describe('a doorbell', () => {
  const directory = useTemporaryDirectory();
  let path: string;
  let bell: OwnedFd;
  let ringer: Ringer;

  beforeEach(() => {
    path = join(directory(), 'bell');
    bell = bindDoorbell(path, 0o622);
    ringer = openRinger();
  });
  afterEach(() => {
    ringer.close();
    bell.close();
  });

  it('has the mode asked for and is silent until rung', () => {
    expect(statSync(path).mode & 0o777).toBe(0o622);
    expect(waitReadable(bell, 0)).toBe(false);
    expect(drainDoorbell(bell, 8)).toBe(0);
  });

  it('becomes readable by a ring and silent by a drain', () => {
    expect(ringer.ring(path, RING)).toBe('rung');
    expect(ringer.ring(path, new Uint8Array(0))).toBe('rung');
    expect(waitReadable(bell, 0)).toBe(true);
    expect(drainDoorbell(bell, 8)).toBe(2);
    expect(waitReadable(bell, 0)).toBe(false);
  });

  it('that is full never blocks a ringer, and can be rung again once drained', () => {
    let rings = 0;
    while (rings < 100_000 && ringer.ring(path, RING) === 'rung') rings += 1;
    expect(rings).toBeGreaterThan(0);
    expect(ringer.ring(path, RING)).toBe('full');
    expect(drainDoorbell(bell, 1)).toBe(1);
    expect(drainDoorbell(bell, 100_000)).toBe(rings - 1);
    expect(ringer.ring(path, RING)).toBe('rung');
  });

  it('is rung although hundreds of other bells that were rung before have not been answered', () => {
    const others = Array.from({ length: 600 }, (_, at) => join(directory(), `bell-${at}`));
    const unanswered = others.map((other) => bindDoorbell(other, 0o600));
    expect(new Set(others.map((other) => ringer.ring(other, RING)))).toEqual(new Set(['rung']));
    expect(ringer.ring(path, RING)).toBe('rung');
    for (const each of unanswered) {
      expect(drainDoorbell(each, 2)).toBe(1);
      each.close();
    }
  });

  it('is drained no further than asked', () => {
    for (let count = 0; count < 5; count += 1) ringer.ring(path, RING);
    expect(drainDoorbell(bell, 3)).toBe(3);
    expect(drainDoorbell(bell, 3)).toBe(2);
  });

  it('that is closed, unlinked, not a socket or not a path is gone', () => {
    expect(ringer.ring(path, RING)).toBe('rung');
    bell.close();
    expect(ringer.ring(path, RING)).toBe('gone');
    rmSync(path);
    for (const wrong of [path, '', 'a\0b', 'x'.repeat(108), directory(), '/dev/null']) {
      expect(ringer.ring(wrong, RING), wrong).toBe('gone');
    }
  });

  it('with a datagram that is too long is gone to that ringer, not an exception', () => {
    expect(ringer.ring(path, new Uint8Array(16 * 2 ** 20))).toBe('gone');
  });

  it('is gone to a closed ringer', () => {
    ringer.close();
    expect(ringer.ring(path, RING)).toBe('gone');
  });

  it('is found again at the same path after it was replaced', () => {
    expect(ringer.ring(path, RING)).toBe('rung');
    bell.close();
    rmSync(path);
    bell = bindDoorbell(path, 0o600);
    expect(ringer.ring(path, RING)).toBe('rung');
    expect(drainDoorbell(bell, 8)).toBe(1);
  });

  it('that is rung often is rung over a socket of its own, which goes with the last who asked for it', () => {
    const sockets = (): number => readdirSync('/proc/self/fd').length;
    const before = sockets();
    const [first, second] = [ringer.bell(path), ringer.bell(path)];
    expect(sockets()).toBe(before);
    expect([first.ring(RING), second.ring(RING), first.ring(RING)]).toEqual(['rung', 'rung', 'rung']);
    expect(drainDoorbell(bell, 8)).toBe(3);
    expect(sockets()).toBe(before + 1);
    first.close();
    first.close();
    expect(second.ring(RING)).toBe('rung');
    expect(sockets()).toBe(before + 1);
    second.close();
    expect(sockets()).toBe(before);
    expect(second.ring(RING)).toBe('rung');
    expect(drainDoorbell(bell, 8)).toBe(2);
  });

  it('that is rung often is found again after it was replaced, and gone when it is', () => {
    const often = ringer.bell(path);
    expect(often.ring(RING)).toBe('rung');
    bell.close();
    expect([often.ring(RING), often.ring(RING)]).toEqual(['gone', 'gone']);
    rmSync(path);
    bell = bindDoorbell(path, 0o600);
    expect(often.ring(RING)).toBe('rung');
    expect(drainDoorbell(bell, 8)).toBe(1);
    ringer.close();
    expect(often.ring(RING)).toBe('gone');
  });

  it('that is rung often never blocks its ringer', () => {
    const often = ringer.bell(path);
    let rings = 0;
    while (rings < 100_000 && often.ring(RING) === 'rung') rings += 1;
    expect(often.ring(RING)).toBe('full');
    expect(drainDoorbell(bell, 100_000)).toBe(rings);
    often.close();
  });
});
