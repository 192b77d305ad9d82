/**
 * A running broker: the one place where its parts are put together. Invariants: it is either wholly up or wholly down; `close` gives
 * back every descriptor, socket file and segment, in whatever state it finds them.
 */

import { totalmem } from 'node:os';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { openFilesLimit, raiseOpenFilesLimit } from '@leasehold/shm-core/internal';
import type { Logger } from 'pino';
import { AttachServer } from './attach/attach-server.ts';
import { BrokerBell } from './attach/broker-bell.ts';
import { SessionBells } from './attach/session-bells.ts';
import { descriptorsCheck, openFilesMax, systemBounds } from './descriptors.ts';
import { BrokerCore, type CoreObserver } from './domain/broker-core.ts';
import { DEFAULT_LIMITS, type Limits } from './domain/limits.ts';
import { ownerOnly, type Policy } from './domain/policy.ts';
import type { Clock, MemorySource } from './domain/ports.ts';
import { type QuotaSettings, quotaLimits } from './domain/quota-limits.ts';
import { guardedClock } from './guarded-clock.ts';
import { linuxMemory, systemClock, systemEntropy } from './platform.ts';
import type { BrokerFacts } from './rpc/rpc-context.ts';
import { RpcServer } from './rpc/rpc-server.ts';
import { hugePageGauge } from './runtime/huge-page-figures.ts';
import type { HugePagePool } from './runtime/huge-page-pool.ts';
import type { RuntimeDir } from './runtime/runtime-dir.ts';
import type { BrokerSnapshot, Readiness } from './snapshot.ts';
import { hugePagesSnapshot, takeSnapshot } from './take-snapshot.ts';
import { brokerVersion } from './version.ts';

/** Of the machine's memory, when no quota is given. The rest is for everybody else. */
const DEFAULT_QUOTA_SHARE = 0.8;
const DEFAULT_RESERVE_BYTES = 256 * 2 ** 20;
/** Below it the default quotas are cut by descriptors, and an operator should know. */
const OPEN_FILES_FEW = 4_096;
/** More than all quotas together need by default. */
const OPEN_FILES_WANTED = 2 ** 17;

export interface BrokerOptions {
  /** Opened and locked by the caller, who closes it after the broker. */
  readonly runtimeDir: RuntimeDir;
  /** Higher than that of any broker before on this machine: 1 to 65,535. */
  readonly epoch: number;
  readonly logger: Logger;
  /** Who may do what; by default root and the broker's own user everything, others nothing. */
  readonly policy?: Policy;
  /** The most memory that all mappings may take together, B; by default 80 % of the machine's. `quotas.total.bytes` goes before it. */
  readonly memoryQuotaBytes?: number;
  /** How much of what there may be, by user and in all, in place of the defaults (quota-limits.ts). */
  readonly quotas?: QuotaSettings;
  /** What is left free on the machine and in the control group, B; by default 256 MiB. */
  readonly reserveBytes?: number;
  readonly limits?: Partial<Limits>;
  /** `never`: nobody gets large pages, and whoever requires them is refused. By default `auto`. */
  readonly largePages?: 'auto' | 'never';
  /** How many files this process should be able to have open: its RLIMIT_NOFILE is raised that far if the system lets it. By default 131,072; 0 leaves it. */
  readonly openFilesWanted?: number;
  /** The pool of huge pages that the caller had grown and gives back, for the figures; absent: none was. */
  readonly hugePagePool?: Pick<HugePagePool, 'addedPages'>;
  readonly clock?: Clock;
}

export interface BrokerInfo extends BrokerFacts {
  readonly epoch: number;
  readonly draining: boolean;
}

export interface RunningBroker {
  info(): BrokerInfo;
  /** The state of this moment, as plain values. */
  snapshot(): BrokerSnapshot;
  readiness(): Readiness;
  /** Who may do what, for other ways in. */
  readonly policy: Policy;
  /** Takes nothing new and tells every session; resolves when all have left, or `drainMs` are over. */
  drain(drainMs: number): Promise<void>;
  /** Ends every session, closes and removes its sockets, gives all memory back. Idempotent. */
  close(): Promise<void>;
  /** Settles when the broker is closed, also when a client had it drained. */
  readonly closed: Promise<void>;
}

/** @throws Error with errno when a socket cannot be bound; RangeError for an epoch out of range. */
export async function startBroker(options: BrokerOptions): Promise<RunningBroker> {
  const broker = new Broker(options);
  await broker.open();
  return broker;
}

class Broker implements RunningBroker {
  readonly closed: Promise<void>;
  readonly policy: Policy;
  readonly #options: BrokerOptions;
  readonly #logger: Logger;
  readonly #clock: Clock;
  readonly #memory: MemorySource;
  readonly #openFilesMax: number;
  readonly #hugePages = hugePageGauge();
  readonly #facts: BrokerFacts;
  readonly #core: BrokerCore;
  readonly #bells: SessionBells;
  readonly #bell: BrokerBell;
  readonly #settleClosed: () => void;
  #attach: AttachServer | null = null;
  #rpc: RpcServer | null = null;
  #closing: Promise<void> | null = null;

  constructor(options: BrokerOptions) {
    const { runtimeDir, logger } = options;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.closed = promise;
    this.#settleClosed = resolve;
    this.#options = options;
    this.#logger = logger.child({ component: 'broker' });
    this.#clock = guardedClock(options.clock ?? systemClock, this.#logger);
    this.#memory = linuxMemory(options.largePages);
    this.#raiseOpenFiles(options.openFilesWanted ?? OPEN_FILES_WANTED);
    this.#openFilesMax = openFilesMax();
    const uid = process.geteuid?.() ?? 0;
    this.#facts = {
      version: brokerVersion(),
      pid: process.pid,
      uid,
      startTimeMs: this.#clock.nowMs(),
      runtimeDir: runtimeDir.path,
    };
    this.policy = options.policy ?? ownerOnly(uid);
    this.#bells = new SessionBells(
      runtimeDir.bellsDir,
      runtimeDir.socketMode,
      systemEntropy,
      logger.child({ component: 'bells' }),
    );
    this.#bell = this.#openBell();
    try {
      this.#core = new BrokerCore({
        ports: { clock: this.#clock, entropy: systemEntropy, memory: this.#memory, doorbells: this.#bells },
        policy: this.policy,
        limits: { ...DEFAULT_LIMITS, ...options.limits },
        quotas: quotaLimits(
          options.memoryQuotaBytes ?? Math.floor(totalmem() * DEFAULT_QUOTA_SHARE),
          options.quotas,
          systemBounds(),
        ),
        epoch: options.epoch,
        reserveBytes: options.reserveBytes ?? DEFAULT_RESERVE_BYTES,
        brokerBell: this.#bell.name,
        observer: logOf(logger.child({ component: 'core' })),
      });
    } catch (error) {
      this.#bell.close();
      this.#bells.close();
      throw error;
    }
  }

  #raiseOpenFiles(wanted: number): void {
    const before = openFilesLimit();
    const now = raiseOpenFilesLimit(wanted);
    this.#logger.info({ wanted, before, now }, 'open files (RLIMIT_NOFILE)');
    if (now.soft >= Math.min(wanted, OPEN_FILES_FEW)) return;
    this.#logger.warn({ openFiles: now.soft }, 'few descriptors for many clients: raise LimitNOFILE, or ulimit -n');
  }

  #openBell(): BrokerBell {
    try {
      const component = this.#options.logger.child({ component: 'broker-bell' });
      return new BrokerBell(this.#bells, () => this.#core.lockReleased(), component);
    } catch (error) {
      this.#bells.close();
      throw error;
    }
  }

  async open(): Promise<void> {
    const { runtimeDir, logger } = this.#options;
    const mode = runtimeDir.socketMode;
    try {
      this.#rpc = await RpcServer.open({
        path: runtimeDir.controlSocket,
        mode,
        clock: this.#clock,
        context: {
          core: this.#core,
          logger: logger.child({ component: 'rpc' }),
          facts: this.#facts,
          hugePages: () => hugePagesSnapshot(this.#core, this.#hugePages()),
          onDrain: (drainMs) => this.#drainAndClose(drainMs),
        },
      });
      this.#attach = new AttachServer({
        path: runtimeDir.attachSocket,
        mode,
        core: this.#core,
        bells: this.#bells,
        clock: this.#clock,
        logger: logger.child({ component: 'attach' }),
        brokerVersion: this.#facts.version,
        ownUid: this.#facts.uid,
      });
    } catch (error) {
      await this.close();
      throw error;
    }
    this.#rpc.setReady(true);
    this.#logger.info({ ...this.#facts, epoch: this.#core.epoch }, 'broker is ready');
  }

  info(): BrokerInfo {
    return { ...this.#facts, epoch: this.#core.epoch, draining: this.#core.draining };
  }

  snapshot(): BrokerSnapshot {
    return takeSnapshot(this.#core, {
      populatingBytes: this.#memory.promisedBytes,
      hugePages: this.#hugePages(),
      hugePagesAdded: this.#options.hugePagePool?.addedPages ?? 0,
    });
  }

  readiness(): Readiness {
    const listening = this.#attach !== null && this.#rpc !== null && this.#closing === null;
    const { draining } = this.#core;
    const checks = [
      { name: 'sockets', ok: listening, detail: listening ? 'both sockets are open' : 'the broker is closed' },
      { name: 'draining', ok: !draining, detail: draining ? 'the broker is shutting down' : 'new sessions are taken' },
      descriptorsCheck(this.#attach?.accepting ?? false, this.#openFilesMax),
    ];
    return { ready: checks.every(({ ok }) => ok), checks };
  }

  async drain(drainMs: number): Promise<void> {
    this.#logger.info({ drainMs, sessions: this.#core.sessions.count }, 'broker drains');
    this.#rpc?.setReady(false);
    await this.#core.drain(drainMs);
  }

  #drainAndClose(drainMs: number): void {
    this.drain(drainMs)
      // The answer to whoever asked for it may still be on its way out, which takes it a turn of the event loop, or two.
      .then(() => nextTurn())
      .then(() => nextTurn())
      .then(() => this.close())
      .catch((err: unknown) => this.#logger.error({ err }, 'draining failed'));
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    try {
      // Clients that stay may go on with what they have mapped, and ring one another.
      this.#bell.close();
      this.#bells.leave();
      this.#core.close();
      this.#attach?.close();
      await this.#rpc?.close();
    } finally {
      this.#bells.close();
      this.#settleClosed();
    }
    this.#logger.info('broker is closed');
  }
}

/** No token and no ticket comes near here. */
function logOf(logger: Logger): CoreObserver {
  return {
    sessionOpened: ({ id, name, peer }) =>
      logger.info({ sessionId: String(id), name, clientPid: peer.pid, uid: peer.uid }, 'session opened'),
    sessionEnded: ({ id, name, peer }, acknowledged) =>
      logger.info({ sessionId: String(id), name, clientPid: peer.pid, uid: peer.uid, acknowledged }, 'session ended'),
    mappingCreated: ({ id, name, memory, channel }) => {
      const { mappedBytes, pageKind } = memory.grant;
      logger.info({ mappingId: String(id), name, mappedBytes, pageKind, channel: channel !== null }, 'mapping created');
    },
    mappingDeleted: ({ id, name }) => logger.info({ mappingId: String(id), name }, 'mapping deleted'),
    leaseRemoved: ({ id, name }, hold, reason) => {
      const { mode, id: holdId } = hold;
      logger.info({ mappingId: String(id), name, holdId: String(holdId), mode, reason }, 'lease removed');
    },
    publisherPromoted: ({ id, name }, session, fencingToken) =>
      logger.info(
        { mappingId: String(id), name, sessionId: String(session.id), fencingToken: String(fencingToken) },
        'publisher promoted',
      ),
  };
}
