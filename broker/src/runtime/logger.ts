/**
 * The broker's log: one JSON object a line on stderr. Written asynchronously, because a reader of the log that stands still must not
 * stop the broker: what piles up beyond a bound is dropped.
 */
import { type Logger, pino } from 'pino';

export const LogLevels = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;
export type LogLevel = (typeof LogLevels)[number];

const STDERR_FD = 2;
const PENDING_BYTES_MAX = 4 * 1024 * 1024;

export interface BrokerLog {
  readonly logger: Logger;
  /** Writes what is pending, now. For the last words of a process. */
  flush(): void;
}

export function createLog(level: LogLevel): BrokerLog {
  const destination = pino.destination({ dest: STDERR_FD, sync: false, maxLength: PENDING_BYTES_MAX });
  // No base fields: a pid in a line is that of the client it is about.
  const logger = pino({ level, base: null, timestamp: pino.stdTimeFunctions.isoTime }, destination);
  return { logger, flush: () => destination.flushSync() };
}
