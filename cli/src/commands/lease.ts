/** `leasehold lease`: runs a command while a lease is held, as flock(1) does with a file. */
import { basename } from 'node:path';
import { type Broker, checkName, type Lease, LeaseholdError, type Mapping } from '@leasehold/client';
import { type Command, Option } from 'commander';
import { type ChildEnd, runChild } from '../program/child-command.ts';
import type { CliContext } from '../program/context.ts';
import { oneLine, UsageError } from '../program/errors.ts';
import { ExitCode } from '../program/exit-codes.ts';
import { naming, parseInteger, parseSize } from '../program/parse.ts';
import { withBroker } from './with-broker.ts';

const TIME_MS_MAX = 2 ** 31 - 1;

interface LeaseFlags {
  readonly mode: 'shared' | 'exclusive';
  readonly ttlMs?: number;
  readonly waitMs?: number;
  readonly create?: number;
  readonly markClean?: boolean;
  readonly name?: string;
}

const HELP = `
The lease is renewed as long as leasehold runs, and given back when the command ends. The command
finds in its environment:
  LEASEHOLD_FENCING_TOKEN        rises with every exclusive lease of that name; give it to what the
                                 lease protects, which can then refuse whoever comes late with an
                                 older one
  LEASEHOLD_PREVIOUS_OWNER_DIED  1 when an earlier exclusive holder was lost and its data may be
                                 half written, else 0

The exit code is the command's; 128+N when signal N killed it; 6 when the lease could not be had in
time; 1 when it was lost: the command is then told to end, by SIGTERM.
A command that a signal kills under an exclusive lease leaves the data in doubt: later holders are
told, until one declares it good (--mark-clean, or leasehold mark-clean). A leasehold that is itself
killed (SIGKILL) loses the lease and leaves the command running.

Example: one nightly run at a time, and none if it is running already
  leasehold lease jobs/nightly --create 1 --wait-ms 0 -- ./nightly.sh`;

export function register(program: Command, context: CliContext): void {
  const number = (flag: string, min: number) => naming(flag, (text) => parseInteger(text, min, TIME_MS_MAX));
  program
    .command('lease')
    .description('run a command while a lease is held')
    .addOption(new Option('--mode <mode>', 'which lease').choices(['shared', 'exclusive']).default('exclusive'))
    .option(
      '--ttl-ms <ms>',
      'how long it outlives a leasehold that hangs (default: the broker decides)',
      number('--ttl-ms', 1),
    )
    .option('--wait-ms <ms>', 'how long to wait for it; 0: not at all (default: 5000)', number('--wait-ms', 0))
    .option(
      '--create <bytes>',
      'make a mapping of that size, such as 1 or 4KiB, if there is none; it stays until leasehold rm',
      naming('--create', parseSize),
    )
    .option('--mark-clean', 'exclusive: a command that ends with 0 has left the data good')
    .option('--name <name>', 'what operators see (default: the command)')
    .usage('[options] <name> -- <command> [args...]')
    .argument('<name>', 'of the mapping')
    .argument('<command...>', 'the command and its arguments, after --')
    .addHelpText('after', HELP)
    .showHelpAfterError('(the command and its options go after --: leasehold lease NAME -- COMMAND [ARGS...])')
    .action(async (name: string, words: string[], flags: LeaseFlags, command: Command) => {
      checkName(name);
      if (flags.markClean === true && flags.mode === 'shared') {
        throw new UsageError('--mark-clean is for exclusive leases: a reader cannot have mended anything');
      }
      const hold = async (broker: Broker): Promise<void> => {
        const mapping = await openMapping(broker, name, flags.create, context);
        const lease = await acquire(mapping, flags, context);
        try {
          context.setExitCode(await runUnder(lease, words, flags, context));
        } finally {
          lease.release();
        }
      };
      await withBroker(command, context, hold, flags.name ?? basename(words[0] ?? ''));
    });
}

/** What has the name already is used as it is, whatever its size. */
async function openMapping(
  broker: Broker,
  name: string,
  createBytes: number | undefined,
  { signal }: CliContext,
): Promise<Mapping> {
  try {
    return await broker.mapping(name, { signal });
  } catch (error) {
    const notThere = error instanceof LeaseholdError && error.code === 'MAPPING_NOT_FOUND';
    if (!notThere || createBytes === undefined) throw error;
  }
  // Persistent: whether its data is in doubt must outlive the process that left it so.
  const options = { sizeBytes: createBytes, persistent: true, ifExists: 'open-if-same', signal } as const;
  return broker.createMapping(name, options);
}

async function acquire(mapping: Mapping, flags: LeaseFlags, { signal }: CliContext): Promise<Lease> {
  const { mode, ttlMs, waitMs } = flags;
  const options = { signal, ...(ttlMs !== undefined && { ttlMs }), ...(waitMs !== undefined && { waitMs }) };
  const lease = mode === 'shared' ? await mapping.lease(mode, options) : await mapping.lease(mode, options);
  if (!signal.aborted) return lease;
  lease.release();
  throw signal.reason;
}

/** @returns the exit code */
async function runUnder(
  lease: Lease,
  words: readonly string[],
  flags: LeaseFlags,
  context: CliContext,
): Promise<number> {
  const env = {
    LEASEHOLD_FENCING_TOKEN: String(lease.fencingToken),
    LEASEHOLD_PREVIOUS_OWNER_DIED: lease.previousOwnerDied ? '1' : '0',
  };
  const tellLoss = (): void => tell(context, lease.lost.reason);
  lease.lost.addEventListener('abort', tellLoss);
  const end = await runChild(context, { words, env, stop: lease.lost });
  lease.lost.removeEventListener('abort', tellLoss);
  if (!lease.lost.aborted) await giveBack(lease, end, flags);
  else return ExitCode.failed;
  return end.exitCode;
}

/** @throws LeaseholdError LEASE_LOST: the command ended, and did not have the lease until its end. */
async function giveBack(lease: Lease, { exitCode, killedBy }: ChildEnd, flags: LeaseFlags): Promise<void> {
  if (flags.mode === 'exclusive' && killedBy !== null) return leaveInDoubt(lease);
  if (flags.markClean === true && exitCode === 0) lease.markClean();
  if (!lease.release()) throw lease.lost.reason;
}

/** Lets the lease run out: that is how an exclusive holder says that it did not finish. */
async function leaveInDoubt(lease: Lease): Promise<void> {
  const over = new Promise<void>((resolve) => lease.lost.addEventListener('abort', () => resolve(), { once: true }));
  lease.orphan();
  // The broker's least, whatever that is.
  lease.renew(1);
  await over;
}

function tell(context: CliContext, reason: unknown): void {
  const why = reason instanceof Error ? oneLine(reason.message) : String(reason);
  context.stderr.write(`leasehold: ${why}; the command is told to end\n`);
}
