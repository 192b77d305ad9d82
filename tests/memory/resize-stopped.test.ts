// A process that was stopped while it held a lease of large pages: its lease is taken away, and until it has said that it is done with the
// memory, none of it is given back, because the next touch could kill it.
import { connect } from '@leasehold/client';
import { expect, it, onTestFinished } from 'vitest';
import { until } from '../cli/run.ts';
import { needLargePages, whyNoLargePages } from '../support/large-pages.ts';
import { leasehold } from '../support/processes.ts';
import { sharedBroker } from '../support/shared-broker.ts';

const MIB = 2 ** 20;
const skipped = whyNoLargePages(4);
const { runtimeDir, env } = sharedBroker();

it.skipIf(skipped !== '').each(['shared', 'exclusive'])(
  `a mapping is not made smaller while the holder of a lost %s lease is stopped, and is when it has seen the loss ${skipped}`,
  async (mode) => {
    needLargePages(4);
    const broker = await connect({ runtimeDir });
    onTestFinished(() => broker.close());
    const sizes = { sizeBytes: 8 * MIB, reserveBytes: 8 * MIB };
    const mapping = await broker.createMapping(`stopped/${mode}`, { ...sizes, pages: 'require' });
    const holder = leasehold(['lease', mapping.name, '--mode', mode, '--ttl-ms', '100', '--', 'cat'], { env });
    await until(async () => (await broker.listLeases({ prefix: mapping.name }))[0]?.holders.length === 1);
    holder.child.kill('SIGSTOP');
    // The lease is had as soon as the stopped one's time is over.
    await expect(mapping.resize(2 * MIB, { waitMs: 60_000 })).rejects.toMatchObject({
      code: 'INVALID_STATE',
      message: expect.stringContaining(`pid ${holder.pid}`),
    });
    const attachment = await mapping.attach('read');
    expect(attachment.sizeBytes).toBe(8 * MIB);
    await attachment.close();
    holder.child.kill('SIGCONT');
    const resized = async () => (await mapping.resize(2 * MIB)).memory.mappedBytes;
    await expect.poll(() => resized().catch(({ code }: { code: string }) => code)).toBe(2 * MIB);
    holder.child.stdin?.end();
    await holder.ended;
  },
);
