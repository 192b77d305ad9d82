/** `leasehold session`: runs a command that speaks to the broker by RPC, in a session of its own that ends with the command. */
import { basename } from 'node:path';
import { findBroker, openRpcSession } from '@leasehold/client';
import type { Command } from 'commander';
import { runChild } from '../program/child-command.ts';
import type { CliContext } from '../program/context.ts';
import { oneLine } from '../program/errors.ts';

interface SessionOptions {
  readonly name?: string;
}

const HELP = `
The command finds in its environment:
  LEASEHOLD_SESSION_TOKEN   for the header "authorization: Bearer TOKEN" of its RPCs
  LEASEHOLD_SESSION_ID      as operators see it
  LEASEHOLD_CONTROL_SOCKET  where the broker answers RPCs
  LEASEHOLD_RUNTIME_DIR     for other commands of leasehold

Leases that it has not released when it ends are taken from it; data under an exclusive one counts
as half written then. The exit code is the command's; 128+N when signal N killed it.
A session that the broker ends before is told on stderr, and the command goes on. A leasehold that
is itself killed (SIGKILL) takes the session with it and leaves the command running.

Example: a script that takes a lease with grpcurl
  leasehold session -- ./update-table.sh
  # update-table.sh
  grpcurl -plaintext -unix -H "authorization: Bearer $LEASEHOLD_SESSION_TOKEN" \\
    -d '{"name": "table", "mode": "LEASE_MODE_EXCLUSIVE", "ttl_ms": 10000, "wait_ms": 5000}' \\
    "$LEASEHOLD_CONTROL_SOCKET" leasehold.v1.LeaseService/AcquireLease`;

export function register(program: Command, context: CliContext): void {
  program
    .command('session')
    .description('run a command with a session of its own')
    .option('--name <name>', 'what operators see (default: the command)')
    .usage('[options] -- <command> [args...]')
    .argument('<command...>', 'the command and its arguments, after --')
    .addHelpText('after', HELP)
    .showHelpAfterError('(the command and its options go after --: leasehold session -- COMMAND [ARGS...])')
    .action(async (words: string[], { name }: SessionOptions, command: Command) => {
      const { runtimeDir } = command.optsWithGlobals<{ runtimeDir?: string }>();
      const sockets = findBroker({ runtimeDir, env: context.env, uid: context.uid });
      const session = await openRpcSession({
        runtimeDir: sockets.runtimeDir,
        env: context.env,
        name: name ?? basename(words[0] ?? ''),
        signal: context.signal,
      });
      const tellLoss = (): void => tell(context, session.lost.reason);
      session.lost.addEventListener('abort', tellLoss);
      try {
        context.signal.throwIfAborted();
        const env = {
          LEASEHOLD_SESSION_TOKEN: session.token,
          LEASEHOLD_SESSION_ID: String(session.sessionId),
          LEASEHOLD_CONTROL_SOCKET: sockets.controlSocket,
          LEASEHOLD_RUNTIME_DIR: sockets.runtimeDir,
        };
        const { exitCode } = await runChild(context, { words, env });
        context.setExitCode(exitCode);
      } finally {
        session.lost.removeEventListener('abort', tellLoss);
        await session.close();
      }
    });
}

function tell(context: CliContext, reason: unknown): void {
  const why = reason instanceof Error ? oneLine(reason.message) : String(reason);
  context.stderr.write(`leasehold: the session is over, the command goes on without it: ${why}\n`);
}
