/** The version of this package. */
import { readFileSync } from 'node:fs';

/** As package.json says it, which is one directory above this file in sources and in the build alike. */
export function brokerVersion(): string {
  const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
    version: string;
  };
  return version;
}
