/**
 * Writes random values over the whole lock segment of a mapping, and over the pages of all who take part in it, as fast as it can until
 * it is killed. argv: runtime directory, mapping, seed.
 */
import { setTimeout as rest } from 'node:timers/promises';
import { Access } from '@leasehold/proto';
import { createLinuxSegmentOs, LOCK_SEGMENT, type OwnedFd, PARTICIPANT_PAGE } from '@leasehold/shm-core/internal';
import { RawAttach, rawRpc } from '../hostile/raw-client.ts';
import { seededRandom } from '../support/checked-frames.ts';
import { serveQuestions } from '../support/worker-side.ts';

const [, , runtimeDir = '', name = '', seed = ''] = process.argv;
const WORDS_PER_TURN = 256;
const PARTICIPANTS = 16;
/** Words that a lock uses, which are hit more often than others. */
const { holder, fencingToken, dirty, queued, membership, live } = LOCK_SEGMENT.at;
const LOCK_WORDS = [holder, fencingToken, dirty, queued, membership, live].map((at) => at / 4);
const STATE = LOCK_SEGMENT.at.state / 4;
const { sharedHold, deadline } = PARTICIPANT_PAGE.at;
const PAGE_WORDS = [sharedHold, deadline].map((at) => at / 4);

const random = seededRandom(Number(seed));
const os = createLinuxSegmentOs();
const attach = new RawAttach(runtimeDir);
const rpc = rawRpc(runtimeDir, await attach.open());
const regions: { readonly words: Uint32Array; readonly hot: readonly number[]; readonly spared: number }[] = [];
let written = 0;

function mapWords(fd: OwnedFd, bytes: number, hot: readonly number[], spared = -1): void {
  const { buffer, byteOffset } = os.map(fd, bytes, 'write', 'base').words32(0, bytes / 4);
  regions.push({ words: new Uint32Array(buffer, byteOffset, bytes / 4), hot, spared });
}

async function takePart(): Promise<number> {
  const { attachment } = await rpc.mappings.attachMapping({ name, access: Access.WRITE }, rpc.options);
  const claimed = await attach.ask({ case: 'claim', value: { ticket: attachment?.ticket ?? new Uint8Array() } });
  const [, lock, page] = claimed.fds;
  if (lock === undefined || page === undefined) throw new Error(`no Grant but ${claimed.said.case}`);
  mapWords(lock, LOCK_SEGMENT.bytes, LOCK_WORDS, STATE);
  mapWords(page, PARTICIPANT_PAGE.bytes, PAGE_WORDS);
  const mappingId = attachment?.mappingId ?? 0n;
  for (let index = 0; index < PARTICIPANTS; index += 1) {
    const answer = await attach.ask({ case: 'claimPages', value: { mappingId, participantIndices: [index] } });
    if (answer.said.case !== 'grant') continue;
    for (const fd of answer.fds) mapWords(fd, PARTICIPANT_PAGE.bytes, PAGE_WORDS);
  }
  return regions.length;
}

/** Half of the words are ones that matter; half of the values are small, as states, bits and the broker's own values are. */
function scribble(): void {
  const region = regions[Math.floor(random() * regions.length)];
  if (region === undefined) return;
  const { words, hot, spared } = region;
  const at = random() < 0.5 ? hot[Math.floor(random() * hot.length)] : Math.floor(random() * words.length);
  const target = (at ?? 0) + Math.floor(random() * 2);
  // A mapping that says it is deleted is left alone by everybody, and nothing else would be tried.
  if (target === spared) return;
  words[target] = Math.floor(random() * (random() < 0.5 ? 4 : 2 ** 32));
  written += 1;
}

async function scribbleForever(): Promise<never> {
  for (;;) {
    for (let i = 0; i < WORDS_PER_TURN; i += 1) scribble();
    await rest(1);
  }
}

serveQuestions(async (question: 'start' | 'count') => {
  if (question === 'count') return written;
  const found = await takePart();
  void scribbleForever();
  return found;
});
