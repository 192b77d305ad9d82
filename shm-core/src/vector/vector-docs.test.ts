import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { renderLayout } from '../../scripts/abi-docs.ts';
import { VECTOR_HEADER, VECTOR_MAGIC, VECTOR_VERSION } from './header.ts';

const page = readFileSync(new URL('../../../docs/VECTOR.md', import.meta.url), 'utf8');

describe('docs/VECTOR.md', () => {
  it('shows the header as it is declared', () => {
    const table = page.split('<!-- header -->')[1]?.split('<!-- /header -->')[0];
    expect(table?.trim()).toBe(renderLayout(VECTOR_HEADER).trim());
    expect(page).toContain(`The magic is \`0x${VECTOR_MAGIC.toString(16)}\``);
    expect(page).toContain(`the version ${VECTOR_VERSION}.`);
  });
});
