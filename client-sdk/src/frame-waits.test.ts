import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { bindDoorbell, monotonicNs } from '@leasehold/shm-core/internal';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Doorbell } from './doorbell.ts';
import { FrameIterator } from './frame-iterator.ts';
import { ENDED, type Found } from './frame-source.ts';
import { FrameWaits } from './frame-waits.ts';
import { WaitStrategies, type WaitStrategy } from './waiting.ts';

let directory = '';
let doorbell: Doorbell;
beforeEach(() => {
  directory = mkdtempSync('/tmp/frame-waits-');
  doorbell = new Doorbell(bindDoorbell(join(directory, 'bell'), 0o600));
});
afterEach(() => {
  doorbell.close();
  rmSync(directory, { recursive: true });
});

interface TestFrame {
  readonly number: number;
}

/** A subscription without memory. It counts what is done to it, and can publish in the middle of a wait. */
class FakeSource {
  readonly what = 'a frame';
  readonly frames: (Found<TestFrame> | Error)[] = [];
  looks = 0;
  waits = 0;
  armed = false;
  lost: Error | null = null;
  onArm: () => void = () => undefined;

  look(): Found<TestFrame> | null {
    this.looks += 1;
    const next = this.frames[0];
    if (next === undefined) return null;
    if (next !== ENDED && !(next instanceof Error)) this.frames.shift();
    if (next instanceof Error) throw next;
    return next;
  }
  lookBlocking(): Found<TestFrame> | null {
    return this.look();
  }
  publishedNs(): number {
    return monotonicNs();
  }
  arm(): void {
    this.waits += 1;
    this.armed = true;
    this.onArm();
  }
  disarm(): void {
    this.waits -= 1;
    if (this.waits === 0) this.armed = false;
  }
  state(): 'nothing' | 'frames' {
    return this.frames.length > 0 ? 'frames' : 'nothing';
  }
  lostSince(): Error | null {
    return this.lost;
  }
  endedBecause(): Error | null {
    return this.lost;
  }
}

function waitsOf(strategy: WaitStrategy = 'park') {
  const source = new FakeSource();
  return { source, waits: new FrameWaits<TestFrame>(source, doorbell, strategy) };
}
const frame = (number: number): TestFrame => ({ number });
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe.each(WaitStrategies)('a wait for a frame (%s)', (strategy) => {
  it('is over at once when there is one: one look, and nobody is asked to ring', async () => {
    const { source, waits } = waitsOf(strategy);
    source.onArm = () => expect.unreachable('armed');
    source.frames.push(frame(1));
    expect(await waits.take()).toEqual(frame(1));
    expect(source.looks).toBe(1);
  });

  it('ends with the frame that comes, wherever it is then, and leaves nothing armed', async () => {
    for (let turns = 0; turns < 5; turns += 1) {
      const { source, waits } = waitsOf(strategy);
      const taken = waits.take();
      for (let each = 0; each < turns; each += 1) await turn();
      source.frames.push(frame(turns));
      waits.wake();
      expect(await taken).toEqual(frame(turns));
      expect([source.armed, source.waits]).toEqual([false, 0]);
    }
  });

  it('serves those who came first first', async () => {
    const { source, waits } = waitsOf(strategy);
    const taken = [waits.take(), waits.take(), waits.take()];
    source.frames.push(frame(1), frame(2));
    waits.wake();
    await taken[1];
    source.frames.push(frame(3));
    waits.wake();
    expect(await Promise.all(taken)).toEqual([frame(1), frame(2), frame(3)]);
  });

  it('ends with null for all at the end of the stream, and with the error for all when it fails', async () => {
    const ending = waitsOf(strategy);
    const ended = [ending.waits.take(), ending.waits.take()];
    ending.source.frames.push(ENDED);
    ending.waits.wake();
    expect(await Promise.all(ended)).toEqual([null, null]);
    const failing = waitsOf(strategy);
    const failed = [failing.waits.take(), failing.waits.take()];
    failing.source.frames.push(new Error('deleted'));
    failing.waits.wake();
    for (const each of failed) await expect(each).rejects.toThrow('deleted');
    expect([ending.source.waits, failing.source.waits]).toEqual([0, 0]);
  });

  it('ends at its timeout, at its signal, and when the broker is lost; a wait behind it goes on', async () => {
    const { source, waits } = waitsOf(strategy);
    await expect(waits.take({ timeoutMs: 0 })).rejects.toMatchObject({ code: 'TIMED_OUT' });
    await expect(waits.take({ timeoutMs: 1 })).rejects.toMatchObject({ code: 'TIMED_OUT' });
    await expect(waits.take({ signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'ABORTED' });
    const controller = new AbortController();
    const aborted = expect(waits.take({ signal: controller.signal })).rejects.toMatchObject({ code: 'ABORTED' });
    const behind = waits.take();
    controller.abort();
    await aborted;
    source.frames.push(frame(1));
    waits.wake();
    expect(await behind).toEqual(frame(1));
    const lost = expect(waits.take()).rejects.toThrow('no broker');
    source.lost = new Error('no broker');
    waits.wake();
    await lost;
    expect(source.waits).toBe(0);
  });

  it('lets the event loop have a turn now and then, although there is always a frame', async () => {
    const { source, waits } = waitsOf(strategy);
    let turned = false;
    setImmediate(() => {
      turned = true;
    });
    for (let taken = 0; !turned; taken += 1) {
      expect(taken).toBeLessThan(100_000);
      source.frames.push(frame(taken));
      await waits.take();
    }
  });

  it('lets its signal be aborted by another turn, although there is always a frame', async () => {
    const { source, waits } = waitsOf(strategy);
    const controller = new AbortController();
    setImmediate(() => controller.abort());
    const takeAll = async (): Promise<void> => {
      for (let taken = 0; taken < 100_000; taken += 1) {
        source.frames.push(frame(taken));
        await waits.take({ signal: controller.signal });
      }
    };
    await expect(takeAll()).rejects.toMatchObject({ code: 'ABORTED' });
  });

  it('with the whole thread takes what is there, ends with null, and keeps its bounds', () => {
    const { source, waits } = waitsOf(strategy);
    source.frames.push(frame(1), ENDED);
    expect(waits.takeSync()).toEqual(frame(1));
    expect(waits.takeSync()).toBeNull();
    source.frames.length = 0;
    expect(() => waits.takeSync({ timeoutMs: 3 })).toThrow(expect.objectContaining({ code: 'TIMED_OUT' }));
    expect(source.waits).toBe(0);
  });

  it('with the whole thread ends when the session has ended and nothing came', () => {
    const { source, waits } = waitsOf(strategy);
    source.lost = new Error('no broker');
    expect(() => waits.takeSync({ timeoutMs: 60_000 })).toThrow('no broker');
  });
});

describe('a wait that sleeps', () => {
  it.each(['park', 'adaptive'] as const)(
    '(%s) misses no frame that comes just before it is armed',
    async (strategy) => {
      const { source, waits } = waitsOf(strategy);
      source.onArm = () => {
        if (source.looks > 0) source.frames.push(frame(1));
      };
      expect(await waits.take()).toEqual(frame(1));
    },
  );

  it('is armed anew after a ring that brought nothing', async () => {
    const { source, waits } = waitsOf();
    const taken = waits.take();
    source.armed = false;
    waits.wake();
    expect(source.armed).toBe(true);
    source.frames.push(frame(1));
    waits.wake();
    expect(await taken).toEqual(frame(1));
  });

  it('with the whole thread misses no frame that comes just before it is armed', () => {
    const { source, waits } = waitsOf();
    source.onArm = () => source.frames.push(frame(1));
    expect(waits.takeSync()).toEqual(frame(1));
  });

  it('looks no more than twice before it sleeps, and once when it is woken', async () => {
    const { source, waits } = waitsOf();
    const taken = waits.take();
    expect(source.looks).toBe(2);
    source.frames.push(frame(1));
    waits.wake();
    await taken;
    expect(source.looks).toBe(3);
  });
});

describe('a loop over frames', () => {
  it('ends with the stream, with the loop, and when the subscription is closed', async () => {
    const { source, waits } = waitsOf();
    source.frames.push(frame(1), frame(2), ENDED);
    const iterator = () =>
      new FrameIterator(
        () => waits.take(),
        () => true,
      );
    const seen: TestFrame[] = [];
    for await (const each of iterator()) seen.push(each);
    expect(seen).toEqual([frame(1), frame(2)]);
    source.frames.splice(0, 1, frame(3));
    const left = iterator();
    for await (const each of left) {
      expect(each).toEqual(frame(3));
      break;
    }
    expect(await left.next()).toEqual({ done: true, value: undefined });
    source.frames.push(Object.assign(new Error('other')));
    await expect(iterator().next()).rejects.toThrow('other');
  });
});
