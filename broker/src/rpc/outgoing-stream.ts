/**
 * The broker's end of a server stream. Invariants: what waits for a slow reader is bounded, and a reader that lets it fill up is cut
 * off, by a reset if it does not even read that; what was there at the beginning is made only as it is read; after the end nothing
 * is written; `onClose` runs exactly once, however the stream ends.
 */
import { LeaseholdError } from '@leasehold/proto';
import type { Logger } from 'pino';
import type { Clock } from '../domain/ports.ts';
import { statusOf } from './failures.ts';

/** What is used of a grpc-js stream. */
interface Wire<Message> {
  write(message: Message): boolean;
  end(): void;
  emit(event: 'error', error: Error): boolean;
  on(event: 'drain' | 'cancelled' | 'close', listener: () => void): unknown;
}

export interface OutgoingStreamOptions {
  readonly pendingMax: number;
  readonly logger: Logger;
  readonly clock: Clock;
  /** How long the end of a stream may stay unread after a failure, ms; then `reset` takes it away from its reader. */
  readonly unreadMs: number;
  readonly reset: () => void;
}

/** What waits. A newer message with the same key takes its place. */
interface Pending<Message> {
  readonly key: unknown;
  message: Message;
}

export class OutgoingStream<Message> {
  readonly #wire: Wire<Message>;
  readonly #options: OutgoingStreamOptions;
  readonly #pending: Pending<Message>[] = [];
  readonly #pendingByKey = new Map<unknown, Pending<Message>>();
  /** Comes before everything pending. */
  #beginning: Iterator<Message> | null = null;
  #blocked = false;
  #finished = false;
  /** Ends once everything pending is written. */
  #ending = false;
  #closed = false;
  #onClose: (() => void) | null = null;

  constructor(wire: Wire<Message>, options: OutgoingStreamOptions) {
    this.#wire = wire;
    this.#options = options;
    wire.on('drain', () => this.#flush());
    wire.on('cancelled', () => {
      this.#finished = true;
      this.#close();
    });
    wire.on('close', () => {
      this.#finished = true;
      this.#close();
    });
  }

  /** Runs `action` when the stream is over, or now when it is. */
  onClose(action: () => void): void {
    if (this.#closed) action();
    else this.#onClose = action;
  }

  /** What is there already, each made when the reader has room for it. Before the first push. */
  begin(messages: Iterable<Message>): void {
    if (this.#closed || this.#ending) return;
    this.#beginning = messages[Symbol.iterator]();
    if (!this.#blocked) this.#flush();
  }

  /** `key`: of those that wait with the same key only the newest is worth reading. */
  push(message: Message, key: unknown = null): void {
    if (this.#closed || this.#ending) return;
    if (!this.#blocked) {
      this.#blocked = !this.#wire.write(message);
      return;
    }
    const superseded = key === null ? undefined : this.#pendingByKey.get(key);
    if (superseded !== undefined) {
      superseded.message = message;
      return;
    }
    const waiting = { key, message };
    this.#pending.push(waiting);
    if (key !== null) this.#pendingByKey.set(key, waiting);
    const { pendingMax } = this.#options;
    if (this.#pending.length <= pendingMax) return;
    const problem = `The stream was not read: more than ${pendingMax} messages were waiting.`;
    this.fail(new LeaseholdError('QUOTA_EXCEEDED', problem, { metadata: { limit: String(pendingMax) } }));
  }

  /** Ends well, after what was pushed. */
  end(): void {
    if (this.#closed) return;
    this.#ending = true;
    this.#endIfWritten();
  }

  /** Ends with an error, at once: what waits is dropped. */
  fail(error: unknown): void {
    if (this.#closed) return;
    const { logger, clock, unreadMs, reset } = this.#options;
    const status = statusOf(error, logger);
    this.#close();
    this.#wire.emit('error', status);
    // The status comes after what was written before, so a reader that takes nothing would keep all of it here.
    clock.after(unreadMs, () => {
      if (!this.#finished) reset();
    });
  }

  #flush(): void {
    this.#blocked = false;
    while (!this.#blocked && !this.#closed) {
      const next = this.#next();
      if (next === undefined) break;
      this.#blocked = !this.#wire.write(next);
    }
    if (this.#ending) this.#endIfWritten();
  }

  #next(): Message | undefined {
    const first = this.#beginning?.next();
    if (first?.done === false) return first.value;
    this.#beginning = null;
    const waited = this.#pending.shift();
    if (waited !== undefined) this.#pendingByKey.delete(waited.key);
    return waited?.message;
  }

  #endIfWritten(): void {
    if (this.#closed || this.#beginning !== null || this.#pending.length > 0) return;
    this.#close();
    this.#wire.end();
  }

  #close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#pending.length = 0;
    this.#pendingByKey.clear();
    this.#beginning = null;
    const action = this.#onClose;
    this.#onClose = null;
    action?.();
  }
}
