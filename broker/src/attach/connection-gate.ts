/**
 * Who may stand at a socket. Invariants: users whom the policy denies share a small part of the places, so that no number of them
 * takes one from anybody else; the last places in all are kept for root and the broker's own user; what was let in leaves once.
 */
import type { Peer } from '../domain/policy.ts';

export interface GateOptions {
  readonly placesMax: number;
  /** Of these, taken by root and the broker's own user only. */
  readonly placesReserved: number;
  readonly perUidMax: number;
  /** For users who may not connect: of one, and of all together. */
  readonly deniedPerUidMax: number;
  readonly deniedMax: number;
  readonly ownUid: number;
  readonly mayConnect: (peer: Peer) => boolean;
}

export class ConnectionGate {
  readonly #options: GateOptions;
  readonly #ofUid = new Map<number, number>();
  #total = 0;
  #denied = 0;

  constructor(options: GateOptions) {
    this.#options = options;
  }

  /** @returns how to leave, further calls do nothing; null: there is no place */
  enter(peer: Peer): (() => void) | null {
    const { uid } = peer;
    const denied = !this.#mayConnect(peer);
    if (!this.#hasRoom(uid, denied)) return null;
    this.#count(uid, denied, 1);
    let inside = true;
    return () => {
      if (inside) this.#count(uid, denied, -1);
      inside = false;
    };
  }

  /** A policy that fails lets nobody in, and ends nothing. */
  #mayConnect(peer: Peer): boolean {
    try {
      return this.#options.mayConnect(peer);
    } catch {
      return false;
    }
  }

  #hasRoom(uid: number, denied: boolean): boolean {
    const { placesMax, placesReserved, perUidMax, deniedPerUidMax, deniedMax, ownUid } = this.#options;
    const trusted = uid === 0 || uid === ownUid;
    if (this.#total >= (trusted ? placesMax : placesMax - placesReserved)) return false;
    if (denied && this.#denied >= deniedMax) return false;
    return (this.#ofUid.get(uid) ?? 0) < (denied ? deniedPerUidMax : perUidMax);
  }

  #count(uid: number, denied: boolean, by: 1 | -1): void {
    this.#total += by;
    if (denied) this.#denied += by;
    const ofUid = (this.#ofUid.get(uid) ?? 0) + by;
    if (ofUid > 0) this.#ofUid.set(uid, ofUid);
    else this.#ofUid.delete(uid);
  }
}
