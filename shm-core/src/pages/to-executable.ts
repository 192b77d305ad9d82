/**
 * The only way to executable memory. Invariants: nothing is writable and executable at once, because one change of the page tables takes
 * the one and gives the other; shared memory cannot come here, because only private blocks make `Pages`.
 */
import { checkExtent } from '../os/extents.ts';
import {
  canReplaceCode,
  type NativeFunction,
  type NativeSignature,
  type NativeType,
  nativeFunction,
  syncInstructions,
} from '../os/linux/executable-code.ts';
import type { ExecutablePages, Pages } from './page-types.ts';
import type { ReadonlyBytes } from './readonly-bytes.ts';
import { TypedPages } from './typed-pages.ts';

/**
 * Makes code of what is in the pages, and uses them up. `protect('rw')` of the result takes the permission to execute away again.
 * @throws UsedPagesError; OsError (EACCES: a security policy forbids code made at run time), and then nothing has changed.
 */
export function toExecutable(pages: Pages<'rw'> | Pages<'r'>): Pages<'rx'> {
  if (!(pages instanceof TypedPages)) throw new TypeError('toExecutable takes pages that Pages.allocate made');
  if (pages.access !== 'rw' && pages.access !== 'r') {
    throw new RangeError(`toExecutable takes pages that are rw or r, not ${String(pages.access)}`);
  }
  const block = pages.block;
  if (block.wasExecutable && !canReplaceCode()) {
    throw new Error('this system cannot replace code that has run: allocate new pages for it');
  }
  block.protect('rx');
  pages.useUp('made executable: use what toExecutable returned');
  syncInstructions(block.range.address, block.grant.requestedBytes);
  return new Executable(block, 'rx');
}

class Executable extends TypedPages<'rx'> implements ExecutablePages {
  get bytes(): ReadonlyBytes {
    return this.block.bytes();
  }

  functionAt<const Takes extends readonly NativeType[], Returns extends NativeType | 'void'>(
    offset: number,
    signature: NativeSignature<Takes, Returns>,
  ): NativeFunction<Takes, Returns> {
    const { range, grant } = this.block;
    checkExtent(offset, 1, grant.requestedBytes);
    const call = nativeFunction(range.address + offset, signature);
    return (...values) => {
      // IMPORTANT: without this look a call after `protect` or `free` would run into memory that is no code any more.
      void this.block;
      return call(...values);
    };
  }
}
