/** System calls on the thread pool: what takes long must not stop this thread. */
import { checked, osError } from './libc.ts';

const EINTR = 4;

/** A call as `Libc` declares it: at once, or on the pool. */
type PooledCall<Arguments extends unknown[]> = ((...args: Arguments) => number) & {
  async(...args: [...Arguments, done: (error: unknown, result: number) => void]): void;
};

/**
 * Runs a call that returns -1 on failure. The pool leaves no errno, so a call that failed is made once more, here, to learn why: it may
 * only be one that fails fast and can be repeated. @throws OsError.
 */
export async function pooled<Arguments extends unknown[]>(
  name: string,
  call: PooledCall<Arguments>,
  args: Arguments,
  detail?: string,
): Promise<void> {
  if ((await onPool(call, args)) >= 0) return;
  checked(name, call(...args), detail);
}

/** Runs a call that returns an errno, 0 for success; again when a signal came in between. @throws OsError. */
export async function pooledErrno<Arguments extends unknown[]>(
  name: string,
  call: { async: PooledCall<Arguments>['async'] },
  args: Arguments,
  detail?: string,
): Promise<void> {
  let errno: number;
  do errno = await onPool(call, args);
  while (errno === EINTR);
  if (errno !== 0) throw osError(name, errno, detail);
}

/** Runs a call on the pool. @returns its result; what errno it left nobody knows. */
export function onPool<Arguments extends unknown[]>(
  call: { async: PooledCall<Arguments>['async'] },
  args: Arguments,
): Promise<number> {
  return new Promise((resolve, reject) => {
    call.async(...args, (error, result) => {
      if (error) reject(error);
      else resolve(result);
    });
  });
}
