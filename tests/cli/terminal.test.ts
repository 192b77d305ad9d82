// Progress on a terminal, silence in a pipe.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { leasehold } from '../support/processes.ts';
import { sharedBroker } from '../support/shared-broker.ts';
import { tempDir } from '../support/temp-dir.ts';
import { STREAM_HEADER, stream } from '../video/y4m-stream.ts';
import { onTerminal as onTerminalWith, terminalEnv } from './on-terminal.ts';
import { outcomeOf, said } from './run.ts';

const { env } = sharedBroker();
const GUARANTEES = ['--overflow', 'block', '--await-subscribers', '1'];

const onTerminal = (args: readonly string[], more: NodeJS.ProcessEnv = {}) =>
  onTerminalWith({ ...terminalEnv(env), ...more }, args);

/** What stands in the last line that was written over and over. */
function lastLine(shown: string): string | undefined {
  expect(shown.endsWith('\r\n')).toBe(true);
  return shown.trimEnd().split('\r\u001b[K').at(-1);
}

describe('on a terminal', () => {
  it('publish and subscribe show their progress, and leave a last line', async () => {
    const directory = tempDir();
    const film = join(directory, 'film.y4m');
    writeFileSync(film, stream(12));
    const subscribing = onTerminal(['subscribe', 'film', '--output', join(directory, 'copy.y4m')]);
    const publisher = await outcomeOf(onTerminal(['publish', 'film', '--input', film, ...GUARANTEES]));
    const subscriber = await outcomeOf(subscribing);
    expect([publisher.code, subscriber.code]).toEqual([0, 0]);
    expect(lastLine(publisher.out)).toMatch(
      /^published 12 frames {2}[\d.]+ frames\/s {2}[\d.]+ MB\/s {2}.* 0 dropped$/,
    );
    expect(lastLine(subscriber.out)).toMatch(/^received 12 frames {2}[\d.]+ frames\/s {2}[\d.]+ MB\/s {2}0 lost$/);
  });

  it('subscribe does not pour video over it, and publish does not wait for video from it: 2', async () => {
    const subscriber = await outcomeOf(onTerminal(['subscribe', 'film']));
    expect(subscriber).toMatchObject({ code: 2, out: expect.stringContaining('--output') });
    const publisher = await outcomeOf(onTerminal(['publish', 'film']));
    expect(publisher).toMatchObject({ code: 2, out: expect.stringContaining('--input') });
  });

  it('tables have colours, unless NO_COLOR says otherwise', async () => {
    const bold = '\u001b[1mNAME';
    expect((await outcomeOf(onTerminal(['ls']))).out).toContain(bold);
    expect((await outcomeOf(onTerminal(['ls'], { NO_COLOR: '1' }))).out).not.toContain('\u001b');
  });
});

describe('in a pipe', () => {
  it('publish, subscribe and watch write nothing but what was asked for', async () => {
    const watching = leasehold(['watch'], { env });
    const subscriber = leasehold(['subscribe', 'film'], { env });
    const publisher = leasehold(['publish', 'film', ...GUARANTEES], { env });
    publisher.child.stdin?.write(stream(2));
    expect(await said(watching, /\n/)).toContain(' created film ');
    // Long enough for a progress line, if there were one: the film goes on after the channel was seen.
    publisher.child.stdin?.end(stream(2).subarray(STREAM_HEADER.length));
    expect(await outcomeOf(publisher)).toEqual({ code: 0, out: '', err: '' });
    const { code, stdout, stderr } = await subscriber.ended;
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout.equals(Buffer.concat([stream(2), stream(2).subarray(STREAM_HEADER.length)]))).toBe(true);
    watching.child.kill('SIGINT');
    expect(await outcomeOf(watching)).toMatchObject({ code: 130, err: '' });
  });
});
