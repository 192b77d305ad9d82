/**
 * The broker's log: one JSON object a line on stderr. Whoever reads it can hold up neither the broker nor its end: see
 * log-destination.ts.
 */
import { type Logger, pino } from 'pino';
import { LogDestination, openStderr } from './log-destination.ts';

export const LogLevels = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;
export type LogLevel = (typeof LogLevels)[number];

export interface BrokerLog {
  readonly logger: Logger;
  /** Writes what is pending, if it is taken soon. What is logged afterwards is lost. Idempotent. */
  close(): void;
}

export function createLog(level: LogLevel): BrokerLog {
  const destination = new LogDestination(openStderr());
  // No base fields: a pid in a line is that of the client it is about.
  const logger = pino({ level, base: null, timestamp: pino.stdTimeFunctions.isoTime }, destination);
  return { logger, close: () => destination.close() };
}
