import type { Logger } from 'pino';
import type { EventLog } from './event-log.ts';
import { createFollower, type Follower } from './follower.ts';
import type { Clock, Desk } from './ports.ts';
import { createWaits, type Waits } from './waits.ts';

/** What people follow while it happens: the log of events, and a status that they wait for. */
export interface Live {
  eventLog: EventLog;
  follower: Follower;
  waits: Waits;
  /** Lets everybody go, and whoever comes later at once: the process is to end. */
  end(): void;
}

export interface LiveDeps {
  eventLog: EventLog;
  desk: Pick<Desk, 'tenant' | 'marks'>;
  clock: Clock;
  log: Logger;
}

export function createLive({ eventLog, desk, clock, log }: LiveDeps): Live {
  const follower = createFollower({ eventLog, log });
  const waits = createWaits({ desk, onChange: (listen) => eventLog.onChange(listen), clock, log });
  return {
    eventLog,
    follower,
    waits,
    end() {
      waits.end();
      follower.end();
    },
  };
}
