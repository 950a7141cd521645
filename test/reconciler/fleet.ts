import { randomBytes } from 'node:crypto';
import { v7 as uuidV7 } from 'uuid';
import type { BrakeBounds } from '../../src/domain/brake.ts';
import { tenantSpecSchema, type Purpose, type TenantSpec } from '../../src/domain/tenant.ts';
import { createVendors } from '../../src/providers/index.ts';
import { createCommands } from '../../src/reconciler/create-commands.ts';
import type { Commands, StatusView } from '../../src/reconciler/commands.ts';
import { createLive } from '../../src/reconciler/live.ts';
import { LOOP_DEFAULTS } from '../../src/reconciler/loop.ts';
import type { ClaimedTenant, NewEvent, Vendors } from '../../src/reconciler/ports.ts';
import { reconcile, type ReconcileDeps } from '../../src/reconciler/reconcile.ts';
import { scenarioSecrets, seedMany, startSimulator, type Simulator } from '../../src/simulator/index.ts';
import { createStore, type Store } from '../../src/store/index.ts';
import { createEnvelopes, createVault } from '../../src/vault/index.ts';
import { TestClock } from '../providers/harness.ts';
import { createTestDatabase, type TestDatabase } from '../support/postgres.ts';
import { log, pair } from './harness.ts';
import { sealed } from './sealed.ts';
import { haveStandingClock, setStandingClock } from './standing-clock.ts';

const RUN = { repairsPerHour: 1_000, rotationsInFlight: 20 };
const BOUNDS: BrakeBounds = { windowMs: 60 * 60_000, share: 0.2, least: 5 };

/** Many healthy tenants of one simulator, and two replicas over one database, at one standing clock. */
export class Fleet implements AsyncDisposable {
  readonly clock = new TestClock();
  readonly vault = createVault({ id: 'test', key: randomBytes(32) });
  /** What the replicas were told of brakes, in order. */
  readonly news: NewEvent[] = [];
  readonly ids: string[];
  /** A part of a replica's world that a test may replace. */
  readonly replicas: ReconcileDeps[];
  readonly simulator: Simulator;
  readonly #database: TestDatabase;
  readonly #stores: Store[];
  readonly #vendors: Vendors[];

  /** `found`: what is wrong with each before it is looked at for the first time. */
  static async of(
    count: number,
    spec: object = {},
    found: (id: string, world: Simulator['world']) => void = () => undefined,
  ): Promise<Fleet> {
    const database = await createTestDatabase();
    await haveStandingClock(database.url);
    let now = () => new Date();
    const simulator = await startSimulator({ quotas: false, clock: () => now() });
    const fleet = new Fleet(simulator, database, count);
    now = () => fleet.clock.now();
    for (const id of fleet.ids) found(id, fleet.world);
    await fleet.apply(spec);
    // What a tenant shows at first says nothing of what changed.
    await fleet.runAll();
    return fleet;
  }

  private constructor(simulator: Simulator, database: TestDatabase, count: number) {
    this.simulator = simulator;
    this.#database = database;
    this.ids = seedMany(simulator.world, count);
    this.#stores = [createStore(database.url), createStore(database.url)];
    this.#vendors = this.#stores.map(() =>
      createVendors({
        clock: this.clock,
        retries: { times: 0, firstDelayMs: 0 },
        breaker: { failures: 1_000, openMs: 0 },
      }),
    );
    this.replicas = this.#stores.map(({ reconciles, claims }, index) => ({
      reconciles,
      claims,
      vault: this.vault,
      vendors: this.#vendors[index]!,
      clock: this.clock,
      ids: { next: () => uuidV7() },
      random: () => 0.5,
      onBrake: (news) => void this.news.push(news),
    }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#vendors.map((vendors) => vendors.close()));
    await Promise.all(this.#stores.map((store) => store.close()));
    await this.simulator.close();
    await this.#database.drop();
  }

  get store(): Store {
    return this.#stores[0]!;
  }

  get world(): Simulator['world'] {
    return this.simulator.world;
  }

  /** The use cases, at this time. */
  async ask<T>(what: (commands: Commands) => Promise<T>): Promise<T> {
    await setStandingClock(this.store.pool, this.clock.now());
    const { clock, vault } = this;
    const { desk, deliveries } = this.store;
    const ids = { next: () => uuidV7() };
    const live = createLive({ eventLog: this.store.eventLog, desk, clock, log });
    const envelopes = createEnvelopes();
    return what(createCommands({ desk, deliveries, envelopes, vault, clock, ids, live }));
  }

  /** Gives all tenants such a spec; those that are new with all of their credentials. */
  async apply(change: object): Promise<void> {
    await setStandingClock(this.store.pool, this.clock.now());
    const known = await this.store.desk.tenants(this.ids);
    const writes = await Promise.all(
      this.ids.map(async (id) => {
        const spec = this.#specOf(id, change);
        const before = known.find(({ tenant }) => tenant.id === id);
        return {
          id,
          expected: before?.tenant.generation ?? null,
          spec,
          credentials: before ? [] : await this.#credentialsOf(id, spec),
          events: [],
          cause: 'apply',
        };
      }),
    );
    const applied = await this.store.desk.apply(writes);
    if (!applied.ok) throw new Error(applied.refusal.because);
  }

  #specOf(
    id: string,
    { members = {}, role = {}, ...change }: { members?: object; role?: object },
  ): TenantSpec {
    return tenantSpecSchema.parse({
      id,
      name: id,
      mode: 'repair',
      every: '15m',
      ...change,
      connectwise: {
        site: this.simulator.connectwiseUrl,
        companyId: id,
        clientId: '0a3e1f64-0000-4000-8000-000000000001',
        members,
        role,
      },
      umbrella: { console: 'msp', url: this.simulator.umbrellaUrl },
    });
  }

  #credentialsOf(tenantId: string, spec: TenantSpec) {
    const { managementKey, integrationKey, umbrellaApiKey } = scenarioSecrets(tenantId);
    const given: [Purpose, ReturnType<typeof pair>, string | null][] = [
      ['management', pair(managementKey.publicKey, managementKey.privateKey), null],
      ['integration', pair(integrationKey.publicKey, integrationKey.privateKey), 'umbrella-a'],
      ['umbrella-api', pair(umbrellaApiKey.key, umbrellaApiKey.secret), null],
    ];
    return Promise.all(
      given.map(([purpose, keyPair, member]) =>
        sealed(this.vault, spec, uuidV7(), purpose, keyPair, { member }),
      ),
    );
  }

  /** Every tenant of these once, at the same time, by two replicas in turns. */
  async runAll(ids = this.ids): Promise<void> {
    await setStandingClock(this.store.pool, this.clock.now());
    await this.store.pool.query(
      `update tenants set next_run_at = case when id = any($1) then now() else now() + interval '1 day' end`,
      [ids],
    );
    const taken = await Promise.all(
      this.#stores.map(({ claims }, index) =>
        claims.take(`replica ${index}`, Math.ceil(ids.length / (2 - index)), 30_000),
      ),
    );
    const runs = taken.flatMap((claimed, index) => claimed.map((one) => this.#run(index, one)));
    await Promise.all(runs);
  }

  async #run(replica: number, claimed: ClaimedTenant): Promise<void> {
    const deps = this.replicas[replica]!;
    const limits = { ...LOOP_DEFAULTS, ...RUN, brake: BOUNDS };
    const ended = await reconcile(deps, claimed, limits, new AbortController().signal);
    // As the loop does it: what was lost is due again once its lease has run out.
    if (ended.end !== 'recorded') await deps.claims.release(claimed.claim, 0);
  }

  /** Every tenant once more, its period later. */
  async later(ms = 15 * 60_000): Promise<void> {
    this.clock.advance(ms);
    await this.runAll();
  }

  async status(id: string): Promise<StatusView> {
    const status = await this.ask((commands) => commands.status(id));
    if (!status.ok) throw new Error(JSON.stringify(status.refusal));
    return status.value;
  }

  /** `True FleetBraked` */
  async braked(id: string): Promise<string> {
    const { conditions } = await this.status(id);
    const found = conditions.find(({ type }) => type === 'Braked');
    return `${found?.status} ${found?.reason}`;
  }

  /** Tenants for which the condition says that. */
  async where(verdict: string): Promise<string[]> {
    const verdicts = await Promise.all(this.ids.map(async (id) => ({ id, is: await this.braked(id) })));
    return verdicts.filter(({ is }) => is === verdict).map(({ id }) => id);
  }

  /** Tenants whose active member is on. */
  get mended(): string[] {
    return this.ids.filter((id) =>
      this.world
        .viewCompany(id)
        .members.some(({ identifier, inactiveFlag }) => identifier === 'umbrella-a' && !inactiveFlag),
    );
  }

  /** Somebody's hand, or the vendor's, everywhere at once. */
  everywhere(hand: (id: string) => void, ids = this.ids): void {
    for (const id of ids) hand(id);
  }

  /** Hand-offs that wait for people, by tenant. */
  async asked(): Promise<string[]> {
    const live = await this.store.desk.handoffs({ tenant: null, live: true });
    return live.map(({ tenantId, kind }) => `${tenantId} ${kind}`).toSorted();
  }

  /** The fleet's own events, oldest first. */
  async fleetEvents(): Promise<string[]> {
    const { rows } = await this.store.pool.query<{ type: string }>(
      'select type from events where tenant_id is null order by id',
    );
    return rows.map(({ type }) => type);
  }

  /** Writes that reached the vendors. */
  writes(): number {
    return this.world.journal.query({ writes: true }).length;
  }

  async rows(table: string, where = 'true'): Promise<number> {
    const { rows } = await this.store.pool.query<{ n: number }>(
      `select count(*)::int as n from ${table} where ${where}`,
    );
    return rows[0]!.n;
  }

  /** The one brake that is on. */
  async brake() {
    const on = (await this.ask((commands) => commands.brakes())).filter(({ state }) => state === 'on');
    if (on.length !== 1) throw new Error(`${on.length} brakes are on`);
    return on[0]!;
  }
}
