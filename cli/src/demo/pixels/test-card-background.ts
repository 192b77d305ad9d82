/**
 * The still part of the test card, drawn once: grid, circle, stars, colour bars, ramp, gratings, labels.
 * Also owns where the moving parts go. Laid out on a stage of 1920×1080, scaled and centred on any other size.
 */
import { Canvas, type TextPlace, textHeight, textWidth } from './canvas.ts';

export const PANEL_COLOR = 0x0b0e14;
const NAME = 'LEASEHOLD';
const BARS = [0xc0c0c0, 0xc0c000, 0x00c0c0, 0x00c000, 0xc000c0, 0xc00000, 0x0000c0, 0x101010];
const GRATING_PERIODS = [24, 16, 12, 8, 4, 2];
const INK = 0xe8eefc;
const MUTED = 0x8fa0bd;

export interface CardLayout {
  readonly scale: number;
  readonly centerX: number;
  readonly centerY: number;
  readonly ringRadius: number;
  readonly counter: TextPlace;
  readonly clock: TextPlace;
  readonly rainbow: { readonly left: number; readonly top: number; readonly width: number; readonly height: number };
}

export const COUNTER_CHARACTERS = 8;
export const CLOCK_CHARACTERS = 'HH:MM:SS.mmm'.length;

/** Stage coordinates to pixels, whole ones, so that what moves meets what stands. */
function stage(width: number, height: number) {
  const scale = Math.min(width / 1920, height / 1080);
  return {
    scale,
    x: (stageX: number) => Math.round(width / 2 + (stageX - 960) * scale),
    y: (stageY: number) => Math.round(height / 2 + (stageY - 540) * scale),
    length: (stageLength: number) => Math.max(1, Math.round(stageLength * scale)),
    dot: (stageDot: number) => Math.max(1, Math.floor(stageDot * scale)),
  };
}

export function layOutCard(width: number, height: number): CardLayout {
  const { scale, x, y, length, dot } = stage(width, height);
  const counterDot = dot(12);
  const clockDot = dot(8);
  return {
    scale,
    centerX: width / 2,
    centerY: height / 2,
    ringRadius: 496 * scale,
    counter: centered(x(660), Math.round(y(565) - textHeight(counterDot) / 2), COUNTER_CHARACTERS, counterDot),
    clock: centered(x(1260), Math.round(y(565) - textHeight(clockDot) / 2), CLOCK_CHARACTERS, clockDot),
    rainbow: { left: x(360), top: y(690), width: length(1200), height: length(70) },
  };
}

export function drawBackground(width: number, height: number, layout: CardLayout, caption: string): Canvas {
  const canvas = new Canvas(width, height);
  drawGround(canvas, layout);
  drawStars(canvas, layout);
  drawBars(canvas);
  drawPanel(canvas);
  drawGratings(canvas);
  const { x, y, dot } = stage(width, height);
  canvas.text(centered(x(960), y(900), NAME.length, dot(7)), NAME, INK);
  canvas.text(centered(x(960), y(966), caption.length, dot(3)), caption, MUTED);
  return canvas;
}

function drawGround(canvas: Canvas, layout: CardLayout): void {
  const { width, height } = canvas;
  const pitch = Math.max(4, Math.round(60 * layout.scale));
  const originX = Math.round(layout.centerX) % pitch;
  const originY = Math.round(layout.centerY) % pitch;
  canvas.paint(0, 0, width, height, (x, y) => {
    if ((x - originX) % pitch === 0 || (y - originY) % pitch === 0) return 0x36405a;
    const distance = Math.hypot((x - layout.centerX) / width, (y - layout.centerY) / height);
    return gray(0x1a, 0x20, 0x2e, 1.25 - distance);
  });
  canvas.disc(layout.centerX, layout.centerY, layout.ringRadius + 3 * layout.scale, MUTED, layout.ringRadius);
}

/** Siemens stars in the corners: they show at once when rows or columns are lost or scaled. */
function drawStars(canvas: Canvas, layout: CardLayout): void {
  const { x, y } = stage(canvas.width, canvas.height);
  const radius = 120 * layout.scale;
  for (const [centerX, centerY] of [
    [x(200), y(200)],
    [x(1720), y(200)],
    [x(200), y(880)],
    [x(1720), y(880)],
  ] as const) {
    canvas.disc(centerX, centerY, radius + 6 * layout.scale, PANEL_COLOR);
    const size = Math.ceil(radius * 2);
    const left = Math.round(centerX - radius);
    const top = Math.round(centerY - radius);
    for (let row = 0; row < size; row += 1) {
      const half = Math.sqrt(Math.max(0, radius ** 2 - (row + 0.5 - radius) ** 2));
      canvas.paint(left + radius - half, top + row, 2 * half, 1, (column) => {
        const angle = Math.atan2(row + 0.5 - radius, column + 0.5 - half);
        return gray(0xe8, 0xee, 0xfc, 0.5 + 0.5 * Math.tanh(4 * Math.sin(angle * 18)));
      });
    }
  }
}

function drawBars(canvas: Canvas): void {
  const { x, y, length } = stage(canvas.width, canvas.height);
  BARS.forEach((color, index) => {
    const left = x(360 + index * 150);
    canvas.fillRect(left, y(130), x(360 + (index + 1) * 150) - left, length(200), color);
  });
  const rampWidth = x(1560) - x(360);
  canvas.paint(x(360), y(330), rampWidth, length(50), (column) => gray(255, 255, 255, column / (rampWidth - 1)));
}

function drawPanel(canvas: Canvas): void {
  const { x, y, length, dot } = stage(canvas.width, canvas.height);
  canvas.fillRect(x(360), y(420), x(1560) - x(360), length(240), MUTED);
  canvas.fillRect(x(360) + 2, y(420) + 2, x(1560) - x(360) - 4, length(240) - 4, PANEL_COLOR);
  canvas.text(centered(x(660), y(462), 'FRAME'.length, dot(4)), 'FRAME', MUTED);
  canvas.text(centered(x(1260), y(462), 'UTC'.length, dot(4)), 'UTC', MUTED);
}

function drawGratings(canvas: Canvas): void {
  const { x, y, length } = stage(canvas.width, canvas.height);
  GRATING_PERIODS.forEach((period, index) => {
    const left = x(510 + index * 150);
    canvas.paint(left, y(790), x(510 + (index + 1) * 150) - left, length(90), (column) =>
      gray(255, 255, 255, column % period < period / 2 ? 0.9 : 0.08),
    );
  });
}

/** Where text of that many characters stands with its middle at `centerX`. */
function centered(centerX: number, top: number, characters: number, dot: number): TextPlace {
  return { left: Math.round(centerX - textWidth(characters, dot) / 2), top, dot };
}

/** A colour scaled by `share`, 0 black, 1 itself. */
function gray(red: number, green: number, blue: number, share: number): number {
  const scaled = (channel: number) => Math.min(255, Math.round(channel * Math.max(0, share)));
  return (scaled(red) << 16) | (scaled(green) << 8) | scaled(blue);
}
