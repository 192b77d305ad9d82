/** A case of the channel as the explorer takes it: who takes part, and what must be so of the frames when nobody can go on. */

import type { SubscribeMode } from '../../../src/channel/subscriber.ts';
import { low32 } from '../../../src/layout/sequence.ts';
import type { CodeUnderTest } from '../../code-under-test.ts';
import type { Ending, FinalState, Model, Participant } from '../../engine/case.ts';
import type { World } from '../../engine/world.ts';
import { admit, deadOf, dismiss, type Leaving, promote } from './broker-script.ts';
import { type ChannelPlan, type ChannelSeat, channelSegments, headWord, pinsOf } from './channel-memory.ts';
import { type PublisherReport, payloadOf, runPublisher } from './publisher-script.ts';
import { runSubscriber, type SubscriberReport } from './subscriber-script.ts';

export interface SubscriberPart {
  readonly mode: SubscribeMode;
  /** Frames that it may hold; it holds one less while it takes the next. Otherwise 1. */
  readonly pins?: number;
  /** It loses its rights at any step. */
  readonly leaves?: Leaving;
  /** It is let in at any step. */
  readonly joins?: boolean;
  /** Frames from before the join that it is granted. */
  readonly history?: number;
  /** After so many frames it touches nothing more. */
  readonly stopsAfter?: number;
}

export interface ChannelCase {
  /** How many frames each publisher publishes, or tries to: one after the other has the lease. */
  readonly publishers: readonly number[];
  readonly subscribers: readonly SubscriberPart[];
  /** How the first publisher loses the lease, at any step. */
  readonly predecessor?: Leaving;
  readonly block?: boolean;
  readonly slots?: number;
  /** Frames that are borrowed and published at a time. */
  readonly batch?: number;
  /** The newest sequence before the channel's first frame. */
  readonly head?: number;
  /** Frames that are there before anybody starts. */
  readonly published?: number;
}

interface Cast {
  readonly publishers: readonly ChannelSeat[];
  readonly subscribers: readonly (ChannelSeat & SubscriberPart & { readonly history: number })[];
}

const EVERY_FRAME = Number.POSITIVE_INFINITY;

type CastSubscriber = Cast['subscribers'][number];

export function channelModel(code: CodeUnderTest, channel: ChannelCase): Model {
  const cast = castOf(channel);
  const { slots = 3, block = false, published = 0, head = 0 } = channel;
  const plan: ChannelPlan = { slots, block, published, head, seats: [...cast.publishers, ...cast.subscribers] };
  const payload = Array.from({ length: published }, (_, i) =>
    payloadOf(i).map((word): [string, number] => [word, 101 + i]),
  );
  return {
    segments: channelSegments(code, plan),
    ghosts: Object.fromEntries(payload.flat()),
    participants: participantsOf(code, channel, plan, cast),
    stepRules: [
      {
        word: headWord,
        beside: [],
        check: ({ before, after }) =>
          low32(Number(after) - Number(before)) > 0 ? null : `head goes back from ${before} to ${after}`,
      },
    ],
    watched: [headWord, ...cast.subscribers.flatMap(pinsOf)],
    final: (state) => judge(code, state, plan, cast),
  };
}

function castOf({ publishers, subscribers }: ChannelCase): Cast {
  const first = publishers.length;
  return {
    publishers: publishers.map((_, index) => ({ name: `P${index + 1}`, index, pins: 0, joins: false })),
    subscribers: subscribers.map((part, i) => ({
      pins: 1,
      joins: false,
      history: 0,
      ...part,
      name: `S${i + 1}`,
      index: first + i,
    })),
  };
}

function participantsOf(code: CodeUnderTest, channel: ChannelCase, plan: ChannelPlan, cast: Cast): Participant[] {
  const { predecessor, batch = 1 } = channel;
  const mortal = (name: string, how: Leaving | undefined): Partial<Participant> =>
    how === 'killed' ? { mayDie: { [deadOf(name)]: 1 } } : {};
  const broker = (name: string, script: (world: World) => void): Participant => ({ name, script });
  const participants: Participant[] = [
    ...cast.publishers.map(({ name, index: place }): Participant => {
      const after = place === 0 ? {} : { after: 'promoted' };
      const own = { ...plan, place, batch, frames: channel.publishers[place] ?? 0, ...after };
      const script = (world: World): PublisherReport => runPublisher(code, world, own);
      return { name, script, ...mortal(name, place === 0 ? predecessor : undefined) };
    }),
    ...cast.subscribers.map(({ name, index: place, mode, leaves, history, stopsAfter = EVERY_FRAME }): Participant => {
      const own = { ...plan, place, mode, history, stopsAfter, rings: 'P1' };
      const script = (world: World): SubscriberReport => runSubscriber(code, world, own);
      return { name, script, ...mortal(name, leaves) };
    }),
  ];
  if (predecessor !== undefined) {
    participants.push(broker('broker', (world) => promote(code, world, plan, predecessor)));
  }
  for (const seat of cast.subscribers) {
    const { leaves } = seat;
    if (leaves !== undefined) participants.push(broker('broker', (world) => dismiss(code, world, seat, leaves)));
    if (seat.joins)
      participants.push(broker('broker', (world) => admit(code, world, plan, { seat, history: seat.history })));
  }
  return participants;
}

function judge(code: CodeUnderTest, state: FinalState, plan: ChannelPlan, cast: Cast): string | null {
  const endings = cast.publishers.map(({ name }): [string, Ending | undefined] => [name, state.endings[name]]);
  const died = endings.some(([, ending]) => ending?.how === 'dead');
  const sleeping = endings.find(([name, ending]) => ending?.how === 'waiting' && (name === 'P1' || died));
  if (sleeping !== undefined) return `a lost wake-up: ${sleeping[0]} waits for ever`;
  const reports = endings.map(([, ending]) => ending?.report as PublisherReport | null);
  const published = new Map(reports.flatMap((report) => report?.published ?? []));
  const newest = plan.head + low32(Number(state.value(headWord)) - plan.head);
  if (!died && newest - plan.head !== published.size) {
    return `head is ${newest}, and ${published.size} frames were published`;
  }
  for (const subscriber of cast.subscribers) {
    const ending = state.endings[subscriber.name];
    if (ending?.how === 'dead') continue;
    const report = ending?.report as SubscriberReport;
    const waitedFor = plan.block && subscriber.mode === 'queue' && subscriber.leaves === undefined;
    const wrong =
      judgeFrames(report, subscriber, { published, newest, died, waitedFor }) ??
      judgePins(code, state, subscriber, report);
    if (wrong !== null) return `${subscriber.name}: ${wrong}`;
  }
  return null;
}

interface Published {
  readonly published: ReadonlyMap<number, number>;
  readonly newest: number;
  readonly died: boolean;
  /** The publisher waits for this subscriber. */
  readonly waitedFor: boolean;
}

function judgeFrames(
  { taken, missed, began, cursor }: SubscriberReport,
  { history, stopsAfter }: CastSubscriber,
  { published, newest, died, waitedFor }: Published,
): string | null {
  if (cursor < newest && taken.length !== stopsAfter)
    return `a lost wake-up: it sleeps at ${cursor}, and ${newest} is published`;
  const unsaid = cursor - began - taken.length - missed;
  // What is gone of the history when the first frame is taken is nobody's loss.
  if (unsaid < 0 || unsaid > history) {
    return `took ${taken.length} and missed ${missed} from ${began} to ${cursor}`;
  }
  if (waitedFor && missed > 0) return `missed ${missed} of a publisher that waits`;
  const stranger = taken.find(([sequence, value]) => published.get(sequence) !== value);
  if (stranger !== undefined && !died) return `took ${stranger[1]} as frame ${stranger[0]}, which was not published`;
  return null;
}

/** What it holds is pinned, and the frame that comes next; nothing else. */
function judgePins(
  code: CodeUnderTest,
  state: FinalState,
  subscriber: CastSubscriber,
  { held, cursor }: SubscriberReport,
): string | null {
  const words = pinsOf(subscriber).map((word) => Number(state.value(word)));
  const expected = [...held, cursor + 1].map((sequence) => code.publishedWord(sequence));
  const missing = expected.filter((word) => !words.includes(word));
  const left = words.filter((word) => word !== 0 && !expected.includes(word));
  return missing.length + left.length === 0 ? null : `${left.length} pins are left, ${missing.length} are missing`;
}
