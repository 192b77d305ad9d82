/** The entry point of the `leasehold` command, and the only module of it that acts when it is imported. */
import { processContext } from './program/process-context.ts';
import { runProgram } from './program/program.ts';

process.exitCode = await runProgram(process.argv.slice(2), processContext());
