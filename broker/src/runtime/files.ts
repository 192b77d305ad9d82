/** Small steps on files that the runtime needs and `node:fs` has no single call for. */
import { closeSync, constants, fsyncSync, openSync, readSync, writeSync } from 'node:fs';

const { O_RDONLY, O_WRONLY, O_CREAT, O_TRUNC, O_NOFOLLOW, O_DIRECTORY, O_NONBLOCK } = constants;

/** Whether a failed call of `node:fs` or of the system left this errno. */
export function isErrno(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}

/** The first bytes of a file as text; undefined when there is none. @throws Error (ELOOP: it is a symbolic link). */
export function readHead(path: string, bytesMax: number): string | undefined {
  let fd: number;
  try {
    // O_NONBLOCK: a fifo in the place of a file must not stop us.
    fd = openSync(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw error;
  }
  try {
    const head = Buffer.alloc(bytesMax);
    return head.toString('latin1', 0, readSync(fd, head));
  } finally {
    closeSync(fd);
  }
}

/** Writes a whole small file, mode 0600, and waits until it is on the disk. */
export function writeDurably(path: string, text: string): void {
  const fd = openSync(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0o600);
  try {
    const content = Buffer.from(text);
    for (let written = 0; written < content.length; ) written += writeSync(fd, content, written);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** Waits until the names in a directory are on the disk. */
export function syncDirectory(path: string): void {
  const fd = openSync(path, O_RDONLY | O_DIRECTORY);
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
