/** The gRPC server: our services, health and reflection, behind a listener that knows who calls. */
import * as grpc from '@grpc/grpc-js';
import { ReflectionService } from '@grpc/reflection';
import {
  AdminService,
  ChannelService,
  LEASEHOLD_SERVICES,
  LeaseService,
  MappingService,
  reflectionPackageDefinition,
  SessionService,
  serviceDefinition,
} from '@leasehold/proto';
import { HealthImplementation } from 'grpc-health-check';
import { connectDenial } from '../attach/connect-denial.ts';
import type { GateOptions } from '../attach/connection-gate.ts';
import type { Clock } from '../domain/ports.ts';
import { adminService } from './admin-service.ts';
import { CallTurns } from './call-turns.ts';
import { channelService } from './channel-service.ts';
import { ControlListener } from './control-listener.ts';
import { leaseService } from './lease-service.ts';
import { mappingService } from './mapping-service.ts';
import type { RpcContext } from './rpc-context.ts';
import { sessionService } from './session-service.ts';

/** Six times the largest legal request. */
const REQUEST_BYTES_MAX = 2 ** 16;
/** A publisher is a stream, and a client has one connection: enough for its publishers and some calls. */
const CONCURRENT_STREAMS_MAX = 128;
/** What Node may keep for one connection before it takes no more streams of it, MB. */
const CONNECTION_MEMORY_MB_MAX = 10;
const LIVENESS = 'leasehold-liveness';
/** Serving only while the broker takes something new. */
const READINESS_SERVICES = ['', 'leasehold-readiness', ...LEASEHOLD_SERVICES.map(({ typeName }) => typeName)];

export type RpcServerContext = Omit<RpcContext, 'peerOf' | 'clock' | 'watches' | 'callers' | 'turns'>;

export interface RpcServerOptions {
  readonly path: string;
  readonly mode: number;
  readonly clock: Clock;
  readonly context: RpcServerContext;
}

export class RpcServer {
  readonly #server: grpc.Server;
  readonly #listener: ControlListener;
  readonly #health: HealthImplementation;

  private constructor(server: grpc.Server, listener: ControlListener, health: HealthImplementation) {
    this.#server = server;
    this.#listener = listener;
    this.#health = health;
  }

  /** @throws Error with errno when the path cannot be bound. */
  static async open({ path, mode, clock, context }: RpcServerOptions): Promise<RpcServer> {
    const { limits } = context.core;
    // A call can only come in once there is a listener.
    let listener: ControlListener | undefined;
    const server = new grpc.Server({
      // Figures of every call and message that nobody could ask for: its service is not served.
      'grpc.enable_channelz': 0,
      'grpc.max_receive_message_length': REQUEST_BYTES_MAX,
      'grpc.max_concurrent_streams': CONCURRENT_STREAMS_MAX,
      'grpc-node.max_session_memory': CONNECTION_MEMORY_MB_MAX,
      interceptors: [
        (_method, call) => {
          listener?.noteCall(call.getPeer());
          // Nothing is to be put around it, which would cost every message: it does what its type says, without being of that class.
          return call as grpc.ServerInterceptingCall;
        },
      ],
    });
    const health = addServices(server, {
      ...context,
      clock,
      watches: new WeakMap(),
      callers: new WeakMap(),
      turns: new CallTurns(limits.callsPerTurn),
      peerOf: (connectionId) => listener?.peerOf(connectionId),
    });
    const injector = server.createConnectionInjector(grpc.ServerCredentials.createInsecure());
    try {
      listener = await ControlListener.open({
        path,
        mode,
        clock,
        logger: context.logger,
        gate: gateOf(context),
        firstCallMs: limits.firstCallMs,
        onConnection: (socket) => injector.injectConnection(socket),
      });
    } catch (error) {
      server.forceShutdown();
      throw error;
    }
    return new RpcServer(server, listener, health);
  }

  setReady(ready: boolean): void {
    for (const service of READINESS_SERVICES) this.#health.setStatus(service, ready ? 'SERVING' : 'NOT_SERVING');
  }

  async close(): Promise<void> {
    this.setReady(false);
    this.#server.forceShutdown();
    await this.#listener.close();
  }
}

function gateOf({ core, facts }: RpcServerContext): GateOptions {
  const { limits } = core;
  return {
    placesMax: limits.controlConnections,
    placesReserved: limits.controlConnectionsReserved,
    perUidMax: limits.controlConnectionsPerUid,
    deniedPerUidMax: limits.deniedConnectionsPerUid,
    deniedMax: limits.deniedConnections,
    ownUid: facts.uid,
    mayConnect: (peer) => connectDenial(core, peer) === null,
  };
}

function addServices(server: grpc.Server, context: RpcContext): HealthImplementation {
  server.addService(serviceDefinition(MappingService), mappingService(context));
  server.addService(serviceDefinition(ChannelService), channelService(context));
  server.addService(serviceDefinition(LeaseService), leaseService(context));
  server.addService(serviceDefinition(SessionService), sessionService(context));
  server.addService(serviceDefinition(AdminService), adminService(context));
  const health = new HealthImplementation({ [LIVENESS]: 'SERVING' });
  health.addToServer(server);
  new ReflectionService(reflectionPackageDefinition()).addToServer(server);
  return health;
}
