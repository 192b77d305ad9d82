/** Writing all of a payload and reading all of it: 64-bit floats of small whole numbers, whose sum is exact whatever the order. */

/** The payload as words; its length is a multiple of 8 B. */
export const wordsOf = ({ buffer, byteOffset, byteLength }: Uint8Array): Float64Array =>
  new Float64Array(buffer, byteOffset, byteLength / Float64Array.BYTES_PER_ELEMENT);

/** Not 0, which would be what nobody wrote, and small. */
const wordOf = (number: number): number => 1 + (number % 250);

export function writeAll(words: Float64Array, number: number): void {
  words.fill(wordOf(number));
}

/** @throws Error when some word is not what `writeAll` wrote. */
export function readAll(words: Float64Array, number: number): void {
  const sum = sumOf(words);
  const expected = words.length * wordOf(number);
  if (sum !== expected) throw new Error(`the words of payload ${number} add up to ${sum}, not ${expected}`);
}

/** Four sums at a time: one alone would wait for each addition before the next. `words.length` is a multiple of 4. */
function sumOf(words: Float64Array): number {
  let [first, second, third, fourth] = [0, 0, 0, 0];
  for (let at = 0; at < words.length; at += 4) {
    first += words[at] ?? 0;
    second += words[at + 1] ?? 0;
    third += words[at + 2] ?? 0;
    fourth += words[at + 3] ?? 0;
  }
  return first + second + third + fourth;
}
