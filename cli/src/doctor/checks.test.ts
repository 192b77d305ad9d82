import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type BrokerInfo, LeaseholdError } from '@leasehold/client';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { examineBroker } from './broker-check.ts';
import { overall, type Verdict } from './check.ts';
import { checkHugePages, checkKernel, checkMemory, checkTransparentPages } from './kernel-checks.ts';
import { checkLimits, readLimits } from './limit-checks.ts';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'lh-doctor-'));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const put = (path: string, text: string): void => {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
};
const GiB = 2 ** 30;

describe('the kernel', () => {
  it.each<[string, Verdict, RegExp]>([
    ['6.18.44-custom', 'ok', /MFD_NOEXEC_SEAL/],
    ['6.3.0', 'ok', /MADV_COLLAPSE/],
    ['6.1.0-41-amd64', 'warn', /^Linux 6\.1\.0-41-amd64: no MFD_NOEXEC_SEAL, so segments are not sealed/],
    ['5.15.0', 'warn', /no MADV_COLLAPSE.*no MFD_NOEXEC_SEAL/],
    ['4.19.0', 'fail', /no pidfd, so the broker cannot tell when a process is gone/],
    ['unknown', 'warn', /tells no version/],
  ])('%s is %s', (release, verdict, found) => {
    expect(checkKernel(release)).toMatchObject({ name: 'kernel', verdict, found: expect.stringMatching(found) });
  });
});

describe('the pools of large pages', () => {
  const pool = { totalPages: 100, freePages: 40, reservedPages: 10 };
  it('are told with their figures, and with those of the broker that answers', () => {
    const small = { ...pool, pageKind: 'hugetlb-2m', ourPages: 60 } as const;
    const giant = { ...pool, pageKind: 'hugetlb-1g', totalPages: 2, freePages: 1, reservedPages: 0 } as const;
    expect(checkHugePages([giant, small])).toEqual([
      {
        name: 'huge-pages-2m',
        verdict: 'ok',
        found: "100 pages, 40 free, 10 of these reserved, 60 of the broker's mappings",
        mend: null,
      },
      { name: 'huge-pages-1g', verdict: 'ok', found: '2 pages, 1 free, 0 of these reserved', mend: null },
    ]);
  });

  it.each([
    ['not there', [], /has no 2 MiB pages/, /CONFIG_HUGETLBFS/],
    ['empty', [{ totalPages: 0, freePages: 0, reservedPages: 0 }], /is empty/, /--huge-pages-reserve 1GiB/],
    ['in use', [{ totalPages: 8, freePages: 0, reservedPages: 0 }], /none is left/, /vm\.nr_hugepages=16$/],
    ['promised', [{ totalPages: 8, freePages: 3, reservedPages: 3 }], /none is left/, /vm\.nr_hugepages=16$/],
  ])('of 2 MiB are a warning when they are %s', (_what, pools, found, mend) => {
    const [small, giant] = checkHugePages(pools.map((each) => ({ ...each, pageKind: 'hugetlb-2m' as const })));
    expect(small).toMatchObject({
      verdict: 'warn',
      found: expect.stringMatching(found),
      mend: expect.stringMatching(mend),
    });
    expect(giant).toMatchObject({ verdict: 'ok' });
  });
});

describe('transparent pages for shared memory', () => {
  it.each<[string, string, Verdict, RegExp]>([
    ['always within_size advise [never] deny force', '6.1.0', 'ok', /is never: the broker makes them itself/],
    ['always within_size advise [never] deny force', '5.15.0', 'warn', /no MADV_COLLAPSE/],
    ['always within_size [advise] never deny force', '6.1.0', 'ok', /is advise: the broker makes them itself/],
    ['always within_size [advise] never deny force', '5.15.0', 'warn', /is advise, .*no MADV_COLLAPSE/],
    ['always [within_size] advise never deny force', '5.15.0', 'ok', /is within_size: the kernel makes them/],
    ['always within_size advise never [deny] force', '6.18.0', 'warn', /is deny/],
  ])('with shmem_enabled "%s" on Linux %s are %s', (text, release, verdict, found) => {
    put('sys/kernel/mm/transparent_hugepage/shmem_enabled', `${text}\n`);
    expect(checkTransparentPages(release, root)).toMatchObject({ verdict, found: expect.stringMatching(found) });
  });

  it('are a warning where they have another size than the broker knows', () => {
    put('sys/kernel/mm/transparent_hugepage/shmem_enabled', 'always within_size advise [never] deny force\n');
    put('sys/kernel/mm/transparent_hugepage/hpage_pmd_size', '536870912\n');
    expect(checkTransparentPages('6.18.0', root)).toMatchObject({
      verdict: 'warn',
      found: expect.stringContaining('512 MiB each'),
    });
  });

  it('are a warning where the kernel has none', () => {
    expect(checkTransparentPages('6.18.0', root)).toMatchObject({
      verdict: 'warn',
      found: expect.stringContaining('none for shared memory'),
    });
  });
});

describe('the limits of a process', () => {
  const limits = (locked: string, files: string, capabilities = '0000000000000000') => {
    put(
      'proc/17/limits',
      `Limit  Soft Limit  Hard Limit  Units\nMax locked memory  ${locked}  1  bytes\nMax open files  ${files}  1  files\n`,
    );
    put('proc/17/status', `Name:\tnode\nCapEff:\t${capabilities}\n`);
    return checkLimits(readLimits(17, root));
  };
  it.each<[string, string, string, Verdict, Verdict]>([
    ['8388608', '1024', '0', 'warn', 'warn'],
    ['8388608', '200', '0', 'warn', 'fail'],
    ['8388608', '4096', '0000000000004000', 'ok', 'ok'],
    ['8388608', '4096', '0000000000002000', 'warn', 'ok'],
    ['67108864', '20000', '0', 'ok', 'ok'],
    ['unlimited', 'unlimited', '0', 'ok', 'ok'],
  ])('with %s B to lock, %s files and capabilities %s', (locked, files, capabilities, memory, open) => {
    expect(limits(locked, files, capabilities)).toMatchObject([
      { name: 'locked-memory', verdict: memory },
      { name: 'open-files', verdict: open },
    ]);
  });

  it('are not lifted by a capability that counts in a user namespace alone', () => {
    put('proc/17/uid_map', '         0          0 4294967295\n');
    expect(limits('8388608', '4096', '0000000000004000')[0]?.verdict).toBe('ok');
    put('proc/17/uid_map', '         0       1000          1\n');
    expect(limits('8388608', '4096', '0000000000004000')[0]).toMatchObject({
      verdict: 'warn',
      found: expect.stringContaining('RLIMIT_MEMLOCK is 8 MiB'),
    });
  });

  it('say whose they are', () => {
    expect(limits('8388608', '1024')[0]?.found).toContain('RLIMIT_MEMLOCK is 8 MiB (broker, pid 17)');
    expect(checkLimits(readLimits('self'))[1]?.found).toMatch(/^RLIMIT_NOFILE is .* \(here\)/);
  });
});

describe('memory', () => {
  it.each<[number, Verdict]>([
    [GiB / 4, 'fail'],
    [GiB / 4 + 1, 'warn'],
    [GiB + 1, 'ok'],
  ])('of %d B is %s', (availableBytes, verdict) => {
    const check = checkMemory({ availableBytes, detail: 'MemAvailable is that' });
    expect(check).toMatchObject({ verdict, found: expect.stringContaining('MemAvailable is that') });
  });
});

describe('the broker', () => {
  const info: BrokerInfo = {
    version: '1.2.3',
    pid: 7,
    uid: 0,
    epoch: 1,
    startTime: new Date(0),
    runtimeDir: '/run/leasehold',
    draining: false,
    memoryQuotaBytes: 1,
    memoryChargedBytes: 0,
    hugePages: [],
  };
  const verdictOf = async (answer: Partial<BrokerInfo> | LeaseholdError | Error): Promise<[Verdict, string]> => {
    const ask = async () => {
      if (answer instanceof Error) throw answer;
      return { ...info, ...answer };
    };
    const { check } = await examineBroker(ask, '1.2.3');
    return [check.verdict, check.found];
  };

  it('is ok when it answers with the version of the command', async () => {
    expect(await verdictOf({})).toEqual(['ok', 'version 1.2.3, pid 7, uid 0, in /run/leasehold']);
  });

  it('is a warning when it is another version, drains, is not there, or is somebody else’s', async () => {
    expect(await verdictOf({ version: '1.2.2' })).toEqual([
      'warn',
      expect.stringContaining('this command is version 1.2.3'),
    ]);
    expect(await verdictOf({ draining: true })).toEqual(['warn', expect.stringContaining('shutting down')]);
    for (const code of ['BROKER_UNREACHABLE', 'DRAINING', 'PERMISSION_DENIED'] as const) {
      expect(await verdictOf(new LeaseholdError(code, 'so it is'))).toEqual(['warn', expect.any(String)]);
    }
  });

  it('fails when it answers anything else, and what is no answer is thrown', async () => {
    expect(await verdictOf(new LeaseholdError('TIMED_OUT', 'no answer'))).toEqual(['fail', 'no answer']);
    await expect(verdictOf(new LeaseholdError('ABORTED', 'told to stop'))).rejects.toThrow('told to stop');
    await expect(verdictOf(new TypeError('a bug'))).rejects.toThrow('a bug');
  });
});

describe('the verdict on everything', () => {
  it('is the worst of all', () => {
    const of = (...verdicts: Verdict[]) =>
      overall(verdicts.map((verdict) => ({ name: '', verdict, found: '', mend: null })));
    expect([of(), of('ok'), of('ok', 'warn', 'ok'), of('warn', 'fail', 'ok')]).toEqual(['ok', 'ok', 'warn', 'fail']);
  });
});
