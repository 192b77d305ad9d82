/** Every case there is. */
import { CHANNEL_CASES } from './channel/channel-cases.ts';
import type { ExplorerCase } from './explorer-case.ts';
import { LOCK_CASES } from './lock/lock-cases.ts';

export const ALL_CASES: readonly ExplorerCase[] = [...CHANNEL_CASES, ...LOCK_CASES];

/** @throws Error when there is none of that name. */
export function caseNamed(name: string): ExplorerCase {
  const found = ALL_CASES.find((candidate) => candidate.name === name);
  if (found !== undefined) return found;
  throw new Error(`there is no case "${name}"; there are ${ALL_CASES.map((candidate) => candidate.name).join(', ')}`);
}
