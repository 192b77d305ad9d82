import { EventEmitter } from 'node:events';
import { pino } from 'pino';
import { describe, expect, it } from 'vitest';
import { FakeClock } from '../domain/testing/fake-ports.ts';
import { OutgoingStream } from './outgoing-stream.ts';

/** A reader that takes `room` messages and then nothing until it is told to. */
class FakeWire extends EventEmitter {
  readonly written: number[] = [];
  ended = false;
  failure: unknown;
  room: number;

  constructor(room: number) {
    super();
    this.room = room;
    this.on('error', (error) => {
      this.failure = error;
    });
  }
  write(message: number): boolean {
    this.written.push(message);
    this.room -= 1;
    return this.room > 0;
  }
  end(): void {
    this.ended = true;
  }
  read(room: number): void {
    this.room = room;
    this.emit('drain');
  }
}

let clock = new FakeClock();
let resets = 0;
const streamTo = (wire: FakeWire, pendingMax = 3) => {
  clock = new FakeClock();
  resets = 0;
  const reset = () => {
    resets += 1;
  };
  return new OutgoingStream<number>(wire, {
    pendingMax,
    logger: pino({ level: 'silent' }),
    clock,
    unreadMs: 50,
    reset,
  });
};

describe('an outgoing stream', () => {
  it('keeps what a slow reader has not taken, in order', () => {
    const wire = new FakeWire(1);
    const stream = streamTo(wire);
    for (const message of [1, 2, 3]) stream.push(message);
    expect(wire.written).toEqual([1]);
    wire.read(10);
    expect(wire.written).toEqual([1, 2, 3]);
  });

  it('ends after what was pushed before', () => {
    const wire = new FakeWire(1);
    const stream = streamTo(wire);
    for (const message of [1, 2]) stream.push(message);
    stream.end();
    stream.push(3);
    expect(wire.ended).toBe(false);
    wire.read(10);
    expect(wire.ended).toBe(true);
    expect(wire.written).toEqual([1, 2]);
  });

  it('cuts a reader off that lets too much pile up', () => {
    const wire = new FakeWire(1);
    const stream = streamTo(wire);
    let closed = 0;
    stream.onClose(() => {
      closed += 1;
    });
    for (const message of [1, 2, 3, 4]) stream.push(message);
    expect(wire.failure).toBeUndefined();
    stream.push(5);
    expect(wire.failure).toMatchObject({ code: 8, details: expect.stringContaining('was not read') });
    stream.push(6);
    wire.read(10);
    expect(wire.written).toEqual([1]);
    expect(closed).toBe(1);
  });

  it('makes what was there at the beginning only as it is read, and tells it before what came later', () => {
    const wire = new FakeWire(2);
    const stream = streamTo(wire);
    let made = 0;
    const beginning = function* () {
      while (made < 2000) {
        made += 1;
        yield made;
      }
    };
    stream.begin(beginning());
    stream.push(5000);
    stream.end();
    expect([made, wire.written]).toEqual([2, [1, 2]]);
    wire.read(10_000);
    expect([wire.written.length, wire.written.at(-1), wire.ended]).toEqual([2001, 5000, true]);
  });

  it('keeps only the newest of those that wait with one key, at the place of the first', () => {
    const wire = new FakeWire(1);
    const stream = streamTo(wire);
    stream.push(1);
    for (let message = 10; message < 30; message += 1) stream.push(message, 'a');
    stream.push(40);
    wire.read(10);
    stream.push(50, 'a');
    expect(wire.written).toEqual([1, 29, 40, 50]);
  });

  it('is reset when its failure is not read in time, and only then', () => {
    const [mute, reading] = [new FakeWire(1), new FakeWire(1)];
    streamTo(mute).fail(new Error('the test says so'));
    clock.advance(49);
    expect(resets).toBe(0);
    clock.advance(1);
    expect(resets).toBe(1);
    streamTo(reading).fail(new Error('the test says so'));
    reading.emit('close');
    clock.advance(50);
    expect(resets).toBe(0);
  });

  it('is over once, however often it is told so', () => {
    const wire = new FakeWire(1);
    const stream = streamTo(wire);
    wire.emit('cancelled');
    let closed = 0;
    stream.onClose(() => {
      closed += 1;
    });
    wire.emit('close');
    stream.end();
    expect(closed).toBe(1);
    expect(wire.ended).toBe(false);
  });
});
