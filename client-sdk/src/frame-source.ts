/** What waits for frames need of the subscription they wait on. */

/** In place of a frame: the stream has ended. */
export const ENDED = 'ended';
export type Found<F> = F | typeof ENDED;

/** Whether the session still lives, in which frames are waited for. */
export interface SessionEnd {
  /** Why a wait that began `sinceMs` (performance.now) is given up: for a second there has been neither a broker nor a frame. Else null. */
  lostSince(sinceMs: number): Error | null;
  /** Why the session has ended, after a look at what only the broker's socket knows as yet: for a thread whose event loop stands still. */
  endedBecause(): Error | null;
}

export interface FrameSource<F extends object> extends SessionEnd {
  /** What is waited for, in messages. */
  readonly what: string;
  /** The next frame; null while there is none. @throws LeaseholdError: the wait is over. */
  look(): Found<F> | null;
  /** As `look`, for a thread that blocks: frames that are about to be let go are not waited for, because they cannot be then. */
  lookBlocking(): Found<F> | null;
  /** When the frame that `look` found last was published, ns of CLOCK_MONOTONIC. */
  publishedNs(): number;
  /** Asks to be rung at the next frame; look again after it. Counted. Like `disarm`, it does nothing once its memory is unmapped. */
  arm(): void;
  disarm(): void;
  /** Whether `look` would find something, or has something to say. Takes nothing. */
  state(): SourceState;
}

/** `frames`: one is there. `over`: there will be none any more, and `look` says why. */
export type SourceState = 'nothing' | 'frames' | 'over';
