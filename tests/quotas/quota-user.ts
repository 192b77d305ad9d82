/**
 * A user that takes things of each kind that has a quota, over the wire, and tells how it was refused. It speaks the raw protocol,
 * because the SDK shows the metadata of an error and not the details beside them.
 */
import { fromBinary } from '@bufbuild/protobuf';
import { anyUnpack } from '@bufbuild/protobuf/wkt';
import * as grpc from '@grpc/grpc-js';
import type { QuotaDimension } from '@leasehold/broker';
import { Access, LeaseholdError, LeaseMode, Lifetime, PagePolicy } from '@leasehold/proto';
import { QuotaFailureSchema } from '../../proto/gen/google/rpc/error_details_pb.js';
import { StatusSchema } from '../../proto/gen/google/rpc/status_pb.js';
import { RawAttach, rawRpc } from '../hostile/raw-client.ts';

export const MIB = 2 ** 20;
/** A mapping that somebody has made for all: to attach to it, and to lease it. */
export const SHARED = 'shared';

export interface Refused {
  readonly code: string;
  readonly status: string;
  readonly metadata: Readonly<Record<string, string>>;
  /** Of the QuotaFailure: subject and description. */
  readonly violations: readonly (readonly [string, string])[];
}

/** What the status says beside its code, as clients in any language read it. */
function refusalOf(error: unknown): Refused {
  if (!(error instanceof LeaseholdError)) throw error;
  const { code, metadata, cause } = error as LeaseholdError & { cause: grpc.ServiceError };
  const [trailer = Buffer.alloc(0)] = cause.metadata.get('grpc-status-details-bin');
  const { details } = fromBinary(StatusSchema, Buffer.from(trailer));
  const failures = details.map((detail) => anyUnpack(detail, QuotaFailureSchema));
  const violations = failures.flatMap((failure) => failure?.violations ?? []);
  return {
    code,
    status: grpc.status[cause.code] ?? '',
    metadata: { ...metadata },
    violations: violations.map(({ subject, description }) => [subject, description] as const),
  };
}

export class QuotaUser {
  readonly rpc: ReturnType<typeof rawRpc>;
  readonly #attach: RawAttach;
  /** How to give back what was taken. */
  readonly #taken: (() => Promise<unknown>)[] = [];
  #made = 0;

  private constructor(attach: RawAttach, rpc: ReturnType<typeof rawRpc>) {
    this.#attach = attach;
    this.rpc = rpc;
  }

  /** With one session, on the attach socket. */
  static async open(runtimeDir: string): Promise<QuotaUser> {
    const attach = new RawAttach(runtimeDir);
    return new QuotaUser(attach, rawRpc(runtimeDir, await attach.open()));
  }

  /** Takes one more; null when that is granted. */
  async take(dimension: QuotaDimension): Promise<Refused | null> {
    try {
      this.#taken.push(await this.#take(dimension));
      return null;
    } catch (error) {
      return refusalOf(error);
    }
  }

  /** What it took last. */
  async giveBack(): Promise<void> {
    await this.#taken.pop()?.();
  }

  #take(dimension: QuotaDimension): Promise<() => Promise<unknown>> {
    switch (dimension) {
      case 'bytes':
        return this.#create({ sizeBytes: BigInt(MIB) });
      case 'largePageBytes':
        return this.#create({ sizeBytes: BigInt(2 * MIB), pages: PagePolicy.REQUIRE });
      case 'reservedBytes':
        return this.#create({ reserveBytes: 2n ** 36n });
      case 'mappings':
      case 'descriptors':
        return this.#create({});
      case 'sessions':
        return this.#openSession();
      case 'leases':
        return this.#lease();
      case 'participants':
        return this.#join();
    }
  }

  async #create(more: { sizeBytes?: bigint; reserveBytes?: bigint; pages?: PagePolicy }) {
    const { mappings, options } = this.rpc;
    this.#made += 1;
    const name = `of-${process.getuid?.()}/${this.#made}`;
    const spec = { name, sizeBytes: 1n, pages: PagePolicy.NEVER, lifetime: Lifetime.PERSISTENT, ...more };
    await mappings.createMapping(spec, options);
    return () => mappings.deleteMapping({ name }, options);
  }

  async #openSession() {
    const stop = new AbortController();
    const { sessions } = this.rpc;
    const stream = sessions.openSession({ name: 'one more' }, { signal: stop.signal })[Symbol.asyncIterator]();
    const { value } = await stream.next();
    return async () => {
      const { options } = this.rpc;
      await sessions.evictSession({ sessionId: value?.sessionId ?? 0n }, options);
      stop.abort();
      await stream.next().catch(() => undefined);
    };
  }

  async #lease() {
    const { leases, options } = this.rpc;
    const { lease } = await leases.acquireLease({ name: SHARED, mode: LeaseMode.SHARED, ttlMs: 60_000 }, options);
    const ref = { mappingId: lease?.mappingId ?? 0n, holdId: lease?.holdId ?? 0n };
    return () => leases.releaseLease(ref, options);
  }

  async #join() {
    const { mappings, options } = this.rpc;
    const { attachment } = await mappings.attachMapping({ name: SHARED, access: Access.READ }, options);
    return () => mappings.detachMapping({ attachmentId: attachment?.attachmentId ?? 0n }, options);
  }

  close(): void {
    this.rpc.close();
    this.#attach.close();
  }
}
