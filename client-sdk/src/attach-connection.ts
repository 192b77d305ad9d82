/**
 * The attach socket of one session: the handshake, then claims, one outstanding at a time. A claim may be waited for on the event
 * loop or, for pages that a publisher must see before it goes on, synchronously and boundedly. The session lives as long as
 * this connection.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import {
  ATTACH_PACKET_BYTES_MAX,
  ATTACH_PROTOCOL_VERSION,
  type AttachMessage,
  decodeAttach,
  encodeAttach,
  isErrorCode,
  LeaseholdError,
} from '@leasehold/proto';
import {
  connectSeqpacket,
  OsError,
  type OwnedFd,
  receivePacket,
  sendPacket,
  type Watch,
  waitReadable,
  watchReadable,
} from '@leasehold/shm-core/internal';
import { forbidden, unreachable } from './find-broker.ts';
import { type Limits, withLimits } from './limits.ts';
import { asLeaseholdError } from './memory-errors.ts';

/** A Grant carries data, lock and page, or up to 64 pages. */
const FDS_MAX = 66;
/** Packets read per wake-up before the event loop gets its turn. */
const PACKETS_PER_WAKE = 32;

type Message = AttachMessage['message'];

/** What the broker answered, with the descriptors that came with it, which the receiver owns. */
export interface Answer {
  readonly message: Message;
  readonly fds: readonly OwnedFd[];
}

interface Expectation {
  readonly packet: Uint8Array;
  readonly settle: (outcome: Answer | LeaseholdError) => void;
  /** Nobody waits any more: what the answer brings is closed. */
  abandoned: boolean;
}

export class AttachConnection {
  readonly #fd: OwnedFd;
  readonly #watch: Watch;
  readonly #onLost: (error: LeaseholdError) => void;
  /** In order of asking; the first is outstanding. */
  readonly #expected: Expectation[] = [];
  /** What was outstanding when a synchronous wait ran out. */
  #stuckAt: Expectation | undefined;
  #ended: LeaseholdError | null = null;

  private constructor(fd: OwnedFd, onLost: (error: LeaseholdError) => void) {
    this.#fd = fd;
    this.#onLost = onLost;
    const broken = (error: unknown): void => this.#end(connectionFailed(error));
    this.#watch = watchReadable(fd, () => this.#receive(PACKETS_PER_WAKE), broken);
  }

  /**
   * Connects and says hello. `onLost` is called once, when the connection ends other than by `close`.
   * @throws LeaseholdError BROKER_UNREACHABLE, PERMISSION_DENIED, TIMED_OUT, ABORTED, or what the broker refuses with.
   */
  static async open(
    path: string,
    name: string,
    limits: Limits,
    onLost: (error: LeaseholdError) => void,
  ): Promise<{ connection: AttachConnection; welcome: Answer }> {
    const connection = new AttachConnection(await connect(path, limits), onLost);
    try {
      const hello: Message = {
        case: 'hello',
        value: { $typeName: 'leasehold.v1.Hello', protocolVersion: ATTACH_PROTOCOL_VERSION, name },
      };
      const welcome = await withLimits(
        connection.request(hello),
        limits.rest(),
        `the broker at ${path} to answer`,
        closeAnswer,
      );
      return { connection, welcome };
    } catch (error) {
      connection.close();
      throw error;
    }
  }

  /** Asks and waits on the event loop. @throws LeaseholdError BROKER_LOST, or what the broker refuses with. */
  request(message: Message): Promise<Answer> {
    return new Promise((resolve, reject) => {
      this.#ask(message, (outcome) => (outcome instanceof LeaseholdError ? reject(outcome) : resolve(outcome)));
    });
  }

  /** Why the connection has ended, after a look at what has arrived; null while it lives. */
  endedBecause(): LeaseholdError | null {
    this.#receive(PACKETS_PER_WAKE);
    return this.#ended;
  }

  /**
   * Asks and blocks this thread until it is answered. @throws as `request`; TIMED_OUT, at once while what was outstanding the last
   * time is still unanswered: a broker that is stopped blocks once, not every time.
   */
  requestSync(message: Message, timeoutMs: number): Answer {
    this.#receive(PACKETS_PER_WAKE);
    if (this.#expected[0] !== undefined && this.#expected[0] === this.#stuckAt) throw unanswered(timeoutMs);
    let settled: Answer | LeaseholdError | null = null;
    const expectation = this.#ask(message, (outcome) => {
      settled = outcome;
    });
    const deadline = performance.now() + timeoutMs;
    try {
      while (settled === null) {
        const leftMs = deadline - performance.now();
        if (leftMs <= 0 || !waitReadable(this.#fd, leftMs)) {
          this.#stuckAt = this.#expected[0];
          throw unanswered(timeoutMs);
        }
        this.#receive(1);
      }
    } finally {
      this.#abandon(expectation);
    }
    return answerOrThrow(settled);
  }

  /** Nobody waits for it any more. What has not been asked yet is not asked. */
  #abandon(expectation: Expectation): void {
    expectation.abandoned = true;
    const at = this.#expected.indexOf(expectation);
    if (at > 0) this.#expected.splice(at, 1);
  }

  /** Says something that is not answered. Nothing happens when the connection has ended. */
  notify(message: Message): void {
    if (this.#ended !== null) return;
    try {
      this.#send(encode(message));
    } catch (error) {
      // What the broker does not hear it must take from the end of the session.
      this.#end(connectionFailed(error));
    }
  }

  #ask(message: Message, settle: Expectation['settle']): Expectation {
    const expectation: Expectation = { packet: encode(message), settle, abandoned: false };
    if (this.#ended !== null) {
      settle(this.#ended);
      return expectation;
    }
    this.#expected.push(expectation);
    if (this.#expected.length === 1) this.#sendFirst();
    return expectation;
  }

  /** What cannot be sent is not waited for: whoever is next in line has its turn then. */
  #sendFirst(): void {
    for (let first = this.#expected[0]; first !== undefined; first = this.#expected[0]) {
      try {
        this.#send(first.packet);
        return;
      } catch (error) {
        this.#expected.shift();
        if (!first.abandoned) first.settle(notSent(error));
      }
    }
  }

  #send(packet: Uint8Array): void {
    const sent = sendPacket(this.#fd, packet, []);
    if (sent !== 'sent')
      this.#end(
        new LeaseholdError(
          'BROKER_LOST',
          `the broker ${sent === 'full' ? 'does not read' : 'has closed'} the attach connection`,
        ),
      );
  }

  #receive(packetsMax: number): void {
    for (let packets = 0; packets < packetsMax && this.#ended === null; packets += 1) {
      const received = receivePacket(this.#fd, ATTACH_PACKET_BYTES_MAX, FDS_MAX);
      if (received.kind === 'empty') return;
      if (received.kind === 'closed') {
        this.#end(new LeaseholdError('BROKER_LOST', 'the broker has ended this session, or is gone'));
      } else if (received.truncated) {
        this.#end(
          new LeaseholdError(
            'BROKER_LOST',
            'descriptors were lost on the way: too many files are open in this process',
          ),
        );
      } else {
        this.#answer(received.bytes, received.fds);
      }
    }
  }

  #answer(bytes: Uint8Array, fds: readonly OwnedFd[]): void {
    const expectation = this.#expected.shift();
    this.#sendFirst();
    const outcome = interpret(bytes, fds);
    if (expectation === undefined || expectation.abandoned) {
      if (!(outcome instanceof LeaseholdError)) closeAnswer(outcome);
    } else {
      expectation.settle(outcome);
    }
  }

  #end(error: LeaseholdError): void {
    if (this.#ended !== null) return;
    this.#ended = error;
    this.#watch.close();
    this.#fd.close();
    for (const { settle } of this.#expected.splice(0)) settle(error);
    // Not from here: this may run in the middle of a publication, and whoever listens may close what it works on.
    queueMicrotask(() => this.#onLost(error));
  }

  /** Ends the session. Idempotent; `onLost` is not called. */
  close(): void {
    if (this.#ended !== null) return;
    this.#ended = new LeaseholdError('CLOSED', 'the session was closed');
    this.#watch.close();
    this.#fd.close();
    for (const { settle } of this.#expected.splice(0)) settle(this.#ended);
  }
}

/** Closes the descriptors of an answer that nobody wants. */
export function closeAnswer(answer: Answer): void {
  for (const fd of answer.fds) fd.close();
}

function answerOrThrow(outcome: Answer | LeaseholdError): Answer {
  if (outcome instanceof LeaseholdError) throw outcome;
  return outcome;
}

function connectionFailed(cause: unknown): LeaseholdError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new LeaseholdError('BROKER_LOST', `the attach connection failed: ${why}`, { cause });
}

function notSent(error: unknown): LeaseholdError {
  const known = asLeaseholdError(error);
  return known instanceof LeaseholdError ? known : connectionFailed(error);
}

function encode(message: Message): Uint8Array {
  return encodeAttach({ message });
}

function interpret(bytes: Uint8Array, fds: readonly OwnedFd[]): Answer | LeaseholdError {
  try {
    const { message } = decodeAttach(bytes);
    if (message.case !== 'refused') return { message, fds };
    for (const fd of fds) fd.close();
    const { reason, message: text, metadata } = message.value;
    return new LeaseholdError(isErrorCode(reason) ? reason : 'INTERNAL', text, { metadata });
  } catch (cause) {
    for (const fd of fds) fd.close();
    return new LeaseholdError('MALFORMED_MESSAGE', 'the broker sent a packet that cannot be read', { cause });
  }
}

/** How soon a full backlog is tried again, ms. */
const BACKLOG_RETRY_MS = 10;
const NOBODY_LISTENS = new Set(['ENOENT', 'ECONNREFUSED', 'ENOTDIR']);

async function connect(path: string, limits: Limits): Promise<OwnedFd> {
  for (;;) {
    try {
      return connectSeqpacket(path);
    } catch (error) {
      if (!(error instanceof OsError)) throw error;
      if (error.code === 'EACCES' || error.code === 'EPERM') throw forbidden(path, error);
      if (NOBODY_LISTENS.has(error.code)) throw unreachable([path], error);
      if (error.code !== 'EAGAIN') throw asLeaseholdError(error);
    }
    limits.throwIfOver(`room in the queue of ${path}`);
    await sleep(BACKLOG_RETRY_MS);
  }
}

const unanswered = (timeoutMs: number): LeaseholdError =>
  new LeaseholdError('TIMED_OUT', `the broker did not answer a claim within ${timeoutMs} ms`);
