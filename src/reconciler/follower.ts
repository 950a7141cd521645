import type { Logger } from 'pino';
import { EVERY_EVENT, passes, type EventFilter, type EventLog, type LoggedEvent } from './event-log.ts';
import { whileUsed } from './while-used.ts';

/**
 * Follows the log of events for everybody of this process who listens: one read of what is new, however many they
 * are.
 *
 *   follow ──▶ replay, from where the listener was, in stretches of its own ──▶ attached: fed by the one reader
 *
 * A notice of the database wakes the reader; a slow poll finds what no notice told. It runs while anybody listens.
 */
export interface Follower {
  /**
   * Gives the listener every wanted event after that place, once and in order; null: from now on. Resolves when it
   * has caught up; what it returns lets it go.
   */
  follow(asked: { after: number | null; filter: EventFilter }, listener: EventListener): Promise<() => void>;
  /** Ends every listener, and whoever comes later at once: the process is to end. */
  end(): void;
}

/** Who listens. None of this throws. */
export interface EventListener {
  take(events: readonly LoggedEvent[]): void;
  /** Nothing that it wants has come up to that place; called every few seconds, so that a dead peer is noticed. */
  beat(place: number): void;
  /** What it asked for is not there any more. */
  gap(gap: Gap): void;
  /** Settles once there is room for the next stretch of a replay; false: nobody listens any more. */
  room(): Promise<boolean>;
  end(): void;
}

/** `pruned`: retention took events after `after`. `unknown`: this log never came that far; it is an older one. */
export interface Gap {
  because: 'pruned' | 'unknown';
  after: number;
  /** What follows comes after this place. */
  resumesAfter: number;
}

export interface FollowerOptions {
  /** Ms that events are gathered before they are told, so that a burst costs each listener one write. */
  gatherMs: number;
  pollMs: number;
  beatMs: number;
  /** Events that are read at once. */
  stretch: number;
}

export const FOLLOWER_DEFAULTS: FollowerOptions = {
  gatherMs: 200,
  pollMs: 5_000,
  beatMs: 15_000,
  stretch: 500,
};

interface Attached {
  listener: EventListener;
  filter: EventFilter;
  place: number;
}

export function createFollower(
  { eventLog, log }: { eventLog: EventLog; log: Logger },
  { gatherMs, pollMs, beatMs, stretch }: FollowerOptions = FOLLOWER_DEFAULTS,
): Follower {
  const attached = new Set<Attached>();
  /** All that come, also those that still catch up. */
  const listeners = new Set<EventListener>();
  /** Up to there everybody who is attached has been given what is wanted. */
  let reached = 0;
  let reading = false;
  let again = false;
  let ended = false;

  const reader = whileUsed(start, (error) => log.warn({ error: error.message }, 'events: not let go'));

  async function start(): Promise<() => Promise<void>> {
    let gathering: NodeJS.Timeout | null = null;
    const unlisten = await eventLog.onChange(() => {
      gathering ??= setTimeout(() => {
        gathering = null;
        void read();
      }, gatherMs);
    });
    const poll = setInterval(() => void read(), pollMs);
    const beat = setInterval(() => {
      for (const { listener, place } of attached) listener.beat(place);
    }, beatMs);
    const stop = async () => {
      if (gathering) clearTimeout(gathering);
      clearInterval(poll);
      clearInterval(beat);
      await unlisten();
    };
    try {
      reached = (await eventLog.head()).placed;
    } catch (error) {
      await stop();
      throw error;
    }
    return stop;
  }

  async function read(): Promise<void> {
    again = true;
    if (reading) return;
    reading = true;
    try {
      while (again && attached.size > 0) {
        again = false;
        const head = await eventLog.head();
        while (reached < head.placed) {
          const { events, through } = await eventLog.after(reached, head, EVERY_EVENT, stretch);
          tell(events, through);
        }
      }
    } catch (error) {
      log.warn({ error: (error as Error).message }, 'events were not read; tried again soon');
    } finally {
      reading = false;
    }
  }

  function tell(events: readonly LoggedEvent[], through: number): void {
    reached = through;
    for (const one of attached) {
      const { listener, filter, place } = one;
      const wanted = events.filter((event) => event.place > place && passes(filter, event));
      one.place = Math.max(place, through);
      // The same list for all who want all of it: its text is made once.
      if (wanted.length > 0) listener.take(wanted.length === events.length ? events : wanted);
    }
  }

  /** Gives what came since; the place from which on the reader goes on. */
  async function replay(
    after: number | null,
    filter: EventFilter,
    listener: EventListener,
  ): Promise<number | null> {
    let head = await eventLog.head();
    let place = after ?? head.placed;
    const gap = after === null ? null : gapAfter(after, head);
    if (gap) {
      listener.gap(gap);
      place = gap.resumesAfter;
    }
    while (place < Math.max(head.placed, reached)) {
      const { events, through } = await eventLog.after(place, head, filter, stretch);
      if (!listeners.has(listener)) return null;
      if (events.length > 0) listener.take(events);
      place = through;
      if (!(await listener.room())) return null;
      if (place >= head.placed) head = await eventLog.head();
    }
    return place;
  }

  return {
    async follow({ after, filter }, listener) {
      if (ended) {
        listener.end();
        return () => undefined;
      }
      await reader.enter();
      let one: Attached | null = null;
      listeners.add(listener);
      const leave = () => {
        if (one) attached.delete(one);
        if (listeners.delete(listener)) reader.leave();
      };
      try {
        const place = await replay(after, filter, listener);
        // Nothing may come between the last look and this.
        if (place !== null && listeners.has(listener)) attached.add((one = { listener, filter, place }));
        else leave();
      } catch (error) {
        leave();
        throw error;
      }
      return leave;
    },
    end() {
      ended = true;
      for (const listener of listeners) listener.end();
    },
  };
}

function gapAfter(after: number, { placed, pruned }: { placed: number; pruned: number }): Gap | null {
  if (after < pruned) return { because: 'pruned', after, resumesAfter: pruned };
  if (after > placed) return { because: 'unknown', after, resumesAfter: placed };
  return null;
}
