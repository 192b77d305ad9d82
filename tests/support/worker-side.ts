/** The worker's half of tests/support/processes.ts: answers questions, one at a time, over IPC. */

/** Answers every question with what `answer` returns, or with its error. */
export function serveQuestions(answer: (question: never) => unknown): void {
  process.on('message', async (message: { question: never }) => {
    try {
      tell(await answer(message.question));
    } catch (error) {
      process.send?.({
        error:
          error instanceof Error
            ? `${(error as { code?: string }).code ?? error.name}: ${error.message}`
            : String(error),
      });
    }
  });
}

/** Says something unasked. */
export function tell(value: unknown): void {
  process.send?.({ value });
}
