/** How long the broker takes to answer while it populates, against when it has nothing to do, in turn. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { CHECKS, type CheckId, type CheckTimes, type HealthResult } from './memory-figures.ts';
import { type Lab, Samples } from './memory-lab.ts';
import { distribution } from './memory-measure.ts';
import type { Kind } from './memory-plan.ts';
import { bytesText } from './memory-report.ts';

const NAME = 'bench/populate';
/** As the broker populates. */
const STEP_BYTES = 64 * 2 ** 20;
const CHECK_IDS = Object.keys(CHECKS) as CheckId[];

type Key = Pick<HealthResult, 'check' | 'during'>;

/** Checks of the other process during `work`. */
async function checksDuring(lab: Lab, work: () => Promise<unknown>): Promise<CheckTimes> {
  await lab.user.ask({ do: 'start-checks' });
  try {
    await work();
  } finally {
    await lab.user.ask({ do: 'stop-checks' });
  }
  return lab.user.ask<CheckTimes>({ do: 'collect-checks' });
}

export async function measureHealth(lab: Lab): Promise<HealthResult[]> {
  const { rounds, sizeBytes, idleMs } = lab.plan.health;
  const samples = new Samples<Key>();
  const add = (during: Key['during'], times: CheckTimes): void => {
    for (const check of CHECK_IDS) samples.add({ check, during }, ...times[check]);
  };
  for (let round = 0; round < rounds; round += 1) {
    add('idle', await checksDuring(lab, () => sleep(idleMs)));
    add('bystander', await checksDuring(lab, () => takeElsewhere(sizeBytes)));
    for (const kind of ['base', 'hugetlb-2m'] as const) {
      const populate = (): Promise<CheckTimes> => duringPopulate(lab, kind, sizeBytes);
      const times = await lab.attempt(
        `health while ${bytesText(sizeBytes)} of ${kind} are populated`,
        kind,
        sizeBytes,
        populate,
      );
      if (times !== null) add(kind, times);
    }
  }
  return samples.map((key, values) => ({ ...key, sizeBytes, latency: distribution(values) }));
}

/** What the same work costs the checks when it is not the broker's: a process, on whatever core, that fills new memory step by step. */
async function takeElsewhere(sizeBytes: number): Promise<void> {
  const steps = `for (let left = ${sizeBytes}; left > 0; left -= ${STEP_BYTES}) Buffer.alloc(${STEP_BYTES}).fill(1);`;
  const [code] = await once(spawn(process.execPath, ['--eval', steps], { stdio: 'inherit' }), 'exit');
  if (code !== 0) throw new Error(`the bystander ended (${code})`);
}

/** Only the creation is under the checks, not the deletion. */
async function duringPopulate(lab: Lab, kind: Kind, sizeBytes: number): Promise<CheckTimes> {
  await lab.warmUp(NAME, sizeBytes, kind);
  const times = await checksDuring(lab, () => lab.create(NAME, sizeBytes, kind));
  await lab.creator.ask({ do: 'delete', name: NAME });
  return times;
}
