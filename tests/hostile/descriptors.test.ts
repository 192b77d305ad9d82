/** A broker whose descriptors run out although no quota says so. */
import { execFileSync } from 'node:child_process';
import { connect } from '@leasehold/client';
import { expect, it, onTestFinished } from 'vitest';
import { startBroker } from '../support/broker-process.ts';
import { failureOf } from '../support/failure.ts';

/** Beyond those that are open: enough for some mappings, not for many. */
const SPARE = 30;

it('a broker without descriptors says so, leaks none, and goes on as soon as some are given back', async () => {
  const broker = await startBroker(['--log-level', 'fatal']);
  const client = await connect({ runtimeDir: broker.runtimeDir });
  onTestFinished(() => client.close());
  await client.info();
  const before = broker.fdCount();
  execFileSync('prlimit', ['--pid', String(broker.pid), `--nofile=${before + SPARE}:`]);
  const made: string[] = [];
  const makeUntilRefused = async () => {
    for (let index = 0; index < SPARE; index += 1) {
      await client.createMapping(`m${index}`, { sizeBytes: 4096, persistent: true });
      made.push(`m${index}`);
    }
  };
  const refused = { code: 'QUOTA_EXCEEDED', metadata: { quota: 'descriptors', whose: 'broker' } };
  expect(await failureOf(makeUntilRefused)).toMatchObject(refused);
  expect(made.length).toBeGreaterThan(0);
  // The name of what could not be made is free, and what is there can be asked for.
  expect((await client.listMappings()).map(({ name }) => name).toSorted()).toEqual(made.toSorted());
  for (const name of made.splice(0)) await client.deleteMapping(name);
  await expect.poll(() => broker.fdCount()).toBe(before);
  await client.createMapping('again', { sizeBytes: 4096 });
  const other = await connect({ runtimeDir: broker.runtimeDir });
  await other.close();
});
