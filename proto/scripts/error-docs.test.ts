// Catalogue, page and protocol files hold one another to the truth.
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { Code } from '../gen/google/rpc/code_pb.js';
import { ERROR_CATALOGUE, isErrorCode } from '../src/error-catalogue.ts';
import { ERROR_DOCS_URL, renderErrorDocs } from './error-docs.ts';

const page = readFileSync(ERROR_DOCS_URL, 'utf8');
const PROTO_DIRECTORY = new URL('../leasehold/v1/', import.meta.url);

describe('error documentation', () => {
  it('has a row for every code of the catalogue, and no other', () => {
    const documented = [...page.matchAll(/^\| `([A-Z_]+)` \|/gm)].map(([, code]) => code);
    expect(documented).toEqual(Object.keys(ERROR_CATALOGUE));
  });

  it('is what the generator writes today', () => {
    expect(page).toBe(renderErrorDocs());
  });

  it('gives every code a gRPC status, a meaning and a remedy that fit a table', () => {
    for (const { status, meaning, whatToDo } of Object.values(ERROR_CATALOGUE)) {
      expect(Code[status]).toBeGreaterThan(0);
      expect(meaning).toMatch(/^[^|\n]+\.$/);
      expect(whatToDo).toMatch(/^[^|\n]+\.$/);
    }
  });

  it('knows every code that the protocol files speak of', () => {
    const mentioned = readdirSync(PROTO_DIRECTORY).flatMap((file) => {
      const comments = readFileSync(new URL(file, PROTO_DIRECTORY), 'utf8').match(/\/\/.*/g) ?? [];
      return comments.flatMap((comment) => comment.match(/\b[A-Z]+(?:_[A-Z]+)+\b/g) ?? []);
    });
    expect(mentioned).toContain('PUBLISHER_EXISTS');
    const otherWords = ['LAST_ATTACHMENT', 'OWNER_DIED', 'SOCK_SEQPACKET'];
    expect(mentioned.filter((word) => !otherWords.includes(word) && !isErrorCode(word))).toEqual([]);
  });

  it('takes nothing inherited for a code', () => {
    expect(isErrorCode('constructor')).toBe(false);
    expect(isErrorCode('__proto__')).toBe(false);
  });
});
