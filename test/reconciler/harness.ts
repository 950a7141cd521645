import { createHash, randomBytes } from 'node:crypto';
import { pino } from 'pino';
import { afterAll, afterEach, beforeAll } from 'vitest';
import { ready, type Condition, type ConditionType, type Truth } from '../../src/domain/condition.ts';
import { HANDOFF_KINDS, type Handoff, type HandoffKind } from '../../src/domain/handoff.ts';
import { Secret, secretPair, type KeyPair } from '../../src/domain/secret.ts';
import { told } from '../../src/domain/told.ts';
import {
  automationOrigin,
  tenantSpecSchema,
  type Purpose,
  type TenantSpec,
} from '../../src/domain/tenant.ts';
import { createAutomationCalls, createVendors } from '../../src/providers/index.ts';
import { deliveryHandlers } from '../../src/reconciler/automation.ts';
import type { Answer, Commands } from '../../src/reconciler/commands.ts';
import { createCommands } from '../../src/reconciler/create-commands.ts';
import { createLive } from '../../src/reconciler/live.ts';
import { LOOP_DEFAULTS } from '../../src/reconciler/loop.ts';
import type { NewCredential, Result, Snapshot, TenantRecord, Vendors } from '../../src/reconciler/ports.ts';
import { reconcile, type ReconcileDeps, type ReconcileEnd } from '../../src/reconciler/reconcile.ts';
import { robotIdentity } from '../../src/simulator/index.ts';
import type {
  JournalEntry,
  KeyPair as SimulatedPair,
  ScenarioOptions,
  Simulator,
  Trouble,
} from '../../src/simulator/index.ts';
import { createStore, type Store } from '../../src/store/index.ts';
import { createEnvelopes, createVault } from '../../src/vault/index.ts';
import { TestClock, TestTimers } from '../providers/harness.ts';
import { start } from '../simulator/harness.ts';
import { createTestDatabase, type TestDatabase } from '../support/postgres.ts';
import { sealed } from './sealed.ts';
import { haveStandingClock, setStandingClock } from './standing-clock.ts';

export const log = pino({ level: 'silent' });

let database: TestDatabase;
let store: Store;
const open: Vendors[] = [];

/** Call once in a file: one cloned database for it, emptied between its tests. */
export function useStore(): void {
  beforeAll(async () => {
    database = await createTestDatabase();
    await haveStandingClock(database.url);
    store = createStore(database.url);
  });
  afterEach(async () => {
    await Promise.all(open.splice(0).map((vendors) => vendors.close()));
    await store.pool.query('truncate tenants, events cascade');
  });
  afterAll(async () => {
    await store.close();
    await database.drop();
  });
}

export type SpecChange = Partial<
  Record<'connectwise' | 'umbrella' | 'integration' | 'rotation' | 'handoffs', object>
> & {
  mode?: TenantSpec['mode'];
  paused?: boolean;
  every?: string;
  onDelete?: TenantSpec['onDelete'];
  labels?: TenantSpec['labels'];
};

export interface SceneOptions extends ScenarioOptions {
  spec?: SpecChange;
  /** Which of the company's credentials Parasol is given. Default: all of them. */
  given?: Purpose[];
  repairsPerHour?: number;
  /** All hand-offs are the simulated robot's. */
  robot?: boolean;
}

/** One tenant `acme` in the database and its company in the simulator, at one standing clock. */
export async function scene(trouble: Trouble, options: SceneOptions = {}) {
  const clock = new TestClock();
  const harness = await start(trouble, { ...options, simulator: { clock: () => clock.now() } });
  return new Scene(harness.simulator, harness.secrets, clock, options);
}

export class Scene {
  readonly simulator: Simulator;
  readonly clock: TestClock;
  readonly vault = createVault({ id: 'test', key: randomBytes(32) });
  readonly vendors: Vendors;
  readonly timers = new TestTimers();
  /** What each reconcile gave to be recorded, in order. */
  readonly results: Result[] = [];
  spec: TenantSpec;
  /** The part of the reconcile's world that a test may replace. */
  readonly deps: ReconcileDeps;
  readonly secrets: Awaited<ReturnType<typeof start>>['secrets'];
  readonly #options: SceneOptions;
  #ids = 0;

  constructor(
    simulator: Simulator,
    secrets: Awaited<ReturnType<typeof start>>['secrets'],
    clock: TestClock,
    options: SceneOptions,
  ) {
    this.simulator = simulator;
    this.clock = clock;
    this.secrets = secrets;
    this.#options = options;
    this.vendors = createVendors({
      clock,
      timers: this.timers,
      retries: { times: 0, firstDelayMs: 0 },
      breaker: { failures: 1_000, openMs: 0 },
    });
    open.push(this.vendors);
    this.spec = this.#specWith({
      ...(options.robot ? { handoffs: robotHandoffs(simulator) } : {}),
      ...options.spec,
    });
    this.deps = {
      reconciles: {
        ...store.reconciles,
        record: (claim, result) => {
          this.results.push(result);
          return store.reconciles.record(claim, result);
        },
      },
      claims: store.claims,
      vault: this.vault,
      vendors: this.vendors,
      clock,
      ids: { next: () => this.#nextId() },
      random: () => 0.5,
    };
  }

  get world(): Simulator['world'] {
    return this.simulator.world;
  }

  /** The database has the time of this clock whenever something is asked of it. */
  #atThisTime(): Promise<void> {
    return setStandingClock(store.pool, this.clock.now());
  }

  #nextId(): string {
    this.#ids += 1;
    return `0190-${createHash('sha256').update(this.simulator.controlUrl).digest('hex').slice(0, 8)}-${String(this.#ids).padStart(6, '0')}`;
  }

  #specWith(change: SpecChange): TenantSpec {
    const { connectwise, umbrella, ...rest } = change;
    return tenantSpecSchema.parse({
      id: 'acme',
      name: 'Acme',
      mode: 'repair',
      every: '15m',
      ...rest,
      connectwise: {
        site: this.simulator.connectwiseUrl,
        companyId: 'acme',
        clientId: '0a3e1f64-0000-4000-8000-000000000001',
        ...connectwise,
      },
      umbrella: {
        console: this.#options.console ?? 'msp',
        url: this.simulator.umbrellaUrl,
        ...umbrella,
      },
    });
  }

  /** Stores the tenant with the credentials that it is given. */
  async apply(): Promise<this> {
    await this.#atThisTime();
    const { managementKey, integrationKey, umbrellaApiKey, umbrellaKeyAdmin } = this.secrets;
    const noKey = this.world
      .listKeys('acme')
      .every(({ publicKey }) => publicKey !== integrationKey.publicKey);
    const known: Record<Purpose, KeyPair> = {
      management: pair(managementKey.publicKey, managementKey.privateKey),
      integration: pair(integrationKey.publicKey, integrationKey.privateKey),
      'umbrella-api': pair(umbrellaApiKey.key, umbrellaApiKey.secret),
      'umbrella-key-admin': pair(umbrellaKeyAdmin.key, umbrellaKeyAdmin.secret),
      automation: secretPair(robotIdentity().secret),
    };
    const neverMade =
      noKey && this.world.viewCompany('acme').members.every((m) => m.identifier !== 'umbrella-a');
    const given =
      this.#options.given ??
      (Object.keys(known) as Purpose[]).filter(
        (purpose) =>
          (purpose !== 'integration' || !neverMade) &&
          (purpose !== 'automation' || automationOrigin(this.spec) !== null),
      );
    const credentials = await Promise.all(
      given.map((purpose) =>
        this.#sealed(purpose, known[purpose], { member: purpose === 'integration' ? 'umbrella-a' : null }),
      ),
    );
    const applied = await store.desk.apply([
      { id: 'acme', expected: null, spec: this.spec, credentials, events: [], cause: 'apply' },
    ]);
    if (!applied.ok) throw new Error(applied.refusal.because);
    return this;
  }

  #sealed(purpose: Purpose, given: KeyPair, parts: Partial<NewCredential>): Promise<NewCredential> {
    return sealed(this.vault, this.spec, this.#nextId(), purpose, given, parts);
  }

  /** Another spec of the same tenant. */
  async change(change: SpecChange): Promise<void> {
    await this.#atThisTime();
    const { tenant } = await this.record();
    this.spec = this.#specWith({ ...this.#options.spec, ...change });
    const applied = await store.desk.apply([
      {
        id: 'acme',
        expected: tenant.generation,
        spec: this.spec,
        credentials: [],
        events: [],
        cause: 'apply',
      },
    ]);
    if (!applied.ok) throw new Error(applied.refusal.because);
  }

  /** Another secret signs from now on. */
  async replaceSecret(secret: string): Promise<void> {
    const given = await this.ask((commands) =>
      commands.replaceCredential('acme', 'automation', secretPair(secret), null),
    );
    if (!given.ok) throw new Error(JSON.stringify(given.refusal));
  }

  /** The private halves of every key that ConnectWise has, and of those that Parasol was given. */
  privateKeys(): string[] {
    const { managementKey, integrationKey } = this.secrets;
    const made = [...this.world.company('acme').keys.values()].map(({ privateKey }) => privateKey);
    return [managementKey.privateKey, integrationKey.privateKey, ...made];
  }

  /** Gives a pair to a hand-off, or outright as a candidate. */
  async submit(given: SimulatedPair, to: { handoffId?: string; member?: string } = {}): Promise<void> {
    await this.#atThisTime();
    const { publicKey, privateKey } = given;
    const member = to.member ?? 'umbrella-a';
    const candidate = await this.#sealed('integration', pair(publicKey, privateKey), {
      state: 'candidate',
      member,
      handoffId: to.handoffId ?? null,
    });
    if (to.handoffId === undefined) {
      await store.desk.addCredential('acme', candidate, { events: [], cause: 'credential' });
      return;
    }
    const submission = { by: 'ann', attested: false, candidate, events: [], cause: 'submit' };
    const done = await store.desk.submitHandoff(to.handoffId, submission);
    if (!done.ok) throw new Error(done.refusal.because);
  }

  /** Says that the work was done. */
  async tick(handoffId: string, attested = false): Promise<void> {
    await this.#atThisTime();
    const submission = { by: 'ann', attested, candidate: null, events: [], cause: 'submit' };
    const done = await store.desk.submitHandoff(handoffId, submission);
    if (!done.ok) throw new Error(done.refusal.because);
  }

  /** Reconciles, and again at once for as long as a rotation goes on, as the loop does. */
  async settle(): Promise<ReconcileEnd> {
    for (;;) {
      const ended = await this.reconcile();
      if (ended.end !== 'recorded' || !this.result.rotation || this.result.next.inMs > 0) return ended;
    }
  }

  /** One reconcile, now, whatever the schedule says. */
  async reconcile(
    limits: { callsMs?: number } = {},
    signal: AbortSignal = new AbortController().signal,
  ): Promise<ReconcileEnd> {
    await this.#atThisTime();
    await store.desk.trigger('acme', 'test');
    return this.#run(limits, signal);
  }

  /** The tenant's period passes, and its turn comes by the calendar: nobody asked for it. */
  async byCalendar(ms = 15 * 60_000): Promise<ReconcileEnd> {
    this.clock.advance(ms);
    await this.#atThisTime();
    await store.pool.query(`update tenants set next_run_at = now() where id = 'acme'`);
    return this.#run({}, new AbortController().signal);
  }

  async #run(limits: { callsMs?: number }, signal: AbortSignal): Promise<ReconcileEnd> {
    const [claimed] = await store.claims.take('test', 1, 30_000);
    if (!claimed) throw new Error('acme was not due');
    const repairsPerHour = this.#options.repairsPerHour ?? 60;
    return reconcile(
      this.deps,
      claimed,
      { ...LOOP_DEFAULTS, repairsPerHour, rotationsInFlight: 20, ...limits },
      signal,
    );
  }

  /** Lets something happen once, right before an intent is committed, or before the last door asks. */
  interfere(before: 'openIntent' | 'confirm' | 'record', what: () => Promise<unknown>): void {
    let happened = false;
    const once = async () => {
      if (happened) return;
      happened = true;
      await what();
    };
    const { reconciles, claims } = this.deps;
    const confirm: typeof claims.confirm = async (...asked) => {
      if (before === 'confirm') await once();
      return claims.confirm(...asked);
    };
    const openIntent: typeof reconciles.openIntent = async (...asked) => {
      if (before === 'openIntent') await once();
      return reconciles.openIntent(...asked);
    };
    const record: typeof reconciles.record = async (...asked) => {
      if (before === 'record') await once();
      return reconciles.record(...asked);
    };
    this.deps.claims = { ...claims, confirm };
    this.deps.reconciles = { ...reconciles, openIntent, record };
  }

  /** Another replica has the tenant from now on. */
  async takeAway(): Promise<void> {
    await store.pool.query(
      `update tenants set claim_owner = 'another', claim_token = claim_token + 1 where id = 'acme'`,
    );
  }

  /** The tenant's period passes, then it is reconciled until it rests. */
  async later(ms = 15 * 60_000): Promise<ReconcileEnd> {
    this.clock.advance(ms);
    return this.settle();
  }

  get commandDeps(): Parameters<typeof createCommands>[0] {
    const { clock, vault } = this;
    const { desk, deliveries } = store;
    const ids = { next: () => this.#nextId() };
    const live = createLive({ eventLog: store.eventLog, desk, clock, log });
    return { desk, deliveries, envelopes: createEnvelopes(), vault, clock, ids, live };
  }

  /** The use cases, at this time. */
  async ask<T>(what: (commands: Commands) => Promise<Answer<T>>): Promise<Answer<T>> {
    await this.#atThisTime();
    return what(createCommands(this.commandDeps));
  }

  /** What the queue would do now: each hand-off that is to be delivered, once; how it ended. */
  async deliver(publicUrl = 'http://127.0.0.1:1'): Promise<unknown[]> {
    await this.#atThisTime();
    const calls = createAutomationCalls();
    try {
      const { deliver } = deliveryHandlers({ ...this.commandDeps, calls, log, publicUrl });
      const ended: unknown[] = [];
      for (const { id, automation } of await this.liveHandoffs()) {
        if (automation?.state === 'delivering') ended.push(await deliver(id));
      }
      return ended;
    } finally {
      await calls.close();
    }
  }

  /** What the queue would do with all that failed for good, or as often as it may. */
  async bury(): Promise<void> {
    await this.#atThisTime();
    const calls = createAutomationCalls();
    const { bury } = deliveryHandlers({ ...this.commandDeps, calls, log, publicUrl: '' });
    for (const { id, automation } of await this.liveHandoffs()) {
      if (automation?.state === 'delivering') await bury(id);
    }
    await calls.close();
  }

  /** A pair of the simulator's, as Parasol would name it. */
  fingerprintOf({ publicKey, privateKey }: SimulatedPair): string {
    return this.vault.fingerprint(pair(publicKey, privateKey));
  }

  /** Whether ConnectWise lets the pair in that is typed into Umbrella now. */
  umbrellaWorks(): boolean {
    const { console, keys, members } = this.world.viewCompany('acme');
    const key = keys.find(({ publicKey }) => publicKey === console?.installedPublicKey);
    return members.some(({ identifier, inactiveFlag }) => identifier === key?.member && !inactiveFlag);
  }

  async record(): Promise<TenantRecord> {
    const record = await store.desk.tenant('acme');
    if (!record) throw new Error('there is no tenant acme');
    return record;
  }

  async snapshot(): Promise<Snapshot> {
    const snapshot = await store.reconciles.snapshot('acme');
    if (!snapshot) throw new Error('there is no tenant acme');
    return snapshot;
  }

  async condition(type: ConditionType): Promise<Pick<Condition, 'status' | 'reason' | 'message'>> {
    const { status } = await this.record();
    const found = status?.conditions.find((condition) => condition.type === type);
    if (!found) throw new Error(`there is no condition ${type}`);
    return { ...found, message: told(found.message, this.clock.now()) };
  }

  /** `False LevelsMissing` */
  async verdict(type: ConditionType): Promise<string> {
    const { status, reason } = await this.condition(type);
    return `${status} ${reason}`;
  }

  /** What the last reconcile gave to be recorded. */
  get result(): Result {
    const last = this.results.at(-1);
    if (!last) throw new Error('nothing was reconciled yet');
    return last;
  }

  /** A reconcile whose calls are given up as soon as the simulator holds them. */
  async reconcileWithoutAnswers(): Promise<ReconcileEnd> {
    const run = this.reconcile();
    const ended = run.then(
      () => true,
      () => true,
    );
    const held = async () => {
      if (await this.world.waitForHang(20)) this.timers.fire();
      return new Promise<boolean>((resolve) => setImmediate(resolve, false));
    };
    while (!(await Promise.race([ended, held()])));
    return run;
  }

  /** How many rows each table has that a run writes; who asked for it is in the audit. */
  async rows(): Promise<Record<string, number>> {
    const { rows } = await store.pool.query<{ name: string }>(
      `select tablename as name from pg_tables where schemaname = 'public' and tablename <> 'audit' order by 1`,
    );
    const counts = rows.map(async ({ name }): Promise<[string, number]> => {
      const counted = await store.pool.query<{ n: number }>(`select count(*)::int as n from ${name}`);
      return [name, counted.rows[0]!.n];
    });
    return Object.fromEntries(await Promise.all(counts));
  }

  /** Calls since an entry of the journal, as `GET /system/mySecurity`, in alphabetical order. */
  calls(since = 0): string[] {
    return this.world.journal
      .query({ since })
      .map(({ method, operation, path }) => `${method} ${operation ?? path}`)
      .toSorted();
  }

  /** What is told of the tenant, in words. */
  async told(): Promise<{ ready: Truth; not: string[]; drift: string[]; plan: string[] }> {
    const { status } = await this.record();
    if (!status) throw new Error('nothing was observed yet');
    const { conditions, drift, plan } = status;
    return {
      ready: ready(conditions),
      not: conditions
        .filter(({ type, status }) => status !== 'True' && type !== 'Braked' && type !== 'Paused')
        .map(({ type, status, reason }) => `${type} ${status} ${reason}`)
        .toSorted(),
      drift: drift.map(({ path, observed }) => `${path} is ${observed}`),
      plan: plan.steps.map(
        ({ action, state }) => `${state} ${action.kind === 'open-handoff' ? action.handoff : action.kind}`,
      ),
    };
  }

  /** The live hand-off of that kind. */
  async handoff(kind: HandoffKind): Promise<Handoff> {
    const found = (await this.liveHandoffs()).find((handoff) => handoff.kind === kind);
    if (!found) throw new Error(`no ${kind} is live`);
    return found;
  }

  async liveHandoffs(): Promise<Handoff[]> {
    return store.desk.handoffs({ tenant: 'acme', live: true });
  }

  async allHandoffs(): Promise<Handoff[]> {
    return store.desk.handoffs({ tenant: 'acme', live: false });
  }

  async events(): Promise<string[]> {
    const { items } = await store.desk.events('acme', { before: null, limit: 200 });
    return items.map(({ type, message }) => `${type}: ${message}`);
  }

  async fingerprints(state: string): Promise<string[]> {
    const { credentials } = await this.record();
    return credentials
      .filter((held) => held.purpose === 'integration' && held.state === state)
      .map(({ fingerprint }) => fingerprint);
  }

  /** When each vendor's pairs in use were last seen to work. */
  async provedAt(): Promise<Record<string, (string | null)[]>> {
    const { credentials } = await this.record();
    const byVendor = Object.groupBy(credentials, ({ purpose }) =>
      purpose.startsWith('umbrella') ? 'umbrella' : 'connectwise',
    );
    return Object.fromEntries(
      Object.entries(byVendor).map(([vendor, held]) => [
        vendor,
        held.map(({ lastProvedAt }) => lastProvedAt),
      ]),
    );
  }

  /** Writes that reached the vendors, as `POST /system/apiMembers`. */
  writes(): string[] {
    return this.writeCalls().map(({ method, operation, path }) => `${method} ${operation ?? path}`);
  }

  writeCalls(): JournalEntry[] {
    return this.world.journal.query({ writes: true });
  }

  get store(): Store {
    return store;
  }
}

const robotHandoffs = ({ robotUrl }: Simulator) =>
  Object.fromEntries(
    HANDOFF_KINDS.map((kind) => [
      kind,
      { webhook: `${robotUrl}/work`, publicKey: robotIdentity().publicKey },
    ]),
  );

export function pair(publicHalf: string, privateHalf: string): KeyPair {
  return { publicHalf, privateHalf: new Secret(privateHalf) };
}
