import { pino } from 'pino';
import { describe, expect, it } from 'vitest';
import { statusOf } from './failures.ts';

const logger = pino({ level: 'silent' });
const RESOURCE_EXHAUSTED = 8;
const INTERNAL = 13;

describe('what a caller is told', () => {
  it.each(['EMFILE', 'ENFILE'])('is that descriptors are exhausted, whichever call said %s', (code) => {
    const error = Object.assign(new Error(`${code}: too many open files, open '/proc/meminfo'`), { code });
    expect(statusOf(error, logger)).toMatchObject({
      code: RESOURCE_EXHAUSTED,
      details: expect.stringContaining('no file descriptors left'),
    });
  });

  it('is nothing of a defect but the id of its line in the log', () => {
    const { code, details } = statusOf(new Error('the secret'), logger);
    expect(code).toBe(INTERNAL);
    expect(details).not.toContain('secret');
  });
});
