/** Ten thousand silent connections on both sockets, from the broker's own user and from another. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from '@leasehold/client';
import { describe, expect, it } from 'vitest';
import { startBroker } from '../support/broker-process.ts';
import { startWorker } from '../support/processes.ts';
import { heldBy } from './figures.ts';
import { normalClient } from './normal-client.ts';

const OTHER = { uid: 54_321, gid: 54_321 };
const CONNECTIONS = 10_000;
/** What the broker may keep of one user: `unwelcomedPerUid` and `controlConnectionsPerUid`, and a process handle for each of the first. */
const KEPT_OF_ONE_USER_MAX = 2 * 64 + 1152;
/** For what the broker's own runtime may take meanwhile and keep. */
const RESIDENT_GROWTH_BYTES_MAX = 96 * 2 ** 20;

const NEEDS_ROOT = 'processes of another user can only be started by root';
const root = process.getuid?.() === 0;

const openFilesMax = Number(/Max open files\s+\d+\s+(\d+)/.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1]);
/** As many processes as the limit of descriptors asks for. */
const PROCESSES = Math.ceil(CONNECTIONS / Math.max(openFilesMax - 200, 1));

describe('a crowd on both sockets', () => {
  it.for([
    { who: 'the same user', user: {}, needsRoot: false },
    { who: 'another user', user: OTHER, needsRoot: true },
  ])(
    `of ${CONNECTIONS} connections each by $who costs a normal client nothing, and the broker nothing that stays`,
    async ({ user, needsRoot }, { skip }) => {
      skip(needsRoot && !root, NEEDS_ROOT);
      const broker = await startBroker(['--log-level', 'warn']);
      const normal = await normalClient(broker.runtimeDir);
      await normal.works();
      const before = { ...heldBy(broker.pid), charged: await normal.chargedBytes() };
      const residentBytes = broker.residentBytes();
      const crowds = ['attach.sock', 'control.sock'].flatMap((socket) =>
        Array.from({ length: PROCESSES }, () => startWorker('hostile-crowd', [join(broker.runtimeDir, socket)], user)),
      );
      const coming = Promise.all(
        crowds.map((crowd) => crowd.ask<number>({ connections: Math.ceil(CONNECTIONS / PROCESSES) })),
      );
      let arrived = false;
      const arrival = coming.then((counts) => {
        arrived = true;
        return counts.reduce((sum, count) => sum + count, 0);
      });
      let worked = 0;
      while (!arrived) {
        await normal.works();
        worked += 1;
        expect(heldBy(broker.pid).fds).toBeLessThan(before.fds + KEPT_OF_ONE_USER_MAX + 64);
      }
      expect(await arrival).toBeGreaterThanOrEqual(2 * CONNECTIONS);
      expect(worked).toBeGreaterThan(0);
      // They stand there still. A crowd takes places of its own user only.
      if (user === OTHER) await (await connect({ runtimeDir: broker.runtimeDir })).close();
      for (const crowd of crowds) crowd.kill('SIGKILL');
      await Promise.all(crowds.map(({ ended }) => ended));
      await expect
        .poll(async () => ({ ...heldBy(broker.pid), charged: await normal.chargedBytes() }), { timeout: 30_000 })
        .toEqual(before);
      await (await connect({ runtimeDir: broker.runtimeDir })).close();
      await normal.works();
      expect(broker.residentBytes() - residentBytes).toBeLessThan(RESIDENT_GROWTH_BYTES_MAX);
    },
  );
});
