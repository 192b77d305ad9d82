/** A command's standing with a broker: found as `--runtime-dir` and the environment say, and given up however the command ends. Operators see it under `name`. */
import { type Broker, connect } from '@leasehold/client';
import type { Command } from 'commander';
import type { CliContext } from '../program/context.ts';

export async function withBroker<T>(
  command: Command,
  context: CliContext,
  use: (broker: Broker) => Promise<T>,
  name = `leasehold ${command.name()}`,
): Promise<T> {
  const { runtimeDir } = command.optsWithGlobals<{ runtimeDir?: string }>();
  const broker = await connect({
    ...(runtimeDir !== undefined && { runtimeDir }),
    name,
    env: context.env,
    signal: context.signal,
  });
  try {
    return await use(broker);
  } finally {
    await broker.close();
  }
}
