/**
 * Memory on a wanted NUMA node, as a preference: where the node is full the kernel takes another. Invariant: the preference is the
 * file's (a shared policy), so it holds for whoever populates it, and later.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { checked, libc } from './libc.ts';

const PROT_READ = 1;
const MAP_SHARED = 0x1;
const MAP_NORESERVE = 0x4000;
const MPOL_PREFERRED = 1;
const NODE_MASK_BITS = 1024;

/** The C library has no mbind. */
const MBIND: Readonly<Record<string, number>> = { x64: 237, arm64: 235 };

/** The nodes that are there; none where the kernel knows nothing of nodes. `root` is the file system to read; tests pass a fixture. */
export function onlineNodes(root = '/'): number[] {
  let list: string;
  try {
    list = readFileSync(join(root, 'sys/devices/system/node/online'), 'utf8');
  } catch {
    return [];
  }
  // For example `0-1,3`.
  return [...list.matchAll(/(\d+)(?:-(\d+))?/g)].flatMap(([, first, last]) => {
    const begin = Number(first);
    return Array.from({ length: Number(last ?? first) - begin + 1 }, (_, index) => begin + index);
  });
}

/** Whether there is anything to prefer: more than one node, and `node` among them. */
export function canPreferNode(node: number, root = '/'): boolean {
  const online = onlineNodes(root);
  return online.length > 1 && online.includes(node);
}

/** Lets the segment behind `fd` be populated from `node`. @throws OsError (EINVAL: no such node; EPERM; ENOSYS; ENOMEM). */
export function preferNode(fd: number, bytes: number, node: number): void {
  const address = checked('mmap', libc().mmap(0, bytes, PROT_READ, MAP_SHARED | MAP_NORESERVE, fd, 0), `${bytes} B`);
  try {
    const nodes = new BigUint64Array(NODE_MASK_BITS / 64);
    nodes[Math.floor(node / 64)] = 1n << BigInt(node % 64);
    const call = MBIND[process.arch] ?? -1;
    // The kernel takes one bit less than it is told.
    const policy = [MPOL_PREFERRED, nodes, NODE_MASK_BITS + 1, 0] as const;
    checked('mbind', libc().mbind(call, address, bytes, ...policy), `node ${node}`);
  } finally {
    checked('munmap', libc().munmap(address, bytes));
  }
}
