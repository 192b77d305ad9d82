/** Rings every doorbell of a broker as fast as it can, until it is killed. argv: runtime directory. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { openRinger } from '@leasehold/shm-core/internal';
import { serveQuestions } from '../support/worker-side.ts';

const RINGS_PER_TURN = 500;
const [, , runtimeDir = ''] = process.argv;
const bells = join(runtimeDir, 'bells');
const ringer = openRinger();
let rings = 0;

function ringAll(): void {
  const paths = readdirSync(bells).map((bell) => join(bells, bell));
  for (let i = 0; i < RINGS_PER_TURN; i += 1) {
    for (const path of paths) ringer.ring(path, Buffer.from('not what a ring says'));
    rings += paths.length;
  }
  setImmediate(ringAll);
}

serveQuestions((question: 'start' | 'count') => {
  if (question === 'start') ringAll();
  return rings;
});
