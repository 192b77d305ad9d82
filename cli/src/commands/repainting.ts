/**
 * A text on the terminal of stdout that is painted over and over, in place. Invariants: each picture is one write, which leaves the cursor
 * visible and line wrapping on, so that nothing is to be restored however the process ends; no picture is taller than the terminal.
 */
import type { CliContext } from '../program/context.ts';

const HIDE_CURSOR = '\u001b[?25l';
const SHOW_CURSOR = '\u001b[?25h';
/** The terminal cuts what is too wide; it knows how wide characters are. */
const NO_WRAP = '\u001b[?7l';
const WRAP = '\u001b[?7h';
const CLEAR_LINE = '\u001b[2K';
const CLEAR_BELOW = '\u001b[J';
/** Of a terminal that nobody gave a size. */
const ROWS_DEFAULT = 24;

export class Repainting {
  readonly #context: CliContext;
  #height = 0;

  constructor(context: CliContext) {
    this.#context = context;
  }

  paint(lines: readonly string[]): void {
    const { stdout } = this.#context;
    const shown = fitted(lines, (stdout.rows || ROWS_DEFAULT) - 1);
    const back = this.#height > 0 ? `\u001b[${this.#height}A\r` : '';
    const text = shown.map((line) => `${CLEAR_LINE}${line}\n`).join('');
    stdout.write(`${HIDE_CURSOR}${NO_WRAP}${back}${text}${CLEAR_BELOW}${WRAP}${SHOW_CURSOR}`);
    this.#height = shown.length;
  }
}

/** At most `rows` lines; the last one says how many are missing. */
function fitted(lines: readonly string[], rows: number): readonly string[] {
  const most = Math.max(rows, 2);
  if (lines.length <= most) return lines;
  const missing = lines.length - most + 1;
  return [...lines.slice(0, most - 1), `… ${missing} more: a taller terminal or --prefix shows them`];
}
