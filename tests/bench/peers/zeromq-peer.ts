/** ZeroMQ between two Node processes, through npm's `zeromq`, which is an optional package: where it is not installed, this peer is left out. */
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import type { Peer, PingPong } from 'leasehold/bench';
import { PeerProgram } from './peer-program.ts';

const PROGRAM = fileURLToPath(new URL('zeromq-ping-pong.ts', import.meta.url));

class ZeroMqPeer implements Peer {
  readonly name = 'zeromq';
  readonly waiting = 'event-loop';
  readonly #program = new PeerProgram();
  #version = '';

  get settings(): string {
    return (
      `zeromq ${this.#version} from npm; ipc, its defaults; up to 64 KiB REQ and REP, both sides pinned; beyond that PAIR, not pinned, ` +
      "so that ZeroMQ's own threads have a core"
    );
  }

  async available(): Promise<string | null> {
    try {
      const found = createRequire(import.meta.url).resolve('zeromq/package.json');
      this.#version = (JSON.parse(await readFile(found, 'utf8')) as { version: string }).version;
    } catch {
      return 'the optional package zeromq is not installed: npm install --no-save zeromq';
    }
    // A prebuilt addon that does not fit this machine shows when it is loaded.
    return import('zeromq' as string).then(
      () => null,
      (error: Error) => `zeromq ${this.#version} cannot be loaded: ${error.message}`,
    );
  }

  async start(): Promise<void> {
    // Nothing runs beside its ping-pongs.
  }

  pingPong(pingPong: PingPong): Promise<readonly number[]> {
    return this.#program.run([process.execPath, PROGRAM], pingPong);
  }

  stop(): Promise<void> {
    return this.#program.end();
  }
}

export function zeroMqPeer(): Peer {
  return new ZeroMqPeer();
}
