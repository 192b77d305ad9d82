// What `npm publish` would send is what a user gets: each package is packed, the tarballs are installed into an empty
// folder, and the command and every public entry run there, under the pinned Node 24 and under Node 22, the oldest
// version that the packages support. Needs dist/.
import { execFile } from 'node:child_process';
import { access, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const REPOSITORY = join(import.meta.dirname, '../..');
const WORKSPACES = ['proto', 'shm-core', 'broker', 'client-sdk', 'cli'] as const;
const PACKAGES = ['@leasehold/proto', '@leasehold/shm-core', '@leasehold/broker', '@leasehold/client'] as const;
const PUBLIC_ENTRIES = [
  ...PACKAGES,
  '@leasehold/shm-core/pages',
  '@leasehold/shm-core/executable-pages',
  'leasehold/bench',
] as const;
const OLDEST_NODE = '22.23.3';
const INSTALL_TIMEOUT_MS = 300_000;

const run = promisify(execFile);

interface Packed {
  readonly name: string;
  readonly version: string;
  readonly filename: string;
  readonly files: readonly { readonly path: string }[];
}

let scratch: string;
let packed: readonly Packed[];

// How to reach a registry is the machine's business and stays; everything else that `npm test` sets describes our workspace.
const OURS =
  /^(NODE_OPTIONS|NODE_PATH|VITEST.*|npm_(?!config_(registry|cache|userconfig|globalconfig|cafile|.*proxy)$).*)$/i;

/** The environment of somebody who has never seen this checkout: none of its settings, nothing of it on the PATH. */
function outsideEnvironment(): NodeJS.ProcessEnv {
  const inherited = Object.entries(process.env).filter(([name]) => !OURS.test(name));
  const path = process.env.PATH?.split(':').filter((directory) => !directory.includes('node_modules')) ?? [];
  return { ...Object.fromEntries(inherited), PATH: path.join(':') };
}

async function npm(cwd: string, ...args: string[]): Promise<string> {
  const { stdout } = await run('npm', args, { cwd, env: outsideEnvironment(), maxBuffer: 64 * 1_024 * 1_024 });
  return stdout;
}

async function install(folder: string, ...specifiers: string[]): Promise<void> {
  await mkdir(folder);
  await writeFile(join(folder, 'package.json'), '{ "private": true, "type": "module" }\n');
  await npm(folder, 'install', '--prefer-offline', '--no-audit', '--no-fund', ...specifiers);
}

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'leasehold-packs-'));
  const flags = WORKSPACES.flatMap((workspace) => ['--workspace', workspace]);
  packed = JSON.parse(await npm(REPOSITORY, 'pack', '--json', '--pack-destination', scratch, ...flags)) as Packed[];
  await install(join(scratch, 'user'), ...packed.map(({ filename }) => join(scratch, filename)));
  await install(join(scratch, 'node22'), `node-linux-${process.arch}@${OLDEST_NODE}`);
}, INSTALL_TIMEOUT_MS);

afterAll(() => rm(scratch, { recursive: true }));

describe('a packed package', () => {
  it.each(WORKSPACES)(
    '%s carries its compiled code, licence and readme, and no tests or build state',
    async (workspace) => {
      const manifest = JSON.parse(await readFile(join(REPOSITORY, workspace, 'package.json'), 'utf8')) as {
        name: string;
      };
      const paths = packed.find(({ name }) => name === manifest.name)?.files.map(({ path }) => path) ?? [];
      expect(paths).toEqual(expect.arrayContaining(['LICENSE', 'README.md', 'package.json']));
      expect(paths.filter((path) => /^dist\/.*\.js$/.test(path))).not.toEqual([]);
      expect(paths.filter((path) => /^dist\/.*\.d\.ts$/.test(path))).not.toEqual([]);
      expect(paths.filter((path) => /\.test\.|tsbuildinfo|(^|\/)testing\/|^src\//.test(path))).toEqual([]);
    },
  );

  it.each(PACKAGES)('%s has the declarations that its manifest promises', async (name) => {
    const root = join(scratch, 'user/node_modules', name);
    const manifest = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as {
      exports: Record<string, { types: string; default: string }>;
    };
    for (const entry of Object.values(manifest.exports)) {
      await access(join(root, entry.types));
      await access(join(root, entry.default));
    }
  });
});

describe.each([
  { runtime: 'the pinned Node 24', node: () => process.execPath, major: 24 },
  { runtime: 'Node 22', node: () => join(scratch, 'node22/node_modules/.bin/node'), major: 22 },
])('installed in an empty folder, under $runtime', ({ node, major }) => {
  const user = (...args: string[]): Promise<{ stdout: string }> =>
    run(node(), args, { cwd: join(scratch, 'user'), env: outsideEnvironment() });

  it('is really that runtime', async () => {
    const { stdout } = await user('--version');
    expect(stdout).toMatch(new RegExp(`^v${major}\\.`));
  });

  it('the command prints its version', async () => {
    const { stdout } = await user('node_modules/.bin/leasehold', '--version');
    expect(stdout.trim()).toBe(packed.find(({ name }) => name === 'leasehold')?.version);
  });

  it.each(PUBLIC_ENTRIES)('%s can be imported and exports something', async (name) => {
    const script = `import * as entry from '${name}'; console.log(Object.keys(entry).length);`;
    const { stdout } = await user('--input-type=module', '--eval', script);
    expect(Number(stdout)).toBeGreaterThan(0);
  });
});
