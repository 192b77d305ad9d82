/** The block of docs/MEMORY.md that a run of the memory benchmark writes. */
import { readFileSync, writeFileSync } from 'node:fs';
import { replaceBlock } from './report/blocks.ts';

const DOCUMENT = new URL('../../docs/MEMORY.md', import.meta.url);

export const MEMORY_BLOCK = { name: 'memory-bench', document: 'docs/MEMORY.md' } as const;

/** @throws Error when the document has no place for it */
export function writeMemoryBlock(lines: string): void {
  writeFileSync(DOCUMENT, replaceBlock(readFileSync(DOCUMENT, 'utf8'), MEMORY_BLOCK, lines));
}

/** Finds out early that `writeMemoryBlock` would fail. */
export function checkMemoryBlock(): void {
  replaceBlock(readFileSync(DOCUMENT, 'utf8'), MEMORY_BLOCK, '');
}
