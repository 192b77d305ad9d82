/** The real channel, every interleaving, within the bounds that every run can afford. Deeper: `npm run explore`. */
import { describe, it } from 'vitest';
import { CHANNEL_CASES } from './cases/channel/channel-cases.ts';
import { loadCodeUnderTest } from './code-under-test.ts';
import { TIME_LIMIT, verify } from './testing/verify.ts';

const code = await loadCodeUnderTest();

describe('the channel keeps its promises in every interleaving', () => {
  it.each(CHANNEL_CASES)('$name: $title', TIME_LIMIT, (explored) => verify(code, explored));
});
