// Writes docs/ERRORS.md from the error catalogue. With --check it writes nothing and fails when the page is stale.
import { readFileSync, writeFileSync } from 'node:fs';
import { Code } from '../gen/google/rpc/code_pb.js';
import { ERROR_CATALOGUE, type ErrorCatalogueEntry } from '../src/error-catalogue.ts';

export const ERROR_DOCS_URL = new URL('../../docs/ERRORS.md', import.meta.url);

const HEADER = `# Errors

<!-- Generated from proto/src/error-catalogue.ts by \`npm run docs:generate\`. Do not edit. -->

Everything that fails fails with one of these codes. In JavaScript it is \`LeaseholdError.code\`; on the wire it is the
\`reason\` of a \`google.rpc.ErrorInfo\` (domain \`leasehold\`) in \`grpc-status-details-bin\`, and \`Refused.reason\` on the
attach socket. Branch on the code, never on the message. *Retryable*: the same call may succeed later although the caller
changes nothing. Codes are never renamed and never change their meaning; the gRPC status is what a code travels under.

| code | gRPC status | retryable | meaning | what to do |
| --- | --- | --- | --- | --- |
`;

export function renderErrorDocs(): string {
  const rows = Object.entries<ErrorCatalogueEntry>(ERROR_CATALOGUE).map(([code, entry]) => {
    const status = `${entry.status} (${Code[entry.status]})`;
    return `| \`${code}\` | ${status} | ${entry.retryable ? 'yes' : 'no'} | ${entry.meaning} | ${entry.whatToDo} |\n`;
  });
  return HEADER + rows.join('');
}

if (import.meta.main) {
  if (!process.argv.includes('--check')) {
    writeFileSync(ERROR_DOCS_URL, renderErrorDocs());
  } else if (readFileSync(ERROR_DOCS_URL, 'utf8') !== renderErrorDocs()) {
    console.error('docs/ERRORS.md does not match the error catalogue: run `npm run docs:generate`.');
    process.exitCode = 1;
  }
}
