/** One client's calls, timed: from asking to having what was asked for. What has to be undone before the next is not in the time. */
import { credentials, Client as GrpcClient, Metadata } from '@grpc/grpc-js';
import { type Broker, connect, type Mapping, monotonicNs, openRpcSession } from '@leasehold/client';
import { createServiceClient, LeaseMode, LeaseService, MappingService, serviceDefinition } from '@leasehold/proto';
import { type BareCall, openBare } from './bare-calls.ts';
import { BYTES, type CallId, STANDING } from './calls.ts';

/** One call of a lane; how long it took, ns. */
type TimedCall = (lane: number) => Promise<number>;

/** As many bytes as AcquireLease and ReleaseLease have there and back, with the names of here. */
const LEASE_BYTES = [
  [36, 92],
  [12, 2],
] as const;

export interface AskingOptions {
  readonly lanes: number;
  readonly runtimeDir: string;
  /** Of the bare server; absent: those calls are not made. */
  readonly bareAddress?: string;
}

export class Asking {
  readonly #rpc: RpcCalls;
  readonly #calls: Readonly<Record<CallId, TimedCall>>;

  private constructor(rpc: RpcCalls, calls: Readonly<Record<CallId, TimedCall>>) {
    this.#rpc = rpc;
    this.#calls = calls;
  }

  static async open({ lanes, runtimeDir, bareAddress }: AskingOptions): Promise<Asking> {
    const broker = await connect({ name: 'bench-control', runtimeDir });
    for (let lane = 0; lane < lanes; lane += 1) {
      await broker.createMapping(nameOf(lane), { sizeBytes: BYTES, ifExists: 'open-if-same' });
      await broker.createChannel(channelOf(lane), { slotBytes: BYTES, slots: 4, ifExists: 'open-if-same' });
    }
    const bare = bareAddress === undefined ? () => Promise.reject(new Error('no bare server')) : openBare(bareAddress);
    const rpc = await openRpc(runtimeDir);
    const calls = { ...sdkCalls(broker), ...bareCalls(bare), 'AcquireLease+ReleaseLease': rpc.leasePair };
    return new Asking(rpc, calls);
  }

  /** How long each of `count` calls took, ns, `inFlight` at a time. */
  async time(id: CallId, inFlight: number, count: number): Promise<Float64Array> {
    const tookNs = new Float64Array(count);
    const call = this.#calls[id];
    let next = 0;
    const run = async (lane: number): Promise<void> => {
      for (let at = next++; at < count; at = next++) tookNs[at] = await call(lane);
    };
    await Promise.all(Array.from({ length: inFlight }, (_, lane) => run(lane)));
    return tookNs;
  }

  /** Of the answer to ListMappings, B. */
  listBytes(): Promise<number> {
    return this.#rpc.listBytes();
  }
}

const nameOf = (lane: number): string => `${STANDING}/mapping-${lane}`;
const channelOf = (lane: number): string => `${STANDING}/channel-${lane}`;

async function timed(call: () => Promise<unknown>): Promise<number> {
  const startNs = monotonicNs();
  await call();
  return monotonicNs() - startNs;
}

/** Times `open`, and closes what it opened. */
async function timedOpen<T>(open: () => Promise<T>, close: (opened: T) => Promise<unknown>): Promise<number> {
  const startNs = monotonicNs();
  const opened = await open();
  const tookNs = monotonicNs() - startNs;
  await close(opened);
  return tookNs;
}

function sdkCalls(broker: Broker) {
  const made = (lane: number): string => `bench/control/made-${lane}`;
  const create = (lane: number): Promise<Mapping> => broker.createMapping(made(lane), { sizeBytes: BYTES });
  const remove = (lane: number): Promise<void> => broker.deleteMapping(made(lane));
  return {
    GetBrokerInfo: () => timed(() => broker.info()),
    GetMapping: (lane) => timed(() => broker.mapping(nameOf(lane))),
    CreateMapping: (lane) =>
      timedOpen(
        () => create(lane),
        () => remove(lane),
      ),
    DeleteMapping: async (lane) => {
      await create(lane);
      return timed(() => remove(lane));
    },
    'AttachMapping+Claim': async (lane) => {
      const mapping = await broker.mapping(nameOf(lane));
      return timedOpen(
        () => mapping.attach('write'),
        (attachment) => attachment.close(),
      );
    },
    'OpenSubscriber+Claim': async (lane) => {
      const channel = await broker.channel(channelOf(lane));
      return timedOpen(
        () => channel.subscribe({ maxPins: 1 }),
        (subscriber) => subscriber.close(),
      );
    },
  } as const satisfies Partial<Record<CallId, TimedCall>>;
}

function bareCalls(bare: BareCall) {
  return {
    'one-call': () => timed(() => bare(20, 120)),
    'two-calls': () =>
      timed(async () => {
        for (const [requestBytes, answerBytes] of LEASE_BYTES) await bare(requestBytes, answerBytes);
      }),
  } as const satisfies Partial<Record<CallId, TimedCall>>;
}

interface RpcCalls {
  readonly leasePair: TimedCall;
  listBytes(): Promise<number>;
}

/** A session that maps nothing: the SDK takes leases in memory, and makes plain objects of what it lists. */
async function openRpc(runtimeDir: string): Promise<RpcCalls> {
  const session = await openRpcSession({ runtimeDir, name: 'bench-control-rpc' });
  const client = new GrpcClient(`unix:${runtimeDir}/control.sock`, credentials.createInsecure(), {
    'grpc.enable_channelz': 0,
    'grpc.use_local_subchannel_pool': 1,
    'grpc.max_receive_message_length': -1,
  });
  const leases = createServiceClient(LeaseService, client);
  const mappings = createServiceClient(MappingService, client);
  const metadata = new Metadata();
  metadata.set('authorization', `Bearer ${session.token}`);
  const options = { metadata };
  return {
    leasePair: (lane) =>
      timed(async () => {
        const { lease } = await leases.acquireLease({ name: nameOf(lane), mode: LeaseMode.EXCLUSIVE }, options);
        if (lease === undefined) throw new Error('the broker granted nothing');
        await leases.releaseLease({ mappingId: lease.mappingId, holdId: lease.holdId }, options);
      }),
    async listBytes() {
      const answer = await mappings.listMappings({}, options);
      return serviceDefinition(MappingService).listMappings.responseSerialize(answer).length;
    },
  };
}
