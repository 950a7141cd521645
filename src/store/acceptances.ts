import { and, desc, eq, isNull, sql } from 'drizzle-orm';
import { check, index, pgTable, uniqueIndex } from 'drizzle-orm/pg-core';
import type { Caller } from '../domain/access.ts';
import type { Acceptance } from '../domain/acceptance.ts';
import type { Drift } from '../domain/drift.ts';
import type { AcceptanceEnd, AcceptanceRecord, NewAcceptance, Result } from '../reconciler/ports.ts';
import { addAudit } from './audit.ts';
import { instant, iso, isoOrNull, text } from './columns.ts';
import type { Executor } from './database.ts';
import { statuses } from './statuses.ts';
import { tenants } from './tenants.ts';

/** Drift that people accepted as it was observed; what has ended is kept as long as its tenant is. */
export const acceptances = pgTable(
  'acceptances',
  {
    id: text('id').primaryKey(),
    tenantId: text('tenant_id')
      .notNull()
      .references(() => tenants.id, { onDelete: 'cascade' }),
    path: text('path').notNull(),
    kind: text('kind').$type<Drift['kind']>().notNull(),
    desired: text('desired').notNull(),
    observed: text('observed').notNull(),
    subject: text('subject').notNull(),
    by: text('by').notNull(),
    reason: text('reason').notNull(),
    acceptedAt: instant('accepted_at').notNull().defaultNow(),
    expiresAt: instant('expires_at').notNull(),
    announcedAt: instant('announced_at'),
    endedAt: instant('ended_at'),
    ended: text('ended').$type<AcceptanceEnd>(),
    because: text('because'),
  },
  (table) => [
    check('acceptances_kind', sql`${table.kind} in ('missing', 'excess', 'different')`),
    check(
      'acceptances_ended',
      sql`(${table.endedAt} is null and ${table.ended} is null) or (${table.endedAt} is not null and ${table.ended} in ('withdrawn', 'replaced', 'expired', 'void'))`,
    ),
    uniqueIndex('acceptances_one_live')
      .on(table.tenantId, table.path)
      .where(sql`${table.endedAt} is null`),
    index('acceptances_of_tenant').on(table.tenantId, table.acceptedAt),
  ],
);

type Row = typeof acceptances.$inferSelect;

export const toAcceptance = (row: Row): Acceptance => ({
  id: row.id,
  path: row.path,
  kind: row.kind,
  desired: row.desired,
  observed: row.observed,
  subject: row.subject,
  by: row.by,
  reason: row.reason,
  acceptedAt: iso(row.acceptedAt),
  expiresAt: iso(row.expiresAt),
  announcedAt: isoOrNull(row.announcedAt),
});

const toRecord = (row: Row): AcceptanceRecord => ({
  ...toAcceptance(row),
  endedAt: isoOrNull(row.endedAt),
  ended: row.ended,
  because: row.because,
});

const isLive = (tenantId: string) => and(eq(acceptances.tenantId, tenantId), isNull(acceptances.endedAt));

/** Newest first. */
export async function acceptancesOf(tx: Executor, tenantId: string): Promise<AcceptanceRecord[]> {
  const rows = await tx
    .select()
    .from(acceptances)
    .where(eq(acceptances.tenantId, tenantId))
    .orderBy(desc(acceptances.acceptedAt), desc(acceptances.id));
  return rows.map(toRecord);
}

/**
 * Keeps an acceptance in place of the one before it of that path, if the drift still is as it was decided on; the
 * tenant's row is locked. False: it is not.
 */
export async function accept(
  tx: Executor,
  caller: Caller,
  tenantId: string,
  { expiresAt, ...acceptance }: NewAcceptance,
): Promise<boolean> {
  const { path, kind, observed, by, reason } = acceptance;
  const [status] = await tx
    .select({ drift: statuses.drift })
    .from(statuses)
    .where(eq(statuses.tenantId, tenantId));
  const there = status?.drift.some(
    (drift) => drift.path === path && drift.kind === kind && drift.observed === observed,
  );
  if (!there) return false;
  const before = await end(tx, tenantId, path, 'replaced', `${by} accepted it anew`);
  await tx.insert(acceptances).values({ ...acceptance, tenantId, expiresAt: new Date(expiresAt) });
  await decided(tx, tenantId);
  await addAudit(tx, caller, {
    action: 'drift.accept',
    tenantId,
    subject: path,
    reason,
    before: before && audited(before),
    after: { by, kind, observed, expiresAt },
  });
  return true;
}

/** Ends the acceptance of a path; the tenant's row is locked. False: there is none. */
export async function withdrawAcceptance(
  tx: Executor,
  caller: Caller,
  tenantId: string,
  { path, by, reason }: Pick<Acceptance, 'path' | 'by' | 'reason'>,
): Promise<boolean> {
  const ended = await end(tx, tenantId, path, 'withdrawn', `${by}: ${reason}`);
  if (!ended) return false;
  await decided(tx, tenantId);
  await addAudit(tx, caller, {
    action: 'drift.withdraw',
    tenantId,
    subject: path,
    reason,
    before: audited(ended),
    after: { by },
  });
  return true;
}

const audited = ({ by, kind, observed, reason, expiresAt }: Acceptance) => ({
  by,
  kind,
  observed,
  reason,
  expiresAt,
});

async function end(
  tx: Executor,
  tenantId: string,
  path: string,
  ended: AcceptanceEnd,
  because: string,
): Promise<Acceptance | null> {
  const [row] = await tx
    .update(acceptances)
    .set({ endedAt: sql`now()`, ended, because })
    .where(and(isLive(tenantId), eq(acceptances.path, path)))
    .returning();
  return row ? toAcceptance(row) : null;
}

/** A run under way, which knows nothing of it, writes nothing more. */
const decided = (tx: Executor, tenantId: string) =>
  tx
    .update(tenants)
    .set({ decisions: sql`${tenants.decisions} + 1` })
    .where(eq(tenants.id, tenantId));

/** What a run saw of acceptances; one that ended meanwhile stays as it is. */
export async function changeAcceptances(
  tx: Executor,
  tenantId: string,
  changes: Result['acceptances'],
): Promise<void> {
  for (const { id, change, message } of changes) {
    const set =
      change === 'announce'
        ? { announcedAt: sql`now()` }
        : {
            endedAt: sql`now()`,
            ended: change === 'expire' ? ('expired' as const) : ('void' as const),
            because: message,
          };
    await tx
      .update(acceptances)
      .set(set)
      .where(and(isLive(tenantId), eq(acceptances.id, id)));
  }
}
