import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { compareTrees } from './compare-trees.ts';

describe('compareTrees', () => {
  let scratch: string;

  beforeEach(async () => {
    scratch = await mkdtemp(join(tmpdir(), 'leasehold-trees-'));
    await Promise.all(['a/sub', 'b/sub'].map((directory) => mkdir(join(scratch, directory), { recursive: true })));
  });

  afterEach(() => rm(scratch, { recursive: true }));

  const write = (path: string, text: string): Promise<void> => writeFile(join(scratch, path), text);

  it('finds nothing between equal trees', async () => {
    await write('a/sub/same.js', '1');
    await write('b/sub/same.js', '1');
    expect(await compareTrees(join(scratch, 'a'), join(scratch, 'b'))).toEqual([]);
  });

  it('names what is new, what is gone and what changed', async () => {
    await write('a/gone.js', '1');
    await write('a/sub/changed.js', '1');
    await write('b/sub/changed.js', '2');
    await write('b/sub/new.js', '1');
    expect(await compareTrees(join(scratch, 'a'), join(scratch, 'b'))).toEqual([
      'gone.js: no longer generated',
      'sub/changed.js: differs',
      'sub/new.js: generated, but not committed',
    ]);
  });
});
