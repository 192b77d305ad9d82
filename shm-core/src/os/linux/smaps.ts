/** What /proc/…/smaps says of one mapping. */

/**
 * A figure of the mapping at exactly `[address, address + bytes)`, B. 0 unless these very addresses are one mapping: a figure for more
 * than that proves nothing about this part.
 */
export function smapsFigure(
  smaps: string,
  field: 'AnonHugePages' | 'ShmemPmdMapped',
  address: number,
  bytes: number,
): number {
  const header = `${hexAddress(address)}-${hexAddress(address + bytes)} `;
  const start = smaps.startsWith(header) ? 0 : smaps.indexOf(`\n${header}`);
  if (start < 0) return 0;
  // Each mapping ends with its flags.
  const figures = smaps.slice(start, smaps.indexOf('\nVmFlags:', start));
  return Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(figures)?.[1] ?? 0) * 1024;
}

function hexAddress(address: number): string {
  return address.toString(16).padStart(8, '0');
}
