/**
 * A mapping as an attached process has it: the segments of its grant, mapped and checked. Takes over the descriptors it is given
 * and closes them: the maps keep the memory.
 */
import { LOCK_SEGMENT, PARTICIPANT_PAGE } from '../layout/regions.ts';
import type { Access, MappedRange, OwnedFd, PageKind, SegmentOs } from '../os/os.ts';
import { CorruptMemoryError } from './corrupt-memory.ts';
import { LockSegment } from './lock-segment.ts';
import { ParticipantPage } from './participant-page.ts';
import { releaseAll } from './release-all.ts';

/** A descriptor as it was granted. */
export interface ReceivedSegment {
  readonly role: 'data' | 'lock' | 'page';
  readonly fd: OwnedFd;
  readonly access: Access;
  readonly bytes: number;
  readonly pageKind: PageKind;
  readonly participantIndex: number;
  readonly participantGeneration: number;
}

/** A participant page, mapped. */
export interface MappedPage {
  readonly index: number;
  readonly generation: number;
  readonly page: ParticipantPage;
  release(): void;
}

/**
 * Maps one page and closes its descriptor. Whose page it is, the grant says: what is in it, its participant may have written.
 * @throws CorruptMemoryError when its size is not what was granted; OsError.
 */
export function mapPage(os: SegmentOs, received: ReceivedSegment): MappedPage {
  const { participantIndex: index, participantGeneration: generation } = received;
  const range = mapReceived(os, received, PARTICIPANT_PAGE.bytes);
  return { index, generation, page: new ParticipantPage(range), release: () => range.release() };
}

function mapReceived(os: SegmentOs, received: ReceivedSegment, atLeastBytes: number): MappedRange {
  try {
    const actual = os.sizeOf(received.fd);
    if (actual !== received.bytes || actual < atLeastBytes) {
      throw new CorruptMemoryError(`${received.role} segment: ${actual} B, granted were ${received.bytes} B`);
    }
    return os.map(received.fd, received.bytes, received.access, received.pageKind);
  } finally {
    received.fd.close();
  }
}

export class AttachedMapping {
  readonly id: bigint;
  readonly index: number;
  readonly generation: number;
  readonly access: Access;
  readonly data: MappedRange;
  readonly lock: LockSegment;
  readonly page: ParticipantPage;
  readonly #ranges: readonly { release(): void }[];
  #resizesSeen = Number.NaN;
  #payloadBytes = 0;

  /** @throws CorruptMemoryError when the grant is not one data segment, one lock segment and one page; OsError. */
  constructor(os: SegmentOs, id: bigint, received: readonly ReceivedSegment[]) {
    const mapped: { release(): void }[] = [];
    try {
      const [data, lock, page] = ['data', 'lock', 'page'].map((role) =>
        received.find((segment) => segment.role === role),
      );
      if (data === undefined || lock === undefined || page === undefined || received.length !== 3) {
        throw new CorruptMemoryError(
          `grant: ${received.map(({ role }) => role).join(', ')}; expected data, lock, page`,
        );
      }
      this.data = mapReceived(os, data, 1);
      mapped.push(this.data);
      const lockRange = mapReceived(os, lock, LOCK_SEGMENT.bytes);
      mapped.push(lockRange);
      this.lock = new LockSegment(lockRange);
      this.lock.validate(id);
      const own = mapPage(os, page);
      mapped.push(own);
      own.page.validate(id, own.index, own.generation);
      this.id = id;
      this.index = own.index;
      this.generation = own.generation;
      this.page = own.page;
      this.access = data.access;
      this.#ranges = mapped;
    } catch (error) {
      for (const range of mapped) range.release();
      for (const { fd } of received) fd.close();
      throw error;
    }
  }

  /** Rises with every change of the size. */
  get resizes(): number {
    return this.lock.resizes;
  }

  /**
   * The payload that is there now, B. @throws CorruptMemoryError when somebody has put a size there that the data segment does not have.
   */
  get payloadBytes(): number {
    const resizes = this.lock.resizes;
    if (resizes !== this.#resizesSeen) {
      this.#payloadBytes = this.#checkedSize(this.lock.committedBytes);
      this.#resizesSeen = resizes;
    }
    return this.#payloadBytes;
  }

  #checkedSize(committedBytes: bigint): number {
    const { mappedBytes } = this.data;
    if (committedBytes >= 1n && committedBytes <= BigInt(mappedBytes)) return Number(committedBytes);
    throw new CorruptMemoryError(
      `lock segment: a payload of ${committedBytes} B in a data segment of ${mappedBytes} B`,
    );
  }

  /** Unmaps everything. What was viewed and not detached reads private zeros from then on. Idempotent. */
  release(): void {
    releaseAll(this.#ranges.map((range) => () => range.release()));
  }
}
