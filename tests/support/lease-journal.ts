/**
 * The data that the hammer's leases protect, so kept that what a lease promises can be told from luck. A writer puts its record where
 * its fencing token says, in several steps, and makes it the newest by a compare-exchange of the head that fails once a later writer
 * has come: a process that slept through the end of its lease can do one late store, to its own record or to a word that says so.
 */

/** Records: more than tokens in one run, so that none is written twice. */
const RECORDS = 1 << 19;
const HEAD = 0;
/** Far from the head, and from the records. */
const OWNER = 64;
const RECORDS_AT = 128;
const RECORD_WORDS = 4;
/** A second copy of every count, far from the first. */
const COPIES_AT = RECORDS_AT + RECORDS * RECORD_WORDS;
const WORDS = COPIES_AT + RECORDS;
const LOW = 0xffff_ffffn;
const RETRIES_MAX = 64;

export const JOURNAL_BYTES = WORDS * 8;

/** What a journal remembers of a writer. */
export interface JournalRecord {
  /** The writer's token, without the epoch; 0 before the first. */
  readonly token: number;
  /** The token of the record that it read. */
  readonly base: number;
  readonly count: number;
  /** Which process wrote it. */
  readonly writer: number;
}

/** Who opened the journal last, and who finished last. The same once it is finished; not, while or because he did not. */
export interface JournalHead {
  readonly opened: number;
  readonly finished: number;
}

const EMPTY: JournalRecord = { token: 0, base: 0, count: 0, writer: 0 };

/** A fencing token without its epoch. */
export const shortToken = (token: bigint): number => Number(token & LOW);

const packed = ({ opened, finished }: JournalHead): bigint => (BigInt(opened) << 32n) | BigInt(finished);
const unpacked = (word: bigint): JournalHead => ({ opened: Number(word >> 32n), finished: Number(word & LOW) });

/** Memory that may be gone at any moment: looks anew for every step, and throws when it is. */
export type Look = () => Uint8Array;

export class Journal {
  readonly #look: Look;

  constructor(look: Look) {
    this.#look = look;
  }

  #words(): BigUint64Array {
    const bytes = this.#look();
    return new BigUint64Array(bytes.buffer, bytes.byteOffset, WORDS);
  }

  #read(at: number): number {
    return Number(this.#words()[at]);
  }
  #write(at: number, value: number): void {
    this.#words()[at] = BigInt(value);
  }

  get head(): JournalHead {
    return unpacked(this.#words()[HEAD] ?? 0n);
  }

  /** From now on whoever opened before cannot finish. @returns the head before that; null when it changed all the time */
  open(token: number): JournalHead | null {
    for (let tries = 0; tries < RETRIES_MAX; tries += 1) {
      const head = this.head;
      if (head.opened >= token) return head;
      if (this.#replaceHead(head, { ...head, opened: token })) return head;
    }
    return null;
  }

  /** False when the head is not what this writer left there. */
  finish(token: number, base: number): boolean {
    return this.#replaceHead({ opened: token, finished: base }, { opened: token, finished: token });
  }

  #replaceHead(from: JournalHead, to: JournalHead): boolean {
    const expected = packed(from);
    return Atomics.compareExchange(this.#words(), HEAD, expected, packed(to)) === expected;
  }

  /** The token of whoever said last that it writes. */
  get owner(): number {
    return this.#read(OWNER);
  }
  set owner(token: number) {
    this.#write(OWNER, token);
  }
  /** Which process is writing, as far as can be told from outside; 0 when none is. */
  get writerInside(): number {
    const { opened, finished } = this.head;
    return opened === finished ? 0 : this.#read(recordAt(opened) + 3);
  }

  /** A finished record, or what is wrong with it. */
  read(token: number): JournalRecord | string {
    if (token === 0) return EMPTY;
    const at = recordAt(token);
    const [found, base, count, writer] = [0, 1, 2, 3].map((field) => this.#read(at + field));
    const copy = this.#read(copyAt(token));
    if (found !== token) return `record ${token} says that it is ${found}`;
    if (copy !== count) return `record ${token} counts ${count}, its copy ${copy}`;
    return { token, base: base ?? 0, count: count ?? 0, writer: writer ?? 0 };
  }

  /** The steps that write a record, one store each. */
  steps({ token, base, count, writer }: JournalRecord): (() => void)[] {
    const at = recordAt(token);
    return [
      () => this.#write(at + 3, writer),
      () => this.#write(at, token),
      () => this.#write(at + 1, base),
      () => this.#write(at + 2, count),
      () => this.#write(copyAt(token), count),
    ];
  }

  /** All finished records, newest first; what is wrong, as text, when the chain of them is broken. */
  history(): JournalRecord[] | string {
    const records: JournalRecord[] = [];
    for (let token = this.head.finished; token !== 0; ) {
      const record = this.read(token);
      if (typeof record === 'string') return record;
      const later = records.at(-1);
      if (record.base >= token) return `record ${token} is based on ${record.base}`;
      if (later !== undefined && later.count !== record.count + 1) return `${later.count} after ${record.count}`;
      records.push(record);
      token = record.base;
    }
    return records;
  }
}

const recordAt = (token: number): number => RECORDS_AT + (token % RECORDS) * RECORD_WORDS;
const copyAt = (token: number): number => COPIES_AT + (token % RECORDS);
