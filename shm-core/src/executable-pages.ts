/** Code made at run time: `@leasehold/shm-core/executable-pages`. Nobody gets executable memory without importing this. */
export type { NativeFunction, NativeSignature, NativeType, NativeValues } from './os/linux/executable-code.ts';
export type { ExecutablePages } from './pages/page-types.ts';
export { toExecutable } from './pages/to-executable.ts';
