/** Pages of other participants: asked of the broker, then mapped. All or none; fewer than asked when some have left. */
import type { AttachMessage } from '@leasehold/proto';
import { type Bell, type ClaimedPage, mapPage, type SegmentOs } from '@leasehold/shm-core/internal';
import { type Answer, type AttachConnection, closeAnswer } from './attach-connection.ts';
import { receivedSegments } from './grants.ts';
import { ringPayload } from './ring-payload.ts';

/** How long a publisher waits, blocking, for the page of somebody who joined, ms. */
const CLAIM_TIMEOUT_MS = 250;
/** Pages per ClaimPages. */
const CLAIM_PAGES_MAX = 64;

export class PageClaims {
  readonly #connection: AttachConnection;
  readonly #os: SegmentOs;
  readonly #bellOf: (name: Uint8Array) => Bell;

  /** `bellOf` finds the doorbell of that name, raw. */
  constructor(connection: AttachConnection, os: SegmentOs, bellOf: (name: Uint8Array) => Bell) {
    this.#connection = connection;
    this.#os = os;
    this.#bellOf = bellOf;
  }

  /** Blocks for a quarter of a second at most. @throws LeaseholdError BROKER_LOST, TIMED_OUT; CorruptMemoryError, OsError. */
  claim(mappingId: bigint, indices: readonly number[]): ClaimedPage[] {
    const claimed: ClaimedPage[] = [];
    try {
      for (const some of chunks(indices)) {
        const answer = this.#connection.requestSync(pagesOf(mappingId, some), CLAIM_TIMEOUT_MS);
        this.#map(answer, mappingId, some, claimed);
      }
      return claimed;
    } catch (error) {
      for (const page of claimed) page.release();
      throw error;
    }
  }

  /** The same, without blocking. */
  async fetch(mappingId: bigint, indices: readonly number[]): Promise<ClaimedPage[]> {
    const claimed: ClaimedPage[] = [];
    try {
      for (const some of chunks(indices)) {
        const answer = await this.#connection.request(pagesOf(mappingId, some));
        this.#map(answer, mappingId, some, claimed);
      }
      return claimed;
    } catch (error) {
      for (const page of claimed) page.release();
      throw error;
    }
  }

  #map(answer: Answer, mappingId: bigint, asked: readonly number[], claimed: ClaimedPage[]): void {
    try {
      for (const received of receivedSegments(answer)) {
        if (!asked.includes(received.participantIndex)) continue;
        const mapped = mapPage(this.#os, received);
        claimed.push(withBell(mapped, this.#bellOf(mapped.page.bell()), ringPayload(mappingId, mapped.index)));
      }
    } finally {
      closeAnswer(answer);
    }
  }
}

const withBell = (mapped: Omit<ClaimedPage, 'ring'>, bell: Bell, payload: Uint8Array): ClaimedPage => ({
  ...mapped,
  ring: () => void bell.ring(payload),
  release: () => {
    bell.close();
    mapped.release();
  },
});

const pagesOf = (mappingId: bigint, participantIndices: number[]): AttachMessage['message'] => ({
  case: 'claimPages',
  value: { $typeName: 'leasehold.v1.ClaimPages', mappingId, participantIndices },
});

function chunks(indices: readonly number[]): number[][] {
  const count = Math.ceil(indices.length / CLAIM_PAGES_MAX);
  return Array.from({ length: count }, (_, at) => indices.slice(at * CLAIM_PAGES_MAX, (at + 1) * CLAIM_PAGES_MAX));
}
