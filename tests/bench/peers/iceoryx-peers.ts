/** iceoryx 2.0 in C++, as Debian packages it: once in a loop over take(), once asleep in a WaitSet. Both use one RouDi, which this starts and ends. */
import { readdirSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Peer, PeerWaiting, PingPong } from 'leasehold/bench';
import { CompiledProgram, findCommand } from './compiled-program.ts';
import { PeerProgram } from './peer-program.ts';
import { RouDi, whyNoRouDi } from './roudi.ts';
import { type Resource, SharedResource } from './shared-resource.ts';

const HEADERS = '/usr/include/iceoryx';
const NEEDED = ['g++', 'iox-roudi', 'setpriv'] as const;
const FLAGS = ['-O3', '-std=c++17'] as const;
const LIBRARIES = ['iceoryx_posh', 'iceoryx_hoofs', 'iceoryx_platform'] as const;

/** For example `2.0.3`: Debian keeps the headers under their version. */
function findVersion(): string | null {
  try {
    return (
      readdirSync(HEADERS)
        .find((name) => /^v2\.0\.\d+$/.test(name))
        ?.slice(1) ?? null
    );
  } catch {
    return null;
  }
}

class Iceoryx implements Resource {
  readonly program: CompiledProgram;
  /** Of its processes; iceoryx has one socket for each of them in /tmp. */
  readonly name = `leasehold-bench-${process.pid}`;
  readonly #rouDi = new RouDi();

  constructor(version: string | null) {
    this.program = new CompiledProgram({
      compiler: 'g++',
      file: 'iceoryx-ping-pong.cpp',
      flags: [...FLAGS, '-isystem', join(HEADERS, `v${version}`)],
      libraries: LIBRARIES,
    });
  }

  async open(): Promise<void> {
    await this.program.open();
    await this.#rouDi.start(this.program.directory);
  }

  async close(): Promise<void> {
    await this.#rouDi.stop();
    await this.program.close();
    // Of a process that was killed.
    const left = ['ping', 'pong'].flatMap((role) => [`${this.name}-${role}`, `${this.name}-${role}.lock`]);
    await Promise.all(left.map((name) => rm(join('/tmp', name), { force: true })));
  }
}

interface Way {
  readonly waiting: PeerWaiting;
  /** For the program. */
  readonly wait: string;
  readonly words: string;
}

const WAYS: readonly Way[] = [
  { waiting: 'spin', wait: 'spin', words: 'take() in a loop' },
  { waiting: 'park', wait: 'wait-set', words: 'WaitSet' },
];

class IceoryxPeer implements Peer {
  readonly name = 'iceoryx';
  readonly waiting: PeerWaiting;
  readonly settings: string;
  readonly #version: string | null;
  readonly #wait: string;
  readonly #iceoryx: Iceoryx;
  readonly #shared: SharedResource;
  readonly #program = new PeerProgram();

  constructor(way: Way, version: string | null, iceoryx: Iceoryx, shared: SharedResource) {
    this.waiting = way.waiting;
    this.settings =
      `iceoryx ${version} from Debian, g++ ${FLAGS.join(' ')}; untyped API, queue of 2, no history, oldest discarded, ` +
      `next chunk loaned before the wait, taken chunk released before the answer; ${way.words}`;
    this.#version = version;
    this.#wait = way.wait;
    this.#iceoryx = iceoryx;
    this.#shared = shared;
  }

  async available(): Promise<string | null> {
    const missing: string[] = NEEDED.filter((name) => findCommand(name) === null);
    if (this.#version === null) missing.push(`headers of iceoryx 2.0 in ${HEADERS}`);
    if (missing.length > 0) {
      return `not here: ${missing.join(', ')} (Debian: apt-get install g++ iceoryx libiceoryx-posh-dev libiceoryx-hoofs-dev)`;
    }
    return this.#shared.inUse ? null : whyNoRouDi();
  }

  start(): Promise<void> {
    return this.#shared.use(this);
  }

  pingPong(pingPong: PingPong): Promise<readonly number[]> {
    const { name, program } = this.#iceoryx;
    return this.#program.run([program.path, '--wait', this.#wait, '--name', name], pingPong);
  }

  async stop(): Promise<void> {
    await this.#program.end();
    await this.#shared.leave(this);
  }
}

export function iceoryxPeers(): readonly Peer[] {
  const version = findVersion();
  const iceoryx = new Iceoryx(version);
  const shared = new SharedResource(iceoryx);
  return WAYS.map((way) => new IceoryxPeer(way, version, iceoryx, shared));
}
