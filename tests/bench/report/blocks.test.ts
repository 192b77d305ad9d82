import { describe, expect, it } from 'vitest';
import { replaceBlock, replaceBlocks, replaceFigures } from './blocks.ts';

const BLOCK = { name: 'bench', document: 'the README' };

describe('a block', () => {
  it('gets its lines between its markers, as they are, and the rest is kept', () => {
    const text = 'a\n<!-- bench:begin -->\nold\n<!-- bench:end -->\nb\n';
    expect(replaceBlock(text, BLOCK, 'new $&')).toBe('a\n<!-- bench:begin -->\nnew $&\n<!-- bench:end -->\nb\n');
  });

  it.each([
    ['no markers', 'a'],
    ['no end', 'a <!-- bench:begin --> b'],
    ['the end first', 'a <!-- bench:end --> b <!-- bench:begin -->'],
    ['two of them', '<!-- bench:begin --><!-- bench:end --><!-- bench:begin --><!-- bench:end -->'],
  ])('is refused with %s', (_, text) => {
    expect(() => replaceBlock(text, BLOCK, 'x')).toThrow('the README must have one <!-- bench:begin -->');
  });
});

describe('the blocks of a document', () => {
  const text = '<!-- bench-a:begin -->\n<!-- bench-a:end -->\n<!-- demo:begin -->\nkept\n<!-- demo:end -->\n';

  it('are all filled, and blocks of others are left alone', () => {
    const filled = replaceBlocks(text, 'the page', 'bench', { 'bench-a': 'lines' });
    expect(filled).toContain('<!-- bench-a:begin -->\nlines\n<!-- bench-a:end -->');
    expect(filled).toContain('<!-- demo:begin -->\nkept\n<!-- demo:end -->');
  });

  it('must be known, every one of them, and be there', () => {
    expect(() => replaceBlocks(text, 'the page', 'bench', {})).toThrow(
      'the page has a block bench-a, of which nothing',
    );
    const blocks = { 'bench-a': '', 'bench-b': '' };
    expect(() => replaceBlocks(text, 'the page', 'bench', blocks)).toThrow('must have one <!-- bench-b:begin -->');
  });
});

describe('a figure in a sentence', () => {
  it('is replaced where it stands, and can be replaced again', () => {
    const once = replaceFigures('takes <!-- = p50 a/b --><!-- / --> here', 'the page', (what) => `[${what}]`);
    expect(once).toBe('takes <!-- = p50 a/b -->[p50 a/b]<!-- / --> here');
    expect(replaceFigures(once, 'the page', () => '7 ns')).toBe('takes <!-- = p50 a/b -->7 ns<!-- / --> here');
  });

  it('may not begin a line, which would then be HTML to Markdown', () => {
    const replace = () => replaceFigures('a\n<!-- = p50 a --><!-- / --> b', 'the page', () => '');
    expect(replace).toThrow('the page: a line may not begin with a figure');
  });
});
