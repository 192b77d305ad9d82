/** Creating a mapping while its creator is told how far its memory is. One that its creator ends leaves nothing under the name. */
import { type CreateMappingResponse, LeaseholdError } from '@leasehold/proto';
import { throwIfAborted, type WaitOptions } from './limits.ts';
import type { PopulateProgress } from './plain-types.ts';
import type { Session } from './session.ts';

type CreateRequest = NonNullable<Parameters<Session['mappings']['createMappingWithProgress']>[0]['mapping']>;

interface ProgressOptions extends WaitOptions {
  readonly onProgress: (progress: PopulateProgress) => void;
}

/** What `onProgress` throws ends the creation, and is thrown. @throws as `Broker.createMapping`. */
export async function createWithProgress(
  session: Session,
  mapping: CreateRequest,
  options: ProgressOptions,
): Promise<CreateMappingResponse> {
  let last: PopulateProgress | null = null;
  for await (const { message } of session.mappings.createMappingWithProgress({ mapping }, session.call(options))) {
    if (message.case === 'created') {
      await tellLast(session, message.value, last, options);
      return message.value;
    }
    if (message.case !== 'progress') continue;
    const progress = {
      populatedBytes: Number(message.value.populatedBytes),
      totalBytes: Number(message.value.totalBytes),
    };
    // Told all, its creator may still end it, when cancelling comes too late: only who knows that it is made can take it back.
    if (progress.populatedBytes === progress.totalBytes) last = progress;
    else options.onProgress(progress);
  }
  throw new LeaseholdError('BROKER_LOST', 'the broker ended the creation without an answer');
}

async function tellLast(
  session: Session,
  { created, mapping }: CreateMappingResponse,
  last: PopulateProgress | null,
  { onProgress, signal }: ProgressOptions,
): Promise<void> {
  try {
    if (last !== null) onProgress(last);
    throwIfAborted(signal);
  } catch (error) {
    // Not everybody who may create may delete as well.
    if (created)
      await session.mappings.deleteMapping({ name: mapping?.name ?? '' }, session.call({})).catch(() => undefined);
    throw error;
  }
}
