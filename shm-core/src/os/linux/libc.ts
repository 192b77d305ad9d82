/**
 * The only place where native functions are declared, and where errno becomes an OsError. Nothing is loaded before the first
 * call of `libc()`. Invariant: errno is read by `lastErrno()` at once after a failing call, before anything else runs.
 * Numbers of flags and system calls stand beside their use; they are the same on x86-64 and arm64.
 */
import koffi from 'koffi';
import { OsError } from '../os.ts';

/** A call on the thread pool: `done(error, result)`. */
type Asynchronous<Arguments extends unknown[]> = {
  async(...args: [...Arguments, done: (error: unknown, result: number) => void]): void;
};

/** The functions of the C library that we use. Results of -1 mean: see errno (`posix_fallocate` returns it instead). */
export interface Libc {
  accept4(fd: number, address: null, addressBytes: null, flags: number): number;
  bind(fd: number, address: Uint8Array, addressBytes: number): number;
  chmod(path: string, mode: number): number;
  close: ((fd: number) => number) & Asynchronous<[fd: number]>;
  connect(fd: number, address: Uint8Array, addressBytes: number): number;
  fallocate: ((fd: number, mode: number, offset: number, bytes: number) => number) &
    Asynchronous<[fd: number, mode: number, offset: number, bytes: number]>;
  fchmod(fd: number, mode: number): number;
  fcntl(fd: number, command: number, argument: number): number;
  flock(fd: number, operation: number): number;
  ftruncate(fd: number, bytes: number): number;
  getpagesize(): number;
  /** `limit`: soft, then hard. */
  dup3(from: number, to: number, flags: number): number;
  getrlimit(resource: number, limit: BigUint64Array): number;
  getsockopt(fd: number, level: number, option: number, value: Uint8Array, valueBytes: Uint32Array): number;
  listen(fd: number, backlog: number): number;
  madvise: ((address: number, bytes: number, advice: number) => number) &
    Asynchronous<[address: number, bytes: number, advice: number]>;
  /** By number: the C library has no wrapper. */
  mbind(
    call: number,
    address: number,
    bytes: number,
    mode: number,
    nodes: BigUint64Array,
    nodeBits: number,
    flags: number,
  ): number;
  memfd_create(name: string, flags: number): number;
  mlock: ((address: number, bytes: number) => number) & Asynchronous<[address: number, bytes: number]>;
  mmap(address: number, bytes: number, protection: number, flags: number, fd: number, offset: number): number;
  mprotect(address: number, bytes: number, protection: number): number;
  munlock: ((address: number, bytes: number) => number) & Asynchronous<[address: number, bytes: number]>;
  munmap: ((address: number, bytes: number) => number) & Asynchronous<[address: number, bytes: number]>;
  open(path: string, flags: number, mode: number): number;
  poll(pollFds: Int32Array, count: number, timeoutMs: number): number;
  posix_fallocate: Asynchronous<[fd: number, offset: number, bytes: number]>;
  recv(fd: number, bytes: Uint8Array, byteCount: number, flags: number): number;
  recvmsg(fd: number, message: Uint8Array, flags: number): number;
  sched_yield(): number;
  send(fd: number, bytes: Uint8Array, byteCount: number, flags: number): number;
  sendmsg(fd: number, message: Uint8Array, flags: number): number;
  sendto(
    fd: number,
    bytes: Uint8Array,
    byteCount: number,
    flags: number,
    address: Uint8Array,
    addressBytes: number,
  ): number;
  setrlimit(resource: number, limit: BigUint64Array): number;
  socket(domain: number, type: number, protocol: number): number;
  syscall(number: number, first: number, second: number): number;
}

let loaded: Libc | undefined;

/** The C library of this process, bound on first use. */
export function libc(): Libc {
  loaded ??= declare();
  return loaded;
}

function declare(): Libc {
  // The process itself: node is linked with the C library, whichever it is.
  const library = koffi.load(null);
  return {
    accept4: library.func('int accept4(int fd, void *address, void *addressBytes, int flags)'),
    bind: library.func('int bind(int fd, const void *address, uint32_t addressBytes)'),
    chmod: library.func('int chmod(const char *path, uint32_t mode)'),
    close: library.func('int close(int fd)'),
    connect: library.func('int connect(int fd, const void *address, uint32_t addressBytes)'),
    fallocate: library.func('int fallocate(int fd, int mode, int64_t offset, int64_t bytes)'),
    fchmod: library.func('int fchmod(int fd, uint32_t mode)'),
    fcntl: library.func('int fcntl(int fd, int command, int argument)'),
    flock: library.func('int flock(int fd, int operation)'),
    ftruncate: library.func('int ftruncate(int fd, int64_t bytes)'),
    getpagesize: library.func('int getpagesize(void)'),
    dup3: library.func('int dup3(int from, int to, int flags)'),
    getrlimit: library.func('int getrlimit(int resource, void *limit)'),
    getsockopt: library.func('int getsockopt(int fd, int level, int option, void *value, void *valueBytes)'),
    listen: library.func('int listen(int fd, int backlog)'),
    madvise: library.func('int madvise(uintptr_t address, size_t bytes, int advice)'),
    mbind: library.func('syscall', 'intptr_t', [
      'intptr_t',
      'uintptr_t',
      'size_t',
      'int',
      'void *',
      'size_t',
      'uint32_t',
    ]),
    memfd_create: library.func('int memfd_create(const char *name, unsigned int flags)'),
    mlock: library.func('int mlock(uintptr_t address, size_t bytes)'),
    mmap: library.func(
      'intptr_t mmap(uintptr_t address, size_t bytes, int protection, int flags, int fd, int64_t offset)',
    ),
    mprotect: library.func('int mprotect(uintptr_t address, size_t bytes, int protection)'),
    munlock: library.func('int munlock(uintptr_t address, size_t bytes)'),
    munmap: library.func('int munmap(uintptr_t address, size_t bytes)'),
    open: library.func('int open(const char *path, int flags, uint32_t mode)'),
    poll: library.func('int poll(void *pollFds, unsigned long count, int timeoutMs)'),
    posix_fallocate: library.func('int posix_fallocate(int fd, int64_t offset, int64_t bytes)'),
    recv: library.func('intptr_t recv(int fd, void *bytes, size_t byteCount, int flags)'),
    recvmsg: library.func('intptr_t recvmsg(int fd, void *message, int flags)'),
    sched_yield: library.func('int sched_yield(void)'),
    send: library.func('intptr_t send(int fd, const void *bytes, size_t byteCount, int flags)'),
    sendmsg: library.func('intptr_t sendmsg(int fd, const void *message, int flags)'),
    sendto: library.func(
      'intptr_t sendto(int fd, const void *bytes, size_t byteCount, int flags, const void *address, uint32_t addressBytes)',
    ),
    setrlimit: library.func('int setrlimit(int resource, const void *limit)'),
    socket: library.func('int socket(int domain, int type, int protocol)'),
    syscall: library.func('intptr_t syscall(intptr_t number, intptr_t first, intptr_t second)'),
  };
}

/** errno of the call that just failed on this thread. */
export function lastErrno(): number {
  return koffi.errno();
}

/** The error for `errno`, left by `call`. */
export function osError(call: string, errno: number, detail?: string): OsError {
  const code = Object.entries(koffi.os.errno).find(([, number]) => number === errno)?.[0];
  return new OsError(call, errno, code ?? `errno ${errno}`, detail);
}

/** Passes a successful result through. @throws OsError when `result` is negative; call it around the system call itself. */
export function checked(call: string, result: number, detail?: string): number {
  if (result < 0) throw osError(call, lastErrno(), detail);
  return result;
}

/** Where the bytes lie in memory, for structures that hold pointers. Stable: a backing store never moves. */
export function addressOf(bytes: Uint8Array): number {
  return Number(koffi.address(bytes));
}

/** An ArrayBuffer over mapped memory. The caller answers for it that `[address, address + bytes)` stays mapped. */
export function viewOf(address: number, bytes: number): ArrayBuffer {
  return koffi.view(address, bytes);
}
