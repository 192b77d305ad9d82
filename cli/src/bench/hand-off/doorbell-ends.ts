/** A pair of bare doorbells, and nothing else: what it costs to wake a process by a datagram for which its event loop waits. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { bindDoorbell, drainDoorbell, openRinger, watchReadable } from '@leasehold/shm-core/internal';
import { type EndOptions, mark, type Transport } from './ends.ts';
import { DEAF, type Line, MessageFollower, MessageLeader } from './message-ends.ts';

function openLine({ directory, payloadBytes }: EndOptions, ours: string, theirs: string): Line {
  const [ourPath, theirPath] = [join(directory, ours), join(directory, theirs)];
  const fd = bindDoorbell(ourPath, 0o600);
  const ringer = openRinger();
  const payload = new Uint8Array(payloadBytes);
  // What a ring says is dropped when it is heard: rings are counted instead.
  const heard = new Uint8Array(payloadBytes);
  let rings = 0;
  const line: Line = {
    ...DEAF,
    next: payload,
    send: () => {
      const outcome = ringer.ring(theirPath, payload);
      if (outcome !== 'rung') line.onFailure(new Error(`the bell of the other side is ${outcome}`));
    },
    close: () => {
      fd.close();
      ringer.close();
      rmSync(ourPath);
    },
  };
  const onReadable = (): void => {
    if (drainDoorbell(fd, 1) === 0) return;
    rings += 1;
    mark(heard, rings);
    line.onArrival(heard);
  };
  watchReadable(fd, onReadable, (error) => line.onFailure(error as Error));
  return line;
}

export const DOORBELL: Transport = {
  openLeader: async (options) => new MessageLeader(openLine(options, 'bell-near', 'bell-far'), options.payloadBytes),
  openFollower: async (options) =>
    new MessageFollower(Promise.resolve(openLine(options, 'bell-far', 'bell-near')), options.payloadBytes),
};
