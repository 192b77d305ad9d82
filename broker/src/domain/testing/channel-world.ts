/** Channels, publishers and subscribers in a fake world, in few words. */
import { expect } from 'vitest';
import { createChannel, type OwnedChannel, openPublisher, openSubscriber } from '../channel-operations.ts';
import { claimTicket } from '../mapping-operations.ts';
import type { Session } from '../session.ts';
import type { ChannelRequest } from '../specification.ts';
import type { FakeWorld } from './fake-ports.ts';

export const code = (expected: string) => expect.objectContaining({ code: expected });

export async function channel(
  { core }: FakeWorld,
  caller: Session,
  more: Partial<ChannelRequest> & { ifExists?: 'open-if-same' } = {},
): Promise<OwnedChannel> {
  const { ifExists = 'fail', ...changes } = more;
  const format = { fourcc: '', width: 0, height: 0, strideBytes: 0, frameRateNumerator: 0, frameRateDenominator: 0 };
  const request: ChannelRequest = {
    name: 'c',
    pages: 'never',
    lifetime: 'persistent',
    maxParticipants: 0,
    slotBytes: 100n,
    slots: 8,
    overflow: 'block',
    blockBound: 'timeout',
    blockTimeoutMs: 0,
    maxLoans: 1,
    firstSequence: 1n,
    locked: false,
    numaNode: null,
    format: { ...format, attributes: {} },
    ...changes,
  };
  const signal = new AbortController().signal;
  return (await createChannel(core, caller, request, { ifExists, signal })).channel;
}

/** Opens a publisher, claims its ticket, and keeps what it is told. */
export function publish({ core }: FakeWorld, caller: Session, { failIfHeld = false, name = 'c' } = {}) {
  const told: string[] = [];
  const tokens: bigint[] = [];
  const attachment = openPublisher(
    core,
    caller,
    { name, failIfHeld, ttlMs: 0 },
    {
      opened: (_channel, { ticket }) => {
        claimTicket(core, caller, ticket.bytes);
        told.push('opened');
      },
      queued: (position) => told.push(`queued ${position}`),
      promoted: ({ fencingToken, previousOwnerDied }) => {
        tokens.push(fencingToken);
        told.push(previousOwnerDied ? 'promoted, previous died' : 'promoted');
      },
      ended: (why) => told.push(`ended ${why?.code ?? 'well'}`),
    },
  );
  return { attachment, told, tokens };
}

export async function subscribe({ core }: FakeWorld, caller: Session, more: object = {}) {
  const request = { name: 'c', mode: 'queue' as const, maxPins: 0, history: 0, ...more };
  const opened = await openSubscriber(core, caller, request);
  claimTicket(core, caller, opened.ticket.bytes);
  return opened;
}

export const settled = async (): Promise<void> => {
  for (let turn = 0; turn < 10; turn += 1) await Promise.resolve();
};
