/** One line on a terminal's stderr that is written over and over; nothing at all in a pipe. */
import type { CliContext } from '../program/context.ts';

const INTERVAL_MS = 200;
const CLEAR_LINE = '\r\u001b[K';

export class ProgressLine {
  readonly #context: CliContext;
  #dueMs = 0;
  #shown = false;

  constructor(context: CliContext) {
    this.#context = context;
  }

  /** Cheap when it is too early for a new line: `text` is not asked for then. */
  update(text: () => string): void {
    const nowMs = performance.now();
    if (!this.#context.stderrIsTty || nowMs < this.#dueMs) return;
    this.#dueMs = nowMs + INTERVAL_MS;
    this.#write(text());
  }

  /** Leaves a last line standing. */
  end(text: () => string): void {
    if (!this.#context.stderrIsTty) return;
    this.#write(text());
    this.#context.stderr.write('\n');
    this.#shown = false;
  }

  /** Takes the line away, so that something else can be said. */
  clear(): void {
    if (this.#shown) this.#context.stderr.write(CLEAR_LINE);
    this.#shown = false;
  }

  #write(text: string): void {
    // A terminal that nobody gave a size says 0.
    this.#context.stderr.write(CLEAR_LINE + text.slice(0, (this.#context.stderr.columns || 80) - 1));
    this.#shown = true;
  }
}
