/** ffmpeg → `leasehold publish` → some `leasehold subscribe` → ffmpeg, and what each ffmpeg saw. */
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { leaseholdStage, type PipelineEnding, pipeline } from '../support/pipeline.ts';
import type { SharedBroker } from '../support/shared-broker.ts';
import { tempDir } from '../support/temp-dir.ts';
import { type Checksums, checksumStage, readChecksums, type TestSource, testSourceStage } from './test-source.ts';

export interface Transfer {
  /** A persistent channel, so that its counters can be asked for afterwards. */
  readonly channel: string;
  readonly publishing: PipelineEnding;
  readonly subscribing: readonly PipelineEnding[];
  /** What ffmpeg says of its own frames. */
  readonly sent: Checksums;
  /** What ffmpeg says of those that came. */
  readonly received: readonly Checksums[];
}

/** Every frame of the source, through a `block` channel, to every subscriber. Subscribers start first and wait. */
export async function transfer(source: TestSource, subscribers: number, broker: SharedBroker): Promise<Transfer> {
  const directory = tempDir();
  const channel = `video/${randomUUID()}`;
  const receivedFiles = Array.from({ length: subscribers }, (_, index) => join(directory, `received-${index}.md5`));
  const subscribing = receivedFiles.map((file) =>
    pipeline([leaseholdStage('subscribe', channel), checksumStage(file)], broker.env),
  );
  const sentFile = join(directory, 'sent.md5');
  const guarantees = ['--overflow', 'block', '--await-subscribers', String(subscribers), '--persistent'];
  const publishing = pipeline(
    [testSourceStage(source, sentFile), leaseholdStage('publish', channel, ...guarantees)],
    broker.env,
  );
  return {
    channel,
    publishing: await publishing,
    subscribing: await Promise.all(subscribing),
    sent: readChecksums(sentFile),
    received: receivedFiles.map(readChecksums),
  };
}

/** All went well, silently. */
export const SUCCESS = { statuses: [0, 0], stderr: '', stdout: Buffer.alloc(0) };
