import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { OwnedFd } from '../os.ts';
import { useTemporaryDirectory } from '../testing/temporary-directory.ts';
import { DoorbellEar, doorbellQueueRings, yieldThread } from './doorbell-ear.ts';
import { bindDoorbell, openRinger, type Ringer } from './doorbells.ts';

describe('the receiving end of a doorbell', () => {
  const directory = useTemporaryDirectory();
  let bell: OwnedFd;
  let ringer: Ringer;
  let ear: DoorbellEar;
  const ring = (...bytes: number[]): string => ringer.ring(join(directory(), 'bell'), Uint8Array.from(bytes));

  beforeEach(() => {
    bell = bindDoorbell(join(directory(), 'bell'), 0o600);
    ringer = openRinger();
    ear = new DoorbellEar(bell);
  });
  afterEach(() => {
    ringer.close();
    bell.close();
  });

  it('hears what each ring says, one by one, and then nothing', () => {
    ring(1, 0, 0, 0, 2, 0, 0, 0, 255, 255, 255, 255);
    ring(7);
    expect([ear.hear(), ...ear.words.subarray(0, 3)]).toEqual([12, 1, 2, 0xffff_ffff]);
    expect([ear.hear(), (ear.words[0] ?? 0) & 0xff]).toEqual([1, 7]);
    expect(ear.hear()).toBe(-1);
  });

  it('cuts what is longer than a ring', () => {
    ring(...new Array<number>(1_000).fill(9));
    expect(ear.hear()).toBe(64);
    expect(ear.hear()).toBe(-1);
  });

  it('sleeps no longer than it is told, and not at all when it has been rung; the ring stays', () => {
    expect(ear.sleep(1)).toBe(false);
    ring(1);
    expect(ear.sleep(60_000)).toBe(true);
    expect(ear.sleep(60_000)).toBe(true);
    expect(ear.hear()).toBe(1);
    expect(ear.sleep(0)).toBe(false);
  });

  it('holds as many rings as is said before one is turned away', () => {
    let rings = 0;
    while (rings < 100_000 && ring(1) === 'rung') rings += 1;
    expect(rings).toBe(doorbellQueueRings());
  });

  it('that is closed hears nothing', () => {
    bell.close();
    expect(ear.hear()).toBe(-1);
  });
});

it('a thread that yields goes on', () => {
  expect(yieldThread()).toBeUndefined();
});
