import { LeaseholdError } from '@leasehold/client';
import { CommanderError } from 'commander';
import { describe, expect, it } from 'vitest';
import { OutputClosedError } from '../video/errors.ts';
import { InterruptedError } from './context.ts';
import { reportError, UsageError } from './errors.ts';
import { EXIT_CODE_OF_REASON } from './exit-codes.ts';
import { fakeContext } from './testing/fake-context.ts';

describe('reportError', () => {
  it('ends with the exit codes that scripts depend on', () => {
    const exitCodeOf = (error: unknown) => reportError(error, fakeContext());
    expect(exitCodeOf(new LeaseholdError('OUT_OF_MEMORY', ''))).toBe(1);
    expect(exitCodeOf(new LeaseholdError('INVALID_NAME', ''))).toBe(2);
    expect(exitCodeOf(new UsageError(''))).toBe(2);
    expect(exitCodeOf(new CommanderError(1, 'commander.unknownOption', ''))).toBe(2);
    expect(exitCodeOf(new LeaseholdError('BROKER_UNREACHABLE', ''))).toBe(3);
    expect(exitCodeOf(new LeaseholdError('BROKER_LOST', ''))).toBe(3);
    expect(exitCodeOf(new LeaseholdError('PERMISSION_DENIED', ''))).toBe(4);
    expect(exitCodeOf(new LeaseholdError('CHANNEL_NOT_FOUND', ''))).toBe(5);
    expect(exitCodeOf(new LeaseholdError('TIMED_OUT', ''))).toBe(6);
    expect(exitCodeOf(new Error('anything else'))).toBe(1);
    expect(exitCodeOf('not even an error')).toBe(1);
  });

  it('follows the table for every reason', () => {
    for (const [code, exitCode] of Object.entries(EXIT_CODE_OF_REASON)) {
      const error = new LeaseholdError(code as LeaseholdError['code'], 'x');
      expect(reportError(error, fakeContext()), code).toBe(exitCode);
    }
  });

  it('prints one line that cannot steer the terminal, and a hint where a command helps', () => {
    const context = fakeContext();
    reportError(new LeaseholdError('CHANNEL_NOT_FOUND', 'no channel\n  "\u001b[2Jx"'), context);
    expect(context.printed.err).toBe('leasehold: no channel "?[2Jx"\nhint: `leasehold ls` shows what there is\n');
    expect(context.printed.out).toBe('');
  });

  it('is quiet when Ctrl-C, SIGTERM or the reader of stdout ended the command', () => {
    for (const [reason, exitCode] of [
      [new InterruptedError('SIGINT'), 130],
      [new InterruptedError('SIGTERM'), 143],
      [new OutputClosedError(), 0],
    ] as const) {
      const context = fakeContext();
      context.abort(reason);
      for (const error of [reason, new LeaseholdError('ABORTED', 'x'), new DOMException('x', 'AbortError')]) {
        expect(reportError(error, context)).toBe(error instanceof OutputClosedError ? 0 : exitCode);
      }
      expect(context.printed.err).toBe('');
    }
  });

  it('still reports a failure that has nothing to do with the Ctrl-C before it', () => {
    const context = fakeContext();
    context.abort(new InterruptedError('SIGINT'));
    expect(reportError(new LeaseholdError('BROKER_LOST', 'gone'), context)).toBe(3);
    expect(context.printed.err).toContain('gone');
  });

  it('shows where an error is from only when asked', () => {
    const context = fakeContext({ env: { LEASEHOLD_DEBUG: '1' } });
    reportError(new Error('x'), context);
    expect(context.printed.err).toContain('errors.test.ts');
  });
});
