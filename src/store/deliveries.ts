import { and, eq, sql } from 'drizzle-orm';
import type { HeldCredential } from '../domain/credential.ts';
import { whyHeld } from '../domain/ground.ts';
import { AUTOMATION, isLive, type Handoff } from '../domain/handoff.ts';
import { automationFor, inSlots } from '../domain/tenant.ts';
import type { Begun, Deliveries, NewEvent, SealedCredential } from '../reconciler/ports.ts';
import { credentialsOf, SIGNS_ON, toCredential } from './credentials.ts';
import type { Database, Executor } from './database.ts';
import { lockHandoff, triggerLocked } from './desk.ts';
import { addEvents } from './events.ts';
import { answerKeys, automationNow, handoffs, toHandoff, toPeople } from './handoffs.ts';
import { liveRotation } from './rotations.ts';
import { statuses } from './statuses.ts';
import { tenantColumns, tenants, toTenant } from './tenants.ts';
import { requireKeyInUse } from './vault-checks.ts';

const underWay = ({ automation }: Handoff): boolean =>
  automation?.state === 'delivering' || automation?.state === 'accepted';

const isWithAutomation = (handoff: Handoff): boolean =>
  handoff.state === 'claimed' && handoff.claimedBy === AUTOMATION && underWay(handoff);

export const createDeliveries = (db: Database): Deliveries => ({
  async read(handoffId) {
    const [row] = await db
      .select()
      .from(handoffs)
      .leftJoin(answerKeys, eq(answerKeys.id, handoffs.id))
      .where(eq(handoffs.id, handoffId));
    const handoff = row && toHandoff(row.handoffs);
    if (!handoff || !isWithAutomation(handoff) || handoff.automation?.state !== 'delivering') return null;
    return { handoff, hasAnswerKey: row.answer_keys !== null };
  },

  begin: (handoffId, answerKey) =>
    db.transaction(async (tx): Promise<Begun> => {
      const handoff = await lockHandoff(tx, handoffId);
      const automation = handoff?.automation;
      if (!handoff || !automation || !isWithAutomation(handoff) || automation.state !== 'delivering') {
        return { go: false, because: 'settled' };
      }
      const tenant = await tenantOf(tx, handoff.tenantId);
      const { spec } = tenant;
      if (automationFor(spec, handoff.kind)?.webhook !== automation.webhook) {
        await giveBack(tx, handoff, 'the spec no longer names its address');
        return { go: false, because: 'settled' };
      }
      const rotation = await liveRotation(tx, handoff.tenantId);
      // As before every effect: a mode, a pause or a rollback that came since holds it (rulings 13, 18).
      if (whyHeld(tenant) !== null || rotation?.wish) {
        return { go: false, because: 'held' };
      }
      const held = await credentialsOf(tx, handoff.tenantId);
      const signing = await signingSecrets(tx, handoff, held);
      if (signing.length === 0) {
        await giveBack(tx, handoff, 'there is no secret to sign with');
        return { go: false, because: 'settled' };
      }
      if (answerKey) {
        await requireKeyInUse(tx, answerKey.sealed);
        await tx
          .insert(answerKeys)
          .values({ id: handoffId, ...answerKey })
          .onConflictDoNothing({ target: answerKeys.id });
      }
      const [kept] = await tx.select().from(answerKeys).where(eq(answerKeys.id, handoffId));
      if (!kept?.sealed) return { go: false, because: 'settled' };
      const subject = held.flatMap(sealedOf).find(({ credential }) => isSubject(handoff, credential));
      if (handoff.kind === 'install-integration-key' && !subject) {
        await giveBack(tx, handoff, 'Parasol does not hold that pair any more');
        return { go: false, because: 'settled' };
      }
      const begun = await leaves(tx, handoff);
      return {
        go: true,
        departure: {
          handoff: begun,
          spec,
          signing,
          answerKey: kept.sealed,
          subject: subject ?? null,
        },
      };
    }),

  accepted: (handoffId) =>
    db.transaction(async (tx) => {
      const handoff = await lockHandoff(tx, handoffId);
      if (!handoff || !isWithAutomation(handoff) || handoff.automation?.state !== 'delivering') return;
      await tx
        .update(handoffs)
        .set({ automation: automationNow('accepted', null) })
        .where(eq(handoffs.id, handoffId));
      await addEvents(tx, handoff.tenantId, [
        {
          type: 'AutomationAccepted',
          message: `The automation took it, and answers by ${handoff.deadline}: ${handoff.content.title}`,
          data: { handoff: handoffId, kind: handoff.kind },
        },
      ]);
    }),

  async attemptFailed(handoffId, why) {
    await db
      .update(handoffs)
      .set({ automation: sql`${handoffs.automation} || jsonb_build_object('error', ${why}::text)` })
      .where(and(eq(handoffs.id, handoffId), sql`${handoffs.automation} ->> 'state' = 'delivering'`));
  },

  toPeople: (handoffId, why) =>
    db.transaction(async (tx) => {
      const handoff = await lockHandoff(tx, handoffId);
      if (handoff && isWithAutomation(handoff)) await giveBack(tx, handoff, why);
    }),

  async answerable(tokenHash, now) {
    const [row] = await db
      .select()
      .from(answerKeys)
      .innerJoin(handoffs, eq(handoffs.id, answerKeys.id))
      .where(eq(answerKeys.tokenHash, tokenHash));
    if (!row) return { ok: false, because: 'unknown' };
    const handoff = toHandoff(row.handoffs);
    const { sealed } = row.answer_keys;
    if (handoff.automation?.state === 'answered') return { ok: false, because: 'answered' };
    const late = !isLive(handoff) || !underWay(handoff) || Date.parse(handoff.deadline) < now.getTime();
    if (late || sealed === null) return { ok: false, because: 'late' };
    return { ok: true, handoff, answerKey: sealed };
  },
});

/** The work goes to people, and the run that follows says so. */
async function giveBack(tx: Executor, handoff: Handoff, why: string): Promise<void> {
  await toPeople(tx, handoff, why);
  await triggerLocked(tx, handoff.tenantId, `automation failed: ${handoff.kind}`, false);
}

/** The attempt is counted; the pair of an install may be in Umbrella from now on (rulings 17). */
async function leaves(tx: Executor, handoff: Handoff): Promise<Handoff> {
  const install = handoff.kind === 'install-integration-key';
  const [row] = await tx
    .update(handoffs)
    .set({
      automation: sql`${handoffs.automation} || jsonb_build_object('attempts', (${handoffs.automation} ->> 'attempts')::int + 1)`,
      ...(install
        ? {
            revealedAt: sql`coalesce(${handoffs.revealedAt}, now())`,
            revealedTo: sql`coalesce(${handoffs.revealedTo}, ${AUTOMATION})`,
          }
        : {}),
    })
    .where(eq(handoffs.id, handoff.id))
    .returning();
  if (!row) throw new Error(`hand-off ${handoff.id} went away under its own lock`);
  if (install && handoff.revealedAt === null) {
    await addEvents(tx, handoff.tenantId, [sentEvent(handoff)]);
    await triggerLocked(tx, handoff.tenantId, 'pair sent to the automation', true);
  }
  return toHandoff(row);
}

const sentEvent = ({ id, subject, automation }: Handoff): NewEvent => ({
  type: 'SecretSent',
  message: `The pair ${subject} leaves for the automation at ${automation?.webhook}, encrypted to its key.`,
  data: { handoff: id, fingerprint: subject, webhook: automation?.webhook },
});

async function tenantOf(tx: Executor, id: string) {
  const [row] = await tx
    .select({ tenant: tenantColumns, memory: statuses.memory })
    .from(tenants)
    .leftJoin(statuses, eq(statuses.tenantId, tenants.id))
    .where(eq(tenants.id, id));
  if (!row) throw new Error(`tenant ${id} went away under its own lock`);
  const tenant = toTenant(row.tenant);
  return { ...tenant, spec: inSlots(tenant.spec, row.memory?.slots) };
}

type Row = Awaited<ReturnType<typeof credentialsOf>>[number];

const sealedOf = (row: Row): SealedCredential[] =>
  row.sealed === null ? [] : [{ credential: toCredential(row), sealed: row.sealed }];

/** The pair that a hand-off is about: Umbrella's, or Parasol's own where that one is to be deleted. */
const isSubject = ({ kind, subject }: Handoff, { purpose, fingerprint, state }: HeldCredential): boolean =>
  fingerprint === subject &&
  state !== 'dead' &&
  (purpose === 'integration' || (purpose === 'management' && kind === 'delete-key'));

/** Only secrets that were given for the address that this goes to (rulings 11). */
async function signingSecrets(tx: Executor, handoff: Handoff, held: Row[]): Promise<SealedCredential[]> {
  const { origin } = new URL(handoff.automation?.webhook ?? '');
  const [clock] = (await tx.execute<{ since: Date }>(sql`select now() - ${SIGNS_ON} as since`)).rows;
  const since = new Date(clock?.since ?? 0);
  return held
    .filter(
      (row) =>
        row.purpose === 'automation' &&
        row.origin === origin &&
        (row.state === 'active' || (row.state === 'superseded' && row.stateSince > since)),
    )
    .toSorted((a, b) => Number(b.state === 'active') - Number(a.state === 'active'))
    .flatMap(sealedOf);
}
