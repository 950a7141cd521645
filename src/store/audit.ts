import { sql } from 'drizzle-orm';
import { bigint, index, pgTable } from 'drizzle-orm/pg-core';
import type { AuditEntry, Caller } from '../reconciler/ports.ts';
import { instant, jsonb, text } from './columns.ts';
import type { Executor } from './database.ts';

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
    index('audit_of_key')
      .on(table.tokenId, table.idempotencyKey)
      .where(sql`${table.idempotencyKey} is not null`),
  ],
);

/** Writes what a caller changed, in the transaction of the change. What is left out is null. */
export async function addAudit(
  tx: Executor,
  caller: Caller,
  entry: Partial<AuditEntry> & Pick<AuditEntry, 'action'>,
): Promise<void> {
  const { name, tokenId, role, from, requestId, idempotencyKey } = caller;
  await tx
    .insert(audit)
    .values({ actor: name, tokenId, role, address: from, requestId, idempotencyKey, ...entry });
}
