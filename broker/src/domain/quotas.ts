/**
 * The one ledger of what everybody takes of what the broker has, by user and in all. Invariants: nothing is taken that would exceed a
 * limit; a refusal takes nothing; what was taken is given back exactly once, however often that is asked.
 */
import { LeaseholdError } from '@leasehold/proto';

/** In the order in which they are looked at: a refusal names the first that does not suffice. */
export const QUOTA_DIMENSIONS = [
  /** Memory that is there to be touched, of whatever pages, B. */
  'bytes',
  /** Of these, those of the pools of huge pages, B. */
  'largePageBytes',
  /** What mappings may grow to, B: addresses, which cost no memory before they are used. */
  'reservedBytes',
  /** Mappings and channels, those too that are being made and those that are deleted and still in use. */
  'mappings',
  /** Those too that are over while their process may still touch memory. */
  'sessions',
  /** Leases that the broker keeps: held by RPC alone, of publishers, and all that are waited for. Those taken in memory are not seen. */
  'leases',
  /** Places in mappings: attachments, publishers, subscribers, and whoever leases by RPC alone. */
  'participants',
  /** Descriptors that the broker holds for all of these. */
  'descriptors',
] as const;

export type QuotaDimension = (typeof QUOTA_DIMENSIONS)[number];
export type Amounts = Readonly<Partial<Record<QuotaDimension, number>>>;

/** The most that may be taken; Infinity: no limit. */
export interface QuotaLimits {
  readonly total: Readonly<Record<QuotaDimension, number>>;
  readonly perUser: Readonly<Record<QuotaDimension, number>>;
}

type Counts = Record<QuotaDimension, number>;

export class Quotas {
  readonly limits: QuotaLimits;
  readonly #total = noCounts();
  /** Of users who have taken something. */
  readonly #byUid = new Map<number, Counts>();

  constructor(limits: QuotaLimits) {
    this.limits = limits;
  }

  /** Memory that is taken, B. */
  get chargedBytes(): number {
    return this.#total.bytes;
  }
  /** The most memory that may be taken, B. */
  get quotaBytes(): number {
    return this.limits.total.bytes;
  }
  /** Users who have taken something. */
  get uids(): number[] {
    return [...this.#byUid.keys()];
  }

  /** What one user has taken, or all together. */
  used(dimension: QuotaDimension, uid?: number): number {
    const counts = uid === undefined ? this.#total : this.#byUid.get(uid);
    return counts?.[dimension] ?? 0;
  }

  /** @throws {QuotaExceeded} nothing is taken then */
  take(uid: number, amounts: Amounts): Taken {
    const taken = new Taken((from, to, checked) => {
      if (checked) this.#require(uid, from, to);
      this.#change(uid, from, to);
    });
    taken.change(amounts);
    return taken;
  }

  #require(uid: number, from: Amounts, to: Amounts): void {
    const { perUser, total } = this.limits;
    for (const dimension of QUOTA_DIMENSIONS) {
      const requested = (to[dimension] ?? 0) - (from[dimension] ?? 0);
      // Whoever takes no more than before is not refused, whatever has become of the limit.
      if (requested <= 0) continue;
      const ofUser = { whose: `uid:${uid}`, used: this.used(dimension, uid), limit: perUser[dimension] };
      const ofAll = { whose: 'broker', used: this.used(dimension), limit: total[dimension] };
      // A user who may have all that there is has no bound of his own.
      const bounds = ofUser.limit < ofAll.limit ? [ofUser, ofAll] : [ofAll];
      const exceeded = bounds.find(({ used, limit }) => used + requested > limit);
      if (exceeded !== undefined) throw new QuotaExceeded({ quota: dimension, requested, ...exceeded });
    }
  }

  #change(uid: number, from: Amounts, to: Amounts): void {
    const own = this.#byUid.get(uid) ?? noCounts();
    for (const dimension of QUOTA_DIMENSIONS) {
      const more = (to[dimension] ?? 0) - (from[dimension] ?? 0);
      own[dimension] += more;
      this.#total[dimension] += more;
    }
    if (QUOTA_DIMENSIONS.every((dimension) => own[dimension] === 0)) this.#byUid.delete(uid);
    else this.#byUid.set(uid, own);
  }
}

/** @throws {QuotaExceeded} when `checked` and too much */
type Change = (from: Amounts, to: Amounts, checked: boolean) => void;

/** What one thing takes. After `release` it counts nothing any more, whatever is said late. */
export class Taken {
  readonly #change: Change;
  #amounts: Amounts = {};
  #released = false;

  constructor(change: Change) {
    this.#change = change;
  }

  get amounts(): Amounts {
    return this.#amounts;
  }

  /** From now on it takes this, if there is as much. @throws {QuotaExceeded} it takes what it took then */
  change(amounts: Amounts): void {
    this.#to(amounts, true);
  }

  /** From now on it takes this: what is there counts, whatever the limits. */
  settle(amounts: Amounts): void {
    this.#to(amounts, false);
  }

  #to(amounts: Amounts, checked: boolean): void {
    if (this.#released) return;
    this.#change(this.#amounts, amounts, checked);
    this.#amounts = amounts;
  }

  release(): void {
    this.settle({});
    this.#released = true;
  }
}

export interface Refusal {
  /** A dimension, or another bound that has a name. */
  readonly quota: string;
  /** `uid:1000`, `broker`, `session:7`. */
  readonly whose: string;
  readonly used: number;
  readonly limit: number;
  readonly requested: number;
}

/** QUOTA_EXCEEDED, for sessions TOO_MANY_SESSIONS, with metadata that says which quota, whose, and how much. */
export class QuotaExceeded extends LeaseholdError {
  /** For whoever can do with pages of another kind: why these are not to be had. */
  readonly fallback = 'QUOTA';

  constructor(refusal: Refusal) {
    const { quota, whose, used, limit, requested } = refusal;
    super(quota === 'sessions' ? 'TOO_MANY_SESSIONS' : 'QUOTA_EXCEEDED', explain(refusal), {
      metadata: { quota, whose, used: String(used), limit: String(limit), requested: String(requested) },
    });
  }
}

function explain({ quota, whose, used, limit, requested }: Refusal): string {
  const unit = /bytes$/i.test(quota) ? ' B' : '';
  const [kind = '', id = ''] = whose.split(':');
  const whom = kind === 'broker' ? 'the broker' : `${kind} ${id}`;
  const scope = { broker: 'total', uid: 'perUser' }[kind];
  const raise = scope === undefined ? '' : `, or raise quotas.${scope}.${quota}`;
  return (
    `${requested}${unit} more would exceed the quota ${quota} of ${whom}: ${used}${unit} of ${limit}${unit} are taken; ` +
    `give back what is not needed${raise}.`
  );
}

function noCounts(): Counts {
  return Object.fromEntries(QUOTA_DIMENSIONS.map((dimension) => [dimension, 0])) as Counts;
}
