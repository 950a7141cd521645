import { randomBytes } from 'node:crypto';
import { pino } from 'pino';
import { afterAll, afterEach, beforeAll } from 'vitest';
import { Secret, type KeyPair } from '../../src/domain/secret.ts';
import { tenantSpecSchema, type Purpose, type TenantSpec } from '../../src/domain/tenant.ts';
import type { UmbrellaRotation } from '../../src/domain/umbrella-rotation.ts';
import { createVendors } from '../../src/providers/index.ts';
import type { Commands } from '../../src/reconciler/commands.ts';
import { createCommands } from '../../src/reconciler/create-commands.ts';
import { createLive } from '../../src/reconciler/live.ts';
import { consoleIdentity } from '../../src/reconciler/given-keys.ts';
import { LOOP_DEFAULTS } from '../../src/reconciler/loop.ts';
import type { NewCredential, Vendors } from '../../src/reconciler/ports.ts';
import { reconcile } from '../../src/reconciler/reconcile.ts';
import {
  identifyPairs,
  letRest,
  KEY_LOOP_DEFAULTS,
  rotateKey,
  type KeyDeps,
} from '../../src/reconciler/umbrella-keys.ts';
import { createProver } from '../../src/reconciler/umbrella-given.ts';
import type { KeyRequest } from '../../src/reconciler/umbrella-store.ts';
import { scenarioSecrets, seedScenario, type Simulator } from '../../src/simulator/index.ts';
import { createStore, type Store } from '../../src/store/index.ts';
import { createEnvelopes, createVault } from '../../src/vault/index.ts';
import { TestClock, TestTimers } from '../providers/harness.ts';
import { start } from '../simulator/harness.ts';
import { createTestDatabase, type TestDatabase } from '../support/postgres.ts';
import { sealed } from './sealed.ts';
import { haveStandingClock, setStandingClock } from './standing-clock.ts';

let database: TestDatabase;
export let store: Store;
const open: Vendors[] = [];

/** Call once in a file: one cloned database for it, emptied between its tests. */
export function useKeyStore(): void {
  beforeAll(async () => {
    database = await createTestDatabase();
    await haveStandingClock(database.url);
    store = createStore(database.url);
  });
  afterEach(async () => {
    await Promise.all(open.splice(0).map((vendors) => vendors.close()));
    await store.pool.query('truncate tenants, events, intents, umbrella_keys cascade');
  });
  afterAll(async () => {
    await store.close();
    await database.drop();
  });
}

type Change = Partial<Record<'umbrella' | 'rotation', object>> & {
  mode?: TenantSpec['mode'];
  paused?: boolean;
};

const CHILDREN = ['birch', 'cedar'] as const;
export const TENANTS = ['acme', ...CHILDREN] as const;
export const KEYS = '/admin/v2/apiKeys';

/** `acme` and two child organisations that share its Umbrella key, in the database and in the simulator. */
export async function keyScene(change: Change = {}): Promise<KeyScene> {
  const clock = new TestClock();
  const { simulator } = await start('healthy', { simulator: { clock: () => clock.now() } });
  const parentOrganizationId = simulator.world.console('acme').organizationId;
  for (const [index, child] of CHILDREN.entries()) {
    seedScenario(simulator.world, child, 'healthy', {
      organizationId: 900_001 + index,
      parentOrganizationId,
      lean: true,
    });
  }
  const scene = new KeyScene(simulator, clock, change);
  await setStandingClock(store.pool, clock.now());
  for (const tenant of TENANTS) await scene.add(tenant);
  return scene;
}

export class KeyScene {
  readonly simulator: Simulator;
  readonly clock: TestClock;
  readonly timers = new TestTimers();
  readonly vault = createVault({ id: 'test', key: randomBytes(32) });
  readonly deps: KeyDeps;
  readonly #change: Change;
  readonly #proveGiven: (signal: AbortSignal) => Promise<void>;
  #ids = 0;

  constructor(simulator: Simulator, clock: TestClock, change: Change) {
    this.simulator = simulator;
    this.clock = clock;
    this.#change = change;
    const vendors = createVendors({
      clock,
      timers: this.timers,
      retries: { times: 0, firstDelayMs: 0 },
      breaker: { failures: 1_000, openMs: 0 },
    });
    open.push(vendors);
    this.deps = {
      keys: store.umbrellaKeys,
      vault: this.vault,
      vendors,
      clock,
      ids: { next: () => this.nextId() },
      log: pino({ level: 'silent' }),
    };
    this.#proveGiven = createProver(this.deps, KEY_LOOP_DEFAULTS);
  }

  get commands(): Commands {
    const { vault, clock, ids } = this.deps;
    return createCommands({
      desk: store.desk,
      deliveries: store.deliveries,
      envelopes: createEnvelopes(),
      vault,
      clock,
      ids,
      live: createLive({ eventLog: store.eventLog, desk: store.desk, clock, log: this.deps.log }),
    });
  }

  get world(): Simulator['world'] {
    return this.simulator.world;
  }

  nextId(): string {
    this.#ids += 1;
    return `id-${String(this.#ids).padStart(8, '0')}`;
  }

  specOf(tenant: string, change: Change = {}): TenantSpec {
    const { umbrella, ...rest } = { ...this.#change, ...change };
    const child = CHILDREN.findIndex((one) => one === tenant);
    return tenantSpecSchema.parse({
      id: tenant,
      name: tenant,
      mode: 'repair',
      ...rest,
      connectwise: {
        site: this.simulator.connectwiseUrl,
        companyId: tenant,
        clientId: '0a3e1f64-0000-4000-8000-000000000001',
      },
      umbrella: {
        console: 'msp',
        url: this.simulator.umbrellaUrl,
        ...(child === -1 ? {} : { organizationId: String(900_001 + child) }),
        ...umbrella,
      },
    });
  }

  /** The parent's pairs, as the simulator seeded them. */
  get seeded(): Record<'api' | 'keyAdmin', KeyPair> {
    const { umbrellaApiKey, umbrellaKeyAdmin } = scenarioSecrets('acme');
    return {
      api: pair(umbrellaApiKey.key, umbrellaApiKey.secret),
      keyAdmin: pair(umbrellaKeyAdmin.key, umbrellaKeyAdmin.secret),
    };
  }

  /** Stores a tenant with the shared key; only the parent has the KeyAdmin key. */
  async add(tenant: string, change: Change = {}, api = this.seeded.api): Promise<void> {
    const spec = this.specOf(tenant, change);
    const { managementKey } = scenarioSecrets(tenant);
    const given: [Purpose, KeyPair][] = [
      ['management', pair(managementKey.publicKey, managementKey.privateKey)],
      ['umbrella-api', api],
    ];
    if (tenant === 'acme') given.push(['umbrella-key-admin', this.seeded.keyAdmin]);
    const credentials = await Promise.all(given.map(([purpose, one]) => this.sealed(spec, purpose, one)));
    const identity = consoleIdentity(spec, api.publicHalf);
    const applied = await store.desk.apply([
      {
        id: tenant,
        expected: null,
        spec,
        credentials,
        events: [],
        cause: 'apply',
        ...(identity === undefined ? {} : { consoleIdentity: identity }),
      },
    ]);
    if (!applied.ok) throw new Error(applied.refusal.because);
  }

  sealed(spec: TenantSpec, purpose: Purpose, given: KeyPair): Promise<NewCredential> {
    return sealed(this.vault, spec, this.nextId(), purpose, given);
  }

  /** A person gives a tenant another pair. */
  async give(tenant: string, purpose: Purpose, given: KeyPair): Promise<void> {
    const credential = await this.sealed(this.specOf(tenant), purpose, given);
    const added = await store.desk.addCredential(tenant, credential, { events: [], cause: 'given' });
    if (!added.ok) throw new Error(added.because);
  }

  /** Another spec of the same tenant. */
  async change(tenant: string, change: Change): Promise<void> {
    const record = await store.desk.tenant(tenant);
    const applied = await store.desk.apply([
      {
        id: tenant,
        expected: record?.tenant.generation ?? null,
        spec: this.specOf(tenant, change),
        credentials: [],
        events: [],
        cause: 'apply',
      },
    ]);
    if (!applied.ok) throw new Error(applied.refusal.because);
  }

  /** Runs one tenant, so that its status tells what Umbrella shows. */
  async reconcile(tenant: string): Promise<void> {
    await setStandingClock(store.pool, this.clock.now());
    await store.pool.query(
      `update tenants set next_run_at = case when id = $1 then now() else now() + interval '1 day' end`,
      [tenant],
    );
    const [claimed] = await store.claims.take('test', 1, 30_000);
    if (!claimed) throw new Error(`${tenant} was not due`);
    await reconcile(
      { ...this.deps, reconciles: store.reconciles, claims: store.claims, random: () => 0.5 },
      claimed,
      { ...LOOP_DEFAULTS, repairsPerHour: 60, rotationsInFlight: 10 },
      new AbortController().signal,
    );
  }

  async ask(tenant = 'acme', cause: KeyRequest['cause'] = 'person') {
    await identifyPairs(this.deps);
    const request = { cause, tenant, by: 'ann', why: 'Ann asked for it.' };
    const asked = await store.desk.requestKeyRotation(tenant, request, [], 'asked');
    return asked.ok ? 'asked' : asked.refusal;
  }

  /** One turn of the loop, whatever is due when; how many keys there were. */
  async turn(
    limits: { repairsPerHour?: number } = {},
    signal = new AbortController().signal,
  ): Promise<number> {
    await setStandingClock(store.pool, this.clock.now());
    await this.#proveGiven(signal);
    await identifyPairs(this.deps);
    await store.pool.query('update umbrella_keys set next_run_at = now()');
    await letRest(this.deps);
    for (let keys = 0; ; keys += 1) {
      const claim = await store.umbrellaKeys.take('test', KEY_LOOP_DEFAULTS.leaseMs);
      if (!claim) return keys;
      await rotateKey(this.deps, claim, { ...KEY_LOOP_DEFAULTS, repairsPerHour: 60, ...limits }, signal);
    }
  }

  /** Turns, a minute apart, until the rotation is over or so many have passed. */
  async turns(most: number, everyMs = 60_000): Promise<UmbrellaRotation> {
    for (let left = most; left > 0; left -= 1) {
      await this.turn();
      const { phase } = await this.rotation();
      if (['Completed', 'Failed', 'Cancelled'].includes(phase)) break;
      this.clock.advance(everyMs);
    }
    return this.rotation();
  }

  async rows(): Promise<{ id: string; rotation: UmbrellaRotation | null; sealed: string | null }[]> {
    const { rows } = await store.pool.query<{
      id: string;
      rotation: UmbrellaRotation | null;
      sealed: string | null;
    }>('select id, rotation, sealed from umbrella_keys order by id');
    return rows;
  }

  async rotation(): Promise<UmbrellaRotation> {
    const [row] = await this.rows();
    if (!row?.rotation) throw new Error('there is no rotation');
    return row.rotation;
  }

  /** The pair that a tenant has in use, opened. */
  async inUse(tenant: string): Promise<KeyPair> {
    const snapshot = await store.reconciles.snapshot(tenant);
    const held = snapshot?.credentials.find(
      ({ purpose, state }) => purpose === 'umbrella-api' && state === 'active',
    );
    if (!snapshot || !held) throw new Error(`${tenant} has no Umbrella key`);
    const { id: credentialId, purpose, origin } = held;
    return this.vault.open(snapshot.sealed[credentialId]!, {
      tenantId: tenant,
      credentialId,
      purpose,
      origin,
    });
  }

  async states(tenant: string): Promise<string[]> {
    const { rows } = await store.pool.query<{ state: string }>(
      `select state from credentials where tenant_id = $1 and purpose = 'umbrella-api' order by created_at, id`,
      [tenant],
    );
    return rows.map(({ state }) => state);
  }

  async events(tenant: string): Promise<string[]> {
    const { items } = await store.desk.events(tenant, { before: null, limit: 200 });
    return items.map(({ type, message }) => `${type}: ${message}`).toReversed();
  }

  /** Writes to API keys that changed something, as `POST` and `DELETE`. */
  applied(): string[] {
    return this.world.journal
      .query({ vendor: 'umbrella', writes: true })
      .filter(({ applied }) => applied)
      .map(({ method }) => method);
  }

  names(): string[] {
    return this.world.listUmbrellaKeys('acme').map(({ name }) => name);
  }

  async openIntents(): Promise<number> {
    const { rows } = await store.pool.query<{ n: number }>(
      `select count(*)::int as n from intents where outcome in ('open', 'unknown')`,
    );
    return rows[0]?.n ?? -1;
  }
}

const pair = (publicHalf: string, privateHalf: string): KeyPair => ({
  publicHalf,
  privateHalf: new Secret(privateHalf),
});
