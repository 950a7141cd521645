import { and, asc, eq, inArray, ne, or, sql } from 'drizzle-orm';
import { isInFlight } from '../domain/deletion.ts';
import { AUTOMATION, isLive, type Handoff } from '../domain/handoff.ts';
import { companyIdentity, type TenantSpec } from '../domain/tenant.ts';
import { isOver as isUmbrellaOver } from '../domain/umbrella-rotation.ts';
import { changedValues } from '../domain/spec-diff.ts';
import { HIDDEN_TENANT, type Caller } from '../domain/access.ts';
import type {
  ApplyRefusal,
  DeletionRequest,
  DeletionWrite,
  Desk,
  HandoffRefusal,
  NewCredential,
  TenantWrite,
} from '../reconciler/ports.ts';
import { accept, acceptancesOf, withdrawAcceptance } from './acceptances.ts';
import { addAudit, addAudits, noteRefusal, pageOfAudit } from './audit.ts';
import { listBrakes, releaseBrake } from './brake-desk.ts';
import { addCredential, addCredentials, credentialsOf, toCredential, toRecord } from './credentials.ts';
import type { Database, Executor } from './database.ts';
import { StoreError, toStoreError } from './database.ts';
import { placeEvents } from './event-log.ts';
import { addEvents, addEventsOf, events as eventRows, keyEvents, pageOfEvents } from './events.ts';
import { automationNow, destroyAnswerKey, handoffs, listHandoffs, toHandoff, toPeople } from './handoffs.ts';
import { bulk } from './bulk.ts';
import { countFleet } from './fleet-count.ts';
import { listSpecs, type ToList } from './listings.ts';
import { ownedObjects, toOwned } from './owned.ts';
import { keepRotation, liveRotation, rotations, rotationsOf } from './rotations.ts';
import { findingsAt } from './run-findings.ts';
import { pageOfRuns, runOf, runs } from './runs.ts';
import { pageOfSpecs, withCredentials } from './specs.ts';
import { statuses, toStatus } from './statuses.ts';
import { pageOfTenants } from './tenant-pages.ts';
import { tenantColumns, tenants, toTenant } from './tenants.ts';
import { pauseTenant, resumeTenant } from './pauses.ts';
import { tokenDesk } from './tokens.ts';
import { triggerTenant } from './trigger.ts';
import type { RecordOf } from './tenant-record.ts';
import { requestKeyRotation, umbrellaRotationOf } from './umbrella-keys.ts';
import { visibleTo } from './visible.ts';

const ONE_SNAPSHOT = { isolationLevel: 'repeatable read', accessMode: 'read only' } as const;

/** The desk of one who asks; `as` is the store's, which wraps what is thrown. */
export const createDesk = (db: Database, caller: Caller, recordOf: RecordOf): Omit<Desk, 'as'> => ({
  async apply(writes, deletions = []) {
    // In the order of their ids, as whoever locks several tenants does: two such never wait for each other.
    const ordered = [...writes, ...deletions].toSorted((a, b) => (a.id < b.id ? -1 : 1));
    let current: TenantWrite | undefined;
    try {
      return await db.transaction(async (tx) => {
        const applied = [];
        for (const step of ordered) {
          if ('request' in step) {
            const asked = await deleteOne(tx, caller, step);
            if (!asked.ok) throw new Refused(staleDeletion(step.id, asked));
          } else {
            current = step;
            applied.push({ step, ...(await applyOne(tx, caller, step)) });
          }
        }
        // What is only added needs no order: of a whole fleet it goes by the hundred.
        await addEventsOf(
          tx,
          applied.flatMap(({ id: tenantId, step }) => step.events.map((event) => ({ tenantId, ...event }))),
        );
        await addAudits(
          tx,
          caller,
          applied.map(({ entry }) => entry),
        );
        await listSpecs(
          tx,
          applied.map(({ listed }) => listed),
        );
        return {
          ok: true,
          tenants: applied.map(({ id, generation, trigger }) => ({ id, generation, trigger })),
        };
      });
    } catch (error) {
      if (error instanceof Refused) return { ok: false, refusal: error.refusal };
      const taken = takenIdentity(error);
      if (!taken || !current) throw error;
      return {
        ok: false,
        refusal: { because: taken, id: current.id, by: await holderOf(db, caller, taken, current, writes) },
      };
    }
  },

  requestDelete: (id, request, events, cause) =>
    db.transaction((tx) => deleteOne(tx, caller, { id, request, events, cause })),

  async owned(id) {
    const rows = await db
      .select()
      .from(ownedObjects)
      .where(and(eq(ownedObjects.tenantId, id), visibleTo(caller.scope, ownedObjects.tenantId)))
      .orderBy(asc(ownedObjects.kind), asc(ownedObjects.name));
    return rows.map(toOwned);
  },

  takeDeletionBack: (id, { by, reason }, events, cause) =>
    db.transaction(async (tx) => {
      const row = await lockTenant(tx, id, caller);
      if (!row) return { ok: false, because: 'not-found' };
      if (!row.deleting) return { ok: false, because: 'not-deleting' };
      await tx
        .update(tenants)
        .set({
          deleting: false,
          deletion: null,
          // What a run that is under way decided on is no more: the last door lets out nothing of it.
          generation: sql`${tenants.generation} + 1`,
          updatedAt: sql`now()`,
        })
        .where(eq(tenants.id, id));
      await addEvents(tx, id, events);
      await addAudit(tx, caller, {
        action: 'tenant.undelete',
        tenantId: id,
        reason,
        before: { deleting: true },
        after: { deleting: false, by },
      });
      return { ok: true, trigger: await triggerLocked(tx, id, cause, true) };
    }),

  pause: (id, pause, events, cause) =>
    db.transaction(async (tx) => {
      if (!(await lockTenant(tx, id, caller))) return { ok: false, because: 'not-found' };
      await pauseTenant(tx, caller, id, pause);
      await addEvents(tx, id, events);
      return { ok: true, trigger: await triggerLocked(tx, id, cause, false) };
    }),

  resume: (id, asked, events, cause) =>
    db.transaction(async (tx) => {
      if (!(await lockTenant(tx, id, caller))) return { ok: false, because: 'not-found' };
      if (!(await resumeTenant(tx, caller, id, asked))) return { ok: false, because: 'not-paused' };
      await addEvents(tx, id, events);
      return { ok: true, trigger: await triggerLocked(tx, id, cause, false) };
    }),

  accept: (id, acceptance, events, cause) =>
    db.transaction(async (tx) => {
      if (!(await lockTenant(tx, id, caller))) return { ok: false, because: 'not-found' };
      if (!(await accept(tx, caller, id, acceptance))) return { ok: false, because: 'changed' };
      await addEvents(tx, id, events);
      return { ok: true, trigger: await triggerLocked(tx, id, cause, false) };
    }),

  withdrawAcceptance: (id, asked, events, cause) =>
    db.transaction(async (tx) => {
      if (!(await lockTenant(tx, id, caller))) return { ok: false, because: 'not-found' };
      if (!(await withdrawAcceptance(tx, caller, id, asked))) return { ok: false, because: 'none' };
      await addEvents(tx, id, events);
      return { ok: true, trigger: await triggerLocked(tx, id, cause, false) };
    }),

  acceptances: (id) => acceptancesOf(db, id),

  trigger: (id, cause) =>
    db.transaction(async (tx) => {
      if (!(await lockTenant(tx, id, caller))) return null;
      await addAudit(tx, caller, { action: 'tenant.reconcile', tenantId: id, reason: cause });
      return triggerLocked(tx, id, cause, false);
    }),

  async addCredential(tenantId, credential, { consoleIdentity, events, cause }) {
    try {
      return await db.transaction(async (tx) => {
        const row = await lockTenant(tx, tenantId, caller);
        if (!row) return { ok: false, because: 'not-found' };
        if (row.deleting) return { ok: false, because: 'deleting' };
        if (consoleIdentity !== undefined) {
          await tx.update(tenants).set({ consoleIdentity }).where(eq(tenants.id, tenantId));
        }
        const replaced = await activePair(tx, tenantId, credential.purpose);
        await addCredential(tx, tenantId, credential, cause);
        await addEvents(tx, tenantId, events);
        await addAudit(tx, caller, {
          action: 'credential.replace',
          tenantId,
          subject: credential.purpose,
          before: replaced,
          after: toldPair(credential),
        });
        return { ok: true, trigger: await triggerLocked(tx, tenantId, cause, true) };
      });
    } catch (error) {
      if (takenIdentity(error) !== 'console-taken' || !consoleIdentity) throw error;
      return {
        ok: false,
        because: 'console-taken',
        by: await consoleHolder(db, caller, consoleIdentity, tenantId),
      };
    }
  },

  tenant: (id) => recordOf(id, caller.scope),

  async marks(ids) {
    const { generation, deleting, triggerSeq, handledSeq } = tenants;
    const rows = await db
      .select({
        id: tenants.id,
        mark: sql<string>`concat_ws(' ', ${generation}, ${deleting}, ${triggerSeq}, ${handledSeq}, ${statuses.observedAt})`,
      })
      .from(tenants)
      .leftJoin(statuses, eq(statuses.tenantId, tenants.id))
      .where(and(inArray(tenants.id, ids), visibleTo(caller.scope)));
    return new Map(rows.map(({ id, mark }) => [id, mark]));
  },

  tenants: (ids) =>
    db.transaction(async (tx) => {
      if (ids.length === 0) return [];
      const rows = await tx
        .select(tenantColumns)
        .from(tenants)
        .where(and(inArray(tenants.id, ids), visibleTo(caller.scope)))
        .orderBy(asc(tenants.id));
      return withCredentials(tx, rows);
    }, ONE_SNAPSHOT),

  specs: (page) => pageOfSpecs(db, page, caller.scope),

  holders: ({ companies, consoles }) =>
    db
      .select({ id: nameFor(caller), company: tenants.companyIdentity, console: tenants.consoleIdentity })
      .from(tenants)
      .where(or(inArray(tenants.companyIdentity, companies), inArray(tenants.consoleIdentity, consoles)))
      .orderBy(asc(tenants.id)),

  page: (page) => pageOfTenants(db, page, caller.scope),
  bulk: (order, decide, confirmed) => db.transaction((tx) => bulk(tx, caller, order, decide, confirmed)),
  fleet: (labels) => countFleet(db, labels, caller.scope),

  async keyRecord(id) {
    // Outside the snapshot, which is read only; what comes later is of the next reading.
    await placeEvents(db.$client);
    return db.transaction(async (tx) => {
      const [row] = await tx
        .select({ tenants: tenantColumns, statuses })
        .from(tenants)
        .leftJoin(statuses, eq(statuses.tenantId, tenants.id))
        .where(and(eq(tenants.id, id), visibleTo(caller.scope)));
      if (!row) return null;
      return {
        tenant: toTenant(row.tenants),
        status: row.statuses && toStatus(row.statuses),
        credentials: (await credentialsOf(tx, id)).map(toRecord),
        rotations: await rotationsOf(tx, id),
        umbrellaRotation: await umbrellaRotationOf(tx, id),
        handoffs: await listHandoffs(tx, { tenant: id, live: false }),
        events: await keyEvents(tx, id),
      };
    }, ONE_SNAPSHOT);
  },

  history: (id) =>
    db.transaction(async (tx) => {
      const [row] = await tx
        .select(tenantColumns)
        .from(tenants)
        .where(and(eq(tenants.id, id), visibleTo(caller.scope)));
      return row ? { tenant: toTenant(row), credentials: (await credentialsOf(tx, id)).map(toRecord) } : null;
    }, ONE_SNAPSHOT),

  async events(tenantId, page) {
    await placeEvents(db.$client);
    return pageOfEvents(db, tenantId, page, visibleTo(caller.scope, eventRows.tenantId));
  },
  run: (tenantId, id) =>
    db.transaction(async (tx) => {
      const run = await runOf(tx, tenantId, id, visibleTo(caller.scope, runs.tenantId));
      return run && { run, saw: await findingsAt(tx, tenantId, id) };
    }, ONE_SNAPSHOT),
  runs: (tenantId, page) => pageOfRuns(db, tenantId, page, visibleTo(caller.scope, runs.tenantId)),
  handoffs: (filter) => listHandoffs(db, filter, visibleTo(caller.scope, handoffs.tenantId)),

  async handoff(id) {
    const [row] = await db
      .select()
      .from(handoffs)
      .where(and(eq(handoffs.id, id), visibleTo(caller.scope, handoffs.tenantId)));
    return row ? toHandoff(row) : null;
  },

  claimHandoff: (id, by) =>
    db.transaction(async (tx) => {
      const handoff = await lockHandoff(tx, id, caller);
      if (!handoff) return refuse({ because: 'not-found' });
      if (handoff.state === 'claimed') {
        return handoff.claimedBy === by
          ? { ok: true, handoff }
          : refuse({ because: 'claimed-by-other', handoff });
      }
      if (handoff.state !== 'open') return refuse({ because: 'state', handoff });
      const changed = await changeHandoff(tx, id, { state: 'claimed', claimedBy: by, claimedAt: sql`now()` });
      await addEvents(tx, handoff.tenantId, [
        {
          type: 'HandoffClaimed',
          message: `${by} claimed: ${handoff.content.title}`,
          data: { handoff: id, by },
        },
      ]);
      await addAudit(tx, caller, handoffEntry('handoff.claim', handoff, changed));
      return { ok: true, handoff: changed };
    }),

  releaseHandoff: (id, by) =>
    db.transaction(async (tx) => {
      const handoff = await lockHandoff(tx, id, caller);
      if (!handoff) return refuse({ because: 'not-found' });
      if (handoff.state !== 'claimed') return refuse({ because: 'state', handoff });
      if (handoff.claimedBy === AUTOMATION) {
        await toPeople(tx, handoff, `${by} took it back`);
        const taken = (await lockHandoff(tx, id, caller)) ?? handoff;
        await addAudit(tx, caller, handoffEntry('handoff.release', handoff, taken));
        return { ok: true, handoff: taken };
      }
      if (handoff.claimedBy !== by) return refuse({ because: 'claimed-by-other', handoff });
      const changed = await changeHandoff(tx, id, { state: 'open', claimedBy: null, claimedAt: null });
      await addEvents(tx, handoff.tenantId, [
        {
          type: 'HandoffReleased',
          message: `${by} gave back: ${handoff.content.title}`,
          data: { handoff: id, by },
        },
      ]);
      await addAudit(tx, caller, handoffEntry('handoff.release', handoff, changed));
      return { ok: true, handoff: changed };
    }),

  reveal: (id, { by, reason }, events, cause) =>
    db.transaction(async (tx) => {
      const handoff = await lockHandoff(tx, id, caller);
      if (!handoff) return { ok: false, because: 'not-found' };
      // What left for an automation was encrypted to it: the person who does the work instead may see it, once.
      if (handoff.revealedAt !== null && handoff.revealedTo !== AUTOMATION) {
        return { ok: false, because: 'shown', to: handoff.revealedTo ?? 'somebody', at: handoff.revealedAt };
      }
      if (!isLive(handoff) || handoff.claimedBy !== by) return { ok: false, because: 'not-claimed' };
      const held = await credentialsOf(tx, handoff.tenantId);
      const found = held.find(
        ({ fingerprint, state, purpose }) =>
          purpose === 'integration' &&
          fingerprint === handoff.subject &&
          state !== 'dead' &&
          state !== 'refused',
      );
      const sealed = found?.sealed;
      if (!found || !sealed) return { ok: false, because: 'not-held' };
      const shown = await changeHandoff(tx, id, {
        revealedAt: sql`coalesce(${handoffs.revealedAt}, now())`,
        revealedTo: by,
      });
      await addEvents(tx, handoff.tenantId, events);
      await addAudit(tx, caller, {
        action: 'handoff.reveal',
        tenantId: handoff.tenantId,
        subject: id,
        reason,
        after: { shownTo: by, fingerprint: found.fingerprint, member: found.member },
      });
      await triggerLocked(tx, handoff.tenantId, cause, true);
      return { ok: true, handoff: shown, credential: toCredential(found), sealed };
    }),

  requestRotation: (rotation, events, cause) =>
    db.transaction(async (tx) => {
      const { tenantId } = rotation;
      if (!(await lockTenant(tx, tenantId, caller))) return { ok: false, because: 'not-found' };
      const live = await liveRotation(tx, tenantId);
      if (live) return { ok: false, because: 'live', rotation: live };
      await keepRotation(tx, rotation, null);
      await addEvents(tx, tenantId, events);
      const { id: subject, reason, by, cause: why, cutNow } = rotation;
      const after = { by, cause: why, cutNow };
      await addAudit(tx, caller, { action: 'rotation.request', tenantId, subject, reason, after });
      return { ok: true, trigger: await triggerLocked(tx, tenantId, cause, true) };
    }),

  wishOfRotation: (tenantId, wish, events, cause) =>
    db.transaction(async (tx) => {
      if (!(await lockTenant(tx, tenantId, caller))) return { ok: false, because: 'not-found' };
      const live = await liveRotation(tx, tenantId);
      if (!live) return { ok: false, because: 'none' };
      await tx.update(rotations).set({ wish }).where(eq(rotations.id, live.id));
      await addEvents(tx, tenantId, events);
      await addAudit(tx, caller, {
        action: `rotation.${wish.kind}`,
        tenantId,
        subject: live.id,
        reason: wish.reason,
        before: { phase: live.phase, cause: live.cause, rollingBack: live.reversed },
        after: { by: wish.by, wish: wish.kind },
      });
      return { ok: true, rotation: live.id, trigger: await triggerLocked(tx, tenantId, cause, true) };
    }),

  requestKeyRotation: (tenantId, request, events, cause) =>
    db.transaction(async (tx) => {
      if (!(await lockTenant(tx, tenantId, caller))) return { ok: false, refusal: { because: 'not-found' } };
      const asked = await requestKeyRotation(tx, tenantId, request, caller.scope);
      if (!asked.ok) return asked;
      await addEvents(tx, tenantId, events);
      await addAudit(tx, caller, {
        action: 'umbrella-key.rotate',
        tenantId,
        subject: asked.keyId,
        reason: request.why,
        after: { by: request.by, cause: request.cause },
      });
      return { ok: true, rotation: asked.keyId, trigger: await triggerLocked(tx, tenantId, cause, true) };
    }),

  rotations: (tenantId) => rotationsOf(db, tenantId),
  ...tokenDesk(db, caller),
  auditLog: (page) => pageOfAudit(db, caller, page),

  async noteRefusal(about, permission) {
    const found =
      'tenant' in about
        ? sql`select id, null::text as subject from tenants where id = ${about.tenant}`
        : sql`select tenant_id as id, id as subject from handoffs where id = ${about.handoff}`;
    await noteRefusal(db, caller, found, permission);
  },

  // The fleet is nobody's who is bound to some of its tenants.
  brakes: async (limit) => (caller.scope === null ? listBrakes(db, limit) : []),
  releaseBrake: async (id, tenant, release) =>
    caller.scope === null
      ? db.transaction((tx) => releaseBrake(tx, caller, { id, tenant, ...release }))
      : { ok: false, because: 'no-brake' },

  submitHandoff: (id, { by, attested, candidate, events, cause }) =>
    db.transaction(async (tx) => {
      const handoff = await lockHandoff(tx, id, caller);
      if (!handoff) return refuse({ because: 'not-found' });
      if (!isLive(handoff)) return refuse({ because: 'state', handoff });
      const begun = handoff.automation?.state === 'delivering' || handoff.automation?.state === 'accepted';
      if (by === AUTOMATION && !begun) return refuse({ because: 'state', handoff });
      // A person vouches for what an automation did where nothing else shows it.
      const answered = handoff.claimedBy === AUTOMATION && handoff.automation?.state === 'answered';
      if (handoff.claimedBy !== null && handoff.claimedBy !== by && !answered) {
        return refuse({ because: 'claimed-by-other', handoff });
      }
      if (candidate) await addCredential(tx, handoff.tenantId, candidate, cause);
      const changed = await changeHandoff(tx, id, {
        state: 'submitted',
        submittedBy: by,
        submittedAt: sql`now()`,
        attested,
        // It told what the submission before this one lacked.
        evidence: null,
        ...(handoff.claimedBy === null ? { claimedBy: by, claimedAt: sql`now()` } : {}),
        ...(by === AUTOMATION ? { automation: automationNow('answered', null) } : {}),
      });
      if (by === AUTOMATION) await destroyAnswerKey(tx, id);
      await addEvents(tx, handoff.tenantId, events);
      const entry = handoffEntry('handoff.submit', handoff, changed);
      const pair = candidate && { pair: toldPair(candidate) };
      await addAudit(tx, caller, { ...entry, after: { ...entry.after, by, attested, ...pair } });
      return { ok: true, handoff: changed, trigger: await triggerLocked(tx, handoff.tenantId, cause, true) };
    }),
});

/** Rotations of a tenant's keys that have begun and not ended. */
async function rotationsInFlight(tx: Executor, id: string): Promise<DeletionRequest['rotations']> {
  const integration = await liveRotation(tx, id);
  const umbrella = await umbrellaRotationOf(tx, id);
  return {
    integration: isInFlight(integration) ? integration.id : null,
    umbrella: umbrella && !isUmbrellaOver(umbrella) ? umbrella.number : null,
  };
}

/** Ends a transaction with a refusal: what it wrote for other tenants is taken back. */
class Refused extends Error {
  readonly refusal: ApplyRefusal;
  constructor(refusal: ApplyRefusal) {
    super(refusal.because);
    this.refusal = refusal;
  }
}

const refuse = (refusal: HandoffRefusal) => ({ ok: false as const, refusal });

type AskedDeletion = Awaited<ReturnType<Desk['requestDelete']>>;

async function deleteOne(
  tx: Executor,
  caller: Caller,
  { id, request, events, cause }: DeletionWrite,
): Promise<AskedDeletion> {
  const row = await lockTenant(tx, id, caller);
  if (!row) return { ok: false, because: 'not-found' };
  if (request.generation !== null && row.generation !== request.generation) {
    return { ok: false, because: 'stale', generation: row.generation };
  }
  const { integration, umbrella } = request.rotations;
  const now = await rotationsInFlight(tx, id);
  if (now.integration !== integration || now.umbrella !== umbrella) {
    return { ok: false, because: 'rotations' };
  }
  const { by, reason, unseen } = request.deletion;
  await tx
    .update(tenants)
    .set({
      deleting: true,
      // Asked again, it is still as old as it was.
      deletion: sql`jsonb_build_object(
        'since', coalesce(${tenants.deletion} ->> 'since', to_char(now() at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')),
        'by', ${by}::text, 'reason', ${reason}::text, 'unseen', ${unseen}::boolean)`,
      updatedAt: sql`now()`,
    })
    .where(eq(tenants.id, id));
  await addEvents(tx, id, events);
  await addAudit(tx, caller, {
    action: 'tenant.delete',
    tenantId: id,
    reason,
    before: { deleting: row.deleting },
    after: { deleting: true, onDelete: row.spec.onDelete, by, unseen, rotations: now },
  });
  return { ok: true, trigger: await triggerLocked(tx, id, cause, true) };
}

/** A deletion that was decided on what is no more. */
const staleDeletion = (id: string, asked: AskedDeletion & { ok: false }): ApplyRefusal => ({
  because: 'stale',
  id,
  generation: asked.because === 'stale' ? asked.generation : null,
});

/** One tenant of a set, but for its events and its entry in the audit. */
async function applyOne(tx: Executor, caller: Caller, write: TenantWrite) {
  const { id, expected, spec } = write;
  const desired = {
    spec,
    companyIdentity: companyIdentity(spec),
    ...(write.consoleIdentity === undefined ? {} : { consoleIdentity: write.consoleIdentity }),
  };
  const row = await lockTenant(tx, id, caller);
  if ((row?.generation ?? null) !== expected) {
    throw new Refused({ because: 'stale', id, generation: row?.generation ?? null });
  }
  if (row?.deleting) throw new Refused({ because: 'deleting', id });
  const [written] = row
    ? await tx
        .update(tenants)
        .set({
          ...desired,
          generation: sql`${tenants.generation} + (${tenants.spec} is distinct from ${sql.param(spec, tenants.spec)})::int`,
          updatedAt: sql`now()`,
        })
        .where(eq(tenants.id, id))
        .returning({ generation: tenants.generation, updatedAt: tenants.updatedAt })
    : await tx
        .insert(tenants)
        .values({ id, ...desired })
        .onConflictDoNothing({ target: tenants.id })
        .returning({ generation: tenants.generation, updatedAt: tenants.updatedAt });
  if (!written) {
    // Inserted by somebody else since the row was looked for.
    const other = await lockTenant(tx, id, caller);
    throw new Refused({ because: 'stale', id, generation: other?.generation ?? null });
  }
  await addCredentials(tx, id, write.credentials, write.cause);
  const trigger = await triggerLocked(tx, id, write.cause, true);
  const { generation, updatedAt } = written;
  const listed: ToList = { spec, now: updatedAt, fresh: generation !== row?.generation };
  return { id, generation, trigger, listed, entry: specEntry(row?.spec ?? null, write) };
}

/** What a set of tenants changed of one: the settings that differ, and the pairs that came into use. */
function specEntry(known: TenantSpec | null, { id, spec, credentials: given }: TenantWrite) {
  const pairs = given.length > 0 ? { pairs: given.map(toldPair) } : {};
  if (!known) return { action: 'tenant.create', tenantId: id, after: { spec, ...pairs } };
  const changed = changedValues(known, spec);
  const side = (which: 'before' | 'after') =>
    Object.fromEntries(changed.map((one) => [one.path, one[which] ?? null]));
  return {
    action: 'tenant.replace',
    tenantId: id,
    before: { spec: side('before') },
    after: { spec: side('after'), ...pairs },
  };
}

/** A pair, as the audit tells it. */
const toldPair = ({ purpose, fingerprint, member, state, origin }: Omit<NewCredential, 'sealed'>) => ({
  purpose,
  fingerprint,
  member,
  state,
  origin,
});

async function activePair(tx: Executor, tenantId: string, purpose: NewCredential['purpose']) {
  const held = (await credentialsOf(tx, tenantId)).find(
    (one) => one.purpose === purpose && one.state === 'active',
  );
  return held ? { fingerprint: held.fingerprint, member: held.member, origin: held.origin } : null;
}

function handoffEntry(action: string, before: Handoff, after: Handoff) {
  const told = ({ kind, subject, state, claimedBy }: Handoff) => ({ kind, subject, state, claimedBy });
  return {
    action,
    tenantId: before.tenantId,
    subject: before.id,
    before: told(before),
    after: told(after),
  };
}

/** The row of a tenant, locked; null: there is none, or none for the caller. */
async function lockTenant(tx: Executor, id: string, caller: Caller | null = null) {
  const [row] = await tx
    .select({ generation: tenants.generation, deleting: tenants.deleting, spec: tenants.spec })
    .from(tenants)
    .where(and(eq(tenants.id, id), visibleTo(caller?.scope ?? null)))
    .for('update');
  return row ?? null;
}

export async function triggerLocked(
  tx: Executor,
  id: string,
  cause: string,
  resetBackoff: boolean,
): Promise<number> {
  const trigger = await triggerTenant(tx, id, cause, resetBackoff);
  if (trigger === null) throw new Error(`tenant ${id} went away under its own lock`);
  return trigger;
}

/** A hand-off, locked after its tenant: in the same order as a run that records. */
export async function lockHandoff(tx: Executor, id: string, caller: Caller | null = null) {
  const [known] = await tx.select({ tenantId: handoffs.tenantId }).from(handoffs).where(eq(handoffs.id, id));
  if (!known || !(await lockTenant(tx, known.tenantId, caller))) return null;
  const [row] = await tx.select().from(handoffs).where(eq(handoffs.id, id)).for('update');
  return row ? toHandoff(row) : null;
}

type HandoffPatch = Parameters<ReturnType<Executor['update']>['set']>[0];

async function changeHandoff(tx: Executor, id: string, patch: HandoffPatch) {
  const [row] = await tx.update(handoffs).set(patch).where(eq(handoffs.id, id)).returning();
  if (!row) throw new Error(`hand-off ${id} went away under its own lock`);
  return toHandoff(row);
}

function takenIdentity(error: unknown): 'company-taken' | 'console-taken' | null {
  const known = toStoreError(error);
  if (!(known instanceof StoreError)) return null;
  if (known.constraint === 'tenants_company_identity') return 'company-taken';
  if (known.constraint === 'tenants_console_identity') return 'console-taken';
  return null;
}

/** Who holds what `write` asked for: a tenant that is stored, or another of the same set. */
async function holderOf(
  db: Database,
  caller: Caller,
  taken: 'company-taken' | 'console-taken',
  write: TenantWrite,
  set: TenantWrite[],
): Promise<string | null> {
  const others = set.filter(({ id }) => id !== write.id);
  if (taken === 'console-taken') {
    const console = write.consoleIdentity;
    if (!console) return null;
    return (
      others.find(({ consoleIdentity }) => consoleIdentity === console)?.id ??
      (await consoleHolder(db, caller, console, write.id))
    );
  }
  const company = companyIdentity(write.spec);
  const inSet = others.find(({ spec }) => companyIdentity(spec) === company);
  if (inSet) return inSet.id;
  const [row] = await db
    .select({ id: nameFor(caller) })
    .from(tenants)
    .where(and(eq(tenants.companyIdentity, company), ne(tenants.id, write.id)));
  return row?.id ?? null;
}

/** A tenant's id, for who may see it. */
function nameFor({ scope }: Caller) {
  const visible = visibleTo(scope);
  return visible
    ? sql<string>`case when ${visible} then ${tenants.id} else ${HIDDEN_TENANT} end`
    : sql<string>`${tenants.id}`;
}

async function consoleHolder(
  db: Database,
  caller: Caller,
  console: string,
  butNot: string,
): Promise<string | null> {
  const [row] = await db
    .select({ id: nameFor(caller) })
    .from(tenants)
    .where(and(eq(tenants.consoleIdentity, console), ne(tenants.id, butNot)));
  return row?.id ?? null;
}
