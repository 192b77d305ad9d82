/** What both threads of `post-message-ends.ts` have: light, because the other thread loads nothing else. */
import { type MessagePort, receiveMessageOnPort } from 'node:worker_threads';
import { LOOKS_MAX, nothingCame } from './ends.ts';

/** What the other thread is given. */
export interface ThreadData {
  readonly port: MessagePort;
  readonly spins: boolean;
  readonly payloadBytes: number;
  readonly core: number | null;
}

/** The next message. @throws Error when none comes. */
export function spinOn(port: MessagePort): ArrayBuffer {
  for (let looks = 0; looks < LOOKS_MAX; looks += 1) {
    const received = receiveMessageOnPort(port);
    if (received !== undefined) return received.message as ArrayBuffer;
  }
  throw nothingCame();
}
