import { and, asc, eq, inArray, isNotNull, lt, notInArray, sql } from 'drizzle-orm';
import { check, index, pgTable, uniqueIndex } from 'drizzle-orm/pg-core';
import type { CredentialState, HeldCredential } from '../domain/credential.ts';
import type { Purpose } from '../domain/tenant.ts';
import type { CredentialChange, CredentialRecord, NewCredential, NewEvent } from '../reconciler/ports.ts';
import { instant, iso, isoOrNull, text } from './columns.ts';
import type { Executor } from './database.ts';
import { addEvents } from './events.ts';
import { tenants } from './tenants.ts';
import { requireKeyInUse } from './vault-checks.ts';

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
    /** Null: it was dead for so long that it was destroyed. */
    sealed: text('sealed'),
    handoffId: text('handoff_id'),
    createdAt: instant('created_at').notNull().defaultNow(),
    stateSince: instant('state_since').notNull().defaultNow(),
    stateBecause: text('state_because').notNull(),
    lastProvedAt: instant('last_proved_at'),
    keyIdentity: text('key_identity'),
    destroyedAt: instant('destroyed_at'),
  },
  (table) => [
    check(
      'credentials_state',
      sql`${table.state} in ('candidate', 'proved', 'active', 'superseded', 'refused', 'dead')`,
    ),
    check(
      'credentials_destroyed',
      sql`(${table.sealed} is null) = (${table.destroyedAt} is not null) and (${table.sealed} is not null or ${table.state} = 'dead')`,
    ),
    // It includes `created_at`, of which drizzle knows nothing: keys are counted by their age in it.
    uniqueIndex('credentials_one_active')
      .on(table.tenantId, table.purpose)
      .where(sql`${table.state} = 'active'`),
    index('credentials_of_tenant').on(table.tenantId),
    index('credentials_of_key')
      .on(table.keyIdentity)
      .where(sql`${table.keyIdentity} is not null`),
    index('credentials_unidentified')
      .on(table.origin)
      .where(
        sql`${table.keyIdentity} is null and ${table.state} = 'active' and ${table.purpose} in ('umbrella-api', 'umbrella-key-admin')`,
      ),
    index('credentials_dead')
      .on(table.stateSince)
      .where(sql`state = 'dead' and sealed is not null`),
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

/** The same, with what became of it. */
export const toRecord = (row: typeof credentials.$inferSelect): CredentialRecord => ({
  ...toCredential(row),
  since: iso(row.stateSince),
  because: row.stateBecause,
  destroyedAt: isoOrNull(row.destroyedAt),
});

/** Every credential of a tenant, oldest first, with its sealed text. */
export const credentialsOf = (tx: Executor, tenantId: string) =>
  tx
    .select()
    .from(credentials)
    .where(eq(credentials.tenantId, tenantId))
    .orderBy(asc(credentials.createdAt), asc(credentials.id));

type Added = NewCredential & { keyIdentity?: string };

/** Keeps a sealed pair; one that comes in active takes the place of the active one. */
export const addCredential = (
  tx: Executor,
  tenantId: string,
  credential: Added,
  because: string,
): Promise<void> => addCredentials(tx, tenantId, [credential], because);

/** As `addCredential`, for pairs of a tenant that come together, each of another purpose. */
export async function addCredentials(
  tx: Executor,
  tenantId: string,
  added: Added[],
  because: string,
): Promise<void> {
  if (added.length === 0) return;
  await requireKeyInUse(tx, ...added.map(({ sealed }) => sealed));
  await supersedeActive(
    tx,
    tenantId,
    added.filter(({ state }) => state === 'active'),
  );
  await tx.insert(credentials).values(added.map((one) => ({ ...one, tenantId, stateBecause: because })));
}

/**
 * Moves credentials of one tenant, which is locked, to new states, with an event for each that was in another;
 * what steps down does so before another steps up.
 */
export async function changeCredentials(
  tx: Executor,
  tenantId: string,
  changes: CredentialChange[],
): Promise<void> {
  if (changes.length === 0) return;
  const held = await tx
    .select({
      id: credentials.id,
      state: credentials.state,
      purpose: credentials.purpose,
      fingerprint: credentials.fingerprint,
      member: credentials.member,
    })
    .from(credentials)
    .where(
      and(
        eq(credentials.tenantId, tenantId),
        inArray(
          credentials.id,
          changes.map(({ id }) => id),
        ),
      ),
    );
  const promotionsLast = changes.toSorted(
    (a, b) => Number(a.state === 'active') - Number(b.state === 'active'),
  );
  for (const { id, state, because, provedAt } of promotionsLast) {
    const known = held.find((credential) => credential.id === id);
    if (!known) continue;
    if (state === 'active') await supersedeActive(tx, tenantId, [known]);
    await tx
      .update(credentials)
      .set({
        state,
        ...(known.state === state ? {} : { stateSince: sql`now()` }),
        stateBecause: because,
        ...(provedAt === undefined ? {} : { lastProvedAt: new Date(provedAt) }),
      })
      .where(eq(credentials.id, id));
    if (known.state !== state) await addEvents(tx, tenantId, [stateEvent(known, state, because)]);
  }
}

type Named = Pick<HeldCredential, 'id' | 'purpose' | 'fingerprint' | 'member'>;

/** At most one pair of a purpose is in use: those that are step down before these come in their places. */
async function supersedeActive(tx: Executor, tenantId: string, by: Named[]): Promise<void> {
  if (by.length === 0) return;
  const inUse = await tx
    .select()
    .from(credentials)
    .where(
      and(
        eq(credentials.tenantId, tenantId),
        eq(credentials.state, 'active'),
        inArray(
          credentials.purpose,
          by.map(({ purpose }) => purpose),
        ),
        notInArray(
          credentials.id,
          by.map(({ id }) => id),
        ),
      ),
    );
  const events: NewEvent[] = [];
  for (const row of inUse) {
    const because = `${by.find(({ purpose }) => purpose === row.purpose)!.fingerprint} took its place`;
    const stepsDown = { state: 'superseded', stateSince: sql`now()`, stateBecause: because } as const;
    await tx.update(credentials).set(stepsDown).where(eq(credentials.id, row.id));
    events.push(stateEvent(row, 'superseded', because));
  }
  await addEvents(tx, tenantId, events);
}

/** A secret that another one replaced signs beside it for that long, so that nobody has to change both at once. */
export const SIGNS_ON = sql.raw(`interval '24 hours'`);

/** Secrets that no longer sign are dead: what is sealed of them goes as other dead pairs do. */
export async function retireSecrets(tx: Executor): Promise<void> {
  const because = 'its successor signs alone by now';
  const retired = await tx
    .update(credentials)
    .set({ state: 'dead', stateSince: sql`now()`, stateBecause: because })
    .where(
      and(
        eq(credentials.purpose, 'automation'),
        eq(credentials.state, 'superseded'),
        lt(credentials.stateSince, sql`now() - ${SIGNS_ON}`),
      ),
    )
    .returning();
  for (const row of retired) await addEvents(tx, row.tenantId, [stateEvent(row, 'dead', because)]);
}

/** Destroys the sealed text of pairs that have been dead for longer than that, with an event each; how many. */
export async function destroyDead(tx: Executor, deadForMs: number, limit: number): Promise<number> {
  const old = await tx
    .select({ id: credentials.id })
    .from(credentials)
    .where(
      and(
        eq(credentials.state, 'dead'),
        isNotNull(credentials.sealed),
        lt(credentials.stateSince, sql`now() - ${deadForMs} * interval '1 millisecond'`),
      ),
    )
    .orderBy(asc(credentials.stateSince))
    .limit(limit)
    // Where another replica is at it, or a run records, the next time is soon enough.
    .for('update', { skipLocked: true });
  if (old.length === 0) return 0;
  const destroyed = await tx
    .update(credentials)
    .set({ sealed: null, destroyedAt: sql`now()` })
    .where(
      inArray(
        credentials.id,
        old.map(({ id }) => id),
      ),
    )
    .returning();
  for (const row of destroyed) await addEvents(tx, row.tenantId, [destroyedEvent(row)]);
  return destroyed.length;
}

function destroyedEvent({
  purpose,
  fingerprint,
  member,
  stateSince,
}: typeof credentials.$inferSelect): NewEvent {
  const whose = member === null ? '' : ` of ${member}`;
  const since = iso(stateSince).slice(0, 10);
  return {
    type: 'CredentialDestroyed',
    message: `The sealed text of the ${purpose} key ${fingerprint}${whose}, dead since ${since}, was destroyed; its history stays.`,
    data: { purpose, fingerprint, member },
  };
}

const STATE_EVENTS: Record<CredentialState, string> = {
  candidate: 'CredentialKept',
  proved: 'CredentialProved',
  active: 'CredentialActivated',
  superseded: 'CredentialSuperseded',
  refused: 'CredentialRefused',
  dead: 'CredentialDead',
};

function stateEvent(
  { purpose, fingerprint, member }: Named,
  state: CredentialState,
  because: string,
): NewEvent {
  const whose = member === null ? '' : ` of ${member}`;
  return {
    type: STATE_EVENTS[state],
    message: `The ${purpose} key ${fingerprint}${whose} is ${state} now: ${because}.`,
    data: { purpose, fingerprint, state },
  };
}
