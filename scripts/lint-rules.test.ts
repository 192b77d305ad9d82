// The linter holds the import direction. Each case is a one-line module that must (or must not) be refused; all of them
// are linted in one run, under a copy of biome.json, in a scratch directory with the repository's folders.
import { execFile } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const REPOSITORY = join(import.meta.dirname, '..');

const ONLY_OS_IMPORTS_KOFFI = 'Only shm-core/src/os/ imports koffi.';
const FOUNDATION = 'proto and shm-core import nothing of ours.';
const BROKER = 'broker imports proto and shm-core only.';
const CLIENT = 'client-sdk imports proto and shm-core; never broker.';
const CLI = 'cli imports broker and client-sdk, a thin layer over both.';
const PUBLIC_ENTRY = 'Import another package through its public entry.';
const DOMAIN_TRANSPORT = 'broker/src/domain decides; transports, logs and metrics stay outside.';
const DOMAIN_PURE = 'broker/src/domain is pure: time, randomness and memory are passed in.';
const DOMAIN_ALONE = 'broker/src/domain imports no other part of the broker.';
const DOWNWARDS = 'Inside shm-core imports only go down';

const REFUSED: readonly (readonly [folder: string, specifier: string, message: string])[] = [
  ['proto/src', '@leasehold/shm-core', FOUNDATION],
  ['proto/src', '@leasehold/client', FOUNDATION],
  ['shm-core/src', '@leasehold/proto', FOUNDATION],
  ['shm-core/src/os/linux', '@leasehold/broker', FOUNDATION],
  ['shm-core/src/channel', '@leasehold/proto', FOUNDATION],
  ['shm-core/src/layout', '../mapping/x.ts', DOWNWARDS],
  ['shm-core/src/os/linux', '../../segment/x.ts', DOWNWARDS],
  ['shm-core/src/segment', '../mapping/x.ts', DOWNWARDS],
  ['shm-core/src/mapping', '../channel/x.ts', DOWNWARDS],
  ['shm-core/src/mapping', '../lock/x.ts', DOWNWARDS],
  ['shm-core/src/segment', '../pages/x.ts', DOWNWARDS],
  ['shm-core/src/pages', '../mapping/x.ts', DOWNWARDS],
  ['shm-core/src/pages', '../vector/x.ts', DOWNWARDS],
  ['shm-core/src/vector', '../os/x.ts', DOWNWARDS],
  ['shm-core/src/vector', '../pages/x.ts', DOWNWARDS],
  ['shm-core/src/segment', 'koffi', ONLY_OS_IMPORTS_KOFFI],
  ['broker/src/attach', 'koffi', ONLY_OS_IMPORTS_KOFFI],
  ['client-sdk/src', 'koffi', ONLY_OS_IMPORTS_KOFFI],
  ['cli/src', 'koffi', ONLY_OS_IMPORTS_KOFFI],
  ['tests/crash', 'koffi', ONLY_OS_IMPORTS_KOFFI],
  ['broker/src/rpc', '@leasehold/client', BROKER],
  ['broker/src/domain', '@leasehold/client', BROKER],
  ['broker/src/domain', '@grpc/grpc-js', DOMAIN_TRANSPORT],
  ['broker/src/domain', 'fastify', DOMAIN_TRANSPORT],
  ['broker/src/domain', 'pino', DOMAIN_TRANSPORT],
  ['broker/src/domain', 'prom-client', DOMAIN_TRANSPORT],
  ['broker/src/domain', 'koffi', ONLY_OS_IMPORTS_KOFFI],
  ['broker/src/domain', 'node:net', DOMAIN_PURE],
  ['broker/src/domain', 'node:fs/promises', DOMAIN_PURE],
  ['broker/src/domain', 'node:crypto', DOMAIN_PURE],
  ['broker/src/domain', '../rpc/x.ts', DOMAIN_ALONE],
  ['client-sdk/src', '@leasehold/broker', CLIENT],
  ['client-sdk/src', '../../broker/src/x.ts', PUBLIC_ENTRY],
  ['cli/src', '@leasehold/shm-core', CLI],
  ['cli/src', '@leasehold/proto', CLI],
  ['cli/src/bench', 'koffi', ONLY_OS_IMPORTS_KOFFI],
  ['tests/crash', '../../broker/src/x.ts', PUBLIC_ENTRY],
  ['tests/crash', '../../shm-core/dist/x.js', PUBLIC_ENTRY],
];

const ALLOWED: readonly (readonly [folder: string, specifier: string])[] = [
  ['shm-core/src/os/linux', 'koffi'],
  ['shm-core/src/channel', '../mapping/x.ts'],
  ['shm-core/src/pages', '../os/x.ts'],
  ['shm-core/src/vector', '../layout/x.ts'],
  ['shm-core/src/mapping', '../segment/x.ts'],
  ['shm-core/src/segment', '../os/os.ts'],
  ['broker/src/rpc', '@grpc/grpc-js'],
  ['broker/src/rpc', '../domain/x.ts'],
  ['broker/src/attach', '@leasehold/shm-core/internal'],
  ['broker/src/domain', '@leasehold/proto'],
  ['client-sdk/src', '@leasehold/shm-core'],
  ['cli/src', '@leasehold/broker'],
  ['cli/src', '@leasehold/client'],
  ['cli/src/bench', '@leasehold/shm-core/internal'],
  ['tests/crash', '@leasehold/client'],
];

interface Diagnostic {
  readonly category: string;
  readonly message: string;
  readonly location: { readonly path: string };
}

const messagesByFile = new Map<string, string[]>();
let scratch: string;

const fileOf = (folder: string, specifier: string): string =>
  `${folder}/imports-${specifier.replaceAll(/[^a-z0-9]+/g, '-').replace(/^-/, '')}.ts`;

async function lint(root: string): Promise<Diagnostic[]> {
  const biome = join(REPOSITORY, 'node_modules/.bin/biome');
  const args = ['lint', '--vcs-enabled=false', '--only=style/noRestrictedImports', '--only=style/noRestrictedGlobals'];
  const run = promisify(execFile)(biome, [...args, '--max-diagnostics=none', '--reporter=json', '.'], { cwd: root });
  // Exit code 1 is the expected outcome: there are findings. The report is on stdout either way.
  const { stdout } = await run.catch((error: { stdout: string }) => error);
  return (JSON.parse(stdout) as { diagnostics: Diagnostic[] }).diagnostics;
}

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'leasehold-lint-'));
  await copyFile(join(REPOSITORY, 'biome.json'), join(scratch, 'biome.json'));
  const modules = new Map<string, string>([['broker/src/domain/reads-the-clock.ts', 'export const now = Date.now();']]);
  for (const [folder, specifier] of [...REFUSED, ...ALLOWED]) {
    modules.set(fileOf(folder, specifier), `export { name } from '${specifier}';`);
  }
  for (const [file, text] of modules) {
    await mkdir(dirname(join(scratch, file)), { recursive: true });
    await writeFile(join(scratch, file), `${text}\n`);
  }
  for (const { message, location } of await lint(scratch)) {
    messagesByFile.set(location.path, [...(messagesByFile.get(location.path) ?? []), message]);
  }
});

afterAll(() => rm(scratch, { recursive: true }));

describe('the linter refuses an import that does not go down', () => {
  it.each(REFUSED)('in %s: %s', (folder, specifier, message) => {
    expect(messagesByFile.get(fileOf(folder, specifier))).toEqual([expect.stringContaining(message)]);
  });

  it('in broker/src/domain: the clock', () => {
    expect(messagesByFile.get('broker/src/domain/reads-the-clock.ts')).toEqual([
      'Do not use the global variable Date.',
    ]);
  });
});

describe('the linter accepts an import that goes down', () => {
  it.each(ALLOWED)('in %s: %s', (folder, specifier) => {
    expect(messagesByFile.get(fileOf(folder, specifier))).toBeUndefined();
  });
});
