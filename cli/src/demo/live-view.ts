/** The demo while it runs: one block on a terminal's stderr, drawn over and over. In a pipe it draws nothing. */
import type { CliContext } from '../program/context.ts';
import { colorsFor } from '../program/output.ts';
import { pagesText } from './demo-report.ts';
import type { CameraFigures, PagesFigures, SubscriberFigures } from './messages.ts';
import { FOURCC, FRAME_BYTES, RASTER, SUBSCRIBER_NAMES, type SubscriberName } from './scene.ts';

const BAR_CELLS = 40;
const NAME_CHARACTERS = 11;

export interface LiveFigures {
  readonly elapsedS: number;
  readonly seconds: number;
  readonly pages: PagesFigures;
  readonly camera: CameraFigures | null;
  readonly subscribers: ReadonlyMap<SubscriberName, SubscriberFigures>;
}

type Colors = ReturnType<typeof colorsFor>;

export class LiveView {
  readonly #context: CliContext;
  readonly #colors: Colors;
  #lines = 0;

  constructor(context: CliContext) {
    this.#context = context;
    this.#colors = colorsFor(context, 'stderr');
  }

  /** Before there are figures. */
  showPhase(phase: string): void {
    this.#draw([this.#colors.dim(phase)]);
  }

  showFigures(figures: LiveFigures): void {
    this.#draw(liveLines(figures, this.#columns(), this.#colors));
  }

  /** Takes the block away. */
  clear(): void {
    if (this.#lines > 0) this.#context.stderr.write(`\u001b[${this.#lines}A\r\u001b[J`);
    this.#lines = 0;
  }

  #draw(lines: readonly string[]): void {
    if (!this.#context.stderrIsTty) return;
    const back = this.#lines > 0 ? `\u001b[${this.#lines}A\r` : '';
    // Line by line over the old text, then away with what is left of it: the block does not flicker.
    this.#context.stderr.write(`${back}${lines.map((line) => `${line}\u001b[K\n`).join('')}\u001b[J`);
    this.#lines = lines.length;
  }

  #columns(): number {
    return this.#context.stderr.columns || 80;
  }
}

/** No line is wider than `columns`. Exported for tests. */
export function liveLines(figures: LiveFigures, columns: number, colors: Colors): string[] {
  const { camera, subscribers, pages, seconds } = figures;
  const elapsedS = Math.min(figures.elapsedS, seconds);
  const cells = Math.min(BAR_CELLS, columns - 20);
  const filled = Math.max(0, Math.round((elapsedS / seconds) * cells));
  const clip = (text: string) => text.slice(0, columns);
  const cameraText =
    camera === null ? '' : `${frames(camera.frames)}  ${camera.fps.toFixed(1)} fps  dropped ${camera.dropped}`;
  return [
    colors.bold(
      clip(
        `${RASTER.width}×${RASTER.height} ${FOURCC}, ${(FRAME_BYTES / 1e6).toFixed(1)} MB a frame, pages: ${pagesText(pages)}`,
      ),
    ),
    '',
    colors.cyan(clip(`${'camera'.padEnd(NAME_CHARACTERS)}${cameraText}`)),
    ...SUBSCRIBER_NAMES.map((name) => clip(`${name.padEnd(NAME_CHARACTERS)}${subscriberText(subscribers.get(name))}`)),
    '',
    `${colors.green('█'.repeat(filled))}${colors.dim('░'.repeat(Math.max(0, cells - filled)))} ${Math.floor(elapsedS)} of ${seconds} s`,
  ];
}

function subscriberText(figures: SubscriberFigures | undefined): string {
  if (figures === undefined) return '';
  const { latencyUs, lost, finding } = figures;
  const latency =
    latencyUs === null
      ? ''
      : `p50 ${String(latencyUs.p50).padStart(5)} µs  p99 ${String(latencyUs.p99).padStart(6)} µs  `;
  return `${frames(figures.frames)}  lost ${lost}  ${latency}${finding}`;
}

function frames(count: number): string {
  return `${String(count).padStart(5)} frames`;
}
