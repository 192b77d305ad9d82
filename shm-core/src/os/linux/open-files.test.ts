import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { openFilesLimit } from './open-files.ts';

const MODULE = new URL('./open-files.ts', import.meta.url).href;
const NOBODY = 65_534;
const IS_ROOT = process.geteuid?.() === 0;
/** CAP_SYS_RESOURCE: capabilities(7). Containers often have root without it. */
const MAY_RAISE =
  ((BigInt(`0x${/^CapEff:\s+([0-9a-f]+)/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]}`) >> 24n) & 1n) === 1n;
const SYSTEM_MAX = Number(readFileSync('/proc/sys/fs/nr_open', 'utf8'));

/** What raising to `wanted` gives a process that begins with the limit of `ulimit`. */
function raised(ulimit: string, wanted: number, uid?: number): { soft: number; hard: number } {
  const program = `import { raiseOpenFilesLimit } from ${JSON.stringify(MODULE)};
    process.seteuid?.(${uid ?? 'process.geteuid()'});
    console.log(JSON.stringify(raiseOpenFilesLimit(${wanted})));`;
  const script = `${ulimit} && exec "$0" --conditions=leasehold-source --input-type=module --eval "$1"`;
  const { stdout, stderr, status } = spawnSync('sh', ['-c', script, process.execPath, program], { encoding: 'utf8' });
  if (status !== 0) throw new Error(stderr);
  return JSON.parse(stdout);
}

describe('the limit of open files', () => {
  it('is what the kernel says of this process', () => {
    const [, soft, hard] = /^Max open files\s+(\d+)\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8')) ?? [];
    expect(openFilesLimit()).toEqual({ soft: Number(soft), hard: Number(hard) });
  });

  it('is raised to the hard one, and no further without the right to', () => {
    const as = IS_ROOT ? NOBODY : undefined;
    expect(raised('ulimit -Sn 300 && ulimit -Hn 700', 600, as)).toMatchObject({ hard: 700 });
    expect(raised('ulimit -Sn 300 && ulimit -Hn 700', 5_000, as)).toEqual({ soft: 700, hard: 700 });
  });

  it('is left alone where it is enough', () => {
    const { soft } = raised('ulimit -n 700', 100);
    expect(soft).toBe(700);
  });

  it.skipIf(MAY_RAISE && !IS_ROOT)('is left as it is, and nothing fails, where the hard one may not be raised', () => {
    expect(raised('ulimit -n 700', 5_000, IS_ROOT ? NOBODY : undefined)).toEqual({ soft: 700, hard: 700 });
  });

  it.runIf(MAY_RAISE)(
    'is raised beyond the hard one with CAP_SYS_RESOURCE, but not beyond what any process may have',
    () => {
      expect(raised('ulimit -n 700', 5_000)).toEqual({ soft: 5_000, hard: 5_000 });
      expect(raised('ulimit -n 700', 2 ** 40)).toEqual({ soft: SYSTEM_MAX, hard: SYSTEM_MAX });
    },
  );
});
