/** Commands on a terminal of their own: `script` gives them one as their stdin, stdout and stderr. */
import { command, LEASEHOLD, type RunningProcess } from '../support/processes.ts';

/**
 * `leasehold ARGS` there; what it shows is its stdout, what is written to its stdin is typed. It is the terminal's own process: a shell
 * that stayed in between (dash does) would get Ctrl-C too, and end with 130 whatever the command makes of it.
 */
export function onTerminal(env: NodeJS.ProcessEnv, args: readonly string[]): RunningProcess {
  const words = [process.execPath, LEASEHOLD, ...args].map((word) => `'${word}'`).join(' ');
  const options = ['--quiet', '--return', '--command', `exec ${words}`, '/dev/null'];
  return command('script', options, { env });
}

/** Without what decides about colours elsewhere. */
export function terminalEnv({ NO_COLOR: _, FORCE_COLOR: __, ...neutral }: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return { ...neutral, TERM: 'xterm' };
}
