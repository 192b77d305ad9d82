// biome-ignore-all lint/correctness/noUndeclaredDependencies: tests only; not part of the package.
/** A directory of its own for each test, removed after it. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach } from 'vitest';

/** Registers the hooks; call the result inside a test. */
export function useTemporaryDirectory(): () => string {
  let directory = '';
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'leasehold-os-'));
  });
  afterEach(() => rmSync(directory, { recursive: true, force: true }));
  return () => directory;
}

/** Open file descriptors of this process, sorted, without the one that lists them. */
export function openFds(): string[] {
  return readdirSync('/proc/self/fd').sort();
}
