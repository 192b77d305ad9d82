/** What a frame of a known format takes, and whether a format contradicts itself. Unknown FourCCs are the user's own business. */
import { LeaseholdError } from '@leasehold/proto';

export interface FrameFormat {
  /** Four printable ASCII characters, or empty when the payload is no picture. */
  readonly fourcc: string;
  readonly width: number;
  readonly height: number;
  /** First plane; 0 = not stated. */
  readonly strideBytes: number;
  /** Both or neither 0. */
  readonly frameRateNumerator: number;
  readonly frameRateDenominator: number;
  readonly attributes: Readonly<Record<string, string>>;
}

/** Pixels per chroma sample, across and down. */
interface Chroma {
  readonly across: 1 | 2;
  readonly down: 1 | 2;
  /** Planes after the first: two of one component each, or one of both. */
  readonly planes: 1 | 2;
}

interface Sampling {
  /** Of the first plane. */
  readonly pixelBytes: number;
  readonly chroma?: Chroma;
}

const PIXELS_MAX = 2 ** 20;
const ATTRIBUTES_MAX = 32;
const ATTRIBUTE_KEY_BYTES_MAX = 64;
const ATTRIBUTE_VALUE_BYTES_MAX = 256;
const PRINTABLE_FOURCC = /^[\x20-\x7e]{4}$/;

const family = (sampling: Sampling, fourccs: string): (readonly [string, Sampling])[] =>
  fourccs.split(',').map((fourcc) => [fourcc, sampling] as const);

const SAMPLINGS: ReadonlyMap<string, Sampling> = new Map([
  ...family({ pixelBytes: 4 }, 'RGBA,BGRA,ARGB,ABGR,RGBX,BGRX,XRGB,XBGR,AB24,AR24,XR24,XB24,RA24,BA24,RX24,BX24'),
  ...family({ pixelBytes: 3 }, 'RGB3,BGR3,RG24,BG24'),
  ...family({ pixelBytes: 2 }, 'YUYV,UYVY,YVYU,VYUY,RG16,BG16,R16 ,Y16 '),
  ...family({ pixelBytes: 1 }, 'GREY,Y800,R8  '),
  ...family({ pixelBytes: 1, chroma: { across: 2, down: 2, planes: 2 } }, 'YU12,YV12,I420'),
  ...family({ pixelBytes: 1, chroma: { across: 2, down: 1, planes: 2 } }, 'YU16,YV16'),
  ...family({ pixelBytes: 1, chroma: { across: 1, down: 1, planes: 2 } }, 'YU24,YV24'),
  ...family({ pixelBytes: 1, chroma: { across: 2, down: 2, planes: 1 } }, 'NV12,NV21'),
  ...family({ pixelBytes: 1, chroma: { across: 2, down: 1, planes: 1 } }, 'NV16,NV61'),
  ...family({ pixelBytes: 1, chroma: { across: 1, down: 1, planes: 1 } }, 'NV24,NV42'),
  ...family({ pixelBytes: 2, chroma: { across: 2, down: 2, planes: 1 } }, 'P010,P012,P016'),
  ...family({ pixelBytes: 2, chroma: { across: 2, down: 1, planes: 1 } }, 'P210'),
]);

const invalid = (problem: string, metadata: Record<string, string> = {}): LeaseholdError =>
  new LeaseholdError('INVALID_FORMAT', `Invalid frame format: ${problem}.`, { metadata });

/** @throws {LeaseholdError} INVALID_FORMAT */
export function checkFrameFormat(format: FrameFormat): void {
  const { fourcc, width, height, frameRateNumerator, frameRateDenominator } = format;
  if (fourcc !== '' && !PRINTABLE_FOURCC.test(fourcc)) {
    throw invalid(
      `a FourCC is four printable ASCII characters or nothing, not ${JSON.stringify(fourcc.slice(0, 16).toWellFormed())}`,
    );
  }
  if ((width === 0) !== (height === 0)) throw invalid(`${width} × ${height} pixels is no picture`);
  if (width > PIXELS_MAX || height > PIXELS_MAX) {
    throw invalid(`${width} × ${height} pixels; ${PIXELS_MAX} is the most in each direction`);
  }
  if ((frameRateNumerator === 0) !== (frameRateDenominator === 0)) {
    throw invalid(`a frame rate of ${frameRateNumerator}/${frameRateDenominator}; 0/0 means not stated`);
  }
  checkAttributes(Object.entries(format.attributes));
}

function checkAttributes(attributes: readonly (readonly [string, string])[]): void {
  if (attributes.length > ATTRIBUTES_MAX) {
    throw invalid(`${attributes.length} attributes; ${ATTRIBUTES_MAX} is the most`);
  }
  for (const [key, value] of attributes) {
    const keyBytes = utf8Bytes(key);
    const valueBytes = utf8Bytes(value);
    if (keyBytes === 0 || keyBytes > ATTRIBUTE_KEY_BYTES_MAX) {
      throw invalid(`an attribute key of ${keyBytes} B; 1 to ${ATTRIBUTE_KEY_BYTES_MAX} B are allowed`);
    }
    if (valueBytes > ATTRIBUTE_VALUE_BYTES_MAX) {
      throw invalid(`attribute ${JSON.stringify(key)} has ${valueBytes} B; ${ATTRIBUTE_VALUE_BYTES_MAX} B is the most`);
    }
  }
}

const utf8Bytes = (text: string): number => new TextEncoder().encode(text).length;

/**
 * The bytes a frame of this format takes; null when the format does not tell.
 * @throws {LeaseholdError} INVALID_FORMAT when a row does not fit in its stride
 */
export function frameBytes(format: FrameFormat): number | null {
  const { fourcc, width, height, strideBytes } = format;
  const sampling = SAMPLINGS.get(fourcc);
  if (sampling === undefined || width === 0) return null;
  const { pixelBytes, chroma } = sampling;
  const rowBytes = width * pixelBytes;
  if (strideBytes !== 0 && strideBytes < rowBytes) {
    throw invalid(
      `a row of ${width} ${fourcc} pixels takes ${rowBytes} B, which is more than the stride of ${strideBytes} B`,
      {
        rowBytes: String(rowBytes),
        strideBytes: String(strideBytes),
      },
    );
  }
  const stride = strideBytes === 0 ? rowBytes : strideBytes;
  if (chroma === undefined) return stride * height;
  const samplesAcross = Math.ceil(width / chroma.across);
  const tightRow = samplesAcross * pixelBytes * (chroma.planes === 1 ? 2 : 1);
  const scaledStride = Math.ceil((stride * (chroma.planes === 1 ? 2 : 1)) / chroma.across);
  const chromaRow = strideBytes === 0 ? tightRow : Math.max(tightRow, scaledStride);
  return stride * height + chroma.planes * chromaRow * Math.ceil(height / chroma.down);
}

/**
 * The payload capacity a slot gets: as asked, or as the format needs when 0 was asked.
 * @throws {LeaseholdError} INVALID_FORMAT, INVALID_SIZE
 */
export function slotBytesFor(format: FrameFormat, askedBytes: number): number {
  const neededBytes = frameBytes(format);
  if (askedBytes === 0) {
    if (neededBytes !== null) return neededBytes;
    if (format.fourcc === '') {
      throw new LeaseholdError(
        'INVALID_SIZE',
        'slot_bytes is 0 and there is no frame format from which it would follow.',
      );
    }
    const pixels = `${format.width} × ${format.height}`;
    throw invalid(
      `slot_bytes is 0, and what ${pixels} pixels of ${JSON.stringify(format.fourcc)} take is not known here; state slot_bytes`,
    );
  }
  if (neededBytes !== null && askedBytes < neededBytes) {
    throw invalid(
      `${format.width} × ${format.height} pixels of ${format.fourcc} take ${neededBytes} B, but slot_bytes is ${askedBytes} B`,
      { neededBytes: String(neededBytes), slotBytes: String(askedBytes) },
    );
  }
  return askedBytes;
}
