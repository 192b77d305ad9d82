/** Frames whose every byte follows from their sequence, so that a result shows which frame it was made of. */

export const WIDTH = 256;
export const HEIGHT = 256;
export const FRAME_BYTES = WIDTH * HEIGHT * 4;
export const CHANNEL = 'libraries/pictures';

/** Fills `bytes` with frame `sequence`: neighbours in sequence differ everywhere. */
export function paint(bytes: Uint8Array, sequence: number): void {
  const words = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length >> 2);
  const start = Math.imul(sequence, 2_654_435_761);
  for (let i = 0; i < words.length; i += 1) words[i] = (start + Math.imul(i, 40_503)) | 0;
}

/** What frame `sequence` looks like. */
export function picture(sequence: bigint): Buffer {
  const bytes = Buffer.alloc(FRAME_BYTES);
  paint(bytes, Number(sequence));
  return bytes;
}
