/** `leasehold publish`: puts a video into a channel, frame by frame, straight into shared memory where the input allows it. */
import type { Command } from 'commander';
import type { CliContext } from '../program/context.ts';
import { type PublishFlags, parsePublishFlags, publishFlags } from './publish-options.ts';
import { publishVideo } from './publish-video.ts';
import { openVideoInput } from './video-input.ts';
import { withBroker } from './with-broker.ts';

const HELP = `
The channel is made if it is not there, and used if it is and has the same format. When the input ends, subscribers are told and end,
too; so they are on Ctrl-C. An input that is cut in the middle of a frame is delivered up to there; the exit code is then 1.

With --overflow overwrite (the default) nobody is waited for: at --pace max a subscriber that is slower than the input loses frames.
With --overflow block the publisher waits for the slowest subscriber, as a pipe does.

Examples:
  ffmpeg -i in.mp4 -f yuv4mpegpipe - | leasehold publish cameras/front --pace native
  leasehold publish film --input film.y4m --overflow block --await-subscribers 2
  leasehold publish cameras/raw --raw 1920x1080 --fourcc NV12 --fps 30 < frames.nv12`;

export function register(program: Command, context: CliContext): void {
  const command = program
    .command('publish')
    .description('publish YUV4MPEG2 or raw video to a channel')
    .argument('<name>', 'the channel, for example cameras/front')
    .addHelpText('after', HELP)
    .action(async (name: string, flags: PublishFlags, self: Command) => {
      const options = parsePublishFlags(flags);
      const input = await openVideoInput(options, context);
      try {
        await withBroker(self, context, (broker) => publishVideo({ broker, name, input, options, context }));
      } finally {
        await input.reader.close();
      }
    });
  for (const flag of publishFlags()) command.addOption(flag);
}
