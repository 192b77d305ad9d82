/**
 * Counts brightness over an RGBA picture, straight from the shared bytes.
 * Looks at every fourth pixel of every fourth row: 129,600 samples of a 1080p frame. Allocates once, nothing per frame.
 */
import { assertFits, luminance, type Raster, RGBA_BYTES } from './raster.ts';

const GRID_STEP_PIXELS = 4;
const LEVELS = 256;

export interface LuminanceSummary {
  /** Brightness 0–255. */
  readonly mean: number;
  /** The levels below which 1 %, 50 % and 99 % of the samples lie. */
  readonly darkest: number;
  readonly median: number;
  readonly brightest: number;
}

export class LuminanceHistogram {
  /** Samples per level of the last measured picture. */
  readonly counts = new Uint32Array(LEVELS);
  readonly #raster: Raster;
  readonly #samples: number;

  constructor(raster: Raster) {
    this.#raster = raster;
    this.#samples = Math.ceil(raster.width / GRID_STEP_PIXELS) * Math.ceil(raster.height / GRID_STEP_PIXELS);
  }

  /** @throws RangeError when `pixels` is smaller than the picture, for example because its frame was released */
  measure(pixels: ArrayLike<number>): LuminanceSummary {
    assertFits(this.#raster, pixels.length);
    const { counts } = this;
    const { width, height, strideBytes } = this.#raster;
    const step = GRID_STEP_PIXELS * RGBA_BYTES;
    let sum = 0;
    counts.fill(0);
    for (let row = 0; row < height; row += GRID_STEP_PIXELS) {
      const end = row * strideBytes + width * RGBA_BYTES;
      for (let at = row * strideBytes; at < end; at += step) {
        const level = luminance(pixels[at] as number, pixels[at + 1] as number, pixels[at + 2] as number);
        counts[level] = (counts[level] as number) + 1;
        sum += level;
      }
    }
    return {
      mean: sum / this.#samples,
      darkest: this.#percentile(0.01),
      median: this.#percentile(0.5),
      brightest: this.#percentile(0.99),
    };
  }

  #percentile(share: number): number {
    const wanted = this.#samples * share;
    let seen = 0;
    for (let level = 0; level < LEVELS; level += 1) {
      seen += this.counts[level] as number;
      if (seen >= wanted) return level;
    }
    return LEVELS - 1;
  }
}
