/** The benchmark for those who add to it: what they need to measure peers beside Leasehold, and to read what was measured. */
export type { BenchFlags } from './bench-command.ts';
export { type BenchProgram, runBenchProgram } from './bench-program.ts';
export { chooseCores, describeMachine } from './machine.ts';
export { distribution } from './measure.ts';
export type { Peer, PeerWaiting, PingPong } from './peer.ts';
export { parseReport, readReport } from './read-report.ts';
export {
  type Distribution,
  GROUPS,
  type Group,
  type Machine,
  REPORT_FORMAT,
  type Report,
  type Result,
  type Unit,
} from './report-model.ts';
