/** A clock whose timers never end the process: what an action throws is logged, and the broker goes on. */
import type { Logger } from 'pino';
import type { Clock } from './domain/ports.ts';

export function guardedClock(clock: Clock, logger: Logger): Clock {
  return {
    nowMs: () => clock.nowMs(),
    nowNs: () => clock.nowNs(),
    after: (delayMs, action) =>
      clock.after(delayMs, () => {
        try {
          action();
        } catch (err) {
          logger.error({ err }, 'a timer failed');
        }
      }),
  };
}
