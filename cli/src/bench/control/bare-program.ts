/** The bare server, a process of its own. */
import { answerQuestions } from '../answering.ts';
import { serveBare } from './bare-calls.ts';

/** Its address; answered when it serves. */
export type BareQuestion = string;

answerQuestions<BareQuestion>((address) => serveBare(address));
