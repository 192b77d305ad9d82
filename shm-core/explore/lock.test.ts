/** The real lock, every interleaving, within the bounds that every run can afford. Deeper: `npm run explore`. */
import { describe, it } from 'vitest';
import { LOCK_CASES } from './cases/lock/lock-cases.ts';
import { loadCodeUnderTest } from './code-under-test.ts';
import { TIME_LIMIT, verify } from './testing/verify.ts';

const code = await loadCodeUnderTest();

describe('the lock keeps its promises in every interleaving', () => {
  it.each(LOCK_CASES)('$name: $title', TIME_LIMIT, (explored) => verify(code, explored));
});
