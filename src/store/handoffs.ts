import { and, asc, eq, isNull, sql } from 'drizzle-orm';
import type { SQL } from 'drizzle-orm';
import type { PgUpdateSetSource } from 'drizzle-orm/pg-core';
import { boolean, check, index, pgTable, uniqueIndex } from 'drizzle-orm/pg-core';
import {
  AUTOMATION,
  type Automation,
  type Handoff,
  type HandoffContent,
  type HandoffKind,
  type HandoffState,
} from '../domain/handoff.ts';
import type { HandoffChange, NewEvent } from '../reconciler/ports.ts';
import { instant, iso, isoOrNull, jsonb, NOW_ISO, text } from './columns.ts';
import type { Executor } from './database.ts';
import { addEvents } from './events.ts';
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
    revealedAt: instant('revealed_at'),
    revealedTo: text('revealed_to'),
    closedAt: instant('closed_at'),
    automation: jsonb<Automation>('automation'),
    evidence: text('evidence'),
  },
  (table) => [
    check('handoffs_state', sql`${table.state} in ('open', 'claimed', 'submitted', 'closed', 'withdrawn')`),
    uniqueIndex('handoffs_one_live').on(table.tenantId, table.kind, table.subject).where(LIVE),
    index('handoffs_live').on(table.deadline).where(LIVE),
    index('handoffs_of_tenant').on(table.tenantId),
  ],
);

/** What an automation's answer is known by and opened with; the sealed text goes when it was used, or is of no use. */
export const answerKeys = pgTable(
  'answer_keys',
  {
    /** The hand-off's. */
    id: text('id')
      .primaryKey()
      .references(() => handoffs.id, { onDelete: 'cascade' }),
    tokenHash: text('token_hash').notNull(),
    sealed: text('sealed'),
    createdAt: instant('created_at').notNull().defaultNow(),
  },
  (table) => [uniqueIndex('answer_keys_token').on(table.tokenHash)],
);

/** From then on nothing that is encrypted to it can be read; its token is still known to have been one. */
export async function destroyAnswerKey(tx: Executor, handoffId: string): Promise<void> {
  await tx.update(answerKeys).set({ sealed: null }).where(eq(answerKeys.id, handoffId));
}

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
  revealedAt: isoOrNull(row.revealedAt),
  revealedTo: row.revealedTo,
  closedAt: isoOrNull(row.closedAt),
  automation: row.automation,
  evidence: row.evidence,
});

/** Hand-offs by tenant, or of all tenants; what is due first comes first. */
export async function listHandoffs(
  tx: Executor,
  filter: { tenant: string | null; live: boolean },
  visible?: SQL,
): Promise<Handoff[]> {
  const wanted: SQL[] = visible ? [visible] : [];
  if (filter.tenant !== null) wanted.push(eq(handoffs.tenantId, filter.tenant));
  if (filter.live) wanted.push(LIVE);
  const rows = await tx
    .select()
    .from(handoffs)
    .where(and(...wanted))
    .orderBy(asc(handoffs.deadline), asc(handoffs.id));
  return rows.map(toHandoff);
}

/** Puts a hand-off into the queue of deliveries, in the caller's transaction. */
export type Send = (tx: Executor, handoffId: string) => Promise<void>;

/**
 * Applies what a run decided about the hand-offs of its tenant, with an event for each that it changed; one that
 * is no longer live stays as it is. What an automation is to do is queued for it in the same transaction.
 */
export async function changeHandoffs(
  tx: Executor,
  tenantId: string,
  changes: HandoffChange[],
  send: Send,
): Promise<void> {
  // What ends comes first, so that another of the same kind and subject may open in the same run.
  const opensLast = changes.toSorted((a, b) => Number(a.change === 'open') - Number(b.change === 'open'));
  for (const change of opensLast) {
    const [changed] =
      change.change === 'open'
        ? await open(tx, tenantId, change)
        : await tx
            .update(handoffs)
            .set(patchOf(change))
            .where(
              and(
                eq(handoffs.id, change.id),
                eq(handoffs.tenantId, tenantId),
                LIVE,
                change.change === 'overdue' ? isNull(handoffs.overdueSince) : undefined,
                change.change === 'withdraw' && change.claimedAt !== undefined
                  ? sql`date_trunc('milliseconds', ${handoffs.claimedAt}) is not distinct from ${change.claimedAt}::timestamptz`
                  : undefined,
              ),
            )
            .returning();
    if (!changed || change.change === 'refresh') continue;
    const handoff = toHandoff(changed);
    await addEvents(tx, tenantId, [changeEvent(change, handoff)]);
    await withAutomation(tx, change, handoff, send);
  }
}

/** What a change of a hand-off means for the automation that has it, or had it. */
async function withAutomation(tx: Executor, change: Telling, handoff: Handoff, send: Send): Promise<void> {
  const { automation, state, claimedBy } = handoff;
  if (!automation) return;
  switch (change.change) {
    case 'open':
      if (automation.error === null) await send(tx, handoff.id);
      else await addEvents(tx, handoff.tenantId, [failedEvent(handoff, automation.error)]);
      return;
    case 'overdue':
      // What it answered waits for evidence, as a person's word would.
      if (claimedBy === AUTOMATION && state === 'claimed') {
        await toPeople(tx, handoff, 'it did not answer before the deadline');
      }
      return;
    case 'reopen':
      if (claimedBy === AUTOMATION) await toPeople(tx, handoff, change.because.replace(/\.$/, ''));
      return;
    case 'close':
    case 'withdraw':
      await destroyAnswerKey(tx, handoff.id);
  }
}

/** The work of an automation goes to people; a late answer is not taken any more. The hand-off is locked. */
export async function toPeople(tx: Executor, handoff: Handoff, why: string): Promise<void> {
  await tx
    .update(handoffs)
    .set({
      state: 'open',
      claimedBy: null,
      claimedAt: null,
      submittedBy: null,
      submittedAt: null,
      automation: automationNow('failed', why),
    })
    .where(eq(handoffs.id, handoff.id));
  await destroyAnswerKey(tx, handoff.id);
  await addEvents(tx, handoff.tenantId, [failedEvent(handoff, why)]);
}

/** The column `automation` in another state, from now on. */
export const automationNow = (state: Automation['state'], error: string | null): SQL =>
  sql`${handoffs.automation} || jsonb_build_object('state', ${state}::text, 'error', ${error}::text, 'since', ${NOW_ISO})`;

const failedEvent = ({ id, kind, content: { title } }: Handoff, why: string): NewEvent => ({
  type: 'AutomationFailed',
  message: `People have it now, since the automation failed (${why}): ${title}`,
  data: { handoff: id, kind, why },
});

type Opening = Extract<HandoffChange, { change: 'open' }>;
type Telling = Exclude<HandoffChange, { change: 'refresh' }>;

/** The same work is asked for once at a time: where it is already, nothing opens. */
const open = (
  tx: Executor,
  tenantId: string,
  { id, kind, subject, content, deadline, automation }: Opening,
) =>
  tx
    .insert(handoffs)
    .values({
      id,
      tenantId,
      kind,
      subject,
      content,
      deadline: new Date(deadline),
      ...(automation
        ? {
            automation: sql`jsonb_build_object('state', ${automation.error === null ? 'delivering' : 'failed'}::text, 'webhook', ${automation.webhook}::text, 'attempts', 0, 'error', ${automation.error}::text, 'since', ${NOW_ISO})`,
          }
        : {}),
      ...(automation?.error === null
        ? { state: 'claimed' as const, claimedBy: AUTOMATION, claimedAt: sql`now()` }
        : {}),
    })
    .onConflictDoNothing({ target: [handoffs.tenantId, handoffs.kind, handoffs.subject], where: LIVE })
    .returning();

function patchOf(change: Exclude<HandoffChange, Opening>): PgUpdateSetSource<typeof handoffs> {
  switch (change.change) {
    case 'refresh':
      return { content: change.content };
    case 'overdue':
      return { overdueSince: sql`now()` };
    case 'reopen':
      return {
        state: sql`case when ${handoffs.claimedBy} is null then 'open' else 'claimed' end`,
        submittedBy: null,
        submittedAt: null,
        attested: false,
        evidence: change.because,
      };
    case 'close':
      return { state: 'closed', closedAt: sql`now()`, evidence: change.evidence };
    case 'withdraw':
      return { state: 'withdrawn', closedAt: sql`now()`, evidence: change.evidence };
  }
}

function changeEvent(change: Telling, { id, kind, content: { title } }: Handoff): NewEvent {
  const data = { handoff: id, kind };
  switch (change.change) {
    case 'open':
      return {
        type: 'HandoffOpened',
        message: `To be done by ${change.deadline}${change.automation?.error === null ? ', by the automation' : ''}: ${title}`,
        data,
      };
    case 'overdue':
      return {
        type: 'HandoffOverdue',
        message: `Its deadline passed, and it is still to be done: ${title}`,
        data,
      };
    case 'reopen':
      return { type: 'HandoffReopened', message: `${title}: ${change.because}`, data };
    case 'close':
      return { type: 'HandoffClosed', message: `${title}: ${change.evidence}`, data };
    case 'withdraw':
      return { type: 'HandoffWithdrawn', message: `${title}: ${change.evidence}`, data };
  }
}
