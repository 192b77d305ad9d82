/**
 * Stands in for the C library that shm-core calls, and lets the n-th call fail. Invariants: a call that fails leaves the errno it would;
 * one on the thread pool fails there, and once more when it is repeated to learn why; what gives something back is carried out all the
 * same, because it must not be kept from doing so.
 */
import { constants } from 'node:os';

type Code = keyof typeof constants.errno;
type Native = ((...args: unknown[]) => number) & { readonly async?: (...args: unknown[]) => void };
type Done = (error: unknown, result: number) => void;

/** What shm-core's `libc` module exports, as far as it is replaced. */
export interface LibcModule {
  readonly libc: () => object;
  readonly lastErrno: () => number;
  readonly osError: (call: string, errno: number, detail?: string) => Error;
}

/** How each call can fail while the process is otherwise well. */
const FAILS_WITH: Readonly<Record<string, Code>> = {
  accept4: 'EMFILE',
  close: 'EIO',
  fallocate: 'ENOMEM',
  fchmod: 'EPERM',
  fcntl: 'EPERM',
  ftruncate: 'EFBIG',
  getsockopt: 'ENOMEM',
  madvise: 'ENOMEM',
  memfd_create: 'EMFILE',
  mlock: 'ENOMEM',
  mmap: 'ENOMEM',
  munlock: 'ENOMEM',
  munmap: 'ENOMEM',
  open: 'EMFILE',
  poll: 'ENOMEM',
  posix_fallocate: 'ENOSPC',
  recv: 'ENOMEM',
  recvmsg: 'ENOMEM',
  sendmsg: 'ENOMEM',
  sendto: 'ECONNREFUSED',
  socket: 'EMFILE',
};
const GIVES_BACK = new Set(['close', 'munmap']);
/** Those that return their errno. */
const RETURNS_ERRNO = new Set(['posix_fallocate']);

export interface FailedCall {
  readonly call: string;
  readonly code: Code;
}

export class FailingCalls {
  /** The call that fails, from 1; 0: none does. */
  #failAt = 0;
  #made = 0;
  #failed: FailedCall | null = null;
  /** Fails once more when it is repeated. */
  #repeated: string | null = null;
  #errno: number | null = null;

  /** The module with calls that can fail. */
  replace<Module extends LibcModule>(original: Module): Module {
    const wrapped = new Map<string, Native>();
    const natives = new Proxy(
      {},
      {
        get: (_target, name: string) => {
          const known =
            wrapped.get(name) ?? this.#wrap(name, (original.libc() as Record<string, Native>)[name] as Native);
          wrapped.set(name, known);
          return known;
        },
      },
    );
    const lastErrno = (): number => this.#errno ?? original.lastErrno();
    const checked = (call: string, result: number, detail?: string): number => {
      if (result < 0) throw original.osError(call, lastErrno(), detail);
      return result;
    };
    return { ...original, libc: () => natives, lastErrno, checked };
  }

  /** From now on the `nth` call fails. */
  arm(nth: number): void {
    this.#failAt = nth;
    this.#made = 0;
    this.#failed = null;
    this.#repeated = null;
  }
  /** @returns what has failed; null when there were fewer calls */
  disarm(): FailedCall | null {
    this.#failAt = 0;
    this.#repeated = null;
    return this.#failed;
  }

  #wrap(name: string, native: Native): Native {
    const call = (...args: unknown[]): number => {
      this.#errno = null;
      if (!this.#fails(name)) return native(...args);
      if (GIVES_BACK.has(name)) native(...args);
      this.#errno = errnoOf(name);
      return -1;
    };
    const onPool = (...args: unknown[]): void => {
      if (!this.#fails(name)) return void native.async?.(...args);
      const done = args.at(-1) as Done;
      const fail = (): void => done(null, RETURNS_ERRNO.has(name) ? errnoOf(name) : -1);
      if (GIVES_BACK.has(name)) return void native.async?.(...args.slice(0, -1), fail);
      if (!RETURNS_ERRNO.has(name)) this.#repeated = name;
      setImmediate(fail);
    };
    return Object.assign(call, { async: onPool });
  }

  #fails(name: string): boolean {
    if (this.#failAt === 0) return false;
    if (this.#repeated === name) {
      this.#repeated = null;
      return true;
    }
    this.#made += 1;
    if (this.#made !== this.#failAt) return false;
    this.#failed = { call: name, code: codeOf(name) };
    return true;
  }
}

function codeOf(name: string): Code {
  const code = FAILS_WITH[name];
  if (code === undefined) throw new Error(`nobody has said how ${name} fails`);
  return code;
}
const errnoOf = (name: string): number => constants.errno[codeOf(name)];
