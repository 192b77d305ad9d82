import { describe, expect, it } from 'vitest';
import { toExecutable } from '../executable-pages.ts';
import * as pagesEntry from '../pages.ts';
import { Pages, UsedPagesError } from '../pages.ts';

/** Machine code of functions that follow the C calling convention. */
const CODE = {
  x64: {
    add: [0x8d, 0x04, 0x37, 0xc3], // lea eax, [rdi + rsi]; ret
    subtract: [0x89, 0xf8, 0x29, 0xf0, 0xc3], // mov eax, edi; sub eax, esi; ret
    add64: [0x48, 0x8d, 0x04, 0x37, 0xc3], // lea rax, [rdi + rsi]; ret
    addFloats: [0xf2, 0x0f, 0x58, 0xc1, 0xc3], // addsd xmm0, xmm1; ret
  },
  arm64: {
    add: [0x00, 0x00, 0x01, 0x0b, 0xc0, 0x03, 0x5f, 0xd6], // add w0, w0, w1; ret
    subtract: [0x00, 0x00, 0x01, 0x4b, 0xc0, 0x03, 0x5f, 0xd6], // sub w0, w0, w1; ret
    add64: [0x00, 0x00, 0x01, 0x8b, 0xc0, 0x03, 0x5f, 0xd6], // add x0, x0, x1; ret
    addFloats: [0x00, 0x28, 0x61, 0x1e, 0xc0, 0x03, 0x5f, 0xd6], // fadd d0, d0, d1; ret
  },
};
const code = process.arch === 'arm64' ? CODE.arm64 : CODE.x64;

const INT32S = { takes: ['int32', 'int32'], returns: 'int32' } as const;

describe.skipIf(process.arch !== 'x64' && process.arch !== 'arm64')('a function assembled at run time', () => {
  it('adds two numbers', () => {
    using pages = Pages.allocate(code.add.length);
    pages.bytes.set(code.add);
    using executable = toExecutable(pages);
    const add = executable.functionAt(0, INT32S);
    expect(add(2, 3)).toBe(5);
    expect(add(2 ** 31 - 1, -(2 ** 31))).toBe(-1);
    expect([...executable.bytes]).toEqual(code.add);
  });

  it('may begin anywhere in the pages, and come from read-only ones', () => {
    using pages = Pages.allocate(8192);
    pages.bytes.set(code.add64, 64);
    pages.bytes.set(code.addFloats, 5000 - (5000 % 8));
    using executable = toExecutable(pages.protect('r'));
    const add64 = executable.functionAt(64, { takes: ['int64', 'int64'], returns: 'int64' });
    expect(add64(2n ** 62n, 1n)).toBe(2n ** 62n + 1n);
    expect(add64(-5n, 3n)).toBe(-2n);
    const addFloats = executable.functionAt(5000 - (5000 % 8), { takes: ['float64', 'float64'], returns: 'float64' });
    expect(addFloats(0.5, 0.25)).toBe(0.75);
    expect(() => executable.functionAt(8192, INT32S)).toThrow(RangeError);
  });

  it('can be replaced, but only while it cannot be called', () => {
    using first = Pages.allocate(16);
    first.bytes.set(code.add);
    using executable = toExecutable(first);
    const add = executable.functionAt(0, INT32S);
    expect(add(9, 4)).toBe(13);
    using writable = executable.protect('rw');
    expect(() => add(9, 4)).toThrow(UsedPagesError);
    writable.bytes.set(code.subtract);
    using again = toExecutable(writable);
    expect(again.functionAt(0, INT32S)(9, 4)).toBe(5);
    expect(() => add(9, 4)).toThrow(UsedPagesError);
  });

  it('cannot be called after its pages were freed', () => {
    const pages = Pages.allocate(16);
    pages.bytes.set(code.add);
    const executable = toExecutable(pages);
    const add = executable.functionAt(0, INT32S);
    executable.free();
    expect(() => add(1, 2)).toThrow("these Pages<'rx'> were freed");
  });
});

describe('toExecutable', () => {
  it('is to be had by its own import only', () => {
    expect(Object.keys(pagesEntry)).not.toContain('toExecutable');
  });

  it('uses the writable pages up, and detaches their views', () => {
    const pages = Pages.allocate(16);
    const { bytes } = pages;
    toExecutable(pages).free();
    expect(bytes).toHaveLength(0);
    expect(() => pages.bytes).toThrow('made executable');
    expect(() => toExecutable(pages)).toThrow(UsedPagesError);
  });

  it('takes neither pages of others, nor ones that hold nothing, nor executable ones', () => {
    const impostor = { access: 'rw' } as Pages<'rw'>;
    expect(() => toExecutable(impostor)).toThrow(TypeError);
    using none = Pages.allocate(16).protect('none');
    // @ts-expect-error: nothing can be seen in them.
    expect(() => toExecutable(none)).toThrow(RangeError);
    using executable = toExecutable(Pages.allocate(16));
    // @ts-expect-error: they are executable already.
    expect(() => toExecutable(executable)).toThrow(RangeError);
  });
});
