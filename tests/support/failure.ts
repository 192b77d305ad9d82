/** What a call fails with, so that a test can look at its code, message and metadata. */
import { LeaseholdError } from '@leasehold/client';

/** The LeaseholdError that `call` throws or rejects with; anything else, success too, fails the test and says which case it was. */
export async function failureOf(call: () => unknown, which = 'the call'): Promise<LeaseholdError> {
  try {
    await call();
  } catch (error) {
    if (error instanceof LeaseholdError) return error;
    throw new Error(`${which} failed with something that is no LeaseholdError: ${error}`, { cause: error });
  }
  throw new Error(`${which} succeeded`);
}
