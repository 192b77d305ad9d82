/** Locks `argv[2]` bytes as a user without privileges and reports the error as JSON, and how much of the memory is mapped afterwards. */
import { readFileSync, writeSync } from 'node:fs';
import { OsError, Pages } from '../../pages.ts';

const UNPRIVILEGED = 54_321;
const bytes = Number(process.argv[2]);

// So that everything is loaded while its files can be read.
Pages.allocate(1, { locked: true }).free();
if (process.getuid?.() === 0) {
  process.setgid?.(UNPRIVILEGED);
  process.setuid?.(UNPRIVILEGED);
}
const mappedBytes = (): number =>
  Number(/^VmSize:\s+(\d+) kB$/m.exec(readFileSync('/proc/thread-self/status', 'utf8'))?.[1]) * 1024;

const before = mappedBytes();
try {
  Pages.allocate(bytes, { locked: true });
  writeSync(1, '{}');
} catch (error) {
  if (!(error instanceof OsError)) throw error;
  const { call, code, message } = error;
  writeSync(1, JSON.stringify({ call, code, message, leftBytes: mappedBytes() - before }));
}
