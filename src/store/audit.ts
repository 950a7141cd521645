import { and, desc, eq, getTableColumns, gte, lt, sql, type SQL } from 'drizzle-orm';
import { bigint, index, pgTable } from 'drizzle-orm/pg-core';
import type { AuditEntry, AuditPage, AuditRecord, Caller, Page } from '../reconciler/ports.ts';
import { instant, iso, jsonb, text } from './columns.ts';
import { holdAttempt } from './attempts.ts';
import { batches, type Executor } from './database.ts';
import { tenants } from './tenants.ts';
import { visibleTo } from './visible.ts';

/** Who changed what. It outlives tenants and tokens; triggers refuse every change and deletion. */
export const audit = pgTable(
  'audit',
  {
    id: bigint('id', { mode: 'number' }).primaryKey().generatedAlwaysAsIdentity(),
    at: instant('at').notNull().defaultNow(),
    actor: text('actor').notNull(),
    tokenId: text('token_id'),
    role: text('role'),
    address: text('address'),
    requestId: text('request_id'),
    idempotencyKey: text('idempotency_key'),
    action: text('action').notNull(),
    tenantId: text('tenant_id'),
    subject: text('subject'),
    reason: text('reason'),
    before: jsonb<Record<string, unknown>>('before'),
    after: jsonb<Record<string, unknown>>('after'),
  },
  (table) => [
    index('audit_of_tenant').on(table.tenantId, table.id),
    index('audit_of_actor').on(table.actor, table.id),
    index('audit_of_action').on(table.action, table.id),
    index('audit_by_time').on(table.at),
    index('audit_of_key')
      .on(table.tokenId, table.idempotencyKey)
      .where(sql`${table.idempotencyKey} is not null`),
  ],
);

type NewEntry = Partial<AuditEntry> & Pick<AuditEntry, 'action'>;

/** Writes what a caller changed, in the transaction of the change. What is left out is null. */
export const addAudit = (tx: Executor, caller: Caller, entry: NewEntry): Promise<void> =>
  addAudits(tx, caller, [entry]);

/** As `addAudit`, for many changes of one transaction. */
export async function addAudits(tx: Executor, caller: Caller, entries: NewEntry[]): Promise<void> {
  const { name, tokenId, role, from, requestId, idempotencyKey } = caller;
  await holdAttempt(tx, caller);
  const who = { actor: name, tokenId, role, address: from, requestId, idempotencyKey };
  for (const some of batches(entries)) {
    await tx.insert(audit).values(some.map((entry) => ({ ...who, ...entry })));
  }
}

/**
 * Writes that a caller was refused what its token may not, about the tenant that `found` names (`id`, `subject`), if
 * that exists for the caller. The same again within a minute is written once.
 */
export async function noteRefusal(
  tx: Executor,
  caller: Caller,
  found: SQL,
  permission: string,
): Promise<void> {
  const { name, tokenId, role, from, requestId } = caller;
  await tx.execute(sql`
    insert into audit (actor, token_id, role, address, request_id, action, tenant_id, subject, after)
    select ${name}, ${tokenId}, ${role}, ${from}, ${requestId}, 'refused', ${tenants.id}, found.subject,
           jsonb_build_object('lacks', ${permission}::text)
      from (${found}) as found
      join ${tenants} on ${tenants.id} = found.id and ${visibleTo(caller.scope) ?? sql`true`}
     where not exists (
       select from (select * from audit where tenant_id = found.id order by id desc limit 20) as latest
        where action = 'refused' and at > now() - interval '1 minute' and actor = ${name}
          and subject is not distinct from found.subject and after ->> 'lacks' = ${permission})`);
}

/** A page of what was changed, newest first; of the tenants that exist for the caller. */
export async function pageOfAudit(
  db: Executor,
  { scope }: Caller,
  { before, limit, tenant, actor, action, since }: AuditPage,
): Promise<Page<AuditRecord>> {
  const { idempotencyKey: _key, ...columns } = getTableColumns(audit);
  const rows = await db
    .select(columns)
    .from(audit)
    .where(
      and(
        visibleTo(scope, audit.tenantId),
        before === null ? undefined : lt(audit.id, before),
        tenant === null ? undefined : eq(audit.tenantId, tenant),
        actor === null ? undefined : eq(audit.actor, actor),
        action === null ? undefined : eq(audit.action, action),
        since === null ? undefined : gte(audit.at, new Date(since)),
      ),
    )
    .orderBy(desc(audit.id))
    .limit(limit + 1);
  const items = rows.slice(0, limit).map((row) => ({ ...row, id: String(row.id), at: iso(row.at) }));
  return { items, next: rows.length > limit ? (items.at(-1)?.id ?? null) : null };
}
