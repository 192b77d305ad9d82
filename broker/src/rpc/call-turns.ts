/**
 * Turns of the event loop, shared out among sessions. Invariants: of one session at most `callsPerTurn` calls are begun in one turn, the
 * others wait in the order they came in; a session that asks for little never waits for what another has asked for. Only the
 * beginning waits for a turn: a call that is begun may last as long as it likes, and others of its session begin meanwhile.
 */
import type { Session } from '../domain/session.ts';

export class CallTurns {
  readonly #callsPerTurn: number;
  readonly #nextTurn: (action: () => void) => void;
  /** How many calls each session has begun in this turn. */
  readonly #begun = new Map<Session, number>();
  #turnEnds = false;
  readonly #waiting = new Map<Session, (() => void)[]>();

  /** `nextTurn` runs its action when whatever came in meanwhile has been looked at. */
  constructor(callsPerTurn: number, nextTurn: (action: () => void) => void = setImmediate) {
    this.#callsPerTurn = callsPerTurn;
    this.#nextTurn = nextTurn;
  }

  /** Begins a call: now, or in a later turn. `begin` never throws. */
  run(session: Session, begin: () => void): void {
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
    this.#begun.set(session, begun + 1);
    begin();
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
      const begins = queue.splice(0, this.#callsPerTurn);
      this.#begun.set(session, begins.length);
      if (queue.length === 0) this.#waiting.delete(session);
      for (const begin of begins) begin();
    }
  }
}
