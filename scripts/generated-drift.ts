// Fails when proto/gen is not what `npm run generate` would write. Generates into a scratch directory: the checkout is
// never touched, so a check cannot repair what it was meant to report.
import { execFileSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compareTrees } from './compare-trees.ts';

const GENERATED = 'proto/gen';

const scratch = await mkdtemp(join(tmpdir(), 'leasehold-generated-'));
try {
  execFileSync('buf', ['generate', '--output', scratch], { stdio: 'inherit' });
  const differences = await compareTrees(GENERATED, join(scratch, GENERATED));
  if (differences.length > 0) {
    console.error(`${GENERATED} is not current; run \`npm run generate\` and commit:\n${differences.join('\n')}`);
    process.exitCode = 1;
  }
} finally {
  await rm(scratch, { recursive: true });
}
