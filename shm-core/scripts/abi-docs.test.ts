// The page is what the layouts say, and its tables leave no byte out.
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { CHANNEL_HEADER, FRAME_DESCRIPTOR, LOCK_SEGMENT, PARTICIPANT_PAGE } from '../src/layout/regions.ts';
import { ABI_DOCS_URL, renderAbiDocs, renderLayout } from './abi-docs.ts';

describe('ABI documentation', () => {
  it('is what the generator writes today', () => {
    expect(readFileSync(ABI_DOCS_URL, 'utf8')).toBe(renderAbiDocs());
  });

  it.each([
    ['lock segment', LOCK_SEGMENT],
    ['participant page', PARTICIPANT_PAGE],
    ['channel header', CHANNEL_HEADER],
    ['frame descriptor', FRAME_DESCRIPTOR],
  ] as const)('the rows of the %s follow one another without a gap and end with the region', (_name, layout) => {
    const rows = [...renderLayout(layout).matchAll(/^\| (\d+) \| (\d+) \|/gm)].map(([, offset, bytes]) => ({
      offset: Number(offset),
      bytes: Number(bytes),
    }));
    let end = 0;
    for (const { offset, bytes } of rows) {
      expect(offset).toBe(end);
      end += bytes;
    }
    expect(end).toBe(layout.bytes);
  });

  it('moves with the layout', () => {
    const [first, ...rest] = FRAME_DESCRIPTOR.fields;
    if (first === undefined) throw new Error('no fields');
    const renamed = { ...FRAME_DESCRIPTOR, fields: [{ ...first, name: 'somethingElse' }, ...rest] };
    expect(renderLayout(renamed)).not.toBe(renderLayout(FRAME_DESCRIPTOR));
  });
});
