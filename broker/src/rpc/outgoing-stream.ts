/**
 * The broker's end of a server stream. Invariants: what waits for a slow reader is bounded, and a reader that lets it fill up is cut
 * off; after the end nothing is written; `onClose` runs exactly once, however the stream ends.
 */
import { LeaseholdError } from '@leasehold/proto';
import type { Logger } from 'pino';
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
}

export class OutgoingStream<Message> {
  readonly #wire: Wire<Message>;
  readonly #options: OutgoingStreamOptions;
  readonly #pending: Message[] = [];
  #blocked = false;
  /** Ends once everything pending is written. */
  #ending = false;
  #closed = false;
  #onClose: (() => void) | null = null;

  constructor(wire: Wire<Message>, options: OutgoingStreamOptions) {
    this.#wire = wire;
    this.#options = options;
    wire.on('drain', () => this.#flush());
    wire.on('cancelled', () => this.#close());
    wire.on('close', () => this.#close());
  }

  /** Runs `action` when the stream is over, or now when it is. */
  onClose(action: () => void): void {
    if (this.#closed) action();
    else this.#onClose = action;
  }

  push(message: Message): void {
    if (this.#closed || this.#ending) return;
    if (!this.#blocked) {
      this.#blocked = !this.#wire.write(message);
      return;
    }
    this.#pending.push(message);
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
    const status = statusOf(error, this.#options.logger);
    this.#close();
    this.#wire.emit('error', status);
  }

  #flush(): void {
    this.#blocked = false;
    while (!this.#blocked && !this.#closed) {
      const next = this.#pending.shift();
      if (next === undefined) break;
      this.#blocked = !this.#wire.write(next);
    }
    if (this.#ending) this.#endIfWritten();
  }

  #endIfWritten(): void {
    if (this.#closed || this.#pending.length > 0) return;
    this.#close();
    this.#wire.end();
  }

  #close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#pending.length = 0;
    const action = this.#onClose;
    this.#onClose = null;
    action?.();
  }
}
