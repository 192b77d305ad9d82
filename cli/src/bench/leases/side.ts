/** One side of the leases, or a holder that is to be killed, a process of its own. */
import { connect, type Mapping } from '@leasehold/client';
import { answerQuestions } from '../answering.ts';
import { LEASE_MAPPINGS, type TakeId } from './figures.ts';
import { handOver, holdUntilKilled, outlive, untilSomebodyWaits } from './hand-over.ts';
import { prepareLeases, timeTakes } from './takes.ts';

export type LeaseQuestion =
  | { readonly do: 'open'; readonly mapping: keyof typeof LEASE_MAPPINGS }
  | { readonly do: 'take'; readonly id: TakeId; readonly batches: number }
  /** To both sides at once. */
  | { readonly do: 'hand over'; readonly count: number }
  | { readonly do: 'hold until killed' }
  /** Answered when this side waits in the broker's queue; `collect` says when it was granted. */
  | { readonly do: 'wait' }
  | { readonly do: 'collect' };

const broker = await connect({ name: 'bench-leases' });
const mappings = new Map<string, Mapping>();
let grantedNs: Promise<number> | null = null;

async function open(name: keyof typeof LEASE_MAPPINGS): Promise<void> {
  mappings.set(name, await prepareLeases(broker, LEASE_MAPPINGS[name]));
}

function mappingOf(name: keyof typeof LEASE_MAPPINGS): Mapping {
  const mapping = mappings.get(name);
  if (mapping === undefined) throw new Error(`${name} was not opened here`);
  return mapping;
}

async function waitForDeath(): Promise<void> {
  const mapping = mappingOf('deaths');
  grantedNs = outlive(mapping);
  // Whoever collects it is told.
  grantedNs.catch(() => undefined);
  await untilSomebodyWaits(broker, mapping.name);
}

answerQuestions<LeaseQuestion>((question) => {
  switch (question.do) {
    case 'open':
      return open(question.mapping);
    case 'take':
      return timeTakes(mappingOf('takes'), question.id, question.batches);
    case 'hand over':
      return handOver(broker, mappingOf('handOvers'), question.count);
    case 'hold until killed':
      return holdUntilKilled(mappingOf('deaths'));
    case 'wait':
      return waitForDeath();
    case 'collect':
      return grantedNs;
  }
});
