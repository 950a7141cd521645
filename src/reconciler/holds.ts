import { parseDuration } from '../domain/duration.ts';
import { conflict, done, invalid, noTenant } from './answers.ts';
import type { Commands } from './commands.ts';
import type { Clock, Desk, NewEvent } from './ports.ts';

/** What people decide of a tenant apart from its spec. */

interface HoldDeps {
  desk: Desk;
  clock: Clock;
}

export async function pause(
  { desk, clock }: HoldDeps,
  id: string,
  { by, reason, until: asked }: Parameters<Commands['pause']>[1],
): ReturnType<Commands['pause']> {
  const now = clock.now();
  const until = asked === null ? null : momentOf(asked, now);
  if (until !== null && until <= now) {
    return invalid([{ path: 'until', message: `is over: it is ${now.toISOString()} now` }]);
  }
  const moment = until?.toISOString() ?? null;
  const event: NewEvent = {
    type: 'Paused',
    message: `${by} paused it${moment === null ? '' : ` until ${moment}`}: ${reason}`,
    data: { by, reason, until: moment },
  };
  const paused = await desk.pause(id, { by, reason, until: moment }, [event], `paused by ${by}`);
  return paused.ok ? done({ trigger: paused.trigger, until: moment }) : noTenant(id);
}

/** A duration is counted from now; anything else is a moment. */
export function momentOf(asked: string, now: Date): Date {
  const ms = parseDuration(asked);
  return ms === null ? new Date(asked) : new Date(now.getTime() + ms);
}

export async function resume(
  { desk }: HoldDeps,
  id: string,
  { by, reason }: Parameters<Commands['resume']>[1],
): ReturnType<Commands['resume']> {
  const event: NewEvent = { type: 'Resumed', message: `${by} resumed it: ${reason}`, data: { by, reason } };
  const resumed = await desk.resume(id, { by, reason }, [event], `resumed by ${by}`);
  if (resumed.ok) return done({ trigger: resumed.trigger });
  if (resumed.because === 'not-found') return noTenant(id);
  const record = await desk.tenant(id);
  return conflict(
    record?.tenant.spec.paused
      ? `Nobody paused ${id}: its spec says paused: true. Change it there.`
      : `${id} is not paused.`,
  );
}
