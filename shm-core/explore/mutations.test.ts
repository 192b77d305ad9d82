/** The explorer finds what it is there to find: each fault is put in, and must come out, with a schedule that shows it. */
import { describe, expect, it } from 'vitest';
import { caseNamed } from './cases/all-cases.ts';
import type { ExplorerCase } from './cases/explorer-case.ts';
import { reuseModel } from './cases/lock/lock-succession.ts';
import { type CodeUnderTest, loadCodeUnderTest } from './code-under-test.ts';
import { search, type Violation } from './engine/search.ts';
import { MUTATIONS } from './mutations.ts';
import { TIME_LIMIT, withSchedule } from './testing/verify.ts';

/** With as few preemptions as it takes: what is found first is the easiest to read. */
function findFault(code: CodeUnderTest, explored: ExplorerCase): Violation | null {
  for (const bound of [1, 2, 3, explored.ciBound]) {
    const { violation } = search(() => explored.model(code), { bound });
    if (violation !== null) return violation;
  }
  return null;
}

describe('the explorer finds that', () => {
  it.each(MUTATIONS)('$name', TIME_LIMIT, async (mutation) => {
    const code = await loadCodeUnderTest([mutation]);
    const explored = caseNamed(mutation.case);
    const violation = findFault(code, explored);
    expect(violation).not.toBeNull();
    if (violation !== null) expect(withSchedule(code, explored, violation)).toContain(violation.message);
  });

  it('a generation is used again', TIME_LIMIT, async () => {
    const code = await loadCodeUnderTest();
    const explored = { ...caseNamed('reuse'), model: (mutated: CodeUnderTest) => reuseModel(mutated, 1) };
    expect(findFault(code, explored)).not.toBeNull();
  });
});

describe('a mutation', () => {
  it('whose text is not in its file exactly once is refused', async () => {
    const edit = { file: 'lock/hold-id.ts', from: 'const', to: 'let' };
    await expect(loadCodeUnderTest([edit])).rejects.toThrow('times instead of once');
  });
});
