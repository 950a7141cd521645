import { LONGEST_MS, whyNotAcceptable } from '../domain/acceptance.ts';
import { parseDuration } from '../domain/duration.ts';
import { subjectOf } from '../domain/tenant.ts';
import { conflict, done, invalid, noTenant } from './answers.ts';
import type { AcceptanceView, Answer, Commands } from './commands.ts';
import type { AcceptanceRecord, Clock, Desk, Ids, NewEvent, StoredStatus, TenantRecord } from './ports.ts';

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
function momentOf(asked: string, now: Date): Date {
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

/** Takes one drift as it is, and nothing else (design.md §1): what it is now is what is accepted. */
export async function accept(
  { desk, clock, ids }: HoldDeps & { ids: Ids },
  id: string,
  { path, by, reason, expires, observed }: Parameters<Commands['accept']>[1],
): ReturnType<Commands['accept']> {
  const record = await desk.tenant(id);
  if (!record) return noTenant(id);
  const until = expiryOf(expires, clock.now());
  if (!until.ok) return until;
  const found = acceptableDrift(record, path, observed);
  if (!found.ok) return found;
  const { subject, drift } = found.value;
  const { kind, desired } = drift;
  const acceptance = {
    id: ids.next(),
    path,
    kind,
    desired,
    observed: drift.observed,
    subject,
    by,
    reason,
    expiresAt: until.value,
  };
  const event: NewEvent = {
    type: 'DriftAccepted',
    message: `${by} accepted ${path} as ${drift.observed}, wanted ${desired}, until ${until.value}: ${reason}`,
    data: { acceptance: acceptance.id, path, by, reason, until: until.value },
  };
  const kept = await desk.accept(id, acceptance, [event], `drift accepted by ${by}`);
  if (!kept.ok) {
    return kept.because === 'not-found'
      ? noTenant(id)
      : conflict(`${path} was seen to be otherwise just now: look again.`);
  }
  return done({ trigger: kept.trigger, until: until.value });
}

function expiryOf(expires: string, now: Date): Answer<string> {
  const until = momentOf(expires, now);
  if (until <= now) {
    return invalid([{ path: 'expires', message: `is over: it is ${now.toISOString()} now` }]);
  }
  return until.getTime() - now.getTime() > LONGEST_MS
    ? invalid([{ path: 'expires', message: 'must be within 365d: look at it again by then' }])
    : done(until.toISOString());
}

/** The drift at that path as it was last seen, if it may be accepted; what there is instead is told. */
function acceptableDrift(
  { tenant, status }: TenantRecord,
  path: string,
  observed: string | null,
): Answer<{ subject: string; drift: StoredStatus['drift'][number] }> {
  const { id, spec } = tenant;
  const subject = subjectOf(spec);
  if (!status || (status.memory.subject ?? subject) !== subject) {
    return conflict(
      `${id} was not observed yet as its spec has it now: nothing is known that could be accepted.`,
    );
  }
  const drift = status.drift.find((one) => one.path === path);
  if (!drift) {
    const there = status.drift.map((one) => one.path);
    return conflict(
      `There is no drift at ${path}. There is ${there.length === 0 ? 'none' : `some at: ${there.join('; ')}`}.`,
    );
  }
  const { desired } = drift;
  if (observed !== null && observed !== drift.observed) {
    return conflict(
      `${path} is ${drift.observed}, wanted ${desired}, and not ${observed}: nothing was accepted.`,
    );
  }
  const never = whyNotAcceptable(drift);
  return never === null
    ? done({ subject, drift })
    : conflict(`${path} is ${drift.observed}, which cannot be accepted: ${never}.`);
}

export async function withdrawAcceptance(
  { desk }: HoldDeps,
  id: string,
  asked: Parameters<Commands['withdrawAcceptance']>[1],
): ReturnType<Commands['withdrawAcceptance']> {
  const { path, by, reason } = asked;
  const event: NewEvent = {
    type: 'AcceptanceWithdrawn',
    message: `${by} no longer accepts ${path}: ${reason}`,
    data: { path, by, reason },
  };
  const withdrawn = await desk.withdrawAcceptance(id, asked, [event], `acceptance withdrawn by ${by}`);
  if (withdrawn.ok) return done({ trigger: withdrawn.trigger });
  if (withdrawn.because === 'not-found') return noTenant(id);
  const live = (await desk.acceptances(id)).filter(({ endedAt }) => endedAt === null);
  return conflict(
    `Nothing is accepted at ${path}. Accepted is ${live.length === 0 ? 'nothing' : live.map((one) => one.path).join('; ')}.`,
  );
}

export function acceptanceView(record: AcceptanceRecord): AcceptanceView {
  const { subject: _, announcedAt: __, ended, ...view } = record;
  return { ...view, state: ended ?? 'in-force' };
}
