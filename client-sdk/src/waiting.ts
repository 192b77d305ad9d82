/**
 * How a subscriber waits when there is no frame: how often it looks before it sleeps, and what `adaptive` has learned. What each costs
 * is in docs/WAITING.md.
 */

/** In the order of CPU time, least first. */
export const WaitStrategies = ['park', 'adaptive', 'yield', 'spin'] as const;

/**
 * - `park`: sleeps on the doorbell at once. No CPU time while nothing comes; a frame costs the kernel's wake-up, tens of µs.
 * - `adaptive`: spins if frames have come sooner than a wake-up takes, for 0.1 ms at most; else it is `park`. The default.
 * - `yield`: looks once per turn of the event loop: a whole core, but everything else of this process runs in between.
 *   `takeSync`: gives the core to other threads between looks.
 * - `spin`: looks all the time, with a turn of the event loop now and then: a whole core, and the least latency.
 *   `takeSync`: no turn at all.
 */
export type WaitStrategy = (typeof WaitStrategies)[number];

/** Looks in a row before the event loop gets a turn, whether they find frames or not. */
export const LOOKS_PER_TURN = 1_000;
/** A frame that was there at once counts as this many looks: something will be done with it. */
export const LOOKS_PER_FRAME = 4;
/** Looks between two looks at the clock. */
export const LOOKS_PER_CLOCK = 16;

/** What it costs to sleep and be woken, ns: waits that are shorter than this are better spent looking. */
const WAKE_UP_NS = 50_000;
/** Bounds of one spin: a delay of the other side must not send this one to sleep; the event loop must not stand still for long. */
const SPIN_NS_MIN = 20_000;
const SPIN_NS_MAX = 2 * WAKE_UP_NS;
/** Longer waits count as this long: one pause must not make a fast stream forgotten. */
const WAIT_NS_MAX = 4 * WAKE_UP_NS;
/** Share of the newest wait in what is expected. */
const NEWEST_SHARE = 0.25;

/** How long a wait is expected to last, by those before. It knows when a frame was published, so no wait is spent on finding out. */
export class ExpectedWait {
  #expectedNs = WAIT_NS_MAX;

  /** How long to look before sleeping, ns; 0: sleep at once. */
  get spinNs(): number {
    if (this.#expectedNs >= WAKE_UP_NS) return 0;
    return Math.min(SPIN_NS_MAX, Math.max(SPIN_NS_MIN, 2 * this.#expectedNs));
  }

  /** A wait that began at `beganNs` ended with a frame that was published at `publishedNs`, which may be any number. */
  learn(beganNs: number, publishedNs: number): void {
    const waitedNs = publishedNs - beganNs;
    const counted = waitedNs > 0 ? Math.min(waitedNs, WAIT_NS_MAX) : 0;
    this.#expectedNs += (counted - this.#expectedNs) * NEWEST_SHARE;
  }
}
