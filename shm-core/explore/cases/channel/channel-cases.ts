/** The cases of the channel: who takes part in each, and what must be so of the frames when nobody can go on. */
import type { SubscribeMode } from '../../../src/channel/subscriber.ts';
import type { CodeUnderTest } from '../../code-under-test.ts';
import type { Ending, FinalState, Model, Participant } from '../../engine/case.ts';
import type { World } from '../../engine/world.ts';
import type { ExplorerCase } from '../explorer-case.ts';
import {
  bellOf,
  type ChannelPlan,
  type ChannelSeat,
  channelSegments,
  GENERATION,
  headWord,
  leaseOf,
  pinsOf,
} from './channel-memory.ts';
import { type PublisherReport, payloadOf, runPublisher } from './publisher-script.ts';
import { runSubscriber, type SubscriberReport } from './subscriber-script.ts';

interface ChannelCase {
  /** How many frames each publisher publishes, or tries to: one after the other has the lease. */
  readonly publishers: readonly number[];
  readonly subscribers: readonly SubscribeMode[];
  /** How the first publisher loses the lease: it runs on, or is killed, at any step. */
  readonly predecessor?: 'late' | 'killed';
  readonly block?: boolean;
  readonly slots?: number;
  /** Frames that are there before anybody starts. */
  readonly published?: number;
}

function channelModel(code: CodeUnderTest, channel: ChannelCase): Model {
  const names = (prefix: string, list: readonly unknown[]): string[] => list.map((_, i) => `${prefix}${i + 1}`);
  const publishers = names('P', channel.publishers);
  const subscribers = names('S', channel.subscribers);
  const seats = [...publishers, ...subscribers].map((name, index): ChannelSeat => {
    return { name, index, role: name.startsWith('P') ? 'publisher' : 'subscriber' };
  });
  const { slots = 3, block = false, published = 0 } = channel;
  const plan: ChannelPlan = { slots, block, published, seats };
  const payload = Array.from({ length: published }, (_, i) =>
    payloadOf(i).map((word): [string, number] => [word, 101 + i]),
  );
  const participants: Participant[] = [
    ...publishers.map((name, place): Participant => {
      const after = place === 0 ? {} : { after: 'promoted' };
      const dies = place === 0 && channel.predecessor === 'killed' ? { mayDie: { 'dead.P1': 1 } } : {};
      const frames = channel.publishers[place] ?? 0;
      return { name, script: (world) => runPublisher(code, world, { ...plan, place, frames, ...after }), ...dies };
    }),
    ...subscribers.map((name, i): Participant => {
      const mode = channel.subscribers[i] ?? 'queue';
      const place = publishers.length + i;
      return { name, script: (world) => runSubscriber(code, world, { ...plan, place, mode, rings: 'P1' }) };
    }),
  ];
  if (channel.predecessor !== undefined) {
    const { predecessor } = channel;
    participants.push({ name: 'broker', script: (world) => promote(code, world, predecessor, subscribers) });
  }
  return {
    segments: channelSegments(code, plan),
    ghosts: Object.fromEntries(payload.flat()),
    participants,
    stepRules: [
      {
        word: headWord,
        beside: [],
        check: ({ before, after }) => (after > before ? null : `head goes back from ${before} to ${after}`),
      },
    ],
    watched: [headWord, ...subscribers.map(pinsOf)],
    final: (state) => judge(code, state, { publishers, subscribers, block: plan.block }),
  };
}

/** The broker takes the lease from the first publisher, at any moment or when it is dead, and gives it to the second. */
function promote(
  code: CodeUnderTest,
  world: World,
  predecessor: 'late' | 'killed',
  subscribers: readonly string[],
): void {
  const lock = new code.LockSegment(world.range('lock'));
  if (predecessor === 'killed') world.await('dead.P1');
  lock.casHolder(leaseOf(0).holdId, leaseOf(1).holdId);
  if (predecessor === 'killed') lock.clearLive(0, GENERATION);
  for (const name of subscribers) world.store(bellOf(name), 1);
  world.store('promoted', 1);
}

interface Cast {
  readonly publishers: readonly string[];
  readonly subscribers: readonly string[];
  readonly block: boolean;
}

function judge(code: CodeUnderTest, state: FinalState, { publishers, subscribers, block }: Cast): string | null {
  const endings = publishers.map((name): [string, Ending | undefined] => [name, state.endings[name]]);
  const died = endings.some(([, ending]) => ending?.how === 'dead');
  const sleeping = endings.find(([name, ending]) => ending?.how === 'waiting' && (name === 'P1' || died));
  if (sleeping !== undefined) return `a lost wake-up: ${sleeping[0]} waits for ever`;
  const reports = endings.map(([, ending]) => ending?.report as PublisherReport | null);
  const published = new Map(reports.flatMap((report) => report?.published ?? []));
  const newest = Number(state.value(headWord));
  if (!died && newest !== published.size) return `head is ${newest}, and ${published.size} frames were published`;
  for (const name of subscribers) {
    const wrong = judgeSubscriber(state.endings[name]?.report as SubscriberReport, { published, newest, died, block });
    if (wrong !== null) return `${name}: ${wrong}`;
    const { cursor } = state.endings[name]?.report as SubscriberReport;
    if (state.value(pinsOf(name)) !== code.publishedWord(cursor + 1)) return `${name}: a pin is left, or none is ahead`;
  }
  return null;
}

function judgeSubscriber(
  { taken, missed, cursor }: SubscriberReport,
  {
    published,
    newest,
    died,
    block,
  }: { published: ReadonlyMap<number, number>; newest: number; died: boolean; block: boolean },
): string | null {
  if (cursor < newest) return `a lost wake-up: it sleeps at ${cursor}, and ${newest} is published`;
  if (taken.length + missed !== cursor) return `took ${taken.length} and missed ${missed} of ${cursor}`;
  if (block && missed > 0) return `missed ${missed} of a publisher that waits`;
  const stranger = taken.find(([sequence, value]) => published.get(sequence) !== value);
  if (stranger !== undefined && !died) return `took ${stranger[1]} as frame ${stranger[0]}, which was not published`;
  return null;
}

const channelCase = (name: string, title: string, ciBound: number, channel: ChannelCase): ExplorerCase => {
  return { name, title, ciBound, model: (code) => channelModel(code, channel) };
};

const EVERY = Number.POSITIVE_INFINITY;

export const CHANNEL_CASES: readonly ExplorerCase[] = [
  channelCase('queue', 'a publisher wraps the ring under a subscriber', EVERY, {
    publishers: [6],
    subscribers: ['queue'],
  }),
  channelCase('latest', 'the same, for the newest only', EVERY, { publishers: [6], subscribers: ['latest'] }),
  channelCase('two-subscribers', 'a publisher wraps the ring under two subscribers', 3, {
    publishers: [5],
    subscribers: ['queue', 'latest'],
  }),
  {
    name: 'put-back',
    title: 'a publisher finds every slot pinned while a subscriber moves along',
    ciBound: 5,
    model: (code) => channelModel(code, { publishers: [1], subscribers: ['queue', 'latest'], published: 3 }),
  },
  channelCase('late-predecessor', 'a publisher that has lost its lease goes on', 3, {
    publishers: [3, 3],
    subscribers: ['queue'],
    predecessor: 'late',
  }),
  channelCase('late-wrap', 'the same, where every slot holds a frame', 3, {
    publishers: [1, 2],
    subscribers: ['queue'],
    predecessor: 'late',
    published: 3,
  }),
  channelCase('killed-predecessor', 'a publisher is killed at any step, and another takes over', EVERY, {
    publishers: [2, 2],
    subscribers: ['queue'],
    predecessor: 'killed',
  }),
  channelCase('block', 'a publisher waits for a subscriber', EVERY, {
    publishers: [6],
    subscribers: ['queue'],
    block: true,
  }),
];
