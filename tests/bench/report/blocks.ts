/**
 * The parts of a hand-written document that a run of a benchmark fills: what is between two markers, and single figures in a sentence.
 * Invariant: everything else stays as it was written, and a part without its place, or a place without its part, is an error.
 */

/** Between `<!-- NAME:begin -->` and `<!-- NAME:end -->`, each on a line of its own. */
export interface Block {
  readonly name: string;
  /** How errors call the document. */
  readonly document: string;
}

/** `text` with `lines` in the block. @throws Error when the markers are not there, once each and in order. */
export function replaceBlock(text: string, { name, document }: Block, lines: string): string {
  const [begin, end] = [`<!-- ${name}:begin -->`, `<!-- ${name}:end -->`];
  const [before, rest, ...moreBegins] = text.split(begin);
  const [, after, ...moreEnds] = rest?.split(end) ?? [];
  if (before === undefined || after === undefined || moreBegins.length > 0 || moreEnds.length > 0) {
    throw new Error(`${document} must have one ${begin} and, after it, one ${end}`);
  }
  return `${before}${begin}\n${lines}\n${end}${after}`;
}

/** Every block of the document that is called PREFIX, or PREFIX and something. @throws Error when one of them is not among `blocks`. */
export function replaceBlocks(
  text: string,
  document: string,
  prefix: string,
  blocks: Readonly<Record<string, string>>,
): string {
  for (const [, name = ''] of text.matchAll(/<!-- ([\w-]+):begin -->/g)) {
    if ((name === prefix || name.startsWith(`${prefix}-`)) && !Object.hasOwn(blocks, name)) {
      throw new Error(
        `${document} has a block ${name}, of which nothing is known: there are ${Object.keys(blocks).join(', ')}`,
      );
    }
  }
  return Object.entries(blocks).reduce((done, [name, lines]) => replaceBlock(done, { name, document }, lines), text);
}

const FIGURE = /<!-- = ([^>]*?) -->[^<]*<!-- \/ -->/g;

/**
 * `<!-- = WHAT -->…<!-- / -->`, in a sentence, with what `textOf(WHAT)` gives. It throws for what it does not know.
 * @throws Error when one begins a line: in Markdown that line would be HTML, and end the paragraph.
 */
export function replaceFigures(text: string, document: string, textOf: (what: string) => string): string {
  const first = /^[ \t]*<!-- = .*/m.exec(text)?.[0];
  if (first !== undefined)
    throw new Error(`${document}: a line may not begin with a figure, as this one does: ${first}`);
  return text.replace(FIGURE, (_, what: string) => `<!-- = ${what} -->${textOf(what)}<!-- / -->`);
}
