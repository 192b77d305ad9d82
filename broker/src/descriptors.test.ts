import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { descriptorsCheck, openFiles, openFilesMax, systemBounds } from './descriptors.ts';

describe('the readiness check of descriptors', () => {
  it('passes in a process that has enough, as this one', () => {
    expect(openFiles()).toBeGreaterThan(2);
    expect(descriptorsCheck(true, openFilesMax())).toMatchObject({ name: 'descriptors', ok: true });
  });

  it('fails with the figures when few are left', () => {
    expect(descriptorsCheck(true, 100, () => 36).ok).toBe(true);
    expect(descriptorsCheck(true, 100, () => 37)).toMatchObject({
      ok: false,
      detail: expect.stringMatching(/^37 of 100 are open; raise/),
    });
  });

  it('fails while nothing is accepted, and when not even the count can be had', () => {
    const full = () => {
      throw Object.assign(new Error('EMFILE'), { code: 'EMFILE' });
    };
    expect(descriptorsCheck(false, 100, () => 1).ok).toBe(false);
    expect(descriptorsCheck(true, 100, full).ok).toBe(false);
  });
});

describe('the bounds of the system', () => {
  it('leave room for everything that no quota counts, and half of the maps to what is no participant', () => {
    const root = `${mkdtempSync('/tmp/limits-')}/`;
    try {
      mkdirSync(`${root}proc/sys/vm`, { recursive: true });
      writeFileSync(`${root}proc/sys/vm/max_map_count`, '712\n');
      expect(systemBounds(root)).toEqual({ participants: 100, descriptors: Math.max(64, openFilesMax() - 512) });
    } finally {
      rmSync(root, { recursive: true });
    }
  });
});
