/**
 * The real sources of shm-core, loaded from a copy in a temporary directory. Two things are changed in the copy: private fields get names
 * that can be read (`#next` becomes `private_next`), so that the explorer can tell when a participant is where it was before; and plain
 * accesses to control words become calls, which it can see. A mutation changes one more thing, which must be found.
 */
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

/** One exact replacement in one source file. */
export interface Edit {
  /** From shm-core/src. */
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

const SOURCES = join(import.meta.dirname, '..', 'src');
const FOLDERS = ['layout', 'mapping', 'channel', 'lock', 'os', 'segment'] as const;

const MODULES = {
  lockSegment: 'mapping/lock-segment.ts',
  participantPage: 'mapping/participant-page.ts',
  participantPages: 'mapping/participant-pages.ts',
  geometry: 'channel/geometry.ts',
  channelMemory: 'channel/channel-memory.ts',
  pins: 'channel/pins.ts',
  words: 'channel/words.ts',
  publisher: 'channel/publisher.ts',
  subscriber: 'channel/subscriber.ts',
  holdId: 'lock/hold-id.ts',
  removal: 'lock/removal.ts',
  participantLock: 'lock/participant-lock.ts',
  lockArbiter: 'lock/lock-arbiter.ts',
} as const;

/** The plain accesses, under names by which `engine/atomics-probe.ts` sees them. Where nobody explores, they are as good as atomic. */
const PLAIN_ACCESSES: readonly Edit[] = [
  {
    file: 'layout/control-words.ts',
    from: 'plain[index] = value;',
    to: '(Atomics.storeAhead ?? Atomics.store)(plain, index, value);',
  },
  {
    file: 'layout/control-words.ts',
    from: 'return plain[index] as number;',
    to: 'return (Atomics.loadStable ?? Atomics.load)(plain, index);',
  },
  {
    file: 'layout/control-words.ts',
    from: 'const seen = plain[index];',
    to: 'const seen = Atomics.load(plain, index);',
  },
  {
    file: 'layout/control-words.ts',
    from: 'return plain[index + 1] === high && plain[index] === low;',
    to: `const whole = new BigUint64Array(plain.buffer, plain.byteOffset + 4 * index, 1);
  return Atomics.load(whole, 0) === ((BigInt(high >>> 0) << 32n) | BigInt(low >>> 0));`,
  },
];

/** A counter that says when to look somewhere once more, which who is about to sleep always does: as it is, no two states would be equal. */
const ENDLESS_COUNTERS: readonly Edit[] = [
  { file: 'channel/subscriber.ts', from: 'this.#idleLooks += 1;', to: 'this.#idleLooks = 1;' },
];

/** What cases are built of. */
export type CodeUnderTest = typeof import('../src/mapping/lock-segment.ts') &
  typeof import('../src/mapping/participant-page.ts') &
  typeof import('../src/mapping/participant-pages.ts') &
  typeof import('../src/channel/geometry.ts') &
  typeof import('../src/channel/channel-memory.ts') &
  typeof import('../src/channel/pins.ts') &
  typeof import('../src/channel/words.ts') &
  typeof import('../src/channel/publisher.ts') &
  typeof import('../src/channel/subscriber.ts') &
  typeof import('../src/lock/hold-id.ts') &
  typeof import('../src/lock/removal.ts') &
  typeof import('../src/lock/participant-lock.ts') &
  typeof import('../src/lock/lock-arbiter.ts');

/** @throws Error when an edit's text is not in its file exactly once. */
export async function loadCodeUnderTest(edits: readonly Edit[] = []): Promise<CodeUnderTest> {
  const directory = await mkdtemp(join(tmpdir(), 'leasehold-explore-'));
  try {
    await Promise.all(FOLDERS.map((folder) => copySources(folder, directory)));
    for (const edit of [...edits, ...PLAIN_ACCESSES, ...ENDLESS_COUNTERS]) await applyEdit(directory, edit);
    await renamePrivateFields(directory);
    const loaded: unknown[] = [];
    for (const file of Object.values(MODULES)) {
      loaded.push(await import(/* @vite-ignore */ pathToFileURL(join(directory, file)).href));
    }
    return Object.assign({}, ...loaded) as CodeUnderTest;
  } finally {
    await rm(directory, { recursive: true });
  }
}

function copySources(folder: string, directory: string): Promise<void> {
  return cp(join(SOURCES, folder), join(directory, folder), {
    recursive: true,
    filter: (source) => !source.endsWith('.test.ts') && !source.endsWith('/testing'),
  });
}

async function applyEdit(directory: string, { file, from, to }: Edit): Promise<void> {
  const path = join(directory, file);
  const text = await readFile(path, 'utf8');
  const occurrences = text.split(from).length - 1;
  if (occurrences !== 1) throw new Error(`${file}: ${occurrences} times instead of once: ${from}`);
  await writeFile(
    path,
    text.replace(from, () => to),
  );
}

async function renamePrivateFields(directory: string): Promise<void> {
  const files = await readdir(directory, { recursive: true });
  for (const file of files.filter((name) => name.endsWith('.ts'))) {
    const path = join(directory, file);
    const text = await readFile(path, 'utf8');
    await writeFile(path, text.replaceAll(/(?<![\w'"`])#([a-z]\w*)/g, 'private_$1'));
  }
}
