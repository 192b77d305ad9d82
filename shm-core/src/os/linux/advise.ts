/** Advice and residency of mapped memory: madvise(2), mlock(2). Invariant: nothing here changes what is in the memory. */
import type { Advice, AdviceOutcome } from '../os.ts';
import { checked, lastErrno, libc, osError } from './libc.ts';

const MADV_RANDOM = 1;
const MADV_SEQUENTIAL = 2;
const MADV_WILLNEED = 3;
const MADV_REMOVE = 9;
const MADV_COLD = 20;
const MADV_POPULATE_READ = 22;
const MADV_POPULATE_WRITE = 23;

const EINVAL = 22;
const ENOSYS = 38;

const ADVICE: Readonly<Record<Exclude<Advice, 'populate'>, number>> = {
  willneed: MADV_WILLNEED,
  sequential: MADV_SEQUENTIAL,
  random: MADV_RANDOM,
  cold: MADV_COLD,
};

/** `address` on a page border; `bytes` are rounded up to pages by the kernel. @throws OsError. */
export function advise(address: number, bytes: number, advice: Advice, writable: boolean): AdviceOutcome {
  const populate = writable ? MADV_POPULATE_WRITE : MADV_POPULATE_READ;
  const number = advice === 'populate' ? populate : ADVICE[advice];
  if (libc().madvise(address, bytes, number) >= 0) return 'applied';
  const errno = lastErrno();
  // What the kernel does not know, or not for this kind of memory: `cold` for hugetlb, for example.
  if (errno === EINVAL || errno === ENOSYS) return 'unsupported';
  throw osError('madvise', errno, advice);
}

/** Punches a hole into the file that is mapped there. @throws OsError. */
export function discard(address: number, bytes: number): void {
  checked('madvise', libc().madvise(address, bytes, MADV_REMOVE), 'MADV_REMOVE');
}

/** A short machine is an error here, where a touch would be a signal. @throws OsError (ENOMEM, EFAULT). */
export function populate(address: number, bytes: number): void {
  checked('madvise', libc().madvise(address, bytes, MADV_POPULATE_WRITE), `MADV_POPULATE_WRITE of ${bytes} B`);
}
