/** How pixels lie in memory: RGBA, four bytes each, rows `strideBytes` apart. Everything in this directory agrees on it. */
export interface Raster {
  readonly width: number;
  readonly height: number;
  readonly strideBytes: number;
}

export const RGBA_BYTES = 4;

export function tightRaster(width: number, height: number): Raster {
  return { width, height, strideBytes: width * RGBA_BYTES };
}

/** @throws RangeError when memory of `lengthBytes` cannot hold the picture */
export function assertFits(raster: Raster, lengthBytes: number): void {
  const { width, height, strideBytes } = raster;
  if (strideBytes < width * RGBA_BYTES || lengthBytes < (height - 1) * strideBytes + width * RGBA_BYTES) {
    throw new RangeError(`${width}×${height} RGBA with rows of ${strideBytes} bytes does not fit ${lengthBytes} bytes`);
  }
}

/** Brightness 0–255 of a pixel, BT.709 weights in 256ths. */
export function luminance(red: number, green: number, blue: number): number {
  return (54 * red + 183 * green + 19 * blue) >> 8;
}
