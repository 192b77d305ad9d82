/**
 * The frame number as black and white cells, so that a subscriber can hold picture and descriptor to one another.
 * 40 cells of 8×8 pixels, most significant first: 32 bits of the number, then 8 check bits. The strip stands in the
 * first and in the last rows: a picture torn between two frames carries two numbers, and reads as none.
 */
import { assertFits, luminance, type Raster, RGBA_BYTES } from './raster.ts';

const CELL_PIXELS = 8;
const NUMBER_BITS = 32;
const CELLS = 40;
const WHITE = 0xffff_ffff;
const BLACK = 0xff00_0000;

export const STRIP_WIDTH = CELLS * CELL_PIXELS;
export const STRIP_HEIGHT = CELL_PIXELS;

/** Burns `frameNumber` modulo 2³² into both strips of a picture of 32-bit pixels. */
export function writeFrameNumber(pixels: Uint32Array, raster: Raster, frameNumber: number): void {
  const number = frameNumber >>> 0;
  const check = checkBits(number);
  const stride = raster.strideBytes / RGBA_BYTES;
  for (const top of [0, raster.height - STRIP_HEIGHT]) {
    for (let cell = 0; cell < CELLS; cell += 1) {
      const bit = cell < NUMBER_BITS ? (number >>> (NUMBER_BITS - 1 - cell)) & 1 : (check >>> (CELLS - 1 - cell)) & 1;
      const start = top * stride + cell * CELL_PIXELS;
      for (let row = 0; row < CELL_PIXELS; row += 1) {
        pixels.fill(bit === 1 ? WHITE : BLACK, start + row * stride, start + row * stride + CELL_PIXELS);
      }
    }
  }
}

/** The frame number burned into RGBA bytes; null when a strip is damaged or the two disagree. */
export function readFrameNumber(pixels: ArrayLike<number>, raster: Raster): number | null {
  assertFits(raster, pixels.length);
  if (raster.width < STRIP_WIDTH || raster.height < 2 * STRIP_HEIGHT) return null;
  const first = readStrip(pixels, raster, 0);
  const last = readStrip(pixels, raster, raster.height - STRIP_HEIGHT);
  return first === last ? first : null;
}

function readStrip(pixels: ArrayLike<number>, raster: Raster, top: number): number | null {
  let number = 0;
  let check = 0;
  for (let cell = 0; cell < CELLS; cell += 1) {
    const bit = cellBrightness(pixels, raster, top, cell) >= 128 ? 1 : 0;
    if (cell < NUMBER_BITS) number = ((number << 1) | bit) >>> 0;
    else check = (check << 1) | bit;
  }
  return check === checkBits(number) ? number : null;
}

/** Mean of the four pixels in the middle, which survives a lossy encoder's blur at the borders. */
function cellBrightness(pixels: ArrayLike<number>, raster: Raster, top: number, cell: number): number {
  const middle = CELL_PIXELS / 2;
  let sum = 0;
  for (let row = middle - 1; row <= middle; row += 1) {
    for (let column = middle - 1; column <= middle; column += 1) {
      const at = (top + row) * raster.strideBytes + (cell * CELL_PIXELS + column) * RGBA_BYTES;
      sum += luminance(pixels[at] ?? 0, pixels[at + 1] ?? 0, pixels[at + 2] ?? 0);
    }
  }
  return sum / 4;
}

/** The bytes folded together and inverted, so that neither an all-black nor an all-white strip is a number. */
function checkBits(number: number): number {
  const halves = number ^ (number >>> 16);
  return ~(halves ^ (halves >>> 8) ^ 0x5a) & 0xff;
}
