/** When a wait for frames is given up because the session is over. Frames need no broker, so it is not given up at once. */
import { LOOK_AGAIN_MS } from './doorbell.ts';
import type { SessionEnd } from './frame-source.ts';
import type { Session } from './session.ts';

export const sessionEnd = (session: Session): SessionEnd => ({
  lostSince: (sinceMs) =>
    session.lost.aborted && Math.min(session.lostForMs, performance.now() - sinceMs) >= LOOK_AGAIN_MS
      ? session.lost.reason
      : null,
  endedBecause: () => session.endedBecause(),
});
