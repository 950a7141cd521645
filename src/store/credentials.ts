import { and, asc, eq, ne, sql } from 'drizzle-orm';
import { check, index, pgTable, uniqueIndex } from 'drizzle-orm/pg-core';
import type { CredentialState, HeldCredential } from '../domain/credential.ts';
import type { Purpose } from '../domain/tenant.ts';
import type { CredentialChange, NewCredential } from '../reconciler/ports.ts';
import { instant, iso, isoOrNull, text } from './columns.ts';
import type { Executor } from './database.ts';
import { tenants } from './tenants.ts';

/** Key pairs, sealed by the vault. A fingerprint names one everywhere else. */
export const credentials = pgTable(
  'credentials',
  {
    id: text('id').primaryKey(),
    tenantId: text('tenant_id')
      .notNull()
      .references(() => tenants.id, { onDelete: 'cascade' }),
    purpose: text('purpose').$type<Purpose>().notNull(),
    state: text('state').$type<CredentialState>().notNull(),
    fingerprint: text('fingerprint').notNull(),
    member: text('member'),
    origin: text('origin').notNull(),
    sealed: text('sealed').notNull(),
    handoffId: text('handoff_id'),
    createdAt: instant('created_at').notNull().defaultNow(),
    stateSince: instant('state_since').notNull().defaultNow(),
    stateBecause: text('state_because').notNull(),
    lastProvedAt: instant('last_proved_at'),
  },
  (table) => [
    check(
      'credentials_state',
      sql`${table.state} in ('candidate', 'active', 'superseded', 'refused', 'dead')`,
    ),
    uniqueIndex('credentials_one_active')
      .on(table.tenantId, table.purpose)
      .where(sql`${table.state} = 'active'`),
    index('credentials_of_tenant').on(table.tenantId),
  ],
);

export const toCredential = (row: Omit<typeof credentials.$inferSelect, 'sealed'>): HeldCredential => ({
  id: row.id,
  purpose: row.purpose,
  state: row.state,
  fingerprint: row.fingerprint,
  member: row.member,
  origin: row.origin,
  createdAt: iso(row.createdAt),
  lastProvedAt: isoOrNull(row.lastProvedAt),
  handoffId: row.handoffId,
});

/** Every credential of a tenant, oldest first, with its sealed text. */
export const credentialsOf = (tx: Executor, tenantId: string) =>
  tx
    .select()
    .from(credentials)
    .where(eq(credentials.tenantId, tenantId))
    .orderBy(asc(credentials.createdAt), asc(credentials.id));

/** Keeps a sealed pair; one that comes in active takes the place of the active one. */
export async function addCredential(
  tx: Executor,
  tenantId: string,
  credential: NewCredential,
  because: string,
): Promise<void> {
  if (credential.state === 'active') await supersedeActive(tx, tenantId, credential.purpose, credential.id);
  await tx.insert(credentials).values({ ...credential, tenantId, stateBecause: because });
}

/** Moves credentials of one tenant to new states; what steps down does so before another steps up. */
export async function changeCredentials(
  tx: Executor,
  tenantId: string,
  changes: CredentialChange[],
): Promise<void> {
  const promotionsLast = changes.toSorted(
    (a, b) => Number(a.state === 'active') - Number(b.state === 'active'),
  );
  for (const change of promotionsLast) {
    const mine = and(eq(credentials.id, change.id), eq(credentials.tenantId, tenantId));
    if (change.state === 'active') {
      const [row] = await tx.select({ purpose: credentials.purpose }).from(credentials).where(mine);
      if (row) await supersedeActive(tx, tenantId, row.purpose, change.id);
    }
    await tx
      .update(credentials)
      .set({
        state: change.state,
        stateSince: sql`case when ${credentials.state} = ${change.state} then ${credentials.stateSince} else now() end`,
        stateBecause: change.because,
        ...(change.provedAt === undefined ? {} : { lastProvedAt: new Date(change.provedAt) }),
      })
      .where(mine);
  }
}

async function supersedeActive(
  tx: Executor,
  tenantId: string,
  purpose: Purpose,
  byId: string,
): Promise<void> {
  await tx
    .update(credentials)
    .set({ state: 'superseded', stateSince: sql`now()`, stateBecause: `replaced by credential ${byId}` })
    .where(
      and(
        eq(credentials.tenantId, tenantId),
        eq(credentials.purpose, purpose),
        eq(credentials.state, 'active'),
        ne(credentials.id, byId),
      ),
    );
}

/** Writes when credentials in use were last proved, in place. */
export async function markProved(
  tx: Executor,
  tenantId: string,
  provedAt: Record<string, string>,
): Promise<void> {
  for (const [id, at] of Object.entries(provedAt)) {
    await tx
      .update(credentials)
      .set({ lastProvedAt: new Date(at) })
      .where(and(eq(credentials.id, id), eq(credentials.tenantId, tenantId)));
  }
}
