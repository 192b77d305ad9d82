/**
 * A session's right to one mapping, and its participant's place there. It goes one way: joining → live → ended → gone. `ended`: the
 * rights are over, but the process may still touch the memory, so the place is not handed on. `gone`: it cannot, and it is.
 */
import type { LeaseholdError } from '@leasehold/proto';
import type { Access } from '@leasehold/shm-core/internal';
import type { OwnedMapping } from './owned-mapping.ts';
import type { Place } from './participant-indices.ts';
import type { Taken } from './quotas.ts';
import type { Session } from './session.ts';

export type SubscribeMode = 'latest' | 'queue';

/** What the attachment is for. */
export type Part =
  /** `forLeases`: its process touches the payload only under leases, and so never beyond its size. */
  | { readonly kind: 'plain'; readonly forLeases: boolean }
  /** Kept by the broker for a session that leases by RPC alone: it maps nothing. */
  | { readonly kind: 'proxy' }
  | { readonly kind: 'publisher' }
  | { readonly kind: 'subscriber'; readonly mode: SubscribeMode; readonly maxPins: number; readonly history: number };

export class Attachment {
  readonly id: bigint;
  readonly session: Session;
  readonly mapping: OwnedMapping;
  readonly place: Place;
  readonly access: Access;
  readonly part: Part;
  /** What its place costs its user, until it is gone. */
  readonly taken: Taken;
  state: 'joining' | 'live' | 'ended' | 'gone' = 'joining';
  /** Whether its participant page is still being made; until then its place cannot be freed. */
  pageComing = true;
  /** The hold that was taken from it last, until its process says that it touches nothing under it any more. */
  lostHold: bigint | null = null;
  /** Whether descriptors were handed out: what never had any can touch nothing. */
  claimed = false;
  /** For a subscriber: how many frames from before it joined are its own. */
  history = 0;
  /** Why it ended; null when its owner wished so. */
  endedBecause: LeaseholdError | null = null;
  /** Called once when it ends. */
  onEnd: ((why: LeaseholdError | null) => void) | null = null;

  constructor(
    id: bigint,
    session: Session,
    mapping: OwnedMapping,
    granted: { place: Place; access: Access; part: Part; taken: Taken },
  ) {
    this.id = id;
    this.session = session;
    this.mapping = mapping;
    this.place = granted.place;
    this.access = granted.access;
    this.part = granted.part;
    this.taken = granted.taken;
  }

  /** Whether its rights stand. */
  get active(): boolean {
    return this.state === 'joining' || this.state === 'live';
  }
}
