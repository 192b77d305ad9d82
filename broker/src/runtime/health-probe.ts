/** Asks a broker through `grpc.health.v1`, the way an orchestrator does: a connection of its own for each question. */
import * as grpc from '@grpc/grpc-js';
import { LeaseholdError } from '@leasehold/proto';
import { service as healthService } from 'grpc-health-check';

export const HealthServices = { liveness: 'leasehold-liveness', readiness: 'leasehold-readiness' } as const;
export type HealthService = (typeof HealthServices)[keyof typeof HealthServices];

export interface HealthProbe {
  /** Path of the broker's `control.sock`. */
  readonly controlSocket: string;
  readonly service: HealthService;
  /** How long the answer may take, ms. */
  readonly timeoutMs: number;
}

/**
 * Whether the service is SERVING.
 * @throws LeaseholdError BROKER_UNREACHABLE (nobody listens there), PERMISSION_DENIED (this user may not connect), TIMED_OUT.
 */
export async function probeHealth(probe: HealthProbe): Promise<boolean> {
  const method = healthService.Check;
  if (method === undefined) throw new LeaseholdError('INTERNAL', 'grpc.health.v1.Health has no method Check');
  const client = new grpc.Client(`unix:${probe.controlSocket}`, grpc.credentials.createInsecure());
  try {
    return await new Promise<boolean>((resolve, reject) => {
      client.makeUnaryRequest(
        method.path,
        method.requestSerialize,
        method.responseDeserialize,
        { service: probe.service },
        { deadline: Date.now() + probe.timeoutMs },
        (error, response) => {
          if (error !== null) return reject(toLeaseholdError(error, probe));
          resolve(isServing(response));
        },
      );
    });
  } finally {
    client.close();
  }
}

function isServing(response: unknown): boolean {
  return typeof response === 'object' && response !== null && 'status' in response && response.status === 'SERVING';
}

function toLeaseholdError(error: grpc.ServiceError, probe: HealthProbe): LeaseholdError {
  const { controlSocket, service, timeoutMs } = probe;
  const options = { metadata: { controlSocket, service }, cause: error };
  if (error.code === grpc.status.DEADLINE_EXCEEDED) {
    return new LeaseholdError('TIMED_OUT', `no answer on ${controlSocket} within ${timeoutMs} ms`, options);
  }
  if (error.code !== grpc.status.UNAVAILABLE) {
    return new LeaseholdError(
      'INTERNAL',
      `${controlSocket} did not answer as a broker does: ${error.details}`,
      options,
    );
  }
  if (/\b(EACCES|EPERM)\b/.test(error.details)) {
    return new LeaseholdError('PERMISSION_DENIED', `this user may not connect to ${controlSocket}`, options);
  }
  return new LeaseholdError('BROKER_UNREACHABLE', `no broker answers on ${controlSocket}: ${error.details}`, options);
}
