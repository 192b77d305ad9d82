/**
 * How much changed since the picture before: the mean absolute difference in brightness.
 * Looks at every eighth pixel of every eighth row (32,400 samples of a 1080p frame) and keeps only those samples, one byte
 * each, from one picture to the next; the picture itself is never copied.
 */
import { assertFits, luminance, type Raster, RGBA_BYTES } from './raster.ts';

const GRID_STEP_PIXELS = 8;

export class MotionMeter {
  readonly #raster: Raster;
  readonly #previous: Uint8Array;
  #primed = false;

  constructor(raster: Raster) {
    this.#raster = raster;
    this.#previous = new Uint8Array(
      Math.ceil(raster.width / GRID_STEP_PIXELS) * Math.ceil(raster.height / GRID_STEP_PIXELS),
    );
  }

  /**
   * Mean difference per sample, 0–255; null for the first picture.
   * @throws RangeError when `pixels` is smaller than the picture, for example because its frame was released
   */
  measure(pixels: ArrayLike<number>): number | null {
    assertFits(this.#raster, pixels.length);
    const { width, height, strideBytes } = this.#raster;
    const previous = this.#previous;
    const step = GRID_STEP_PIXELS * RGBA_BYTES;
    let difference = 0;
    let sample = 0;
    for (let row = 0; row < height; row += GRID_STEP_PIXELS) {
      const end = row * strideBytes + width * RGBA_BYTES;
      for (let at = row * strideBytes; at < end; at += step, sample += 1) {
        const level = luminance(pixels[at] as number, pixels[at + 1] as number, pixels[at + 2] as number);
        difference += Math.abs(level - (previous[sample] as number));
        previous[sample] = level;
      }
    }
    const first = !this.#primed;
    this.#primed = true;
    return first ? null : difference / sample;
  }
}
