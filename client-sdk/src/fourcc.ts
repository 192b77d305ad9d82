/** DRM FourCC codes between their two forms: four ASCII characters, and a number with the first character in the low byte. */
import { LeaseholdError } from '@leasehold/proto';

/** @throws LeaseholdError INVALID_FORMAT. */
export function fourccNumber(text: string): number {
  if (!/^[\x20-\x7e]{4}$/.test(text)) {
    throw new LeaseholdError(
      'INVALID_FORMAT',
      `a FourCC is four printable ASCII characters, not ${JSON.stringify(text)}`,
    );
  }
  return Buffer.from(text, 'latin1').readUInt32LE();
}

export function fourccText(code: number): string {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(code);
  return bytes.toString('latin1');
}
