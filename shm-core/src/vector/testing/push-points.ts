/** A writer in a thread of its own: maps the segment behind a descriptor, and fills the vector in it to the end. */
import { workerData } from 'node:worker_threads';
import { LinuxFd } from '../../os/linux/fd.ts';
import { createLinuxSegmentOs } from '../../os/linux/segments.ts';
import { SharedVector } from '../shared-vector.ts';
import { point, pointOf } from './point.ts';
import { rangeMemory } from './range-memory.ts';

const { fd } = workerData as { fd: number };
const os = createLinuxSegmentOs();
const segment = new LinuxFd(fd);
const range = os.map(segment, os.sizeOf(segment), 'write', 'base');
const vector = SharedVector.openForWriting(rangeMemory(range, os.basePageBytes), point);
for (let id = vector.length; vector.pushWithinCapacity(pointOf(id)); id += 1);
range.release();
