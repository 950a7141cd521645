import { and, asc, eq, inArray, isNotNull, isNull, lte, sql } from 'drizzle-orm';
import { bigint, index, integer, pgTable, uniqueIndex } from 'drizzle-orm/pg-core';
import { whyHeld } from '../domain/ground.ts';
import { HIDDEN_TENANT, inScope, type Scope } from '../domain/access.ts';
import { toldTo } from '../domain/shared-words.ts';
import { asToldTo, isOver, type UmbrellaRotation } from '../domain/umbrella-rotation.ts';
import type {
  KeyBounds,
  KeyChange,
  KeyClaim,
  KeyHolder,
  KeyRequest,
  KeyRequestRefusal,
  NewEvent,
  StoredUmbrellaKey,
  UmbrellaKeys,
} from '../reconciler/ports.ts';
import { arrayLiteral, instant, iso, jsonb, text, toJson } from './columns.ts';
import { addCredential, changeCredentials, credentials } from './credentials.ts';
import type { Database, Executor } from './database.ts';
import { LOCKS, StoreError, toStoreError } from './database.ts';
import { addEvents } from './events.ts';
import { datedFact } from './findings.ts';
import { intents, intentsOfLastHour } from './intents.ts';
import { statuses, toSeen } from './statuses.ts';
import { BRAKE, HELD, lockTenants, PAUSE, tenants } from './tenants.ts';
import { triggerTenant } from './trigger.ts';
import { requireKeyInUse } from './vault-checks.ts';

/**
 * Umbrella's API keys, each with its rotation and the claim to work on it. The row follows the line of a key: once
 * tenants were switched, `identity` is that of the new key.
 */
export const umbrellaKeys = pgTable(
  'umbrella_keys',
  {
    id: text('id').primaryKey(),
    origin: text('origin').notNull(),
    identity: text('identity').notNull(),
    rotations: integer('rotations').notNull().default(0),
    rotation: jsonb<UmbrellaRotation>('rotation'),
    past: jsonb<UmbrellaRotation[]>('past').notNull().default([]),
    requested: jsonb<KeyRequest>('requested'),
    sealed: text('sealed'),
    createdAt: instant('created_at').notNull().defaultNow(),
    /** When it is looked at next; while it is claimed, when the claim runs out. */
    nextRunAt: instant('next_run_at').notNull().defaultNow(),
    claimOwner: text('claim_owner'),
    claimToken: bigint('claim_token', { mode: 'number' }).notNull().default(0),
  },
  (table) => [
    uniqueIndex('umbrella_keys_identity').on(table.identity),
    index('umbrella_keys_due').on(table.nextRunAt),
  ],
);

const PURPOSES = ['umbrella-api', 'umbrella-key-admin'] as const;
/** Rotations that a key's row remembers. */
const PAST = 50;

const TAKE = `
  with due as materialized (
    select id from umbrella_keys where next_run_at <= now() order by next_run_at limit 1 for update skip locked
  )
  update umbrella_keys
     set claim_owner = $1, claim_token = claim_token + 1, next_run_at = now() + $2 * interval '1 millisecond'
    from due where umbrella_keys.id = due.id
  returning umbrella_keys.id, claim_token`;

const OVER = `('Completed', 'Failed', 'Cancelled')`;
const IS_LIVE = `coalesce(rotation ->> 'phase' not in ${OVER}, false)`;

/** Nobody works on it, and nothing is under way or asked for. */
const AT_REST = sql.raw(`claim_owner is null and requested is null and not ${IS_LIVE}`);

const MISSING = `
  select distinct on (key_identity) key_identity as identity, origin from credentials
   where purpose = 'umbrella-api' and state = 'active' and key_identity is not null
     -- Two questions, each of which is answered for all at once; as one it is asked of each key anew.
     and not exists (select from umbrella_keys where identity = key_identity)
     and not exists (
       select from umbrella_keys where rotation #>> '{old,identity}' = key_identity and ${IS_LIVE})`;

const ABANDONED = `
  delete from umbrella_keys
   where not ${IS_LIVE} and claim_owner is null
     -- Asked of all at once: as an anti join it was one of each key with each credential.
     and identity not in (
       select key_identity from credentials
        where purpose = 'umbrella-api' and state = 'active' and key_identity is not null)`;

export const createUmbrellaKeys = (db: Database): UmbrellaKeys => ({
  given: async () => {
    const rows = await db
      .select({
        tenantId: credentials.tenantId,
        spec: tenants.spec,
        credentialId: credentials.id,
        origin: credentials.origin,
        sealed: sql<string>`${credentials.sealed}`,
      })
      .from(credentials)
      .innerJoin(tenants, eq(tenants.id, credentials.tenantId))
      .where(
        and(
          eq(credentials.purpose, 'umbrella-api'),
          eq(credentials.state, 'candidate'),
          isNotNull(credentials.sealed),
        ),
      );
    return rows.filter(({ spec, origin }) => spec.umbrella.url === origin);
  },

  async judge({ tenantId, credentialId }, { becomes, because }, consoleIdentity) {
    try {
      await db.transaction(async (tx) => {
        if ((await lockTenants(tx, [tenantId])).length === 0) return;
        const [row] = await tx
          .select({ state: credentials.state })
          .from(credentials)
          .where(eq(credentials.id, credentialId));
        if (row?.state !== 'candidate') return;
        await changeCredentials(tx, tenantId, [{ id: credentialId, state: becomes, because }]);
        if (becomes === 'active' && consoleIdentity !== undefined) {
          await tx.update(tenants).set({ consoleIdentity }).where(eq(tenants.id, tenantId));
        }
        await triggerTenant(tx, tenantId, 'Umbrella key proved', true);
      });
      return 'done';
    } catch (error) {
      const known = toStoreError(error);
      if (known instanceof StoreError && known.constraint === 'tenants_console_identity') return 'taken';
      throw error;
    }
  },

  unidentified: (limit) =>
    db
      .select({
        tenantId: credentials.tenantId,
        credentialId: credentials.id,
        purpose: sql<KeyHolder['purpose']>`${credentials.purpose}`,
        origin: credentials.origin,
        // Only that of a dead pair is ever destroyed.
        sealed: sql<string>`${credentials.sealed}`,
      })
      .from(credentials)
      .where(
        and(
          inArray(credentials.purpose, [...PURPOSES]),
          eq(credentials.state, 'active'),
          isNull(credentials.keyIdentity),
        ),
      )
      .limit(limit),

  async identify(pairs) {
    for (const { credentialId, identity } of pairs) {
      await db
        .update(credentials)
        .set({ keyIdentity: identity })
        .where(and(eq(credentials.id, credentialId), isNull(credentials.keyIdentity)));
    }
  },

  async tidy(newId) {
    const { rows } = await db.$client.query<{ identity: string; origin: string }>(MISSING);
    for (const row of rows) {
      await db
        .insert(umbrellaKeys)
        .values({ id: newId(), ...row })
        .onConflictDoNothing();
    }
    await db.$client.query(ABANDONED);
  },

  async take(owner, leaseMs) {
    const { rows } = await db.$client.query<{ id: string; claim_token: string }>({
      name: 'parasol_take_key',
      text: TAKE,
      values: [owner, leaseMs],
    });
    const [row] = rows;
    return row ? { keyId: row.id, token: Number(row.claim_token), owner } : null;
  },

  async resting(most) {
    const rows = await db
      .select()
      .from(umbrellaKeys)
      .where(and(lte(umbrellaKeys.nextRunAt, sql`now()`), AT_REST))
      .orderBy(asc(umbrellaKeys.nextRunAt))
      .limit(most);
    const keys = rows.map(toKey);
    const holders = await holdersOf(db, keys);
    return keys.map((key) => ({ key, holders: holders.get(key.id) ?? [] }));
  },

  async postpone(keys) {
    await db
      .update(umbrellaKeys)
      .set({ nextRunAt: sql`now() + in_ms * interval '1 millisecond'` })
      .from(
        sql`unnest(${arrayLiteral(keys.map(({ id }) => id))}::text[], ${arrayLiteral(keys.map(({ inMs }) => String(inMs)))}::float8[]) as at_rest (id, in_ms)`,
      )
      .where(and(eq(umbrellaKeys.id, sql`at_rest.id`), lte(umbrellaKeys.nextRunAt, sql`now()`), AT_REST));
  },

  async nextDueInMs() {
    const { rows } = await db.$client.query<{ ms: number | null }>(
      `select ceil(extract(epoch from min(next_run_at) - clock_timestamp()) * 1000)::float8 as ms from umbrella_keys`,
    );
    const ms = rows[0]?.ms ?? null;
    return ms === null ? null : Math.max(0, ms);
  },

  snapshot: (claim) =>
    db.transaction(
      async (tx) => {
        const [row] = await tx.select().from(umbrellaKeys).where(isClaimed(claim));
        if (!row) return null;
        const key = toKey(row);
        return {
          key,
          holders: (await holdersOf(tx, [key])).get(key.id) ?? [],
          unidentified: await anyUnidentified(tx, key.origin),
          intents: await openIntentsOf(tx, key.id),
        };
      },
      { isolationLevel: 'repeatable read', accessMode: 'read only' },
    ),

  confirm: (claim, forMs, bounds) => confirm(db, claim, forMs, bounds),

  openIntent: (claim, rotation, intent, { perHour, ...bounds }) =>
    db.transaction(async (tx) => {
      if (!(await lockClaimed(tx, claim))) return 'claim-lost';
      if (!(await confirm(tx, claim, 0, bounds))) return 'not-allowed';
      // Counted by one at a time, as for repairs: both are under the fleet's one cap.
      await tx.execute(sql`select pg_advisory_xact_lock(${LOCKS.space}, ${LOCKS.intents})`);
      if ((await intentsOfLastHour(tx)) >= perHour) return 'cap';
      await tx.insert(intents).values({ ...intent, tenantId: null, request: null });
      await keep(tx, claim, rotation);
      return 'granted';
    }),

  record: (claim, change, next) =>
    db.transaction(async (tx) => {
      if (!(await lockClaimed(tx, claim))) return false;
      await leave(tx, claim, change);
      const due =
        'keepMs' in next
          ? { nextRunAt: sql`now() + ${next.keepMs} * interval '1 millisecond'` }
          : {
              claimOwner: null,
              // What was asked for during the pass is begun by the next one.
              nextRunAt: sql`case when ${umbrellaKeys.requested} is null
                then now() + ${next.inMs} * interval '1 millisecond' else now() end`,
            };
      await tx.update(umbrellaKeys).set(due).where(eq(umbrellaKeys.id, claim.keyId));
      return true;
    }),

  switchTo: (claim, change, pairs, { old, fresh }) =>
    db.transaction(async (tx) => {
      if (!(await lockClaimed(tx, claim))) return 'claim-lost';
      await lockTenants(tx, [...pairs.map(({ tenantId }) => tenantId), ...change.events.tenants]);
      const using = await tx
        .select({ id: credentials.id })
        .from(credentials)
        .where(
          and(
            eq(credentials.keyIdentity, old),
            eq(credentials.purpose, 'umbrella-api'),
            eq(credentials.state, 'active'),
          ),
        );
      const replaced = new Set(pairs.map(({ replaces }) => replaces));
      const same = using.length === replaced.size && using.every(({ id }) => replaced.has(id));
      if (!same || !(await confirm(tx, claim, 0, { allowedBy: [old], unused: [] }))) return 'changed';
      const { number, why } = change.rotation;
      for (const { tenantId, credential, consoleIdentity } of pairs) {
        const because = `rotation ${number}: ${toldTo(tenantId, why)}`;
        await addCredential(tx, tenantId, { ...credential, keyIdentity: fresh }, because);
        if (consoleIdentity !== undefined) {
          await tx.update(tenants).set({ consoleIdentity }).where(eq(tenants.id, tenantId));
        }
        await triggerTenant(tx, tenantId, 'Umbrella key rotated', true);
      }
      await tx.update(umbrellaKeys).set({ identity: fresh }).where(eq(umbrellaKeys.id, claim.keyId));
      await leave(tx, claim, { ...change, sealed: null });
      return 'switched';
    }),

  async release(claim, dueInMs) {
    await db
      .update(umbrellaKeys)
      .set({
        claimOwner: null,
        nextRunAt: sql`case when ${umbrellaKeys.requested} is null
          then now() + ${dueInMs} * interval '1 millisecond' else now() end`,
      })
      .where(isClaimed(claim));
  },
});

/** Asks for the rotation of the key that a tenant, which is locked, uses; the row's id, or why not. */
export async function requestKeyRotation(
  tx: Executor,
  tenantId: string,
  request: KeyRequest,
  scope: Scope | null,
): Promise<{ ok: true; keyId: string } | { ok: false; refusal: KeyRequestRefusal }> {
  const refuse = (refusal: KeyRequestRefusal) => ({ ok: false as const, refusal });
  const [held] = await tx
    .select({ identity: credentials.keyIdentity })
    .from(credentials)
    .where(
      and(
        eq(credentials.tenantId, tenantId),
        eq(credentials.purpose, 'umbrella-api'),
        eq(credentials.state, 'active'),
      ),
    );
  if (!held) return refuse({ because: 'no-key' });
  const { identity } = held;
  if (identity === null) return refuse({ because: 'not-identified' });
  const [row] = await tx.select().from(umbrellaKeys).where(eq(umbrellaKeys.identity, identity)).for('update');
  if (!row) return refuse({ because: 'not-identified' });
  const { rotation } = row;
  const live = rotation !== null && !isOver(rotation);
  if (live && (request.cause !== 'compromise' || rotation.cause === 'compromise')) {
    return refuse({ because: 'under-way', rotation });
  }
  const holders = (await holdersOf(tx, [toKey(row)])).get(row.id) ?? [];
  if (!holders.some(({ purpose, state }) => purpose === 'umbrella-key-admin' && state === 'active')) {
    return refuse({ because: 'no-key-admin' });
  }
  const hindered = holders.find(
    (user) =>
      user.purpose === 'umbrella-api' &&
      user.state === 'active' &&
      user.identity === identity &&
      whyHeld(user) !== null,
  );
  if (hindered) {
    const { tenantId: id, spec } = hindered;
    const isSeen = inScope(scope, { id, labels: spec.labels });
    const by = isSeen ? id : HIDDEN_TENANT;
    return refuse({ because: 'hindered', by, held: isSeen ? whyHeld(hindered) : null });
  }
  await tx
    .update(umbrellaKeys)
    .set({
      requested: request,
      // While it is claimed, the end of the claim stands there; whoever records then sees the request.
      nextRunAt: sql`case when ${umbrellaKeys.claimOwner} is null then now() else ${umbrellaKeys.nextRunAt} end`,
    })
    .where(eq(umbrellaKeys.id, row.id));
  return { ok: true, keyId: row.id };
}

/** How a snapshot finds the rotation of the key that a tenant uses. */
export const ROTATION_OF_TENANT = `
  select k.rotation from umbrella_keys as k join credentials as c on c.key_identity = k.identity
   where c.tenant_id = tenants.id and c.purpose = 'umbrella-api' and c.state = 'active'`;

/** The rotation of the key that a tenant uses: the one under way, or the last one. */
export async function umbrellaRotationOf(tx: Executor, tenantId: string): Promise<UmbrellaRotation | null> {
  const [row] = await tx
    .select({ rotation: umbrellaKeys.rotation })
    .from(umbrellaKeys)
    .innerJoin(credentials, eq(credentials.keyIdentity, umbrellaKeys.identity))
    .where(
      and(
        eq(credentials.tenantId, tenantId),
        eq(credentials.purpose, 'umbrella-api'),
        eq(credentials.state, 'active'),
      ),
    );
  return row?.rotation ?? null;
}

const isClaimed = ({ keyId, token, owner }: KeyClaim) =>
  and(eq(umbrellaKeys.id, keyId), eq(umbrellaKeys.claimToken, token), eq(umbrellaKeys.claimOwner, owner));

const lockClaimed = async (tx: Executor, claim: KeyClaim): Promise<boolean> =>
  (await tx.select({ id: umbrellaKeys.id }).from(umbrellaKeys).where(isClaimed(claim)).for('update'))
    .length === 1;

/**
 * What the last door asks, in one statement: the claim, what each tenant of the key allows, and that nobody uses
 * what is to go. A pair that nobody looked at yet may be of any key.
 */
async function confirm(
  tx: Executor,
  { keyId, token, owner }: KeyClaim,
  forMs: number,
  { allowedBy, unused }: KeyBounds,
): Promise<boolean> {
  const { rowCount } = await tx.execute(sql`
    update umbrella_keys
       set next_run_at = greatest(next_run_at, now() + ${forMs} * interval '1 millisecond')
     where id = ${keyId} and claim_token = ${token} and claim_owner = ${owner}
       and not exists (
         select from credentials join tenants on tenants.id = credentials.tenant_id
          where key_identity = any(${sql.param(allowedBy)}::text[]) and purpose = 'umbrella-api'
            and state = 'active'
            and ${HELD})
       and (cardinality(${sql.param(unused)}::text[]) = 0 or not exists (
         select from credentials
          where credentials.origin = umbrella_keys.origin and state = 'active'
            and purpose in ('umbrella-api', 'umbrella-key-admin')
            and (key_identity is null or key_identity = any(${sql.param(unused)}::text[]))))`);
  return rowCount === 1;
}

const keep = (tx: Executor, { keyId }: KeyClaim, rotation: UmbrellaRotation) =>
  tx.update(umbrellaKeys).set({ rotation, rotations: rotation.number }).where(eq(umbrellaKeys.id, keyId));

/** Writes what a step leaves behind; the row is locked. */
async function leave(
  tx: Executor,
  claim: KeyClaim,
  { rotation, sealed, events, intents: settled, answered, dead }: KeyChange,
): Promise<void> {
  const over = isOver(rotation);
  await keep(tx, claim, rotation);
  if (answered) {
    // Another may have been asked for since that one was read.
    await tx
      .update(umbrellaKeys)
      .set({ requested: null })
      .where(
        and(eq(umbrellaKeys.id, claim.keyId), sql`${umbrellaKeys.requested} = ${toJson(answered)}::jsonb`),
      );
  }
  if (sealed !== undefined || over) {
    if (sealed && !over) await requireKeyInUse(tx, sealed);
    await tx
      .update(umbrellaKeys)
      .set({ sealed: over ? null : (sealed ?? null) })
      .where(eq(umbrellaKeys.id, claim.keyId));
  }
  if (over) await remember(tx, claim, rotation);
  for (const { id, outcome, note } of settled) {
    await tx
      .update(intents)
      .set({ outcome, note, settledAt: outcome === 'unknown' ? null : sql`now()` })
      .where(and(eq(intents.id, id), isNull(intents.tenantId)));
  }
  const doomed = dead ? await supersededOf(tx, dead.identity) : [];
  const ids = [...events.tenants, ...doomed.map(({ tenantId }) => tenantId)];
  // A secret that was shown once waits for no tenant's row: only what changes one locks it.
  const there = events.wake || doomed.length > 0 ? await lockTenants(tx, ids) : await known(tx, ids);
  for (const { id, tenantId } of doomed) {
    await changeCredentials(tx, tenantId, [{ id, state: 'dead', because: dead!.because }]);
  }
  for (const id of there.filter((one) => events.tenants.includes(one))) {
    await addEvents(
      tx,
      id,
      events.events.map((event) => eventFor(id, event)),
    );
    if (events.wake) await triggerTenant(tx, id, 'Umbrella key rotation', false);
  }
}

/** What one of the tenants that share the key is told. */
function eventFor(tenant: string, { data, ...event }: NewEvent): NewEvent {
  const message = toldTo(tenant, event.message);
  if (!data) return { ...event, message };
  const { rotation, ...others } = data;
  const told = rotation ? { rotation: asToldTo(tenant, rotation as UmbrellaRotation) } : {};
  return { ...event, message, data: { ...others, ...told } };
}

/** Those of the tenants that are still there. */
async function known(tx: Executor, ids: string[]): Promise<string[]> {
  const rows = await tx.select({ id: tenants.id }).from(tenants).where(inArray(tenants.id, ids));
  return rows.map(({ id }) => id);
}

/** Rotations that are over, newest last. */
async function remember(tx: Executor, { keyId }: KeyClaim, rotation: UmbrellaRotation): Promise<void> {
  const [row] = await tx
    .select({ past: umbrellaKeys.past })
    .from(umbrellaKeys)
    .where(eq(umbrellaKeys.id, keyId));
  const others = (row?.past ?? []).filter(({ startedAt }) => startedAt !== rotation.startedAt);
  await tx
    .update(umbrellaKeys)
    .set({ past: [...others, rotation].slice(-PAST) })
    .where(eq(umbrellaKeys.id, keyId));
}

/** Pairs of a key that others took the place of, wherever they are held. */
const supersededOf = (tx: Executor, identity: string): Promise<{ id: string; tenantId: string }[]> =>
  tx
    .select({ id: credentials.id, tenantId: credentials.tenantId })
    .from(credentials)
    .where(
      and(
        eq(credentials.keyIdentity, identity),
        eq(credentials.purpose, 'umbrella-api'),
        eq(credentials.state, 'superseded'),
      ),
    );

const toKey = (row: typeof umbrellaKeys.$inferSelect): StoredUmbrellaKey => ({
  id: row.id,
  origin: row.origin,
  identity: row.identity,
  rotations: row.rotations,
  rotation: row.rotation,
  requested: row.requested,
  sealed: row.sealed,
  createdAt: iso(row.createdAt),
});

/**
 * Who uses or used a key of each row, by its id, what else of Umbrella's they hold, and who holds the key as KeyAdmin.
 */
async function holdersOf(
  tx: Executor,
  keys: readonly StoredUmbrellaKey[],
): Promise<Map<string, KeyHolder[]>> {
  const identities = keys.flatMap(({ id, identity, rotation }) =>
    [identity, rotation?.old.identity, rotation?.fresh?.identity].flatMap((one) =>
      one ? [{ id, identity: one }] : [],
    ),
  );
  const asked = sql`unnest(
    ${arrayLiteral(identities.map(({ id }) => id))}::text[],
    ${arrayLiteral(identities.map(({ identity }) => identity))}::text[]) as asked (key_id, identity)`;
  const ofKeys = tx
    .selectDistinct({ keyId: sql<string>`asked.key_id`.as('key_id'), tenantId: credentials.tenantId })
    .from(credentials)
    .innerJoin(asked, eq(credentials.keyIdentity, sql`asked.identity`))
    .as('of_keys');
  const rows = await tx
    .select({
      keyId: ofKeys.keyId,
      tenantId: tenants.id,
      spec: tenants.spec,
      deleting: tenants.deleting,
      pause: PAUSE,
      brake: BRAKE,
      credentialId: credentials.id,
      purpose: credentials.purpose,
      state: credentials.state,
      identity: credentials.keyIdentity,
      fingerprint: credentials.fingerprint,
      origin: credentials.origin,
      sealed: credentials.sealed,
      seen: sql<Parameters<typeof datedFact>[0] | null>`${statuses.facts} -> 'umbrellaKey'`,
      observedAt: statuses.observedAt,
      partsAt: statuses.partsAt,
    })
    .from(credentials)
    .innerJoin(ofKeys, eq(ofKeys.tenantId, credentials.tenantId))
    .innerJoin(tenants, eq(tenants.id, credentials.tenantId))
    .leftJoin(statuses, eq(statuses.tenantId, tenants.id))
    .where(
      and(
        inArray(credentials.purpose, [...PURPOSES]),
        inArray(credentials.state, ['active', 'superseded']),
        isNotNull(credentials.sealed),
      ),
    )
    .orderBy(asc(tenants.id), asc(credentials.id));
  const holders = new Map<string, KeyHolder[]>();
  for (const { keyId, seen, observedAt, partsAt, ...held } of rows) {
    const holder = {
      ...held,
      seen: seen && observedAt && partsAt && datedFact(seen, 'umbrellaKey', toSeen({ observedAt, partsAt })),
    } as KeyHolder;
    const ofKey = holders.get(keyId);
    if (ofKey) ofKey.push(holder);
    else holders.set(keyId, [holder]);
  }
  return holders;
}

async function anyUnidentified(tx: Executor, origin: string): Promise<boolean> {
  const rows = await tx
    .select({ id: credentials.id })
    .from(credentials)
    .where(
      and(
        eq(credentials.origin, origin),
        inArray(credentials.purpose, [...PURPOSES]),
        eq(credentials.state, 'active'),
        isNull(credentials.keyIdentity),
      ),
    )
    .limit(1);
  return rows.length > 0;
}

async function openIntentsOf(
  tx: Executor,
  keyId: string,
): Promise<{ id: string; key: string; openedAt: string }[]> {
  const rows = await tx
    .select()
    .from(intents)
    .where(
      and(
        isNull(intents.tenantId),
        sql`${intents.key} like ${`umbrella-key:${keyId}:%`}`,
        inArray(intents.outcome, ['open', 'unknown']),
      ),
    )
    .orderBy(asc(intents.openedAt));
  return rows.map(({ id, key, openedAt }) => ({ id, key, openedAt: iso(openedAt) }));
}
