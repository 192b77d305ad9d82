/** Bounds checks that every backend makes before it touches memory: offsets, lengths and sizes are whole, positive and inside. */

/** @throws RangeError unless `[offset, offset + length)` is a non-empty part of `[0, within)`. */
export function checkExtent(offset: number, length: number, within: number): void {
  if (Number.isSafeInteger(offset) && offset >= 0 && Number.isSafeInteger(length) && length > 0) {
    if (length <= within - offset) return;
  }
  throw new RangeError(`[${offset}, ${offset} + ${length}) is not within ${within} B`);
}

/** @throws RangeError unless `offset` is a multiple of the word size. */
export function checkAlignment(offset: number, wordBytes: number): void {
  if (offset % wordBytes !== 0) throw new RangeError(`offset ${offset} is not aligned to ${wordBytes} B`);
}

/** @throws RangeError unless both ends of the part are on page borders: the kernel would round the end up, over what follows. */
export function checkWholePages(offset: number, length: number, pageBytes: number): void {
  if (offset % pageBytes === 0 && length % pageBytes === 0) return;
  throw new RangeError(`[${offset}, ${offset} + ${length}) is not whole pages of ${pageBytes} B`);
}

/** @throws RangeError unless `bytes` is a positive multiple of the page size. */
export function checkSegmentBytes(bytes: number, pageBytes: number): void {
  if (Number.isSafeInteger(bytes) && bytes > 0 && bytes % pageBytes === 0) return;
  throw new RangeError(`a segment of ${bytes} B is not a positive multiple of its ${pageBytes} B pages`);
}
