import { describe, expect, it } from 'vitest';
import { LeaseClock, type Timed } from './lease-clock.ts';
import { VirtualTime } from './testing/virtual-time.ts';

const NS_PER_MS = 1e6;

/** Wants to be looked at every `everyMs`, and notes when it was. */
class Ticker implements Timed {
  clockIndex = -1;
  nextEventNs: number;
  readonly seenMs: number[] = [];
  looks = 0;
  readonly #fromNs: number;
  readonly #everyNs: number;

  constructor(time: VirtualTime, everyMs: number) {
    this.#fromNs = time.nowNs();
    this.#everyNs = everyMs * NS_PER_MS;
    this.nextEventNs = this.#fromNs + this.#everyNs;
  }
  onTime(nowNs: number): void {
    this.seenMs.push((nowNs - this.#fromNs) / NS_PER_MS);
    this.nextEventNs = nowNs + this.#everyNs;
  }
  look(): void {
    this.looks += 1;
  }
}

function clocked(): { time: VirtualTime; clock: LeaseClock } {
  const time = new VirtualTime();
  return { time, clock: new LeaseClock(time) };
}

describe('the clock of the leases', () => {
  it('looks at each when its time has come, on one timer', async () => {
    const { time, clock } = clocked();
    const [often, seldom] = [new Ticker(time, 10), new Ticker(time, 25)];
    clock.add(seldom);
    clock.add(often);
    expect(time.timers.size).toBe(1);
    await time.pass(52);
    expect(often.seenMs).toEqual([10, 20, 30, 40, 50]);
    expect(seldom.seenMs).toEqual([25, 50]);
    expect(time.timers.size).toBe(1);
  });

  it('sets no timer for a lease that begins and ends while one runs', () => {
    const { time, clock } = clocked();
    for (let each = 0; each < 100; each += 1) {
      const lease = new Ticker(time, 10);
      clock.add(lease);
      time.sleep(0.01);
      clock.remove(lease);
    }
    expect(time.timersSet).toBe(1);
  });

  it('rests when there is nothing to look at', async () => {
    const { time, clock } = clocked();
    const lease = new Ticker(time, 10);
    clock.add(lease);
    clock.remove(lease);
    await time.pass(100);
    expect(lease.seenMs).toEqual([]);
    expect(time.timers.size).toBe(0);
  });

  it('is on time for one whose event comes sooner than before', async () => {
    const { time, clock } = clocked();
    const lease = new Ticker(time, 1_000);
    clock.add(lease);
    lease.nextEventNs = time.nowNs() + 5 * NS_PER_MS;
    clock.moved(lease);
    await time.pass(6);
    expect(lease.seenMs).toEqual([5]);
  });

  it('looks at all at a ring, but not at those that end while it looks', () => {
    const { time, clock } = clocked();
    const leases = [1, 2, 3].map(() => new Ticker(time, 10));
    for (const lease of leases) clock.add(lease);
    const [first, second, third] = leases;
    if (first === undefined || second === undefined || third === undefined) throw new Error('three were made');
    first.look = () => {
      clock.remove(third);
      clock.remove(first);
    };
    clock.look();
    expect([second.looks, third.looks]).toEqual([1, 0]);
    expect(clock.all()).toEqual([second]);
  });
});
