import type { Caller } from '../domain/access.ts';
import { AUTOMATION } from '../domain/handoff.ts';
import type { TenantInput } from '../domain/tenant.ts';
import { conflict, done, invalid, noHandoff, noTenant, refused } from './answers.ts';
import { applyTenants, type ApplyOptions } from './apply.ts';
import { adoption } from './adopt.ts';
import { answerAutomation } from './automation.ts';
import {
  credentialViews,
  customerViews,
  planView,
  runDetail,
  rotationRecordView,
  statusView,
  tenantView,
} from './command-views.ts';
import { releaseBrake } from './brakes.ts';
import type { Answer, Commands, EventPage, EventView, Page, TenantView } from './commands.ts';
import { beingDeleted, deleteTenant, keepTenant } from './deletions.ts';
import { reconcileMany, rotateMany } from './bulk.ts';
import { listTenants } from './fleet.ts';
import { accept, acceptanceView, pause, resume, withdrawAcceptance } from './holds.ts';
import { keyAudit } from './key-audit.ts';
import type { EventFilter, EventLog } from './event-log.ts';
import type { Live } from './live.ts';
import type { Clock, Deliveries, Desk, Envelopes, Ids, TenantRecord, Vault } from './ports.ts';
import { reveal, rollback, rotate } from './rotations.ts';
import { rotateUmbrellaKey } from './umbrella-requests.ts';
import { handoffRefusal, replaceCredential, submitHandoff } from './submissions.ts';
import { tokenCommands } from './tokens.ts';

export interface CommandDeps {
  desk: Desk;
  vault: Vault;
  clock: Clock;
  ids: Ids;
  deliveries: Deliveries;
  envelopes: Envelopes;
  live: Live;
  /** Who asks; absent: Parasol itself. */
  caller?: Caller;
}

/** The use cases over the store and the vault. None of them calls a vendor: a run does, once it is triggered. */
export function createCommands(deps: CommandDeps): Commands {
  const { desk, clock, live, caller } = deps;
  const scope = caller?.scope ?? null;

  const view = async (id: string): Promise<Answer<TenantView>> => {
    const [found] = await desk.tenants([id]);
    return found ? done(tenantView(found)) : noTenant(id);
  };

  const writeOne = async (tenant: TenantInput, demand: ApplyOptions['demand']) => {
    const applied = await applyTenants(deps, [tenant], {
      dryRun: false,
      keepGoing: false,
      prune: null,
      at: (_, path) => path,
      demand,
    });
    return applied.ok ? view(tenant.id) : applied;
  };

  const shown = async <T>(id: string, show: (record: TenantRecord) => T): Promise<Answer<T>> => {
    const record = await desk.tenant(id);
    return record ? done(show(record)) : noTenant(id);
  };

  /** History outlives its tenant; only where there is none does it matter whether there is a tenant. */
  const history = async <T extends { items: unknown[] }>(id: string, page: T): Promise<Answer<T>> =>
    page.items.length > 0 || (await desk.tenants([id])).length > 0 ? done(page) : noTenant(id);

  return {
    as: (caller) => createCommands({ ...deps, caller, desk: desk.as(caller) }),

    apply: (tenants, { dryRun, keepGoing = false, prune = null }) =>
      applyTenants(deps, tenants, {
        dryRun,
        keepGoing,
        prune,
        at: (index, path) => `tenants.${index}.${path}`,
        demand: () => null,
      }),

    createTenant: (tenant) =>
      writeOne(tenant, (known) =>
        known
          ? conflict(`There is a tenant ${known.id} already: choose another id, or replace it.`).refusal
          : null,
      ),

    replaceTenant: (tenant, ifGeneration) =>
      writeOne(tenant, (known) => {
        if (!known) return noTenant(tenant.id).refusal;
        if (ifGeneration !== null && known.generation !== ifGeneration) {
          return { kind: 'stale', generation: known.generation };
        }
        return known.deleting ? conflict(beingDeleted(known.id)).refusal : null;
      }),

    deleteTenant: (id, request) => deleteTenant(desk, id, request),
    keepTenant: (id, asked) => keepTenant(desk, id, asked),

    tenant: view,

    async specs(page) {
      const { items, next } = await desk.specs(page);
      return { items: items.map(tenantView), next };
    },

    tenants: (query) => listTenants(deps, query),
    fleet: (labels) => desk.fleet(labels),
    reconcileMany: (request) => reconcileMany(deps, request),
    rotateMany: (request) => rotateMany(deps, request),

    status: (id) => shown(id, (record) => statusView(record, clock.now())),
    // Everybody's wait rests on the same reads, so that who may wait is asked apart.
    waitForStatus: async (id, wanted) =>
      (await desk.marks([id])).has(id) ? live.waits.wait(id, wanted) : noTenant(id),
    plan: (id) => shown(id, planView),
    adoption: (id) => adoption(desk, id),
    customers: (id) => shown(id, customerViews),

    async credentials(id) {
      const found = await desk.history(id);
      return found ? done(credentialViews(found)) : noTenant(id);
    },

    async reconcile(id, reason) {
      const trigger = await desk.trigger(id, reason === 'manual' ? reason : `manual: ${reason}`);
      return trigger === null ? noTenant(id) : done({ trigger });
    },

    fleetEvents: (page, filter) => fleetEvents(live.eventLog, page, { ...filter, scope }),
    followEvents: ({ after, filter }, listener) =>
      live.follower.follow({ after, filter: { ...filter, scope } }, listener),
    events: async (id, page) => history(id, await desk.events(id, page)),
    async run(id, run) {
      const found = await desk.run(id, run);
      return found
        ? done(runDetail(found))
        : refused({ kind: 'not-found', what: `${id} has no run ${run}, or none any more.` });
    },
    runs: async (id, page) => history(id, await desk.runs(id, page)),

    handoffs: (filter) => desk.handoffs(filter),

    async handoff(id) {
      const handoff = await desk.handoff(id);
      return handoff ? done(handoff) : noHandoff(id);
    },

    async claimHandoff(id, by) {
      if (by === AUTOMATION) return notAPerson();
      const claimed = await desk.claimHandoff(id, by);
      return claimed.ok ? done(claimed.handoff) : handoffRefusal(id, claimed.refusal);
    },

    async releaseHandoff(id, by) {
      if (by === AUTOMATION) return notAPerson();
      const released = await desk.releaseHandoff(id, by);
      return released.ok ? done(released.handoff) : handoffRefusal(id, released.refusal);
    },

    answerAutomation: (token, answer) => answerAutomation(deps, token, answer),

    rotate: (id, request) =>
      request.credential === 'umbrella-api'
        ? rotateUmbrellaKey(deps, id, request)
        : rotate(deps, id, request),
    rollback: (id, asked) => rollback(deps, id, asked),
    reveal: (id, asked) => reveal(deps, id, asked),

    brakes: () => desk.brakes(BRAKES_SHOWN),
    releaseBrake: (id, tenant, release) => releaseBrake(desk, id, tenant, release),

    async rotations(id) {
      const record = await desk.tenant(id);
      if (!record) return noTenant(id);
      const rotations = await desk.rotations(id);
      return done(rotations.map((rotation) => rotationRecordView(record, rotation)));
    },

    async audit(id) {
      const record = await desk.keyRecord(id);
      return record ? done(keyAudit(record, clock.now())) : noTenant(id);
    },

    ...tokenCommands(deps),
    auditLog: (page) => desk.auditLog(page),
    noteRefusal: (about, permission) => desk.noteRefusal(about, permission),

    submitHandoff: async (id, submission) =>
      submission.by === AUTOMATION ? notAPerson() : submitHandoff(deps, id, submission),
    pause: (id, asked) => pause(deps, id, asked),
    resume: (id, asked) => resume(deps, id, asked),
    accept: (id, asked) => accept(deps, id, asked),
    withdrawAcceptance: (id, asked) => withdrawAcceptance(deps, id, asked),

    async acceptances(id) {
      if ((await desk.tenants([id])).length === 0) return noTenant(id);
      return done((await desk.acceptances(id)).map(acceptanceView));
    },

    replaceCredential: (id, purpose, pair, member) => replaceCredential(deps, id, purpose, pair, member),
  };
}

/** Past ones beyond that are found in the events. */
const BRAKES_SHOWN = 50;

async function fleetEvents(
  eventLog: EventLog,
  page: EventPage,
  filter: EventFilter,
): Promise<Page<EventView>> {
  if ('before' in page) return eventLog.page(page, filter);
  const { events } = await eventLog.after(page.after, await eventLog.head(), filter, page.limit + 1);
  const items = events.slice(0, page.limit).map(({ event }) => event);
  return { items, next: events.length > page.limit ? (items.at(-1)?.id ?? null) : null };
}

const notAPerson = () =>
  invalid([{ path: 'by', message: 'is the name of the tenant’s automation: give a person’s' }]);
