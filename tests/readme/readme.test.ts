import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import { startBroker } from '../support/broker-process.ts';
import { command } from '../support/processes.ts';

const pageText = (page: string): string => readFileSync(new URL(`../../${page}`, import.meta.url), 'utf8');
const readme = pageText('README.md');

/** Sixteen frames, numbered from 1, with what was written into them. */
const BATCH = Array.from({ length: 16 }, (_, number) => `${number + 1}n ${number}\n`).join('');
const FENCED = ['written by the first', 'written by the second', 'true true', 'false 0 false'];

test.each([
  ['README.md', 'example', '1n 8294400 128\n'],
  ['README.md', 'lease', 'shared 42 false\n'],
  ['README.md', 'memory', 'base 64 SMALLER_THAN_PAGE\n10000 4999.5 true\n'],
  ['docs/WAITING.md', 'wait-set', 'cameras/left 1n\ncameras/right 1n\n'],
  ['docs/WAITING.md', 'take-sync', 'ready\nitem 1\nitem 2\nitem 3\n'],
  ['docs/WAITING.md', 'batch', BATCH],
  ['docs/LOCKS.md', 'fencing', `${FENCED.join('\n')}\n`],
])('the example in %s marked %s runs and prints what its comments say', async (page, marker, printed) => {
  const example = new RegExp(`<!-- ${marker}:begin.*-->\\n\`\`\`ts\\n([\\s\\S]*?)\`\`\``).exec(pageText(page))?.[1];
  if (example === undefined) throw new Error(`${page} has no example between its markers ${marker}`);
  const file = fileURLToPath(new URL(`./.example-${marker}-${process.pid}.ts`, import.meta.url));
  onTestFinished(() => rmSync(file, { force: true }));
  writeFileSync(file, example);
  const broker = await startBroker();
  const { code, stdout, stderr } = await command(process.execPath, [file], { env: broker.env }).ended;
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(stdout.toString()).toBe(printed);
});

test('every page and command that the README names is there', async () => {
  const scripts = (
    JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { scripts: object }
  ).scripts;
  for (const [, script] of readme.matchAll(/npm run ([a-z:]+)/g)) expect(scripts).toHaveProperty([script ?? '']);
  for (const [, page] of readme.matchAll(/\]\(([^)#]+\.md)\)/g)) {
    expect(() => readFileSync(new URL(`../../${page}`, import.meta.url))).not.toThrow();
  }
  for (const [, name] of readme.matchAll(/npx leasehold ([a-z]+)/g)) {
    const { code, stderr } = await command('npx', ['leasehold', name ?? '', '--help']).ended;
    expect({ name, code, stderr: code === 0 ? '' : stderr }).toEqual({ name, code: 0, stderr: '' });
  }
});
