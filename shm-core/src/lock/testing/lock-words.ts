/** A lock and its participants in plain memory, with a clock that a test moves. */
import { LockSegment } from '../../mapping/lock-segment.ts';
import { ParticipantPage } from '../../mapping/participant-page.ts';
import { type ClaimedPage, ParticipantPages } from '../../mapping/participant-pages.ts';
import type { MappedRange } from '../../os/os.ts';
import type { LockParticipant } from '../hold-remover.ts';
import { ParticipantLock } from '../participant-lock.ts';

/** A page of zeroed memory, as far as control words go. */
const zeroedPage = (): MappedRange =>
  ({ words32: () => new Uint32Array(1024) }) satisfies Pick<MappedRange, 'words32'> as unknown as MappedRange;

export class LockWords {
  readonly lock = new LockSegment(zeroedPage());
  readonly participants = new Map<number, LockParticipant>();
  nowNs = 1e9;
  /** How often the broker's bell was rung. */
  rings = 0;
  /** Pages that a participant cannot get hold of. */
  readonly missing = new Set<number>();
  tokenLimit = 1000n;

  /** Somebody joins. */
  join(index: number, generation = 1): LockParticipant {
    const participant = { index, generation, page: new ParticipantPage(zeroedPage()) };
    this.participants.set(index, participant);
    this.lock.setLive(index, { generation, maxPins: 0, counted: false });
    return participant;
  }

  /** The hands of a participant that has joined. */
  hands({ index, generation, page }: LockParticipant, access: 'read' | 'write' = 'write'): ParticipantLock {
    const claim = (indices: readonly number[]) => indices.flatMap((each) => this.#claim(each));
    return new ParticipantLock({
      lock: this.lock,
      page,
      index,
      generation,
      others: access === 'write' ? new ParticipantPages(this.lock, index, claim) : null,
      tokenLimit: this.tokenLimit,
      nowNs: () => this.nowNs,
      ringBroker: () => {
        this.rings += 1;
      },
    });
  }

  #claim(index: number): ClaimedPage[] {
    const participant = this.participants.get(index);
    if (participant === undefined || this.missing.has(index)) return [];
    return [{ ...participant, ring: () => undefined, release: () => undefined }];
  }
}
