/**
 * A process that touches pages in a forbidden way, for tests that watch it die: `node doomed.ts CASE`. Says `ready` before the touch, so
 * that dying earlier is no success, and `survived` when nothing happened.
 */
import { writeSync } from 'node:fs';
import { nativeFunction } from '../../os/linux/executable-code.ts';
import { addressOf, viewOf } from '../../os/linux/libc.ts';
import { Pages } from '../../pages.ts';
import { toExecutable } from '../to-executable.ts';

const BYTES = 10_000;

function touch(view: ArrayBuffer, how: 'read' | 'write'): void {
  const bytes = new Uint8Array(view);
  writeSync(1, 'ready\n');
  if (how === 'read') writeSync(1, `${bytes[5_000]}\n`);
  else bytes[5_000] = 2;
  writeSync(1, 'survived\n');
}

/** A second view by the bare address, which nobody can detach. */
function second(bytes: Uint8Array): ArrayBuffer {
  return viewOf(addressOf(bytes), BYTES);
}

/** The view itself, taken away before it could be detached. */
function stolen(bytes: Uint8Array<ArrayBuffer>): ArrayBuffer {
  return bytes.buffer.transfer();
}

/** A function that returns at once. */
const RETURN = process.arch === 'arm64' ? [0xc0, 0x03, 0x5f, 0xd6] : [0xc3];

const CASES: Readonly<Record<string, () => void>> = {
  'write r': () => {
    const pages = Pages.allocate(BYTES);
    const view = second(pages.bytes);
    pages.protect('r');
    touch(view, 'write');
  },
  'write r through a stolen view': () => {
    const pages = Pages.allocate(BYTES);
    const view = stolen(pages.bytes);
    pages.protect('r');
    touch(view, 'write');
  },
  'read r': () => {
    const pages = Pages.allocate(BYTES);
    const view = second(pages.bytes);
    pages.protect('r');
    touch(view, 'read');
  },
  'read none': () => {
    const pages = Pages.allocate(BYTES);
    const view = second(pages.bytes);
    pages.protect('none');
    touch(view, 'read');
  },
  'write rx': () => {
    const pages = Pages.allocate(BYTES);
    const view = second(pages.bytes);
    toExecutable(pages);
    touch(view, 'write');
  },
  'call rx': () => {
    const pages = Pages.allocate(BYTES);
    pages.bytes.set(RETURN);
    const code = nativeFunction(addressOf(pages.bytes), { takes: [], returns: 'void' });
    toExecutable(pages);
    writeSync(1, 'ready\n');
    code();
    writeSync(1, 'survived\n');
  },
  'call what is rw again': () => {
    const pages = Pages.allocate(BYTES);
    pages.bytes.set(RETURN);
    const code = nativeFunction(addressOf(pages.bytes), { takes: [], returns: 'void' });
    toExecutable(pages).protect('rw');
    writeSync(1, 'ready\n');
    code();
    writeSync(1, 'survived\n');
  },
  'write what is rw again': () => {
    const pages = Pages.allocate(BYTES);
    const view = second(pages.bytes);
    pages.protect('none').protect('rw');
    touch(view, 'write');
  },
  'write what is free': () => {
    const pages = Pages.allocate(BYTES);
    const view = second(pages.bytes);
    pages.free();
    touch(view, 'write');
  },
};

CASES[process.argv[2] ?? '']?.();
