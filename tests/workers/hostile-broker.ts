/**
 * A broker with limits and a policy that `leasehold serve` does not offer yet. argv: runtime directory, state directory, and JSON:
 * `limits` and `quotas` as the broker takes them, `mayDo`: actions that every user may do beside root.
 */
import {
  type Action,
  createLog,
  type Limits,
  nextEpoch,
  openRuntimeDir,
  type QuotaSettings,
  startBroker,
} from '@leasehold/broker';
import { settledMemory } from '../leaks/settled-memory.ts';
import { serveQuestions } from '../support/worker-side.ts';

export interface SpecialOptions {
  readonly limits?: Partial<Limits>;
  readonly quotas?: QuotaSettings;
  readonly mayDo?: readonly Action[];
}

const [, , path = '', stateDir = '', json = '{}'] = process.argv;
const { limits = {}, quotas = {}, mayDo = [] } = JSON.parse(json) as SpecialOptions;
const runtimeDir = openRuntimeDir({ path, system: true });
await startBroker({
  runtimeDir,
  epoch: await nextEpoch({ stateDir }),
  logger: createLog('warn').logger,
  limits,
  quotas,
  policy: ({ uid }, action) =>
    uid === 0 || mayDo.includes(action) ? { allowed: true } : { allowed: false, why: 'the test does not allow it' },
});

serveQuestions((question: 'ready' | 'settled-memory') => (question === 'ready' ? question : settledMemory()));
