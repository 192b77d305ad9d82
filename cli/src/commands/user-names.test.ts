import { describe, expect, it } from 'vitest';
import { parseUserNames, readUserNames } from './user-names.ts';

describe('the names of users', () => {
  it('are those of passwd, the first for each uid', () => {
    const names = parseUserNames(
      'root:x:0:0:root:/root:/bin/sh\n\n# no user\ntoor:x:0:0::/:\nada:x:1000:1000:Ada,,,:/home/ada:\n',
    );
    expect([...names]).toEqual([
      [0, 'root'],
      [1000, 'ada'],
    ]);
  });

  it('are numbers when nobody has named them', () => {
    expect(parseUserNames('+::::::\nx:y\nada:x:many:1::/:').size).toBe(0);
    expect(readUserNames('/nowhere')(1234)).toBe('1234');
  });
});
