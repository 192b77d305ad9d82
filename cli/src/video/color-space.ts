/**
 * The colour spaces of YUV4MPEG2: how many bytes a frame of each takes, and which DRM FourCC names the same layout.
 * Planes are tight and follow one another; samples of more than 8 bits are 16-bit little endian, value in the low bits.
 *
 * DRM has no code for 9 and 14 bits and for an alpha plane: those travel as OPAQUE_FOURCC, and the
 * name of the colour space travels beside it (frame-format.ts). S010, S212, … are DRM's "3 plane YCbCr LSB aligned" codes.
 */

/** A picture whose layout only its `y4m.colorspace` attribute tells. No DRM code. */
export const OPAQUE_FOURCC = 'Y4MX';

export interface ColorSpaceLayout {
  readonly fourcc: string;
  readonly bitsPerSample: number;
  readonly bytesPerSample: 1 | 2;
  /** Planes of full size: luma, and alpha where there is one. */
  readonly fullPlanes: 1 | 2 | 3 | 4;
  /** Planes of reduced size: 2, or 0 where nothing is subsampled. */
  readonly chromaPlanes: 0 | 2;
  readonly chromaDivisorX: 1 | 2 | 4;
  readonly chromaDivisorY: 1 | 2;
}

type Sampling = Pick<ColorSpaceLayout, 'fullPlanes' | 'chromaPlanes' | 'chromaDivisorX' | 'chromaDivisorY'>;

const MONO: Sampling = { fullPlanes: 1, chromaPlanes: 0, chromaDivisorX: 1, chromaDivisorY: 1 };
const S420: Sampling = { fullPlanes: 1, chromaPlanes: 2, chromaDivisorX: 2, chromaDivisorY: 2 };
const S411: Sampling = { fullPlanes: 1, chromaPlanes: 2, chromaDivisorX: 4, chromaDivisorY: 1 };
const S422: Sampling = { fullPlanes: 1, chromaPlanes: 2, chromaDivisorX: 2, chromaDivisorY: 1 };
const S444: Sampling = { fullPlanes: 3, chromaPlanes: 0, chromaDivisorX: 1, chromaDivisorY: 1 };
const S444_ALPHA: Sampling = { fullPlanes: 4, chromaPlanes: 0, chromaDivisorX: 1, chromaDivisorY: 1 };

function layout(sampling: Sampling, bitsPerSample: number, fourcc: string): ColorSpaceLayout {
  return { ...sampling, bitsPerSample, bytesPerSample: bitsPerSample > 8 ? 2 : 1, fourcc };
}

const COLOR_SPACES = {
  '420': layout(S420, 8, 'YU12'),
  '420jpeg': layout(S420, 8, 'YU12'),
  '420mpeg2': layout(S420, 8, 'YU12'),
  '420paldv': layout(S420, 8, 'YU12'),
  '411': layout(S411, 8, 'YU11'),
  '422': layout(S422, 8, 'YU16'),
  '444': layout(S444, 8, 'YU24'),
  '444alpha': layout(S444_ALPHA, 8, OPAQUE_FOURCC),
  mono: layout(MONO, 8, 'R8  '),
  mono9: layout(MONO, 9, OPAQUE_FOURCC),
  mono10: layout(MONO, 10, 'R10 '),
  mono12: layout(MONO, 12, 'R12 '),
  mono16: layout(MONO, 16, 'R16 '),
  '420p9': layout(S420, 9, OPAQUE_FOURCC),
  '420p10': layout(S420, 10, 'S010'),
  '420p12': layout(S420, 12, 'S012'),
  '420p14': layout(S420, 14, OPAQUE_FOURCC),
  '420p16': layout(S420, 16, 'S016'),
  '422p9': layout(S422, 9, OPAQUE_FOURCC),
  '422p10': layout(S422, 10, 'S210'),
  '422p12': layout(S422, 12, 'S212'),
  '422p14': layout(S422, 14, OPAQUE_FOURCC),
  '422p16': layout(S422, 16, 'S216'),
  '444p9': layout(S444, 9, OPAQUE_FOURCC),
  '444p10': layout(S444, 10, 'S410'),
  '444p12': layout(S444, 12, 'S412'),
  '444p14': layout(S444, 14, OPAQUE_FOURCC),
  '444p16': layout(S444, 16, 'S416'),
} as const satisfies Record<string, ColorSpaceLayout>;

export type ColorSpace = keyof typeof COLOR_SPACES;

export const COLOR_SPACE_NAMES = Object.keys(COLOR_SPACES) as readonly ColorSpace[];

/** What a stream header without a `C` parameter means. */
export const DEFAULT_COLOR_SPACE: ColorSpace = '420';

export function isColorSpace(name: string): name is ColorSpace {
  return Object.hasOwn(COLOR_SPACES, name);
}

export function colorSpaceLayout(colorSpace: ColorSpace): ColorSpaceLayout {
  return COLOR_SPACES[colorSpace];
}

/** The colour space to write when all that is known is a FourCC; null when none has that layout. */
export function colorSpaceOfFourcc(fourcc: string): ColorSpace | null {
  if (fourcc === OPAQUE_FOURCC) return null;
  return COLOR_SPACE_NAMES.find((name) => COLOR_SPACES[name].fourcc === fourcc) ?? null;
}

/** Exact bytes of one frame; a subsampled plane of an odd size rounds up. */
export function planarFrameBytes(colorSpace: ColorSpace, width: number, height: number): number {
  const space = colorSpaceLayout(colorSpace);
  const chromaWidth = Math.ceil(width / space.chromaDivisorX);
  const chromaHeight = Math.ceil(height / space.chromaDivisorY);
  const samples = width * height * space.fullPlanes + chromaWidth * chromaHeight * space.chromaPlanes;
  return samples * space.bytesPerSample;
}
