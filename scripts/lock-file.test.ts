import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

interface LockedPackage {
  readonly resolved?: string;
  readonly link?: boolean;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

const LOCK_FILE = join(import.meta.dirname, '../package-lock.json');
const { packages } = JSON.parse(readFileSync(LOCK_FILE, 'utf8')) as { packages: Record<string, LockedPackage> };

describe('the lock file', () => {
  it('names no registry, so that it installs from any mirror', () => {
    const resolved = Object.values(packages).filter(({ resolved, link }) => resolved !== undefined && link !== true);
    expect(resolved).toEqual([]);
  });

  // npm drops an optional package from the lock if the registry at hand lacks it, and `npm ci` then refuses the lock.
  it('names every optional platform package, also those for other platforms', () => {
    const missing = Object.entries(packages).flatMap(([path, { optionalDependencies = {} }]) =>
      Object.keys(optionalDependencies).filter(
        (name) => !(`node_modules/${name}` in packages) && !(`${path}/node_modules/${name}` in packages),
      ),
    );
    expect(missing).toEqual([]);
  });
});
