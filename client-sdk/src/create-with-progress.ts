/** Creating a mapping while its creator is told how far its memory is. */
import { type CreateMappingResponse, LeaseholdError } from '@leasehold/proto';
import type { PopulateProgress } from './broker.ts';
import type { WaitOptions } from './limits.ts';
import type { Session } from './session.ts';

type CreateRequest = NonNullable<Parameters<Session['mappings']['createMappingWithProgress']>[0]['mapping']>;

/** What `onProgress` throws ends the creation, and is thrown. @throws as `Broker.createMapping`. */
export async function createWithProgress(
  session: Session,
  mapping: CreateRequest,
  options: WaitOptions & { readonly onProgress: (progress: PopulateProgress) => void },
): Promise<CreateMappingResponse> {
  for await (const { message } of session.mappings.createMappingWithProgress({ mapping }, session.call(options))) {
    if (message.case === 'created') return message.value;
    if (message.case !== 'progress') continue;
    const { populatedBytes, totalBytes } = message.value;
    options.onProgress({ populatedBytes: Number(populatedBytes), totalBytes: Number(totalBytes) });
  }
  throw new LeaseholdError('BROKER_LOST', 'the broker ended the creation without an answer');
}
