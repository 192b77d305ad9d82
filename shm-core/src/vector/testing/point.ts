/** The record of most tests, and the header word that they reach around the vector for. */
import { f64, u32 } from '../../layout/define-layout.ts';
import { VECTOR_HEADER } from '../header.ts';
import { type RecordView, record } from '../record.ts';
import { SharedVector } from '../shared-vector.ts';
import { ArrayMemory } from './array-memory.ts';

const FIELDS = { x: f64, y: f64, id: u32 };
export type PointFields = typeof FIELDS;
export type Point = RecordView<PointFields>;
export const point = record(FIELDS);

/** Fills a point from one number. */
export const pointOf =
  (id: number) =>
  (p: Point): void => {
    p.x = id + 0.25;
    p.y = -id;
    p.id = id;
  };

/** What `pointOf(id)` makes. */
export const copyOfPoint = (id: number) => ({ x: id + 0.25, y: -id, id });

/** Bytes of memory with room for exactly so many points. */
export const bytesFor = (points: number): number => VECTOR_HEADER.bytes + points * point.recordBytes;

/** A vector of points 0, 1, 2 and so on, with room for at least four. */
export function vectorOf(records: number, memory = new ArrayMemory(bytesFor(Math.max(records, 4)))) {
  const vector = SharedVector.create(memory, point);
  for (let id = 0; id < records; id += 1) vector.push(pointOf(id));
  return { memory, vector };
}
/** What `vectorOf(count)` holds. */
export const points = (count: number) => Array.from({ length: count }, (_, id) => copyOfPoint(id));
