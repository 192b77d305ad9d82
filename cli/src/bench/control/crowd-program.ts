/** The crowd, a process of its own. */
import { answerQuestions } from '../answering.ts';
import { Crowd } from './crowd.ts';

export type CrowdQuestion = {
  readonly add: 'mappings' | 'sessions';
  readonly count: number;
  readonly runtimeDir: string;
};

let crowd: Crowd | null = null;

answerQuestions<CrowdQuestion>(async ({ add, count, runtimeDir }) => {
  crowd ??= new Crowd(runtimeDir);
  await (add === 'mappings' ? crowd.addMappings(count) : crowd.addSessions(count));
  return null;
});
