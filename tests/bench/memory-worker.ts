/** A process of the memory benchmark: `node memory-worker.ts NAME`. It does what it is asked over IPC. */
import { connect } from '@leasehold/client';
import { serveQuestions } from '../support/worker-side.ts';
import { type BlockQuestion, BlockSide } from './memory-blocks.ts';
import { type CheckQuestion, CheckSide } from './memory-checks.ts';
import { type ResizeQuestion, ResizeSide } from './memory-resize-side.ts';
import { type MappingQuestion, MappingSide } from './memory-side.ts';

export type MemoryQuestion = MappingQuestion | BlockQuestion | CheckQuestion | ResizeQuestion;

const broker = await connect({ name: `bench-memory-${process.argv[2]}` });
const mappings = new MappingSide(broker);
const blocks = new BlockSide(broker);
const checks = new CheckSide(broker);
const resizes = new ResizeSide(broker);

function answer(question: MemoryQuestion): unknown {
  switch (question.do) {
    case 'block':
      return blocks.answer(question);
    case 'start-checks':
    case 'stop-checks':
    case 'collect-checks':
      return checks.answer(question);
    case 'create':
    case 'delete':
    case 'touch':
    case 'walk':
    case 'detach':
      return mappings.answer(question);
    default:
      return resizes.answer(question);
  }
}

process.once('disconnect', () => process.exit(0));
serveQuestions(answer);
