/** The other half of `Member`: a program that answers questions, and ends when nobody can ask any more. */
import type { Answered, Asked } from './processes.ts';

/** Answers every question with what `answer` returns, or with its error. `leave`: what to do when nobody is left to ask. */
export function answerQuestions<Question>(
  answer: (question: Question) => unknown,
  leave: () => void = () => process.exit(0),
): void {
  process.once('disconnect', leave);
  process.on('message', async ({ number, question }: Asked) => {
    reply({ number, ...(await outcomeOf(() => answer(question as Question))) });
  });
}

async function outcomeOf(work: () => unknown): Promise<Omit<Answered, 'number'>> {
  try {
    return { value: await work() };
  } catch (error) {
    if (!(error instanceof Error)) return { error: String(error) };
    const { code } = error as NodeJS.ErrnoException;
    return { error: code === undefined ? error.message : `${code}: ${error.message}` };
  }
}

function reply(answered: Answered): void {
  // Nobody may be left to hear it.
  if (process.connected) process.send?.(answered, undefined, undefined, () => undefined);
}
