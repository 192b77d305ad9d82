/**
 * Prints, as JSON, how many bytes of the heap each way to walk a million records takes. Run with --expose-gc and with a young generation that
 * is large enough that nothing is collected meanwhile: what the heap grew by is then what was allocated.
 */
import { f64, u8, u16, u32 } from '../../layout/define-layout.ts';
import { record } from '../record.ts';
import { SharedVector } from '../shared-vector.ts';
import { ArrayMemory } from './array-memory.ts';
import { bytesFor, type Point, type PointFields, point, pointOf } from './point.ts';

const RECORDS = 10_000;
/** Walks that are measured: a million records. Three times as many before them, so that the code is compiled by then. */
const WALKED = 100;

type Points = SharedVector<PointFields>;

const filled = SharedVector.create(new ArrayMemory(bytesFor(RECORDS)), point);
while (filled.pushWithinCapacity(pointOf(filled.length)));
const mine = filled.viewAt(0);

/** Where walks add up what they read. Not in a variable: the interpreter makes a new object of each new value of that. */
const sum = new Float64Array(1);
const add = (value: number) => {
  sum[0] = (sum[0] ?? 0) + value;
};

const WALKS: Readonly<Record<string, (vector: Points) => void>> = {
  iteration: (vector) => {
    for (const p of vector) {
      add(p.x);
      add(p.y);
      add(p.id);
    }
  },
  at: (vector) => {
    for (let i = 0; i < RECORDS; i += 1) add(vector.at(i).x);
  },
  'at, with a view': (vector) => {
    for (let i = 0; i < RECORDS; i += 1) add(vector.at(i, mine).id);
  },
  writing: (vector) => {
    for (const p of vector) p.x += 1;
  },
  pushing: (vector) => {
    vector.clear();
    while (vector.pushWithinCapacity(fill));
  },
  'popping and pushing': (vector) => {
    while (vector.length > 0) add(vector.pop(idOf) ?? 0);
    while (vector.pushWithinCapacity(fill));
  },
  /** The control: what does allocate is seen to. */
  copies: (vector) => {
    for (const p of vector) add(point.copy(p).id);
  },
};

function fill(p: Point): void {
  p.x = 1.5;
  p.y = 2.5;
  p.id = 3;
}
const idOf = (p: { readonly id: number }): number => p.id;

/** Programs have more than one kind of record: the code that all kinds share must not get slower, or allocate, by that. */
function useOtherRecords(): void {
  const others = [
    record({ a: f64 }),
    record({ a: u32 }),
    record({ a: u16 }),
    record({ a: u8 }),
    record({ b: f64, a: f64 }),
  ];
  for (const other of others) {
    const vector = SharedVector.create(new ArrayMemory(4096), other);
    for (let i = 0; i < 100; i += 1) vector.push((r) => (r.a = i));
    for (const r of vector) add(r.a);
  }
}

function measure(walk: (vector: Points) => void): number {
  // Before the warm-up, not after it: a collection throws compiled code away.
  globalThis.gc?.();
  const warmUp = 3 * WALKED;
  for (let i = 0; i < warmUp; i += 1) walk(filled);
  const before = process.memoryUsage().heapUsed;
  for (let i = 0; i < WALKED; i += 1) walk(filled);
  return process.memoryUsage().heapUsed - before;
}

useOtherRecords();
const grown = Object.fromEntries(Object.entries(WALKS).map(([name, walk]) => [name, measure(walk)]));
process.stdout.write(JSON.stringify(grown));
