/**
 * A moving test card, rendered straight into memory that someone else owns, a slot for instance.
 * The still part is one copy of a picture drawn beforehand; over it go what moves (a band, a comet, a ball), the frame
 * number and the time, and the strips that a machine reads (frame-strip.ts). Every pixel of the picture is written:
 * nothing of what a slot held before shows through. What moves depends on the frame number alone.
 */
import { blend, Canvas, packColor, type TextPlace, textHeight } from './canvas.ts';
import { STRIP_WIDTH, writeFrameNumber } from './frame-strip.ts';
import { assertFits, type Raster, RGBA_BYTES, tightRaster } from './raster.ts';
import {
  type CardLayout,
  COUNTER_CHARACTERS,
  drawBackground,
  layOutCard,
  PANEL_COLOR,
} from './test-card-background.ts';

export const TEST_CARD_WIDTH_MIN = STRIP_WIDTH;
export const TEST_CARD_HEIGHT_MIN = 180;

const INK = packColor(0x6ff2c0);
const COMET_FRAMES = 150;
const COMET_DOTS = 18;
const BAND_PIXELS_PER_FRAME = 6;

/** A shape with soft edges: a colour and an alpha (0–256) for each pixel of a square. */
interface Sprite {
  readonly size: number;
  readonly colors: Uint32Array;
  readonly alphas: Uint16Array;
}

export class TestCard {
  readonly width: number;
  readonly height: number;
  readonly #layout: CardLayout;
  readonly #background: Canvas;
  readonly #band: Canvas;
  readonly #ball: Sprite;
  readonly #cometDots: readonly Sprite[];
  readonly #counterGlyphs: Glyphs;
  readonly #clockGlyphs: Glyphs;

  /** `caption` is the small line of text at the bottom. @throws RangeError when the size is too small to be read */
  constructor(width: number, height: number, caption = `${width}X${height} RGBA`) {
    const whole = Number.isInteger(width) && Number.isInteger(height);
    if (!whole || width < TEST_CARD_WIDTH_MIN || height < TEST_CARD_HEIGHT_MIN) {
      throw new RangeError(`a test card is at least ${TEST_CARD_WIDTH_MIN}×${TEST_CARD_HEIGHT_MIN} pixels`);
    }
    this.width = width;
    this.height = height;
    this.#layout = layOutCard(width, height);
    this.#background = drawBackground(width, height, this.#layout, caption.toUpperCase());
    this.#band = drawRainbow(this.#layout.rainbow.width, this.#layout.rainbow.height);
    this.#ball = drawBall(Math.max(8, Math.round(66 * this.#layout.scale)));
    this.#cometDots = Array.from({ length: COMET_DOTS }, (_, index) =>
      drawGlow(Math.max(3, 20 * this.#layout.scale * (1 - index / COMET_DOTS)), 1 - index / COMET_DOTS),
    );
    this.#counterGlyphs = drawGlyphs('0123456789', this.#layout.counter.dot);
    this.#clockGlyphs = drawGlyphs('0123456789:.', this.#layout.clock.dot);
  }

  /**
   * Renders frame `frameNumber` into RGBA bytes; `timeMs` (since 1970) is what the clock shows.
   * @throws RangeError when `into` is too small, or not aligned to a pixel
   */
  render(into: Uint8Array, frameNumber: number, timeMs: number, strideBytes = this.width * RGBA_BYTES): void {
    const raster: Raster = { ...tightRaster(this.width, this.height), strideBytes };
    assertFits(raster, into.byteLength);
    if (into.byteOffset % RGBA_BYTES !== 0 || strideBytes % RGBA_BYTES !== 0) {
      throw new RangeError('a test card is rendered to memory and rows aligned to 4 bytes');
    }
    const pixels = new Uint32Array(into.buffer, into.byteOffset, Math.floor(into.byteLength / RGBA_BYTES));
    const stride = strideBytes / RGBA_BYTES;
    this.#copyBackground(pixels, stride);
    this.#copyBand(pixels, stride, frameNumber);
    this.#drawComet(pixels, stride, frameNumber);
    const counter = String(frameNumber % 10 ** COUNTER_CHARACTERS).padStart(COUNTER_CHARACTERS, '0');
    drawText(pixels, stride, counter, this.#layout.counter, this.#counterGlyphs);
    drawText(pixels, stride, new Date(timeMs).toISOString().slice(11, 23), this.#layout.clock, this.#clockGlyphs);
    this.#drawBall(pixels, stride, frameNumber);
    writeFrameNumber(pixels, raster, frameNumber);
  }

  #copyBackground(pixels: Uint32Array, stride: number): void {
    const { width, height } = this;
    const source = this.#background.pixels;
    if (stride === width) {
      pixels.set(source);
      return;
    }
    for (let row = 0; row < height; row += 1) {
      pixels.set(source.subarray(row * width, (row + 1) * width), row * stride);
    }
  }

  /** The band is drawn twice as wide as it shows, so that any shift of it is one run of pixels. */
  #copyBand(pixels: Uint32Array, stride: number, frameNumber: number): void {
    const { left, top, width, height } = this.#layout.rainbow;
    const shift = (frameNumber * BAND_PIXELS_PER_FRAME) % width;
    for (let row = 0; row < height; row += 1) {
      const from = row * this.#band.width + shift;
      pixels.set(this.#band.pixels.subarray(from, from + width), (top + row) * stride + left);
    }
  }

  #drawComet(pixels: Uint32Array, stride: number, frameNumber: number): void {
    const { centerX, centerY, ringRadius } = this.#layout;
    for (let index = COMET_DOTS - 1; index >= 0; index -= 1) {
      const angle = ((frameNumber % COMET_FRAMES) / COMET_FRAMES - index / 140) * 2 * Math.PI - Math.PI / 2;
      const dot = this.#cometDots[index] as Sprite;
      const left = centerX + Math.cos(angle) * ringRadius - dot.size / 2;
      drawSprite(pixels, stride, dot, left, centerY + Math.sin(angle) * ringRadius - dot.size / 2);
    }
  }

  /** Bounces between the edges; the two periods share no factor, so that it goes everywhere. */
  #drawBall(pixels: Uint32Array, stride: number, frameNumber: number): void {
    const left = triangle(frameNumber, 331) * (this.width - this.#ball.size);
    drawSprite(pixels, stride, this.#ball, left, triangle(frameNumber + 40, 197) * (this.height - this.#ball.size));
  }
}

/** 0 to 1 and back within `period` steps. */
function triangle(step: number, period: number): number {
  const phase = (step % period) / period;
  return phase < 0.5 ? phase * 2 : 2 - phase * 2;
}

type Glyphs = ReadonlyMap<string, Canvas>;

function drawText(pixels: Uint32Array, stride: number, text: string, place: TextPlace, glyphs: Glyphs): void {
  for (let index = 0; index < text.length; index += 1) {
    const glyph = glyphs.get(text.charAt(index));
    if (glyph === undefined) continue;
    const left = place.left + index * glyph.width;
    for (let row = 0; row < glyph.height; row += 1) {
      const to = (place.top + row) * stride + left;
      for (let column = 0; column < glyph.width; column += 1) {
        pixels[to + column] = glyph.pixels[row * glyph.width + column] as number;
      }
    }
  }
}

/** Lays a sprite over the picture, which holds it whole. */
function drawSprite(pixels: Uint32Array, stride: number, sprite: Sprite, left: number, top: number): void {
  const { size, colors, alphas } = sprite;
  const origin = Math.round(top) * stride + Math.round(left);
  for (let row = 0, from = 0; row < size; row += 1) {
    const to = origin + row * stride;
    for (let column = 0; column < size; column += 1, from += 1) {
      const alpha = alphas[from] as number;
      if (alpha === 0) continue;
      const color = colors[from] as number;
      pixels[to + column] = alpha === 256 ? color : blend(pixels[to + column] as number, color, alpha);
    }
  }
}

function drawGlyphs(characters: string, dot: number): Glyphs {
  const glyphs = new Map<string, Canvas>();
  for (const character of characters) {
    const canvas = new Canvas(6 * dot, textHeight(dot));
    canvas.fillRect(0, 0, canvas.width, canvas.height, PANEL_COLOR);
    canvas.text({ left: 0, top: 0, dot }, character, 0x6ff2c0, 0x151c26);
    glyphs.set(character, canvas);
  }
  return glyphs;
}

function drawRainbow(width: number, height: number): Canvas {
  const canvas = new Canvas(width * 2, height);
  canvas.paint(0, 0, width * 2, height, (x) => {
    const phase = ((x % width) / width) * 2 * Math.PI;
    const channel = (turn: number) => Math.round(128 + 110 * Math.cos(phase - (turn * 2 * Math.PI) / 3));
    return (channel(0) << 16) | (channel(1) << 8) | channel(2);
  });
  return canvas;
}

/** A shaded ball, lit from the upper left. */
function drawBall(radius: number): Sprite {
  const light = packColor(0xfff3d6);
  const dark = packColor(0xd2461e);
  return drawRound(radius, (x, y, distance) => {
    const glow = Math.max(0, 1 - Math.hypot(x + 0.35, y + 0.35) / 1.2);
    return { color: blend(dark, light, Math.round(glow ** 1.6 * 256)), alpha: (1 - distance) * radius };
  });
}

/** A dot that fades towards its edge. */
function drawGlow(radius: number, strength: number): Sprite {
  return drawRound(radius, (_x, _y, distance) => ({ color: INK, alpha: strength * (1 - distance ** 2) }));
}

/** A round sprite; `shade` gets coordinates and distance from the centre in radii, and says colour and alpha (0–1). */
function drawRound(
  radius: number,
  shade: (x: number, y: number, distance: number) => { color: number; alpha: number },
): Sprite {
  const size = Math.ceil(radius * 2);
  const sprite = { size, colors: new Uint32Array(size * size), alphas: new Uint16Array(size * size) };
  for (let at = 0; at < size * size; at += 1) {
    const x = ((at % size) + 0.5) / radius - 1;
    const y = (Math.floor(at / size) + 0.5) / radius - 1;
    const { color, alpha } = shade(x, y, Math.hypot(x, y));
    sprite.colors[at] = color;
    sprite.alphas[at] = Math.round(256 * Math.min(1, Math.max(0, alpha)));
  }
  return sprite;
}
