/** A client that asks, a process of its own. */
import { answerQuestions } from '../answering.ts';
import { Asking, type AskingOptions } from './asking.ts';
import type { CallId } from './calls.ts';

export type AskingQuestion =
  | { readonly do: 'open'; readonly options: AskingOptions }
  | { readonly do: 'time'; readonly id: CallId; readonly inFlight: number; readonly count: number }
  /** How many bytes the answer to ListMappings has. */
  | { readonly do: 'list' };

let asking: Asking | null = null;

answerQuestions<AskingQuestion>(async (question) => {
  if (question.do === 'open') {
    asking ??= await Asking.open(question.options);
    return null;
  }
  if (asking === null) throw new Error('nothing was opened here');
  if (question.do === 'list') return asking.listBytes();
  return asking.time(question.id, question.inFlight, question.count);
});
