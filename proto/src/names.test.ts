// The rule for names, one case for each way to break it.
import { describe, expect, it } from 'vitest';
import { LeaseholdError } from './leasehold-error.ts';
import { checkName } from './names.ts';

function faultOf(name: unknown): LeaseholdError {
  try {
    checkName(name as string);
  } catch (error) {
    if (error instanceof LeaseholdError) return error;
    throw error;
  }
  throw new Error(`${JSON.stringify(name)} was accepted`);
}

describe('names', () => {
  it.each(['a', 'cameras/front', 'A-Z_0.9', '...', '.hidden', 'a/..b/c..', 'x'.repeat(200), '-', '__proto__'])(
    'accepts %j',
    (name) => {
      expect(() => checkName(name)).not.toThrow();
    },
  );

  it.each([
    ['', /it is empty/],
    ['x'.repeat(201), /it has 201 characters/],
    ['/a', /segment is empty/],
    ['a/', /segment is empty/],
    ['a//b', /segment is empty/],
    ['/', /segment is empty/],
    ['.', /segment is '\.'/],
    ['a/../b', /segment is '\.\.'/],
    ['a/.', /segment is '\.'/],
    ['a b', /character 2 is U\+0020/],
    ['a\\b', /character 2 is U\+005C/],
    ['nul\0', /character 4 is U\+0000/],
    ['line\n', /character 5 is U\+000A/],
    ['café', /character 4 is U\+00E9/],
    ['📷', /character 1 is U\+1F4F7/],
    ['\ud800', /character 1 is U\+D800/],
    [undefined, /not a string but undefined/],
    [7, /not a string but number/],
    [{ toString: () => 'a' }, /not a string but object/],
  ])('refuses %j and says why', (name, why) => {
    const error = faultOf(name);
    expect(error.code).toBe('INVALID_NAME');
    expect(error.message).toMatch(why);
  });

  it('repeats no more of a wrong name than a name may have', () => {
    expect(faultOf('x'.repeat(1_000_000)).message.length).toBeLessThan(500);
  });
});
