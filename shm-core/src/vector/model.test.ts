/** Random operations on a vector, and the same on a plain array: they never differ. LEASEHOLD_SEED repeats a run. */
import { describe, expect, it } from 'vitest';
import { CapacityError } from './errors.ts';
import { SharedVector } from './shared-vector.ts';
import { ArrayMemory } from './testing/array-memory.ts';
import { copyOfPoint, type PointFields, point, pointOf } from './testing/point.ts';
import { newSeed, randomOf } from './testing/random.ts';

const PAGE = 512;
const RESERVE_PAGES = 64;
const STEPS = 1500;
const ROUNDS = 12;

/** One vector, its readers, and the array that says what they must show. */
class Run {
  readonly memory = new ArrayMemory(PAGE, { pageBytes: PAGE, reserveBytes: RESERVE_PAGES * PAGE });
  readonly expected: ReturnType<typeof copyOfPoint>[] = [];
  readonly reader;
  vector: SharedVector<PointFields>;
  #id = 0;

  constructor() {
    this.vector = SharedVector.create(this.memory, point);
    this.reader = SharedVector.open(this.memory, point);
  }

  push(): void {
    const id = this.#nextId();
    const full = this.expected.length === this.vector.capacity;
    try {
      expect(this.vector.push(pointOf(id))).toBe(this.expected.length);
      this.expected.push(copyOfPoint(id));
      expect(full).toBe(false);
    } catch (error) {
      expect(full && error instanceof CapacityError).toBe(true);
    }
  }
  pushWithinCapacity(): void {
    const id = this.#nextId();
    const room = this.expected.length < this.vector.capacity;
    expect(this.vector.pushWithinCapacity(pointOf(id))).toBe(room);
    if (room) this.expected.push(copyOfPoint(id));
  }
  async pushGrowing(): Promise<void> {
    const id = this.#nextId();
    await this.vector.pushGrowing(pointOf(id)).then(
      () => this.expected.push(copyOfPoint(id)),
      (error: Error) => expect(error.message).toContain('INVALID_SIZE'),
    );
  }
  async reserve(additional: number): Promise<void> {
    const before = this.vector.capacity;
    const reserved = await this.vector.reserve(additional).then(
      () => true,
      () => false,
    );
    expect(this.vector.capacity).toBeGreaterThanOrEqual(reserved ? this.expected.length + additional : before);
  }
  pop(): void {
    expect(this.vector.pop()).toEqual(this.expected.pop());
  }
  write(at: number): void {
    if (at >= this.expected.length) return;
    const id = this.#nextId();
    pointOf(id)(this.vector.at(at));
    this.expected[at] = copyOfPoint(id);
  }
  clear(decommit: boolean): void {
    const { capacity } = this.vector;
    if (decommit) this.vector.clearDecommit();
    else this.vector.clear();
    expect(this.vector.capacity).toBe(capacity);
    this.expected.length = 0;
  }
  /** As when the writer has died and another one takes over. */
  reopen(): void {
    this.vector = SharedVector.openForWriting(this.memory, point);
  }

  check(): void {
    expect(this.vector.length).toBe(this.expected.length);
    expect(this.reader.length).toBe(this.expected.length);
    this.memory.assertNoBlindWrites();
  }
  checkAll(): void {
    expect(this.vector.toArray()).toEqual(this.expected);
    expect(this.reader.toArray()).toEqual(this.expected);
  }

  #nextId(): number {
    this.#id += 1;
    return this.#id;
  }
}

async function step(run: Run, random: () => number): Promise<void> {
  const dice = random() * 100;
  const below = (limit: number) => Math.floor(random() * limit);
  if (dice < 40) run.push();
  else if (dice < 55) run.pushWithinCapacity();
  else if (dice < 70) await run.pushGrowing();
  else if (dice < 85) run.pop();
  else if (dice < 92) run.write(below(run.expected.length + 1));
  else if (dice < 96) await run.reserve(below(200));
  else if (dice < 98) run.reopen();
  else if (dice < 99.5) run.checkAll();
  else run.clear(random() < 0.7);
}

describe('a vector under random operations', () => {
  const seed = newSeed();
  it.each(Array.from({ length: ROUNDS }, (_, round) => seed + round))('is what an array is: seed %d', async (one) => {
    const random = randomOf(one);
    const run = new Run();
    for (let i = 0; i < STEPS; i += 1) {
      await step(run, random);
      run.check();
    }
    run.checkAll();
  });
});
