import { EventEmitter } from 'node:events';
import { pino } from 'pino';
import { describe, expect, it } from 'vitest';
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

const streamTo = (wire: FakeWire, pendingMax = 3) =>
  new OutgoingStream<number>(wire, { pendingMax, logger: pino({ level: 'silent' }) });

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
