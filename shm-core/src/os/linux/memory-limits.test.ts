import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { useTemporaryDirectory } from '../testing/temporary-directory.ts';
import { hugePageBytes, hugePagePool } from './huge-pages.ts';
import { memoryHeadroomBytes } from './memory-limits.ts';

const MEMINFO = 'MemTotal:  8000000 kB\nMemFree:  1000 kB\nMemAvailable:  4000000 kB\n';
const MACHINE_BYTES = 4_000_000 * 1024;
const UNLIMITED_V1 = '9223372036854771712\n';
const root = useTemporaryDirectory();

function fixture(files: Record<string, string>): string {
  for (const [path, content] of Object.entries({ 'proc/meminfo': MEMINFO, ...files })) {
    mkdirSync(dirname(join(root(), path)), { recursive: true });
    writeFileSync(join(root(), path), content);
  }
  return root();
}

describe('memory headroom', () => {
  it('is MemAvailable where no cgroup limits', () => {
    expect(memoryHeadroomBytes(fixture({}))).toMatchObject({
      availableBytes: MACHINE_BYTES,
      limitedBy: 'MemAvailable',
    });
    const unlimited = fixture({
      'proc/self/cgroup': '0::/a\n4:memory:/a\n',
      'sys/fs/cgroup/a/memory.max': 'max\n',
      'sys/fs/cgroup/a/memory.current': '5\n',
      'sys/fs/cgroup/memory/a/memory.limit_in_bytes': UNLIMITED_V1,
      'sys/fs/cgroup/memory/a/memory.usage_in_bytes': '5\n',
    });
    expect(memoryHeadroomBytes(unlimited).limitedBy).toBe('MemAvailable');
  });

  it('is what the cgroup leaves, v2', () => {
    const headroom = memoryHeadroomBytes(
      fixture({
        'proc/self/cgroup': '0::/system.slice/leasehold.service\n',
        'sys/fs/cgroup/system.slice/leasehold.service/memory.max': '1000000\n',
        'sys/fs/cgroup/system.slice/leasehold.service/memory.current': '400000\n',
      }),
    );
    expect(headroom).toMatchObject({ availableBytes: 600_000, limitedBy: 'cgroup' });
    expect(headroom.detail).toContain('leasehold.service: limit 1000000 B, used 400000 B');
  });

  it('of another process is what its own cgroup leaves, and that of this one where there is no such process', () => {
    const files = {
      'proc/self/cgroup': '0::/a\n',
      'proc/17/cgroup': '0::/b\n',
      'sys/fs/cgroup/a/memory.max': '1000\n',
      'sys/fs/cgroup/a/memory.current': '100\n',
      'sys/fs/cgroup/b/memory.max': '500\n',
      'sys/fs/cgroup/b/memory.current': '100\n',
    };
    expect(memoryHeadroomBytes(fixture(files), 17).availableBytes).toBe(400);
    expect(memoryHeadroomBytes(root(), 18).availableBytes).toBe(900);
  });

  it('is what the tightest ancestor leaves', () => {
    const files = {
      'proc/self/cgroup': '0::/a/b/c\n',
      'sys/fs/cgroup/a/memory.max': '900\n',
      'sys/fs/cgroup/a/memory.current': '850\n',
      'sys/fs/cgroup/a/b/memory.max': 'max\n',
      'sys/fs/cgroup/a/b/c/memory.max': '1000\n',
      'sys/fs/cgroup/a/b/c/memory.current': '100\n',
    };
    expect(memoryHeadroomBytes(fixture(files)).availableBytes).toBe(50);
  });

  it('is what the cgroup leaves, v1, beside a v2 hierarchy without a memory controller', () => {
    const files = {
      'proc/self/cgroup': '5:cpu,memory:/pod/x\n1:name=systemd:/pod/x\n0::/\n',
      'sys/fs/cgroup/memory/pod/x/memory.limit_in_bytes': '2000\n',
      'sys/fs/cgroup/memory/pod/x/memory.usage_in_bytes': '500\n',
      'sys/fs/cgroup/memory/memory.limit_in_bytes': UNLIMITED_V1,
      'sys/fs/cgroup/memory/memory.usage_in_bytes': '500\n',
    };
    expect(memoryHeadroomBytes(fixture(files))).toMatchObject({ availableBytes: 1500, limitedBy: 'cgroup' });
  });

  it('is that of the mount itself when the path is the host’s, as in a container', () => {
    const files = {
      'proc/self/cgroup': '4:memory:/docker/0123\n',
      'sys/fs/cgroup/memory/memory.limit_in_bytes': '3000\n',
      'sys/fs/cgroup/memory/memory.usage_in_bytes': '1000\n',
    };
    expect(memoryHeadroomBytes(fixture(files)).availableBytes).toBe(2000);
  });

  it('counts page cache that can be given up, and is never negative', () => {
    const files = {
      'proc/self/cgroup': '0::/a\n',
      'sys/fs/cgroup/a/memory.max': '1000\n',
      'sys/fs/cgroup/a/memory.current': '990\n',
      'sys/fs/cgroup/a/memory.stat': 'anon 1\ninactive_file 300\nactive_file 7\n',
    };
    expect(memoryHeadroomBytes(fixture(files)).availableBytes).toBe(310);
    expect(memoryHeadroomBytes(fixture({ ...files, 'sys/fs/cgroup/a/memory.current': '2000\n' })).availableBytes).toBe(
      0,
    );
  });

  it('is a positive number here', () => {
    expect(memoryHeadroomBytes().availableBytes).toBeGreaterThan(0);
  });
});

describe('huge page pools', () => {
  it('are read from sysfs', () => {
    const folder = 'sys/kernel/mm/hugepages/hugepages-2048kB';
    const files = { nr_hugepages: '10\n', free_hugepages: '7\n', resv_hugepages: '2\n' };
    const here = fixture(Object.fromEntries(Object.entries(files).map(([name, count]) => [join(folder, name), count])));
    expect(hugePageBytes('hugetlb-2m', here)).toBe(2 ** 21);
    expect(hugePagePool('hugetlb-2m', here)).toEqual({ totalPages: 10, freePages: 7, reservedPages: 2 });
  });

  it('do not exist for sizes the kernel does not have and kinds that need none', () => {
    const here = fixture({});
    for (const kind of ['hugetlb-2m', 'hugetlb-1g', 'base', 'transparent-2m', 'windows-large'] as const) {
      expect(hugePageBytes(kind, here)).toBeUndefined();
      expect(hugePagePool(kind, here)).toBeUndefined();
    }
  });
});
