/**
 * Writes docs/ABI.md from the layouts, the word encodings and the golden bytes. With --check it writes nothing and fails when
 * the page is stale. Every offset, magic and example on the page is computed; prose says only what numbers cannot.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { NO_SLOT, publishedWord, ringWord, writingWord } from '../src/channel/words.ts';
import type { Layout } from '../src/layout/define-layout.ts';
import {
  ABI_VERSION,
  CHANNEL_HEADER,
  FRAME_DESCRIPTOR,
  LOCK_SEGMENT,
  MAGIC,
  MAX_PARTICIPANTS,
  MAX_SLOTS,
  PARTICIPANT_PAGE,
  USER_METADATA_BYTES,
} from '../src/layout/regions.ts';

export const ABI_DOCS_URL = new URL('../../docs/ABI.md', import.meta.url);
const GOLDEN_URL = new URL('../../tests/protocol/golden/', import.meta.url);

const hex32 = (word: number): string => `0x${(word >>> 0).toString(16).padStart(8, '0')}`;

/** The table of one region: every field, reserved ones too, so that the rows add up to the region. */
export function renderLayout(layout: Layout): string {
  const rows = layout.fields.map((field, at) => {
    const bytes = (layout.fields[at + 1]?.offset ?? layout.bytes) - field.offset;
    const type = field.type === 'bytes' || field.count === 1 ? field.type : `${field.type}[${field.count}]`;
    const name = field.reserved ? '–' : `\`${field.name}\``;
    return `| ${field.offset} | ${bytes} | ${type} | ${name} | ${field.doc} |\n`;
  });
  const head = '| offset | bytes | type | field | writer; access; meaning |\n| ---: | ---: | --- | --- | --- |\n';
  return `${head}${rows.join('')}| **${layout.bytes}** | | | | end |\n`;
}

function renderGolden(): string {
  const files = readdirSync(GOLDEN_URL).filter((name) => name.endsWith('.hex'));
  const blocks = files.sort().map((name) => {
    const text = readFileSync(new URL(name, GOLDEN_URL), 'utf8');
    return `### ${name}\n\n\`\`\`text\n${text.trimEnd()}\n\`\`\`\n`;
  });
  return blocks.join('\n');
}

const preamble = () => `# ABI

<!-- Generated from shm-core/src/layout/regions.ts by \`npm run docs:generate\`. Do not edit. -->

The bytes that processes share, ABI version ${ABI_VERSION}. Who does what with them, in which order, is in
[PROTOCOL.md](PROTOCOL.md). Everything is little-endian. *Atomic* means: every access by anybody is one naturally aligned,
sequentially consistent load, store or compare-exchange of the field's width (a vector: of each element). *Once* means: written
before the magic is stored, constant afterwards. Reserved bytes (–) are zero and stay zero. Offsets are in bytes.

## Segments

| segment | size | pages | layout |
| --- | --- | --- | --- |
| lock segment, one per mapping | ${LOCK_SEGMENT.bytes} B | base | [Lock segment](#lock-segment) |
| participant page, one per participant | ${PARTICIPANT_PAGE.bytes} B | base | [Participant page](#participant-page) |
| data segment of a plain mapping | payload, rounded up to whole pages | as granted | the user's own bytes from offset 0 |
| data segment of a channel | rounded up to whole pages | as granted | [Channel](#channel-data-segment) |
`;

const validity = () => `## Validity

Whoever maps a segment checks, in this order, and gives up on it (\`CORRUPT_MEMORY\`) at the first that fails:

1. The descriptor's size (\`fstat\`) is the \`bytes\` of its role in the Grant, and at least the size of the region.
2. \`magic\`, loaded atomically, is \`${hex32(MAGIC.lock)}\` (lock segment), \`${hex32(MAGIC.page)}\` (participant page) or \`${hex32(MAGIC.channel)}\` (channel header). The
   broker stores it last; 0 means that the region is not ready, and nothing else in it may be believed.
3. \`abiVersion\` is ${ABI_VERSION}. Another one is refused; there is no negotiation.
4. \`mappingId\` is that of the Grant. In a page, so are \`index\` and \`generation\`.
5. In a channel header: \`slots\` is 3 to ${MAX_SLOTS}, \`maxLoans\` 1 to \`slots\` − 2, \`slotBytes\` at least 1; every other number is exactly what
   the [formulas](#channel-data-segment) give for these; and the whole fits in the segment.

The header is copied once and the copy is checked: a writer may change it under the reader. Numbers read later (slots out of ring
entries, lengths out of descriptors) are checked against the geometry each time.
`;

const channelIntroduction = () => `## Channel data segment

With N = \`slots\` and \`align(x, a)\` = x rounded up to a multiple of a:

| part | offset | size |
| --- | --- | --- |
| [channel header](#channel-header) | 0 | ${CHANNEL_HEADER.bytes} |
| ring, R = \`ringEntries\` = the least power of two ≥ N | \`ringOffset\` = ${CHANNEL_HEADER.bytes} | 4 × R |
| [descriptors](#frame-descriptor) | \`descriptorsOffset\` = align(\`ringOffset\` + 4 R, 128) | ${FRAME_DESCRIPTOR.bytes} × N |
| slots | \`slotsOffset\` = align(\`descriptorsOffset\` + ${FRAME_DESCRIPTOR.bytes} N, A) | \`slotStrideBytes\` × N |

A = 4096 when \`slotBytes\` ≥ 4096, else 64; \`slotStrideBytes\` = align(\`slotBytes\`, A). Slot s begins at
\`slotsOffset\` + s × \`slotStrideBytes\`, its descriptor at \`descriptorsOffset\` + s × ${FRAME_DESCRIPTOR.bytes}, and ring entry i at \`ringOffset\` + 4 i.
`;

const encodings = () => `## Words

**Sequences** are whole numbers from 1 to below 2^53 − 2^32. A 32-bit field holds one modulo 2^32. The whole newest sequence is made of
\`head\` and \`headEra\` (both in the lock segment): m = \`headEra\` × 2^31 + 2^30; sequence = m + (\`head\` − m, as a signed 32-bit
difference). So it is exact although the two are stored one after the other.

**\`state\`** of a slot:

| bits 31–30 | bits 29–0 | meaning | example |
| --- | --- | --- | --- |
| 00 | 0 | free | \`${hex32(0)}\` |
| 01 | k mod 2^30 | frame k is in the slot, or is just being published | k = 5: \`${hex32(publishedWord(5))}\` |
| 10 | participant index (7 bits, 29–23), generation (23 bits, 22–0) | WRITING: that participant fills it | index 3, generation 2: \`${hex32(writingWord(3, 2))}\` |

Generations stay below 2^23 − 1, so the field always holds the whole generation. How far a published slot is ahead of
sequence n is (k − n) modulo 2^30, as a signed 30-bit number.

**Ring entry** of frame k, at index k mod R: lap (22 bits, 31–10) = (k div R) mod 2^22; slot (10 bits, 9–0). In memory laid out with
head h, the entry at which frame h + d (d = 1 … R) will be has the lap before that frame's, and slot ${NO_SLOT} (no slot; N is at most ${MAX_SLOTS}).
Examples with R = 8: frame 21 in slot 6 is \`${hex32(ringWord(2, 6))}\`; lap 1 and no slot is \`${hex32(ringWord(1, NO_SLOT))}\`.

**Pins**: each word of \`pins\` is 0 or the state word of a published frame: frame 5 is pinned by \`${hex32(publishedWord(5))}\`. **\`live\`, \`counted\`**: participant i is bit i mod 32 of word i div 32; indices are below
${MAX_PARTICIPANTS}. **Metadata**: as many of the ${USER_METADATA_BYTES} bytes as \`flags\` says. **FourCC**: the first character in the low byte. **\`flags\`**: bit 0 is the end mark, bits 8 to 15
are the length of the metadata.

**\`holder\`**: 0, or index + 1 (8 bits, 63–56), generation (24 bits, 55–32), serial (32 bits, 31–0). Compare it with \`hold_id\` of
PublisherPromoted as a whole; nobody takes it apart. **\`fencingToken\`**: epoch (16 bits, 63–48), counter (48 bits).
`;

export function renderAbiDocs(): string {
  const sections = [
    preamble(),
    validity(),
    `## Lock segment\n\nMagic \`${hex32(MAGIC.lock)}\`. Bells are 16 raw bytes; the socket's name in \`bells/\` is their 32 lower-case hex digits.\n\n${renderLayout(LOCK_SEGMENT)}`,
    `## Participant page\n\nMagic \`${hex32(MAGIC.page)}\`.\n\n${renderLayout(PARTICIPANT_PAGE)}`,
    channelIntroduction(),
    `### Channel header\n\nMagic \`${hex32(MAGIC.channel)}\`.\n\n${renderLayout(CHANNEL_HEADER)}`,
    `### Frame descriptor\n\n${renderLayout(FRAME_DESCRIPTOR)}`,
    encodings(),
    `## Golden bytes\n\nWhat the implementation writes, pinned by \`shm-core/src/channel/golden-bytes.test.ts\`: lines of 16 bytes, lines of zeros left out.\nThe files are in \`tests/protocol/golden/\`, for other implementations to test with.\n\n${renderGolden()}`,
  ];
  return sections.join('\n');
}

if (import.meta.main) {
  if (!process.argv.includes('--check')) {
    writeFileSync(ABI_DOCS_URL, renderAbiDocs());
  } else if (readFileSync(ABI_DOCS_URL, 'utf8') !== renderAbiDocs()) {
    console.error('docs/ABI.md does not match the layouts: run `npm run docs:generate`.');
    process.exitCode = 1;
  }
}
