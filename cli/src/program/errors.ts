/**
 * From whatever a command throws to one line on stderr and an exit code. Only here.
 */
import { LeaseholdError } from '@leasehold/client';
import { CommanderError } from 'commander';
import { OutputClosedError } from '../video/errors.ts';
import { type CliContext, InterruptedError } from './context.ts';
import { EXIT_CODE_OF_REASON, EXIT_CODE_OF_SIGNAL, ExitCode } from './exit-codes.ts';
import { colorsFor } from './output.ts';

/** What was typed makes no sense. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** What the message of a reason cannot know: the commands that help. */
const HINTS: Partial<Record<LeaseholdError['code'], string>> = {
  MAPPING_NOT_FOUND: '`leasehold ls` shows what there is',
  CHANNEL_NOT_FOUND: '`leasehold ls` shows what there is',
  MAPPING_EXISTS: '`leasehold inspect NAME` shows what it is; `leasehold rm NAME` removes it',
  CHANNEL_EXISTS: '`leasehold inspect NAME` shows what it is; `leasehold rm NAME` removes it',
  SPEC_MISMATCH: '`leasehold inspect NAME` shows what it is; `leasehold rm NAME` removes it',
  LEASE_NOT_FOUND: '`leasehold leases` shows who holds what',
  LEASE_HELD: '`leasehold leases` shows who holds it',
  LEASE_TIMEOUT: '`leasehold leases` shows who holds it, and who waits',
  PERMISSION_DENIED: 'run it as the user who runs the broker, or as root',
  LARGE_PAGES_UNAVAILABLE:
    '`leasehold doctor` shows what there is; `leasehold serve --huge-pages-reserve SIZE` reserves more, or use --pages auto',
};

/** Tells the user, if there is anything to tell, and says how the process should end. */
export function reportError(error: unknown, context: CliContext): ExitCode {
  // commander has already said what is wrong, or shown the help that was asked for.
  if (error instanceof CommanderError) return error.exitCode === 0 ? ExitCode.done : ExitCode.wrongUsage;
  if (error instanceof OutputClosedError) return ExitCode.done;
  if (context.signal.aborted && isOfAbort(error, context.signal)) return exitCodeOfAbort(context.signal);
  const message = error instanceof Error ? error.message : String(error);
  context.stderr.write(`leasehold: ${oneLine(message)}\n`);
  const hint = hintFor(error);
  if (hint !== undefined) context.stderr.write(`${colorsFor(context, 'stderr').dim(`hint: ${hint}`)}\n`);
  if (context.env.LEASEHOLD_DEBUG && error instanceof Error) context.stderr.write(`${error.stack}\n`);
  return exitCodeOf(error);
}

/** How a process ends whose command was told to stop. */
export function exitCodeOfAbort(signal: AbortSignal): ExitCode {
  const reason: unknown = signal.reason;
  return reason instanceof InterruptedError ? EXIT_CODE_OF_SIGNAL[reason.signalName] : ExitCode.done;
}

/** Whatever the message holds, it is one line and cannot steer the terminal. */
export function oneLine(message: string): string {
  return message.replace(/\s*\n\s*/g, ' ').replace(/\p{Cc}/gu, '?');
}

function exitCodeOf(error: unknown): ExitCode {
  if (error instanceof LeaseholdError) return EXIT_CODE_OF_REASON[error.code];
  return error instanceof UsageError ? ExitCode.wrongUsage : ExitCode.failed;
}

function hintFor(error: unknown): string | undefined {
  if (error instanceof UsageError)
    return '`leasehold --help` lists the commands, `leasehold COMMAND --help` their options';
  return error instanceof LeaseholdError ? HINTS[error.code] : undefined;
}

function isOfAbort(error: unknown, signal: AbortSignal): boolean {
  if (error === signal.reason) return true;
  if (error instanceof LeaseholdError) return error.code === 'ABORTED';
  return error instanceof Error && error.name === 'AbortError';
}
