import { describe, expect, it } from 'vitest';
import { Pages } from '../pages.ts';
import { runScript } from './testing/run-script.ts';

/** What a process that made this touch came to. */
function touched(how: string): { signal: NodeJS.Signals | null; stdout: string } {
  const { signal, stdout } = runScript('doomed.ts', [how]);
  return { signal, stdout };
}

const KILLED = { signal: 'SIGSEGV', stdout: 'ready\n' };

describe('the page tables under typed pages', () => {
  it.each(['write r', 'write r through a stolen view', 'read none', 'write rx', 'call what is rw again'])(
    'kill a process that has kept a pointer: %s',
    (how) => {
      expect(touched(how)).toEqual(KILLED);
    },
  );

  it.each([
    ['read r', 'ready\n0\nsurvived\n'],
    ['call rx', 'ready\nsurvived\n'],
    ['write what is rw again', 'ready\nsurvived\n'],
    ['write what is free', 'ready\nsurvived\n'],
  ])('let a process live that may: %s', (how, stdout) => {
    expect(touched(how)).toEqual({ signal: null, stdout });
  });

  it('keep what is in the memory through every protection', () => {
    const bytes = 3 * 4096 + 17;
    const pattern = Uint8Array.from({ length: bytes }, (_, index) => (index * 31) % 251);
    using written = Pages.allocate(bytes);
    written.bytes.set(pattern);
    using readable = written.protect('r');
    expect(Uint8Array.from(readable.bytes)).toEqual(pattern);
    using again = readable.protect('none').protect('rw');
    expect(again.bytes).toEqual(pattern);
    again.bytes[bytes - 1] = 255;
    expect(again.protect('r').bytes[bytes - 1]).toBe(255);
  });
});
