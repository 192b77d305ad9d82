/** The peers in C: two cache lines and nothing else, and the two cheapest ways to sleep in the kernel until the other side has written. */
import type { Peer, PeerWaiting, PingPong } from 'leasehold/bench';
import { CompiledProgram, findCommand, type Source } from './compiled-program.ts';
import { PeerProgram } from './peer-program.ts';
import { SharedResource } from './shared-resource.ts';

const SOURCE: Source = { compiler: 'cc', file: 'c-ping-pong.c', flags: ['-O2', '-std=c11'] };

interface Way {
  readonly name: string;
  readonly waiting: PeerWaiting;
  /** For the program. */
  readonly wait: string;
  readonly settings: string;
}

const BUILD = `cc ${SOURCE.flags.join(' ')}`;
const WAYS: readonly Way[] = [
  {
    name: 'c-atomics',
    waiting: 'spin',
    wait: 'spin',
    settings: `${BUILD}; C11 atomics, two lines 128 bytes apart, payloads up to 32 bytes in the line`,
  },
  {
    name: 'c-futex',
    waiting: 'park',
    wait: 'futex',
    settings: `${BUILD}; a futex in the line: FUTEX_WAKE, FUTEX_WAIT`,
  },
  { name: 'c-eventfd', waiting: 'park', wait: 'eventfd', settings: `${BUILD}; an eventfd: write, blocking read` },
];

class CPeer implements Peer {
  readonly name: string;
  readonly waiting: PeerWaiting;
  readonly settings: string;
  readonly #wait: string;
  readonly #compiled: CompiledProgram;
  readonly #shared: SharedResource;
  readonly #program = new PeerProgram();

  constructor(way: Way, compiled: CompiledProgram, shared: SharedResource) {
    this.name = way.name;
    this.waiting = way.waiting;
    this.settings = way.settings;
    this.#wait = way.wait;
    this.#compiled = compiled;
    this.#shared = shared;
  }

  async available(): Promise<string | null> {
    return findCommand(SOURCE.compiler) === null ? `there is no C compiler (${SOURCE.compiler}) in PATH` : null;
  }

  start(): Promise<void> {
    return this.#shared.use(this);
  }

  pingPong(pingPong: PingPong): Promise<readonly number[]> {
    return this.#program.run([this.#compiled.path, '--wait', this.#wait], pingPong);
  }

  async stop(): Promise<void> {
    await this.#program.end();
    await this.#shared.leave(this);
  }
}

export function cPeers(): readonly Peer[] {
  const compiled = new CompiledProgram(SOURCE);
  const shared = new SharedResource(compiled);
  return WAYS.map((way) => new CPeer(way, compiled, shared));
}
