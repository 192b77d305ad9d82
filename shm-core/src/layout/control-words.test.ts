/**
 * Control words are touched through control-words.ts and in no other way. The compiler holds that for what has their types; here the
 * sources are searched for what would get round it. Tests may look at the bytes as they like.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  add32,
  and32,
  cas32,
  cas64,
  controlWords,
  load32,
  load64,
  or32,
  store32,
  store64,
  wideControlWords,
} from './control-words.ts';

const SOURCES = join(import.meta.dirname, '..');
const HOME = 'layout/control-words.ts';

/** Blanks out comments, leaving strings and line numbers as they are. */
const withoutComments = (text: string): string =>
  text.replaceAll(/'(?:\\.|[^'\\\n])*'|\/\*[\s\S]*?\*\/|\/\/.*/g, (found) =>
    found.startsWith("'") ? found : found.replaceAll(/[^\n]/g, ' '),
  );

/** Lines that name the global, or that may make plain memory of control words. */
function waysRound(file: string, text: string): string[] {
  return withoutComments(text)
    .split('\n')
    .flatMap((line, i) => (/\bAtomics\b|\bas\s+unknown\s+as\b|\bas\s+never\b/.test(line) ? [`${file}:${i + 1}`] : []));
}

const productSources = readdirSync(SOURCES, { recursive: true, encoding: 'utf8' }).filter(
  (file) => file.endsWith('.ts') && !file.endsWith('.test.ts') && !/(^|\/)testing\//.test(file),
);

describe('the sources of shm-core', () => {
  it('touch control words in one file only', () => {
    const found = productSources
      .filter((file) => file !== HOME)
      .flatMap((file) => waysRound(file, readFileSync(join(SOURCES, file), 'utf8')));
    expect(found).toEqual([]);
  });

  it('are searched where control words are used, and where they are at home', () => {
    expect(productSources).toEqual(expect.arrayContaining([HOME, 'channel/publisher.ts', 'lock/participant-lock.ts']));
    expect(waysRound(HOME, readFileSync(join(SOURCES, HOME), 'utf8'))).not.toEqual([]);
  });

  it.each([
    'const seen = Atomics.load(words, 0);',
    'const { load } = Atomics;',
    'const plain = page.words as unknown as Int32Array;',
    "const url = 'http://x'; Atomics.notify(words, 0);",
    '/* why */ globalThis.Atomics.store(words, 0, 1);',
  ])('would be refused: %s', (line) => {
    expect(waysRound('x.ts', `\n${line}\n`)).toEqual(['x.ts:2']);
  });

  it('may speak of Atomics', () => {
    expect(waysRound('x.ts', '/**\n * One `Atomics` operation.\n */\nlet x; // Atomics\n')).toEqual([]);
  });
});

describe('control words', () => {
  it('cannot be touched by an index: that does not compile', () => {
    const narrow = controlWords(new Int32Array(2));
    const wide = wideControlWords(new Int32Array(2));
    // @ts-expect-error: no index signature
    const first = narrow[0];
    // @ts-expect-error: no index signature
    const firstWide = wide[0];
    expect([first, firstWide]).toEqual([0, 0n]);
  });

  it('are the memory that they were made of', () => {
    const memory = new Uint32Array(new ArrayBuffer(32), 8, 4);
    const narrow = controlWords(memory);
    const wide = wideControlWords(memory);
    store32(narrow, 2, -2);
    store32(narrow, 3, 1);
    expect([narrow.length, wide.length, memory[2], load32(narrow, 2)]).toEqual([4, 2, 0xffff_fffe, -2]);
    expect(load64(wide, 1)).toBe(0x1_ffff_fffen);
  });

  it('change only when they are what was expected', () => {
    const memory = new Int32Array(4);
    const narrow = controlWords(memory);
    const wide = wideControlWords(memory);
    expect([cas32(narrow, 0, 1, 5), cas32(narrow, 0, 0, -1), load32(narrow, 0)]).toEqual([false, true, -1]);
    store64(wide, 1, 2n ** 64n - 1n);
    expect([cas64(wide, 1, 0n, 5n), cas64(wide, 1, 2n ** 64n - 1n, 7n), load64(wide, 1)]).toEqual([false, true, 7n]);
  });

  it('keep the other bits, and tell the value before a sum', () => {
    const narrow = controlWords(new Int32Array(1));
    or32(narrow, 0, 0b1100);
    and32(narrow, 0, ~0b0100);
    expect([add32(narrow, 0, 1), load32(narrow, 0)]).toEqual([0b1000, 0b1001]);
  });
});
