import { describe, expect, expectTypeOf, it } from 'vitest';
import { byteField, f32, f32s, f64, i32, reserved, u8, u16, u32, u64 } from '../layout/define-layout.ts';
import { type RecordCopy, type RecordFields, type RecordView, record } from './record.ts';
import { SharedVector } from './shared-vector.ts';
import { ArrayMemory } from './testing/array-memory.ts';
import { point } from './testing/point.ts';

const FIELDS = {
  stamp: u64,
  value: f64,
  ratio: f32,
  delta: i32,
  flags: u32('bits'),
  kind: u16,
  level: u8,
  pad: reserved(1),
  name: byteField(8, 'UTF-8'),
  weights: f32s(3, 'of the three neighbours'),
};
const everything = record(FIELDS);

describe('the description of a record', () => {
  it('places fields in order, and rounds the size up so that the next record is aligned', () => {
    expect(point.layout.at).toEqual({ x: 0, y: 8, id: 16 });
    expect(point.recordBytes).toBe(24);
    expect(record({ a: u8, b: u8, c: u8 }).recordBytes).toBe(3);
    expect(everything.recordBytes).toBe(56);
  });

  it('refuses a field that is not aligned to its size', () => {
    expect(() => record({ id: u32, x: f64 })).toThrow('x (f64) would start at 4, which is not a multiple of 8');
    expect(record({ id: u32, pad: reserved(4), x: f64 }).recordBytes).toBe(16);
  });

  const UNUSABLE: readonly (readonly [string, RecordFields])[] = [
    ['no field at all', {}],
    ['a number for a name', { '1': u32 }],
    ['a name with a space', { 'a b': u32 }],
    ['a name that every object has', { constructor: u32 }],
    ['no elements', { n: f32s(0, '') }],
    ['half an element', { n: byteField(1.5, '') }],
  ];
  it.each(UNUSABLE)('refuses %s', (_what, fields) => {
    expect(() => record(fields)).toThrow(RangeError);
  });

  it('has one hash for the same fields in whatever program, and another for other names, types or places', () => {
    // sha256('24|x:f64[1]@0|y:f64[1]@8|id:u32[1]@16'), first two little-endian words.
    expect(point.layoutHash).toEqual([0xc7f2fc67, 0x8b087a73]);
    expect(record({ x: f64('m'), y: f64, id: u32 }).layoutHash).toEqual(point.layoutHash);
    const others = [
      record({ y: f64, x: f64, id: u32 }),
      record({ x: f64, y: f64, id: i32 }),
      record({ x: f64, y: f64, id: u32, more: u32 }),
      record({ x: f64, y: f64, pad: reserved(4), id: u32 }),
    ];
    for (const other of others) expect(other.layoutHash).not.toEqual(point.layoutHash);
  });
});

describe('the view of a record', () => {
  const fill = (r: RecordView<typeof FIELDS>) => {
    r.stamp = 2n ** 63n + 1n;
    r.value = Math.PI;
    r.ratio = 0.5;
    r.delta = -7;
    r.flags = 0xffff_fffe;
    r.kind = 65_535;
    r.level = 255;
    r.name.copyFrom(new TextEncoder().encode('left'));
    r.weights.copyFrom([0.5, 0.25]);
    r.weights.set(2, 4);
  };

  it('reads every type as it was written, and leaves its neighbours alone', () => {
    const vector = SharedVector.create(new ArrayMemory(4096), everything);
    for (let i = 0; i < 3; i += 1) vector.push(i === 1 ? fill : () => undefined);
    const [before, middle, after] = vector.toArray();
    expect(middle).toEqual({
      stamp: 2n ** 63n + 1n,
      value: Math.PI,
      ratio: 0.5,
      delta: -7,
      flags: 0xffff_fffe,
      kind: 65_535,
      level: 255,
      name: new Uint8Array([108, 101, 102, 116, 0, 0, 0, 0]),
      weights: [0.5, 0.25, 4],
    });
    const zero = { stamp: 0n, value: 0, ratio: 0, delta: 0, flags: 0, kind: 0, level: 0 };
    for (const neighbour of [before, after]) {
      expect(neighbour).toEqual({ ...zero, name: new Uint8Array(8), weights: [0, 0, 0] });
    }
  });

  it('has the types of its fields, without the reserved ones', () => {
    expectTypeOf<RecordView<typeof FIELDS>['stamp']>().toEqualTypeOf<bigint>();
    expectTypeOf<RecordView<typeof FIELDS>['ratio']>().toEqualTypeOf<number>();
    expectTypeOf<RecordCopy<typeof FIELDS>['name']>().toEqualTypeOf<Uint8Array<ArrayBuffer>>();
    expectTypeOf<RecordCopy<typeof FIELDS>['weights']>().toEqualTypeOf<number[]>();
    expectTypeOf<RecordView<typeof FIELDS>>().not.toHaveProperty('pad');
    expectTypeOf<RecordView<typeof FIELDS>>().toHaveProperty('name');
  });

  it('checks the bounds of its elements', () => {
    const vector = SharedVector.create(new ArrayMemory(4096), everything);
    vector.push(fill);
    const { weights } = vector.at(0);
    expect(weights.length).toBe(3);
    expect(() => weights.get(3)).toThrow('element 3 of a field that has 3');
    expect(() => weights.set(-1, 0)).toThrow(RangeError);
    expect(() => weights.get(Number.NaN)).toThrow(RangeError);
    expect(() => weights.copyFrom([1, 2, 3, 4])).toThrow('4 elements do not fit into 3');
    expect(() => weights.copyTo(new Float32Array(2))).toThrow('3 elements do not fit into 2');
  });

  it('moves its elements with it', () => {
    const vector = SharedVector.create(new ArrayMemory(4096), everything);
    for (const first of [1, 2]) vector.push((r) => r.weights.set(0, first));
    const view = vector.viewAt(0);
    const { weights } = view;
    expect(weights.get(0)).toBe(1);
    vector.at(1, view);
    expect(weights.get(0)).toBe(2);
  });

  it('of a reader cannot be written, neither in the types nor at run time', () => {
    const memory = new ArrayMemory(4096);
    SharedVector.create(memory, everything).push(fill);
    const seen = SharedVector.open(memory, everything).at(0);
    expect(() => {
      // @ts-expect-error: it has no setter
      seen.value = 1;
    }).toThrow(TypeError);
    // @ts-expect-error: elements of a reader cannot be set
    expect(() => seen.weights.set(0, 1)).toThrow(TypeError);
    expect(seen.value).toBe(Math.PI);
  });
});
