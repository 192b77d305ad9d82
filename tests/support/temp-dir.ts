/** Temporary directories with paths short enough for sockets, removed when the test is over. */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { onTestFinished } from 'vitest';

/** A new directory that any user may enter. */
export function tempDir(prefix = 'lh-'): string {
  const directory = mkdtempSync(`/tmp/${prefix}`);
  chmodSync(directory, 0o755);
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}
