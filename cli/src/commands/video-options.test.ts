import { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { UsageError } from '../program/errors.ts';
import { type PublishFlags, type PublishOptions, parsePublishFlags, publishFlags } from './publish-options.ts';
import {
  parseSubscribeFlags,
  type SubscribeFlags,
  type SubscribeOptions,
  subscribeFlags,
} from './subscribe-options.ts';

/** As the command line would have it, commander included. */
function publishOptions(...args: string[]): PublishOptions {
  const command = new Command().exitOverride().configureOutput({ writeErr: () => undefined });
  for (const flag of publishFlags()) command.addOption(flag);
  return parsePublishFlags(command.parse(args, { from: 'user' }).opts<PublishFlags>());
}

function subscribeOptions(...args: string[]): SubscribeOptions {
  const command = new Command().exitOverride().configureOutput({ writeErr: () => undefined });
  for (const flag of subscribeFlags()) command.addOption(flag);
  return parseSubscribeFlags(command.parse(args, { from: 'user' }).opts<SubscribeFlags>());
}

describe('the options of publish', () => {
  it('need none: YUV4MPEG2 from stdin, as fast as it comes, to whoever is there', () => {
    expect(publishOptions()).toEqual({
      input: '-',
      raw: null,
      pages: 'auto',
      slots: 8,
      pace: 'max',
      overflow: 'overwrite',
      awaitSubscribers: 0,
      waitMs: null,
      persistent: false,
    });
  });

  it('describe raw pictures whole', () => {
    const { raw, pace } = publishOptions(
      '--raw',
      '64x48',
      '--fourcc',
      'RGBA',
      '--fps',
      '30000/1001',
      '--pace',
      'native',
    );
    expect(raw).toEqual({
      fourcc: 'RGBA',
      width: 64,
      height: 48,
      frameRate: { numerator: 30000, denominator: 1001 },
    });
    expect(pace).toBe('native');
  });

  it.each([
    [['--raw', '64x48'], /add --fourcc/],
    [['--fourcc', 'RGBA'], /add --raw/],
    [['--fps', '25'], /add --raw/],
    [['--raw', '64', '--fourcc', 'RGBA'], /WIDTHxHEIGHT/],
    [['--raw', '64x48', '--fourcc', 'WHAT'], /"WHAT" is unknown/],
    [['--raw', '64x48', '--fourcc', 'RGBA', '--pace', 'native'], /add --fps/],
    [['--slots', '0'], /--slots: "0"/],
    [['--slots', 'many'], /--slots: "many"/],
    [['--await-subscribers', '-1'], /--await-subscribers: "-1"/],
    [['--await-subscribers', '1', '--wait-ms', '1.5'], /--wait-ms: "1.5"/],
    [['--wait-ms', '10'], /add --await-subscribers/],
  ])('refuse %j, and say what would be right', (args, message) => {
    expect(() => publishOptions(...args)).toThrow(message);
    expect(() => publishOptions(...args)).toThrow(UsageError);
  });

  it('refuse words that are none of the choices', () => {
    for (const flag of ['--pages', '--pace', '--overflow']) {
      expect(() => publishOptions(flag, 'perhaps')).toThrow(/Allowed choices are/);
    }
  });
});

describe('the options of subscribe', () => {
  it('need none: every frame, until the stream ends, to stdout', () => {
    expect(subscribeOptions()).toEqual({
      output: '-',
      frames: null,
      mode: 'queue',
      history: null,
      raw: false,
      waitMs: null,
    });
  });

  it('take numbers as numbers', () => {
    expect(subscribeOptions('--frames', '3', '--history', '0', '--wait-ms', '0')).toMatchObject({
      frames: 3,
      history: 0,
      waitMs: 0,
    });
  });

  it.each([
    [['--frames', '0'], /--frames: "0"/],
    [['--frames', '1e3'], /--frames: "1e3"/],
    [['--history', '-1'], /--history: "-1"/],
    [['--wait-ms', 'soon'], /--wait-ms: "soon"/],
  ])('refuse %j', (args, message) => {
    expect(() => subscribeOptions(...args)).toThrow(message);
    expect(() => subscribeOptions(...args)).toThrow(UsageError);
  });
});
