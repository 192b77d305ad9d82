/** The connection to a broker: names to channels and mappings. One session; closing it closes everything opened through it. */
import { BlockBound, checkName, IfExists, LeaseholdError, Lifetime, Overflow } from '@leasehold/proto';
import { checkedChoice, checkedCount, checkedSize, optionalCount } from './arguments.ts';
import { Channel, openSubscriber } from './channel.ts';
import {
  brokerInfoFrom,
  channelInfoFrom,
  formatTo,
  mappingChangeFrom,
  mappingInfoFrom,
  mappingLeasesFrom,
  pagePolicyTo,
} from './convert.ts';
import { createWithProgress } from './create-with-progress.ts';
import { findBroker } from './find-broker.ts';
import { Limits, rpcLimits, type WaitOptions } from './limits.ts';
import { Mapping } from './mapping.ts';
import type {
  BrokerInfo,
  ChannelInfo,
  FrameFormat,
  MappingChange,
  MappingInfo,
  MappingLeases,
  PagePolicy,
  PopulateProgress,
} from './plain-types.ts';
import { Session } from './session.ts';
import { sessionEnd } from './session-end.ts';
import type { SubscribeOptions, Subscriber } from './subscriber.ts';
import { WaitSet } from './wait-set.ts';

/** How long `connect` waits for a broker that does not answer, ms. */
const CONNECT_TIMEOUT_MS = 5_000;

export interface ConnectOptions extends WaitOptions {
  /** Where the broker's sockets are. Default: `LEASEHOLD_RUNTIME_DIR`, this user's own directory, `/run/leasehold`. */
  readonly runtimeDir?: string | undefined;
  /** Environment to look in; default `process.env`. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** What this process calls itself, up to 100 characters; operators see it. Default: the script's name. */
  readonly name?: string;
}

interface CreateOptions extends WaitOptions {
  /** Large pages: where they can be had (default), or else an error, or not at all. */
  readonly pages?: PagePolicy;
  /** Never swapped out, while the broker lives; an error when that cannot be promised. Large pages never are. Default false. */
  readonly locked?: boolean;
  /** Memory of this NUMA node first; the grant's `numa` says whether that could be. */
  readonly numaNode?: number;
  /** Live on when its creator and all who use it are gone. Default false. */
  readonly persistent?: boolean;
  /** Participants at once, 1 to 128; default 64. */
  readonly maxParticipants?: number;
  /** When the name is taken: an error (default), or open what is there if it was created with the same options. */
  readonly ifExists?: 'fail' | 'open-if-same';
}

export interface MappingOptions extends CreateOptions {
  /** Payload, B. */
  readonly sizeBytes: number;
  /** What `resize` may make it, B; default: it keeps its size. Costs addresses, no memory. */
  readonly reserveBytes?: number;
  /** Told while the broker populates the memory, after every 64 MiB. */
  readonly onProgress?: (progress: PopulateProgress) => void;
}

export interface ChannelOptions extends CreateOptions {
  readonly format?: FrameFormat;
  /** Payload capacity of one slot, B; default: what one picture of the format needs. */
  readonly slotBytes?: number;
  /** 3 to 1022; default 8. At least all subscribers' `maxPins`, `maxLoans` and one. */
  readonly slots?: number;
  /** `overwrite` (default): the publisher never waits. `block`: it waits, boundedly, for subscribers in `queue` mode. */
  readonly overflow?: 'overwrite' | 'block';
  /** What a `block` channel does when its bound is reached: the loan fails (default), or the slowest subscriber is detached. */
  readonly blockBound?: 'timeout' | 'detach';
  /** The bound, ms; default 5,000. */
  readonly blockTimeoutMs?: number;
  /** Loans the publisher may have open at once; default 1. */
  readonly maxLoans?: number;
  /** Number of the first frame; default 1. Below 2^52. */
  readonly firstSequence?: bigint;
}

interface ListOptions extends WaitOptions {
  /** Only names that start so. */
  readonly prefix?: string;
}

/** A lease, as `listLeases` names it. */
interface LeaseName {
  readonly mappingId: bigint;
  readonly holdId: bigint;
}

/**
 * Connects to the broker of this host, which must be another process: a publisher may wait for it without returning to the event loop.
 * @throws LeaseholdError BROKER_UNREACHABLE, which lists every path tried and how to start a broker; PERMISSION_DENIED,
 *   PATH_TOO_LONG, UNSUPPORTED_PLATFORM, UNSUPPORTED_VERSION, TOO_MANY_SESSIONS, QUOTA_EXCEEDED, DRAINING, TIMED_OUT, ABORTED.
 */
export async function connect(options: ConnectOptions = {}): Promise<Broker> {
  requireRuntime();
  const limits = new Limits({ signal: options.signal, timeoutMs: options.timeoutMs ?? CONNECT_TIMEOUT_MS });
  const sockets = findBroker({
    runtimeDir: options.runtimeDir,
    env: options.env ?? process.env,
    uid: process.getuid?.() ?? 0,
  });
  const name = options.name ?? process.argv[1]?.split('/').at(-1) ?? 'node';
  return new Broker(await Session.open(sockets, name.slice(0, 100), limits));
}

/** Without `ArrayBuffer.prototype.transfer` (Node 22) no view can be detached. @throws LeaseholdError UNSUPPORTED_PLATFORM. */
function requireRuntime(): void {
  if (process.platform === 'linux' && typeof ArrayBuffer.prototype.transfer === 'function') return;
  throw new LeaseholdError(
    'UNSUPPORTED_PLATFORM',
    `Leasehold needs Linux and Node 22 or later; this is ${process.platform}, Node ${process.versions.node}`,
  );
}

export class Broker implements AsyncDisposable {
  readonly #session: Session;

  /** @internal */
  constructor(session: Session) {
    this.#session = session;
  }

  get runtimeDir(): string {
    return this.#session.sockets.runtimeDir;
  }
  get sessionId(): bigint {
    return this.#session.id;
  }
  /** Rises with every broker. */
  get epoch(): number {
    return this.#session.epoch;
  }
  /** The broker's version. */
  get version(): string {
    return this.#session.brokerVersion;
  }
  /** Aborted with BROKER_LOST when the broker goes away or ends this session. What is mapped stays mapped until it is closed. */
  get lost(): AbortSignal {
    return this.#session.lost;
  }

  async info(options: WaitOptions = {}): Promise<BrokerInfo> {
    return brokerInfoFrom(await this.#session.admin.getBrokerInfo({}, this.#session.call(options)));
  }

  /**
   * @throws LeaseholdError INVALID_NAME, INVALID_SIZE, INVALID_FORMAT, INVALID_ARGUMENT, CHANNEL_EXISTS, SPEC_MISMATCH,
   *   QUOTA_EXCEEDED, OUT_OF_MEMORY, LARGE_PAGES_UNAVAILABLE, PERMISSION_DENIED, DRAINING, TIMED_OUT, ABORTED, BROKER_LOST.
   */
  async createChannel(name: string, options: ChannelOptions): Promise<Channel> {
    const spec = {
      name,
      ...(options.format === undefined ? {} : { format: formatTo(options.format) }),
      slotBytes: checkedSize('slotBytes', options.slotBytes),
      slots: optionalCount('slots', options.slots),
      ...memoryWishes(options),
      overflow: OVERFLOWS[checkedChoice('overflow', options.overflow ?? 'overwrite', ['overwrite', 'block'])],
      blockBound: BLOCK_BOUNDS[checkedChoice('blockBound', options.blockBound ?? 'timeout', ['timeout', 'detach'])],
      blockTimeoutMs: optionalCount('blockTimeoutMs', options.blockTimeoutMs),
      maxParticipants: optionalCount('maxParticipants', options.maxParticipants),
      maxLoans: optionalCount('maxLoans', options.maxLoans),
      firstSequence: options.firstSequence ?? 0n,
    };
    const response = await this.#session.channels.createChannel(
      { spec, ifExists: ifExistsOf(options) },
      this.#session.call(options),
    );
    return new Channel(this.#session, channelInfoFrom(response.channel), response.created);
  }

  /** @throws LeaseholdError CHANNEL_NOT_FOUND, NOT_A_CHANNEL, PERMISSION_DENIED, TIMED_OUT, ABORTED, BROKER_LOST. */
  async channel(name: string, options: WaitOptions = {}): Promise<Channel> {
    const { channel } = await this.#session.channels.getChannel({ name }, this.#session.call(options));
    return new Channel(this.#session, channelInfoFrom(channel), false);
  }

  /** The channel, as soon as there is one of that name. @throws LeaseholdError INVALID_NAME, TIMED_OUT, ABORTED; as `channel`. */
  async waitForChannel(name: string, options: WaitOptions = {}): Promise<Channel> {
    // Nothing will ever have a name that breaks the rules.
    checkName(name);
    const limits = new Limits(options);
    try {
      const changes = this.#session.mappings.watchMappings({ prefix: name }, this.#session.call(limits.rest()));
      for await (const change of changes) {
        const { event, mapping } = mappingChangeFrom(change);
        const channel = mapping?.name === name && event === 'created' ? await this.#channelIfThere(name, limits) : null;
        if (channel !== null) return channel;
      }
    } catch (error) {
      limits.throwIfOver(`a channel ${name}`);
      throw this.lost.aborted ? this.lost.reason : error;
    }
    throw new LeaseholdError('BROKER_LOST', `the broker ended the watch for ${name}`);
  }

  /** Null when it was deleted again meanwhile. */
  async #channelIfThere(name: string, limits: Limits): Promise<Channel | null> {
    try {
      return await this.channel(name, limits.rest());
    } catch (error) {
      if (error instanceof LeaseholdError && error.code === 'CHANNEL_NOT_FOUND') return null;
      throw error;
    }
  }

  async listChannels(options: ListOptions = {}): Promise<ChannelInfo[]> {
    const { channels } = await this.#session.channels.listChannels(
      { prefix: options.prefix ?? '' },
      this.#session.call(options),
    );
    return channels.map(channelInfoFrom);
  }

  /** @throws LeaseholdError CHANNEL_NOT_FOUND, PERMISSION_DENIED. */
  async deleteChannel(name: string, options: WaitOptions = {}): Promise<void> {
    await this.#session.channels.deleteChannel({ name }, this.#session.call(options));
  }

  /** As `channel(name)` and `subscribe`. */
  subscribe(name: string, options: SubscribeOptions = {}): Promise<Subscriber> {
    return openSubscriber(this.#session, name, options);
  }

  /** An empty set of subscriptions, to wait for frames on any of them. */
  waitSet(): WaitSet {
    return new WaitSet({ doorbell: this.#session.doorbell, ...sessionEnd(this.#session) });
  }

  /** @throws as `createChannel`, with MAPPING_EXISTS, MEMORY_NOT_LOCKABLE. */
  async createMapping(name: string, options: MappingOptions): Promise<Mapping> {
    const request = {
      name,
      sizeBytes: checkedSize('sizeBytes', options.sizeBytes),
      reserveBytes: checkedSize('reserveBytes', options.reserveBytes),
      ...memoryWishes(options),
      ifExists: ifExistsOf(options),
      maxParticipants: optionalCount('maxParticipants', options.maxParticipants),
    };
    const { onProgress } = options;
    const { mappings } = this.#session;
    const { mapping, created } =
      onProgress === undefined
        ? await mappings.createMapping(request, this.#session.call(options))
        : await createWithProgress(this.#session, request, { ...options, onProgress });
    return new Mapping(this.#session, mappingInfoFrom(mapping), created);
  }

  /** @throws LeaseholdError MAPPING_NOT_FOUND, PERMISSION_DENIED. */
  async mapping(name: string, options: WaitOptions = {}): Promise<Mapping> {
    const { mapping } = await this.#session.mappings.getMapping({ name }, this.#session.call(options));
    return new Mapping(this.#session, mappingInfoFrom(mapping), false);
  }

  /** Mappings and channels. */
  async listMappings(options: ListOptions = {}): Promise<MappingInfo[]> {
    const { mappings } = await this.#session.mappings.listMappings(
      { prefix: options.prefix ?? '' },
      this.#session.call(options),
    );
    return mappings.map(mappingInfoFrom);
  }

  /** @throws LeaseholdError MAPPING_NOT_FOUND, PERMISSION_DENIED. */
  async deleteMapping(name: string, options: WaitOptions = {}): Promise<void> {
    await this.#session.mappings.deleteMapping({ name }, this.#session.call(options));
  }

  /** What is there, then every change, until the loop is left or `signal` aborts. @throws LeaseholdError ABORTED, BROKER_LOST. */
  async *watchMappings(
    options: { prefix?: string; signal?: AbortSignal } = {},
  ): AsyncGenerator<MappingChange, void, undefined> {
    const call = { ...this.#session.call({}), ...rpcLimits({ signal: options.signal }) };
    for await (const change of this.#session.mappings.watchMappings({ prefix: options.prefix ?? '' }, call)) {
      yield mappingChangeFrom(change);
    }
  }

  /** Mappings and channels whose lock somebody has or waits for, or whose data is in doubt. @throws LeaseholdError PERMISSION_DENIED. */
  async listLeases(options: ListOptions = {}): Promise<MappingLeases[]> {
    const request = { prefix: options.prefix ?? '' };
    const { mappings } = await this.#session.leases.listLeases(request, this.#session.call(options));
    return mappings.map(mappingLeasesFrom);
  }

  /** Takes a lease away from its holder, for administrators. @throws LeaseholdError LEASE_NOT_FOUND, PERMISSION_DENIED. */
  async revokeLease({ mappingId, holdId, ...options }: WaitOptions & LeaseName): Promise<void> {
    await this.#session.leases.revokeLease({ mappingId, holdId }, this.#session.call(options));
  }

  /**
   * Declares the data of a mapping good after an exclusive holder was removed, for administrators: a holder has `Lease.markClean`.
   * @returns whether it was in doubt. @throws LeaseholdError MAPPING_NOT_FOUND, PERMISSION_DENIED.
   */
  async markClean(name: string, options: WaitOptions = {}): Promise<boolean> {
    const { wasDirty } = await this.#session.leases.markClean({ name }, this.#session.call(options));
    return wasDirty;
  }

  /** Closes everything opened through this, after what `holdUntil` waits for. Idempotent. */
  close(): Promise<void> {
    return this.#session.close();
  }
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

const memoryWishes = ({ pages, persistent, locked, numaNode }: CreateOptions) => ({
  pages: pagePolicyTo(pages),
  lifetime: persistent === true ? Lifetime.PERSISTENT : Lifetime.LAST_ATTACHMENT,
  locked: locked === true,
  ...(numaNode === undefined ? {} : { numaNode: checkedCount('numaNode', numaNode, 0) }),
});

const OVERFLOWS = { overwrite: Overflow.OVERWRITE, block: Overflow.BLOCK } as const;
const BLOCK_BOUNDS = { timeout: BlockBound.TIMEOUT, detach: BlockBound.DETACH } as const;
const IF_EXISTS = { fail: IfExists.FAIL, 'open-if-same': IfExists.OPEN_IF_SAME } as const;

const ifExistsOf = (options: CreateOptions): IfExists =>
  IF_EXISTS[checkedChoice('ifExists', options.ifExists ?? 'fail', ['fail', 'open-if-same'])];
