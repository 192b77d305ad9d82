import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import { startBroker } from '../support/broker-process.ts';
import { command } from '../support/processes.ts';

const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');

test('the example of the README runs and prints what its comment says', async () => {
  const example = /<!-- example:begin.*-->\n```ts\n([\s\S]*?)```/.exec(readme)?.[1];
  if (example === undefined) throw new Error('README.md has no example between its markers');
  const file = fileURLToPath(new URL(`./.example-${process.pid}.ts`, import.meta.url));
  onTestFinished(() => rmSync(file, { force: true }));
  writeFileSync(file, example);
  const broker = await startBroker();
  const { code, stdout, stderr } = await command(process.execPath, [file], { env: broker.env }).ended;
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(stdout.toString()).toBe('1n 8294400 128\n');
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
