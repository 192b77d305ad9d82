import { describe, expect, it } from 'vitest';
import { colorsFor, formatBytes, printable, printJson, printJsonLine, printTable } from './output.ts';
import { fakeContext } from './testing/fake-context.ts';

describe('printTable', () => {
  it('aligns columns without borders or trailing blanks', () => {
    const context = fakeContext();
    printTable(
      context,
      [{ heading: 'NAME' }, { heading: 'FRAMES', align: 'right' }],
      [
        ['cameras/front', 7],
        ['b', 12_345n],
      ],
    );
    expect(context.printed.out).toBe('NAME           FRAMES\ncameras/front       7\nb               12345\n');
  });

  it('makes visible what a client put into its name to steer the terminal', () => {
    const context = fakeContext();
    printTable(context, [{ heading: 'NAME' }], [['a\u001b[31m\nb\u202Ec']]);
    expect(context.printed.out).toBe('NAME\na\uFFFD[31m\uFFFDb\uFFFDc\n');
    expect(printable('Zoë 1')).toBe('Zoë 1');
  });
});

describe('printJson', () => {
  it('writes one document, u64 as text', () => {
    const context = fakeContext();
    printJson(context, { sequence: 2n ** 63n });
    expect(JSON.parse(context.printed.out)).toEqual({ sequence: '9223372036854775808' });
  });

  it('writes one line for each document of a stream', () => {
    const context = fakeContext();
    printJsonLine(context, { a: [1, 2] });
    printJsonLine(context, { b: 'x\ny' });
    expect(
      context.printed.out
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line)),
    ).toEqual([{ a: [1, 2] }, { b: 'x\ny' }]);
  });
});

describe('colorsFor', () => {
  it('colours terminals only, and obeys NO_COLOR, FORCE_COLOR and dumb terminals', () => {
    const colored = (tty: boolean, env: Record<string, string> = {}) =>
      colorsFor(fakeContext({ tty, env }), 'stdout').bold('x') !== 'x';
    expect(colored(true)).toBe(true);
    expect(colored(false)).toBe(false);
    expect(colored(true, { NO_COLOR: '1' })).toBe(false);
    expect(colored(true, { TERM: 'dumb' })).toBe(false);
    expect(colored(false, { FORCE_COLOR: '1' })).toBe(true);
    expect(colored(false, { FORCE_COLOR: '1', NO_COLOR: '1' })).toBe(false);
  });
});

describe('formatBytes', () => {
  it('chooses the unit', () => {
    expect([0, 1023, 1024, 8_294_400, 2 ** 40, 2 ** 52].map(formatBytes)).toEqual([
      '0 B',
      '1023 B',
      '1 KiB',
      '7.9 MiB',
      '1 TiB',
      '4096 TiB',
    ]);
  });
});
