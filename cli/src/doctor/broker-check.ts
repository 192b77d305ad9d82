/** Whether a broker answers, and who. None is no fault: `doctor` is for before, too. */
import { type BrokerInfo, LeaseholdError } from '@leasehold/client';
import { type Check, fail, ok, warn } from './check.ts';

export interface BrokerFindings {
  readonly check: Check;
  /** Null when none answers. */
  readonly info: BrokerInfo | null;
}

/** `ask` rejects as `connect` does. @throws what is no LeaseholdError, and ABORTED. */
export async function examineBroker(ask: () => Promise<BrokerInfo>, ownVersion: string): Promise<BrokerFindings> {
  try {
    const info = await ask();
    return { check: checkBroker(info, ownVersion), info };
  } catch (error) {
    if (!(error instanceof LeaseholdError) || error.code === 'ABORTED') throw error;
    return { check: checkSilence(error), info: null };
  }
}

function checkBroker(info: BrokerInfo, ownVersion: string): Check {
  const name = 'broker';
  const { version, pid, uid, runtimeDir, draining } = info;
  const found = `version ${version}, pid ${pid}, uid ${uid}, in ${runtimeDir}`;
  if (draining) return warn(name, `${found}; it is shutting down`, 'leasehold serve, when it has ended');
  if (version === ownVersion) return ok(name, found);
  return warn(name, `${found}; this command is version ${ownVersion}`, 'start the broker again with this version');
}

function checkSilence({ code, message }: LeaseholdError): Check {
  const name = 'broker';
  if (code === 'BROKER_UNREACHABLE') return warn(name, 'none answers', 'leasehold serve');
  if (code === 'DRAINING') return warn(name, 'one is shutting down', 'leasehold serve, when it has ended');
  if (code === 'PERMISSION_DENIED') return warn(name, message, 'run leasehold doctor as the user who runs the broker');
  return fail(name, message, 'leasehold health, and the log of the broker, say more');
}
