// `leasehold serve --config FILE` as a process: what it makes of the broker, and what it says of a mistake.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from '@leasehold/client';
import { describe, expect, it, onTestFinished } from 'vitest';
import { startBroker } from '../support/broker-process.ts';
import { tempDir } from '../support/temp-dir.ts';
import { run } from './run.ts';

describe('a configuration file', () => {
  it('sets quotas that the broker keeps, and is shown with its places', async () => {
    const base = tempDir();
    const config = join(base, 'leasehold.toml');
    writeFileSync(config, 'memoryQuota = "1GiB"\ndrainMs = 0\n[quotas.perUser]\nmappings = 1\n');
    const { out } = await run(process.env, ['serve', '--config', config, '--print-config', '--format', 'json']);
    expect(JSON.parse(out)).toMatchObject({
      memoryQuotaBytes: { value: 2 ** 30, origin: `${config}:1` },
      drainMs: { value: 0, origin: `${config}:2` },
      quotas: { perUser: { mappings: { value: 1, origin: `${config}:4` } } },
    });
    const { runtimeDir } = await startBroker(['--config', config]);
    const broker = await connect({ runtimeDir });
    onTestFinished(() => broker.close());
    expect((await broker.info()).memoryQuotaBytes).toBe(2 ** 30);
    await broker.createMapping('a', { sizeBytes: 4096 });
    await expect(broker.createMapping('b', { sizeBytes: 4096 })).rejects.toMatchObject({
      code: 'QUOTA_EXCEEDED',
      metadata: { quota: 'mappings', limit: '1' },
    });
  });

  it('with a mistake keeps the broker from starting, and says where', async () => {
    const config = join(tempDir(), 'leasehold.toml');
    writeFileSync(config, '[hugePages]\n\nreserved = "4GiB"\n');
    const { code, out, err } = await run(process.env, ['serve', '--config', config]);
    expect([code, out]).toEqual([2, '']);
    expect(err).toContain(`leasehold: ${config}:3: hugePages.reserved is not a setting; there are use, reserve\n`);
  });
});
