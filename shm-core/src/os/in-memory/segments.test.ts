import { describeSegmentOs } from '../testing/segment-conformance.ts';
import { createInMemorySegmentOs } from './segments.ts';

describeSegmentOs(createInMemorySegmentOs);
