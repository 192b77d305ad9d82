import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { useTemporaryDirectory } from '../testing/temporary-directory.ts';
import { canPreferNode, onlineNodes, preferNode } from './numa.ts';
import { createLinuxSegmentOs } from './segments.ts';

const LABEL = 'numa-test';
const BYTES = 2 ** 20;

const root = useTemporaryDirectory();

function machine(online: string): string {
  const folder = join(root(), 'sys/devices/system/node');
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'online'), online);
  return root();
}

describe('the nodes of a machine', () => {
  it.each<[string, number[]]>([
    ['0\n', [0]],
    ['0-3\n', [0, 1, 2, 3]],
    ['0-1,3,8-9\n', [0, 1, 3, 8, 9]],
    ['\n', []],
  ])('in %j are %j', (online, nodes) => {
    expect(onlineNodes(machine(online))).toEqual(nodes);
  });

  it('are none where the kernel knows of none', () => {
    expect(onlineNodes(root())).toEqual([]);
    expect(canPreferNode(0, root())).toBe(false);
  });

  it('can be preferred where there are several, and only those that are there', () => {
    expect(canPreferNode(0, machine('0\n'))).toBe(false);
    const several = machine('0-1,3\n');
    expect([0, 1, 2, 3, 4].map((node) => canPreferNode(node, several))).toEqual([true, true, false, true, false]);
  });
});

describe.skipIf(!existsSync('/proc/self/numa_maps'))('a preference (skipped where the kernel knows no nodes)', () => {
  const os = createLinuxSegmentOs();
  const told = () =>
    readFileSync('/proc/self/numa_maps', 'utf8')
      .split('\n')
      .filter((line) => line.includes(LABEL));

  it.each(['base', 'transparent-2m'] as const)(
    'stays with a segment of %s pages after the mapping it was made by',
    (kind) => {
      const fd = os.create(LABEL, 2 * BYTES, kind);
      preferNode(fd.raw, 2 * BYTES, 0);
      expect(told()).toEqual([]);
      const range = os.map(fd, 2 * BYTES, 'write', kind);
      expect(told()).toEqual([expect.stringContaining(' prefer:0 ')]);
      range.release();
      fd.close();
    },
  );

  it('for a node that is not there is an error, and leaves nothing mapped', () => {
    const fd = os.create(LABEL, BYTES, 'base');
    const absent = Math.max(...onlineNodes()) + 1;
    expect(() => preferNode(fd.raw, BYTES, absent)).toThrow(expect.objectContaining({ call: 'mbind', code: 'EINVAL' }));
    expect(() => preferNode(fd.raw, BYTES, 63)).toThrow(expect.objectContaining({ call: 'mbind' }));
    expect(told()).toEqual([]);
    fd.close();
  });

  it('is applied on a machine with several nodes, and unsupported on one with one', () => {
    const fd = os.create(LABEL, BYTES, 'base');
    expect(os.preferNode(fd, 0)).toBe(onlineNodes().length > 1 ? 'preferred' : 'unsupported');
    expect(os.preferNode(fd, 1000)).toBe('unsupported');
    fd.close();
  });
});
