/**
 * Draws what is drawn once: 32-bit RGBA pixels in ordinary memory, smooth shapes, text made of round dots.
 * A colour is 0xRRGGBB. Shapes are clipped to the canvas.
 */
import { GLYPH_COLUMNS, GLYPH_ROWS, glyphPixel } from './bitmap-font.ts';

/** One column of space between two characters. */
const ADVANCE_COLUMNS = GLYPH_COLUMNS + 1;

export interface TextPlace {
  readonly left: number;
  readonly top: number;
  /** Pixels from one dot of the font to the next. */
  readonly dot: number;
}

/** A 0xRRGGBB colour as the bytes R, G, B, 255 of a little-endian word. */
export function packColor(rgb: number): number {
  return (0xff00_0000 | ((rgb & 0xff) << 16) | (rgb & 0xff00) | ((rgb >>> 16) & 0xff)) >>> 0;
}

/** `over` laid on `under`, both packed; `alpha` 0–256. */
export function blend(under: number, over: number, alpha: number): number {
  const rest = 256 - alpha;
  const redBlue = ((under & 0xff00ff) * rest + (over & 0xff00ff) * alpha) >>> 8;
  const green = ((under & 0xff00) * rest + (over & 0xff00) * alpha) >>> 8;
  return (0xff00_0000 | (redBlue & 0xff00ff) | (green & 0xff00)) >>> 0;
}

export class Canvas {
  readonly width: number;
  readonly height: number;
  readonly pixels: Uint32Array;

  constructor(width: number, height: number) {
    this.width = width;
    this.height = height;
    this.pixels = new Uint32Array(width * height);
  }

  fillRect(left: number, top: number, width: number, height: number, rgb: number): void {
    this.paint(left, top, width, height, () => rgb);
  }

  /** Fills a rectangle with what `colorAt` says for each pixel, counted from the rectangle's corner. */
  paint(left: number, top: number, width: number, height: number, colorAt: (x: number, y: number) => number): void {
    const x0 = Math.round(left);
    const y0 = Math.round(top);
    const x1 = Math.min(this.width, Math.round(left + width));
    const y1 = Math.min(this.height, Math.round(top + height));
    for (let y = Math.max(0, y0); y < y1; y += 1) {
      for (let x = Math.max(0, x0); x < x1; x += 1) {
        this.pixels[y * this.width + x] = packColor(colorAt(x - x0, y - y0));
      }
    }
  }

  /** A disc, or with `hole` a ring, with smooth edges. */
  disc(centerX: number, centerY: number, radius: number, rgb: number, hole = 0): void {
    const over = packColor(rgb);
    const bottom = Math.min(this.height - 1, Math.ceil(centerY + radius));
    const right = Math.min(this.width - 1, Math.ceil(centerX + radius));
    for (let y = Math.max(0, Math.floor(centerY - radius)); y <= bottom; y += 1) {
      for (let x = Math.max(0, Math.floor(centerX - radius)); x <= right; x += 1) {
        const distance = Math.hypot(x + 0.5 - centerX, y + 0.5 - centerY);
        const inside = Math.min(radius - distance, hole === 0 ? 1 : distance - hole) + 0.5;
        const alpha = Math.round(256 * Math.min(1, Math.max(0, inside)));
        const at = y * this.width + x;
        if (alpha > 0) this.pixels[at] = blend(this.pixels[at] as number, over, alpha);
      }
    }
  }

  /** Text of round dots; unlit dots stay faintly visible when `unlit` is given. */
  text({ left, top, dot }: TextPlace, text: string, rgb: number, unlit?: number): void {
    [...text].forEach((character, index) => {
      for (let row = 0; row < GLYPH_ROWS; row += 1) {
        for (let column = 0; column < GLYPH_COLUMNS; column += 1) {
          const color = glyphPixel(character, column, row) ? rgb : unlit;
          if (color === undefined) continue;
          const x = left + (index * ADVANCE_COLUMNS + column + 0.5) * dot;
          this.disc(x, top + (row + 0.5) * dot, dot * 0.46, color);
        }
      }
    });
  }
}

export function textWidth(characters: number, dot: number): number {
  return (characters * ADVANCE_COLUMNS - 1) * dot;
}

export function textHeight(dot: number): number {
  return GLYPH_ROWS * dot;
}
