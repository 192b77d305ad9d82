/** `leasehold subscribe`: writes what is published to a channel, straight out of shared memory. */
import { checkName } from '@leasehold/client';
import type { Command } from 'commander';
import type { CliContext } from '../program/context.ts';
import { receiveVideo } from './receive-video.ts';
import { parseSubscribeFlags, type SubscribeFlags, subscribeFlags } from './subscribe-options.ts';
import { openVideoOutput } from './video-output.ts';
import { withBroker } from './with-broker.ts';

const HELP = `
Waits for the channel to appear, then for frames, until the publisher ends the stream. A publisher that dies does not end it:
the next one continues. Pictures that YUV4MPEG2 cannot carry, RGBA for instance, are written raw.
--wait-ms 0 does not wait: a channel that is not there is exit code 5.

Examples:
  leasehold subscribe cameras/front | ffplay -
  leasehold subscribe cameras/front --frames 1 --mode latest --output still.y4m
  leasehold subscribe cameras/front | ffmpeg -f yuv4mpegpipe -i - out.mp4`;

export function register(program: Command, context: CliContext): void {
  const command = program
    .command('subscribe')
    .description('write the video of a channel as YUV4MPEG2, or raw')
    .argument('<name>', 'the channel, for example cameras/front')
    .addHelpText('after', HELP)
    .action(async (name: string, flags: SubscribeFlags, self: Command) => {
      const options = parseSubscribeFlags(flags);
      checkName(name);
      const output = await openVideoOutput(options.output, context);
      try {
        await withBroker(self, context, (broker) => receiveVideo({ broker, name, output, options, context }));
      } finally {
        await output.close();
      }
    });
  for (const flag of subscribeFlags()) command.addOption(flag);
}
