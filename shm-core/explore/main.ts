/**
 * `npm run explore`: explores the cases deeper than every run of the tests does, at random where the whole is out of reach, and replays
 * what was found.
 */
import { parseArgs } from 'node:util';
import { CHANNEL_CASES } from './cases/channel/channel-cases.ts';
import { LOCK_CASES } from './cases/lock/lock-cases.ts';
import { loadCodeUnderTest } from './code-under-test.ts';
import { encodeSchedule, replay } from './engine/schedule.ts';
import { search } from './engine/search.ts';

const { values } = parseArgs({
  options: {
    case: { type: 'string' },
    bound: { type: 'string' },
    seconds: { type: 'string' },
    replay: { type: 'string' },
    random: { type: 'string' },
  },
});
const code = await loadCodeUnderTest();
for (const c of [...CHANNEL_CASES, ...LOCK_CASES]) {
  if (values.case !== undefined && c.name !== values.case) continue;
  if (values.replay !== undefined) {
    const r = replay(c.model(code), values.replay);
    console.log(r.lines.join('\n'));
    console.log(r.message);
    continue;
  }
  const bound =
    values.bound === undefined ? c.ciBound : values.bound === 'none' ? Number.POSITIVE_INFINITY : Number(values.bound);
  const result = search(() => c.model(code), { bound, timeLimitMs: Number(values.seconds ?? 60) * 1000 });
  const { violation, ...rest } = result;
  console.log(c.name, JSON.stringify(rest));
  if (violation) {
    console.log(violation.message);
    const s = encodeSchedule(violation);
    console.log(s);
    const r = replay(c.model(code), s);
    console.log(r.lines.join('\n'));
    console.log(r.message);
  }
}
