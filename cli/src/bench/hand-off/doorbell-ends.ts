/** A pair of bare doorbells, and nothing else: what it costs to wake a process by a datagram for which its event loop waits. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { bindDoorbell, DoorbellEar, openRinger, watchReadable } from '@leasehold/shm-core/internal';
import type { EndOptions, Transport } from './ends.ts';
import { DEAF, type Line, MessageFollower, MessageLeader } from './message-ends.ts';

function openLine({ directory, payloadBytes }: EndOptions, ours: string, theirs: string): Line {
  const ourPath = join(directory, ours);
  const fd = bindDoorbell(ourPath, 0o600);
  const ear = new DoorbellEar(fd);
  const heard = new Uint8Array(ear.words.buffer, 0, payloadBytes);
  const ringer = openRinger();
  // A socket of its own, connected at the first ring: the kernel need not look the path up each time.
  const bell = ringer.bell(join(directory, theirs));
  const next = new Uint8Array(payloadBytes);
  const line: Line = {
    ...DEAF,
    next,
    send: () => {
      const outcome = bell.ring(next);
      if (outcome !== 'rung') line.onFailure(new Error(`the bell of the other side is ${outcome}`));
    },
    close: () => {
      fd.close();
      ringer.close();
      rmSync(ourPath);
    },
  };
  const onReadable = (): void => {
    if (ear.hear() === payloadBytes) line.onArrival(heard);
  };
  watchReadable(fd, onReadable, (error) => line.onFailure(error as Error));
  return line;
}

export const DOORBELL: Transport = {
  openLeader: async (options) => new MessageLeader(openLine(options, 'bell-near', 'bell-far'), options.payloadBytes),
  openFollower: async (options) =>
    new MessageFollower(Promise.resolve(openLine(options, 'bell-far', 'bell-near')), options.payloadBytes),
};
