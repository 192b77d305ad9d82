// What must not compile. `tsc -p tsconfig.tests.json` is the test: an expected error that does not come is one itself.
import { describe, expect, expectTypeOf, it } from 'vitest';
import { toExecutable } from '../executable-pages.ts';
import { type PageAccess, Pages, type ReadonlyBytes } from '../pages.ts';
import type { Pages as AllPages } from './page-types.ts';

describe('the types of pages', () => {
  it('allow of each protection what its page tables do', () => {
    using pages = Pages.allocate(8);
    expectTypeOf(pages).toEqualTypeOf<Pages<'rw'>>();
    expectTypeOf(pages.bytes).toEqualTypeOf<Uint8Array<ArrayBuffer>>();
    expectTypeOf(pages.protect('r')).toEqualTypeOf<Pages<'r'>>();
    expectTypeOf<Pages<'r'>['bytes']>().toEqualTypeOf<ReadonlyBytes>();
    expectTypeOf<Pages<'r'>['protect']>().toBeCallableWith('rw');
    expectTypeOf<Pages<'none'>>().not.toHaveProperty('bytes');
    expectTypeOf<Pages<'none'>>().not.toHaveProperty('advise');
    expectTypeOf<Pages<'r'>>().not.toHaveProperty('decommit');
    expectTypeOf<Pages<'r'>>().not.toHaveProperty('memory');
    expectTypeOf(toExecutable).returns.toEqualTypeOf<AllPages<'rx'>>();
  });

  it('forbid writing what can only be read', () => {
    const write = (pages: Pages<'r'>): void => {
      // @ts-expect-error: read-only.
      pages.bytes[0] = 1;
      // @ts-expect-error: writes.
      pages.bytes.fill(1);
      // @ts-expect-error: would lead to a writable view.
      void pages.bytes.buffer;
    };
    const read = (pages: Pages<'none'>): void => {
      // @ts-expect-error: there is nothing to read.
      void pages.bytes;
    };
    const decommit = (pages: Pages<'r'>): void => {
      // @ts-expect-error: it changes what is there.
      pages.decommit(0, 1);
    };
    expect([write, read, decommit]).toHaveLength(3);
  });

  it('are not each other’s, although one could do all that another can', () => {
    expectTypeOf<Pages<'rw'>>().not.toExtend<Pages<'r'>>();
    expectTypeOf<Pages<'rw'>>().not.toExtend<Pages<'none'>>();
    expectTypeOf<Pages<'r'>>().not.toExtend<Pages<'none'>>();
    expectTypeOf<AllPages<'rx'>>().not.toExtend<Pages<'r'>>();
    expectTypeOf<Pages<'r'>>().not.toExtend<Pages<'rw'>>();
  });

  it('know nothing executable without its own import', () => {
    expectTypeOf<PageAccess>().toEqualTypeOf<'rw' | 'r' | 'none'>();
    // @ts-expect-error: not one of them.
    expectTypeOf<Pages<'rx'>>().not.toBeAny();
    expectTypeOf<Pages<PageAccess>>().not.toHaveProperty('functionAt');
  });

  it('hold functions to their signature', () => {
    const use = (pages: AllPages<'rx'>): void => {
      const add = pages.functionAt(0, { takes: ['int32', 'int64'], returns: 'float64' });
      expectTypeOf(add).parameter(0).toEqualTypeOf<number>();
      expectTypeOf(add).parameter(1).toEqualTypeOf<bigint>();
      expectTypeOf(add).returns.toEqualTypeOf<number>();
      // @ts-expect-error: one argument too few.
      add(1);
      // @ts-expect-error: no such type.
      pages.functionAt(0, { takes: ['string'], returns: 'void' });
    };
    expect(use).toBeTypeOf('function');
  });
});
