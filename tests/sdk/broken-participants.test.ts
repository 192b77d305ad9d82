/** Subscribers that write nonsense into the one page they may write: the publisher and everybody else must not care. */
import { readdirSync } from 'node:fs';
import { connect } from '@leasehold/client';
import { type Attachment, SubscribeMode } from '@leasehold/proto';
import {
  createLinuxSegmentOs,
  MAX_PINS,
  type MappedRange,
  type OwnedFd,
  PARTICIPANT_PAGE,
  publishedWord,
} from '@leasehold/shm-core/internal';
import { expect, it, onTestFinished } from 'vitest';
import { RawAttach, rawRpc } from '../hostile/raw-client.ts';
import { sharedBroker } from '../support/shared-broker.ts';

const { runtimeDir } = sharedBroker();
const os = createLinuxSegmentOs();

const fdCount = (): number => readdirSync('/proc/self/fd').length;

/** Subscribes by hand. @returns its own page, as it may write it */
async function subscribeByHand(name: string, maxPins: number): Promise<MappedRange> {
  const attach = new RawAttach(runtimeDir);
  const rpc = rawRpc(runtimeDir, await attach.open());
  onTestFinished(() => {
    rpc.close();
    attach.close();
  });
  const { attachment } = await rpc.channels.openSubscriber(
    { name, mode: SubscribeMode.QUEUE, maxPins, history: 0 },
    rpc.options,
  );
  return claimPage(attach, attachment);
}

async function claimPage(attach: RawAttach, attachment: Attachment | undefined): Promise<MappedRange> {
  const { said, fds } = await attach.ask({ case: 'claim', value: { ticket: attachment?.ticket ?? new Uint8Array() } });
  if (said.case !== 'grant') throw new Error(`no Grant but ${said.case}`);
  const [data, lock, page] = fds as [OwnedFd, OwnedFd, OwnedFd];
  const range = os.map(page, PARTICIPANT_PAGE.bytes, 'write', 'base');
  for (const fd of [data, lock, page]) fd.close();
  onTestFinished(() => range.release());
  return range;
}

it('a subscriber that wipes its page before it is claimed stops no publisher, and costs no descriptor', async () => {
  await using broker = await connect({ runtimeDir });
  const channel = await broker.createChannel('broken/wiped', { slotBytes: 4096, slots: 8 });
  await using publisher = await channel.openPublisher();
  await using witness = await channel.subscribe();
  const page = await subscribeByHand('broken/wiped', 1);
  page.words32(0, PARTICIPANT_PAGE.bytes / 4).fill(0);
  publisher.tryLoan()?.publish();
  const before = fdCount();
  for (let value = 0; value < 50; value += 1) {
    publisher.tryLoan()?.publish();
    (await witness.take())?.release();
  }
  expect([publisher.published, fdCount()]).toEqual([51, before]);
});

it('a subscriber that pins every frame keeps one slot, and who keeps to its number keeps its frame', async () => {
  await using broker = await connect({ runtimeDir });
  const channel = await broker.createChannel('broken/hoarder', { slotBytes: 4096, slots: 4 });
  await using publisher = await channel.openPublisher();
  await using honest = await channel.subscribe({ maxPins: 1 });
  const hoarder = await subscribeByHand('broken/hoarder', 1);
  using first = publisher.tryLoan();
  first?.bytes.fill(77);
  first?.publish();
  using held = await honest.take();
  const pins = hoarder.words32(PARTICIPANT_PAGE.at.pins, MAX_PINS);
  for (let frame = 1; frame <= 40; frame += 1) {
    for (let ahead = 0; ahead < MAX_PINS; ahead += 1) pins[ahead] = publishedWord(publisher.published + 1 - ahead);
    publisher.tryLoan()?.publish();
  }
  expect([publisher.published, publisher.dropped, held?.bytes[0]]).toEqual([41, 0, 77]);
});

it('a subscriber that plays with its cursor and its bell costs the publisher no more than its bound', async () => {
  await using broker = await connect({ runtimeDir });
  const options = { slotBytes: 4096, slots: 8, overflow: 'block', blockBound: 'detach', blockTimeoutMs: 50 } as const;
  const channel = await broker.createChannel('broken/cursor', options);
  await using publisher = await channel.openPublisher();
  const page = await subscribeByHand('broken/cursor', 1);
  page.words32(PARTICIPANT_PAGE.at.cursor, 1)[0] = 0x8000_0001;
  page.words32(PARTICIPANT_PAGE.at.bell, 4).fill(0xffff_ffff);
  page.words32(PARTICIPANT_PAGE.at.armed, 1)[0] = 0xffff_ffff;
  for (let value = 0; value < 30; value += 1) (await publisher.loan()).publish();
  expect(publisher.published).toBe(30);
});
