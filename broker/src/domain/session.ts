/**
 * One client's standing with the broker. Invariants: it ends once and never comes back; after its end it holds no rights, only
 * attachments whose memory its process may still touch; when the last of those is gone it is vacated, and then nothing of it is left.
 */
import type { ErrorCode } from '@leasehold/proto';
import type { LockMode, RemovalReason } from '@leasehold/shm-core/internal';
import type { Attachment } from './attachment.ts';
import type { OwnedMapping } from './owned-mapping.ts';
import type { Peer } from './policy.ts';

/** What happens to a session, for whoever watches it. */
export type SessionEvent =
  | { readonly kind: 'mapping-deleted'; readonly name: string; readonly mappingId: bigint }
  | {
      readonly kind: 'subscriber-detached';
      readonly attachmentId: bigint;
      readonly mappingId: bigint;
      readonly reason: ErrorCode;
    }
  | {
      readonly kind: 'lease-lost';
      readonly name: string;
      readonly mappingId: bigint;
      readonly holdId: bigint;
      readonly mode: LockMode;
      readonly reason: RemovalReason;
    }
  | { readonly kind: 'draining'; readonly deadlineMs: number };

export interface SessionIdentity {
  readonly id: bigint;
  readonly peer: Peer;
  /** What the client calls itself. */
  readonly name: string;
  /** Its doorbell’s name, 16 raw bytes; null for a session without memory. */
  readonly bell: Uint8Array | null;
  readonly createTimeMs: number;
}

export class Session {
  readonly id: bigint;
  readonly peer: Peer;
  readonly name: string;
  readonly bell: Uint8Array | null;
  readonly createTimeMs: number;
  /** By id: those that are live, and those whose memory the process may still touch. */
  readonly attachments = new Map<bigint, Attachment>();
  /** Mappings that stay at least as long as this session. */
  readonly kept = new Set<OwnedMapping>();
  readonly #pendingEvents: SessionEvent[] = [];
  readonly #pendingEventsMax: number;
  readonly #watchers = new Set<(event: SessionEvent) => void>();
  readonly #onEnd = new Set<() => void>();
  readonly #onVacated = new Set<() => void>();
  #ended = false;
  #vacated = false;

  constructor(identity: SessionIdentity, pendingEventsMax: number) {
    this.id = identity.id;
    this.peer = identity.peer;
    this.name = identity.name;
    this.bell = identity.bell;
    this.createTimeMs = identity.createTimeMs;
    this.#pendingEventsMax = pendingEventsMax;
  }

  get ended(): boolean {
    return this.#ended;
  }
  /** Whether it is over and its process can no longer touch anything it had. */
  get vacated(): boolean {
    return this.#vacated;
  }

  /** Tells the watchers; without one the event is kept, and of too many the oldest is forgotten. */
  notify(event: SessionEvent): void {
    if (this.#ended) return;
    if (this.#watchers.size > 0) {
      for (const watcher of [...this.#watchers]) watcher(event);
      return;
    }
    this.#pendingEvents.push(event);
    if (this.#pendingEvents.length > this.#pendingEventsMax) this.#pendingEvents.shift();
  }

  /** Tells what was kept, then what happens. @returns how to stop */
  watch(watcher: (event: SessionEvent) => void): () => void {
    this.#watchers.add(watcher);
    for (const event of this.#pendingEvents.splice(0)) watcher(event);
    return () => this.#watchers.delete(watcher);
  }

  /** Runs `action` when the session has ended. @returns how to take it back */
  onEnd(action: () => void): () => void {
    this.#onEnd.add(action);
    return () => this.#onEnd.delete(action);
  }

  /** Runs `action` when nothing of the session is left, or now. */
  onVacated(action: () => void): void {
    if (this.#vacated) action();
    else this.#onVacated.add(action);
  }

  /** For the session table: no event reaches it any more. */
  end(): void {
    this.#ended = true;
    this.#watchers.clear();
    this.#pendingEvents.length = 0;
  }

  /** For the broker core, once its rights are over. */
  announceEnd(): void {
    for (const action of take(this.#onEnd)) action();
  }

  /** For the session table: nothing of it is left. */
  vacate(): void {
    this.#vacated = true;
    for (const action of take(this.#onVacated)) action();
  }
}

function take<T>(set: Set<T>): T[] {
  const taken = [...set];
  set.clear();
  return taken;
}
