import { and, asc, eq, isNull, sql } from 'drizzle-orm';
import type { SQL } from 'drizzle-orm';
import { boolean, check, index, pgTable, uniqueIndex } from 'drizzle-orm/pg-core';
import type { Handoff, HandoffContent, HandoffKind, HandoffState } from '../domain/handoff.ts';
import type { HandoffChange } from '../reconciler/ports.ts';
import { instant, iso, isoOrNull, jsonb, text } from './columns.ts';
import type { Executor } from './database.ts';
import { tenants } from './tenants.ts';

const LIVE = sql.raw(`state in ('open', 'claimed', 'submitted')`);

/** Work for people, until evidence closes it. */
export const handoffs = pgTable(
  'handoffs',
  {
    id: text('id').primaryKey(),
    tenantId: text('tenant_id')
      .notNull()
      .references(() => tenants.id, { onDelete: 'cascade' }),
    kind: text('kind').$type<HandoffKind>().notNull(),
    subject: text('subject').notNull(),
    state: text('state').$type<HandoffState>().notNull().default('open'),
    content: jsonb<HandoffContent>('content').notNull(),
    openedAt: instant('opened_at').notNull().defaultNow(),
    deadline: instant('deadline').notNull(),
    overdueSince: instant('overdue_since'),
    claimedBy: text('claimed_by'),
    claimedAt: instant('claimed_at'),
    submittedBy: text('submitted_by'),
    submittedAt: instant('submitted_at'),
    attested: boolean('attested').notNull().default(false),
    closedAt: instant('closed_at'),
    evidence: text('evidence'),
  },
  (table) => [
    check('handoffs_state', sql`${table.state} in ('open', 'claimed', 'submitted', 'closed', 'withdrawn')`),
    uniqueIndex('handoffs_one_live').on(table.tenantId, table.kind, table.subject).where(LIVE),
    index('handoffs_live').on(table.deadline).where(LIVE),
    index('handoffs_of_tenant').on(table.tenantId),
  ],
);

export const toHandoff = (row: typeof handoffs.$inferSelect): Handoff => ({
  id: row.id,
  tenantId: row.tenantId,
  kind: row.kind,
  subject: row.subject,
  state: row.state,
  content: row.content,
  openedAt: iso(row.openedAt),
  deadline: iso(row.deadline),
  overdueSince: isoOrNull(row.overdueSince),
  claimedBy: row.claimedBy,
  claimedAt: isoOrNull(row.claimedAt),
  submittedBy: row.submittedBy,
  submittedAt: isoOrNull(row.submittedAt),
  attested: row.attested,
  closedAt: isoOrNull(row.closedAt),
  evidence: row.evidence,
});

/** Hand-offs by tenant, or of all tenants; what is due first comes first. */
export async function listHandoffs(
  tx: Executor,
  filter: { tenant: string | null; live: boolean },
): Promise<Handoff[]> {
  const wanted: SQL[] = [];
  if (filter.tenant !== null) wanted.push(eq(handoffs.tenantId, filter.tenant));
  if (filter.live) wanted.push(LIVE);
  const rows = await tx
    .select()
    .from(handoffs)
    .where(and(...wanted))
    .orderBy(asc(handoffs.deadline), asc(handoffs.id));
  return rows.map(toHandoff);
}

/** Applies what a run decided about the hand-offs of its tenant; one that is no longer live stays as it is. */
export async function changeHandoffs(
  tx: Executor,
  tenantId: string,
  changes: HandoffChange[],
): Promise<void> {
  // What ends comes first, so that another of the same kind and subject may open in the same run.
  const opensLast = changes.toSorted((a, b) => Number(a.change === 'open') - Number(b.change === 'open'));
  for (const change of opensLast) {
    const mine = and(eq(handoffs.id, change.id), eq(handoffs.tenantId, tenantId), LIVE);
    switch (change.change) {
      case 'open':
        await tx
          .insert(handoffs)
          .values({
            id: change.id,
            tenantId,
            kind: change.kind,
            subject: change.subject,
            content: change.content,
            deadline: new Date(change.deadline),
          })
          .onConflictDoNothing({ target: [handoffs.tenantId, handoffs.kind, handoffs.subject], where: LIVE });
        break;
      case 'refresh':
        await tx.update(handoffs).set({ content: change.content }).where(mine);
        break;
      case 'overdue':
        await tx
          .update(handoffs)
          .set({ overdueSince: sql`now()` })
          .where(and(mine, isNull(handoffs.overdueSince)));
        break;
      case 'reopen':
        await tx
          .update(handoffs)
          .set({
            state: sql`case when ${handoffs.claimedBy} is null then 'open' else 'claimed' end`,
            submittedBy: null,
            submittedAt: null,
            attested: false,
          })
          .where(mine);
        break;
      case 'close':
      case 'withdraw':
        await tx
          .update(handoffs)
          .set({
            state: change.change === 'close' ? 'closed' : 'withdrawn',
            closedAt: sql`now()`,
            evidence: change.evidence,
          })
          .where(mine);
        break;
    }
  }
}
