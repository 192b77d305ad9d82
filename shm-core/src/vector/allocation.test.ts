/** Walking a vector allocates nothing per record: measured in a process of its own, beside a walk that does. */
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const SCRIPT = fileURLToPath(new URL('./testing/measure-allocation.ts', import.meta.url));
const RECORDS = 1_000_000;
/** A byte for every other record: less than any object, and more than what a process does beside. */
const NOTHING_BYTES = RECORDS / 2;

describe('a walk over a million records', () => {
  // Compiled where it stands: on a busy machine, a thread that compiles beside would leave the walk to the interpreter for long.
  const compiling = ['--no-concurrent-recompilation', '--no-concurrent-sparkplug'];
  const heap = ['--expose-gc', '--min-semi-space-size=512', '--max-semi-space-size=512'];
  const flags = [...compiling, ...heap, '--no-warnings'];
  const output = execFileSync(process.execPath, [...flags, SCRIPT], { env: { PATH: process.env.PATH } });
  const { copies, ...walks }: Record<string, number> = JSON.parse(output.toString());

  it.each(Object.entries(walks))('allocates nothing per record: %s (%d B in all)', (_name, bytes) => {
    // Less than nothing: something was collected meanwhile, and the figure says nothing.
    expect(bytes).toBeGreaterThanOrEqual(0);
    expect(bytes).toBeLessThan(NOTHING_BYTES);
  });

  it('is seen to allocate when it copies', () => {
    expect(copies).toBeGreaterThan(20 * RECORDS);
  });
});
