/**
 * Turns of the event loop, shared out among sessions. Invariants: of one session at most `callsPerTurn` calls are begun in one turn, the
 * others wait in the order they came in; a session that asks for little never waits for what another has asked for. Only the
 * beginning waits for a turn: a call that is begun may last as long as it likes, and others of its session begin meanwhile.
 */
import type { Session } from '../domain/session.ts';

/** False when there was nothing to begin any more, which takes nothing of the turn. */
export type BeginCall = () => boolean;

export class CallTurns {
  readonly #callsPerTurn: number;
  readonly #nextTurn: (action: () => void) => void;
  /** How many calls each session has begun in this turn. */
  readonly #begun = new Map<Session, number>();
  #turnEnds = false;
  readonly #waiting = new Map<Session, BeginCall[]>();

  /** `nextTurn` runs its action when whatever came in meanwhile has been looked at. */
  constructor(callsPerTurn: number, nextTurn: (action: () => void) => void = setImmediate) {
    this.#callsPerTurn = callsPerTurn;
    this.#nextTurn = nextTurn;
  }

  /** Begins a call: now, or in a later turn. `begin` never throws. */
  run(session: Session, begin: BeginCall): void {
    this.#endTurnLater();
    const queue = this.#waiting.get(session);
    if (queue !== undefined) {
      queue.push(begin);
      return;
    }
    const begun = this.#begun.get(session) ?? 0;
    if (begun >= this.#callsPerTurn) {
      this.#waiting.set(session, [begin]);
      return;
    }
    if (begin()) this.#begun.set(session, begun + 1);
  }

  #endTurnLater(): void {
    if (this.#turnEnds) return;
    this.#turnEnds = true;
    this.#nextTurn(() => this.#endTurn());
  }

  /** A new turn begins, with those that have waited. */
  #endTurn(): void {
    this.#turnEnds = false;
    this.#begun.clear();
    if (this.#waiting.size === 0) return;
    this.#endTurnLater();
    for (const [session, queue] of [...this.#waiting]) {
      this.#begun.set(session, this.#beginSome(queue));
      if (queue.length === 0) this.#waiting.delete(session);
    }
  }

  /** Those that were cancelled go all at once: who cancels faster than turns come must not make the queue grow. */
  #beginSome(queue: BeginCall[]): number {
    let begun = 0;
    while (begun < this.#callsPerTurn) {
      const begin = queue.shift();
      if (begin === undefined) break;
      if (begin()) begun += 1;
    }
    return begun;
  }
}
