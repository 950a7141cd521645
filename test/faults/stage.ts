import { randomBytes } from 'node:crypto';
import { v7 as uuidV7 } from 'uuid';
import { ready, type Condition } from '../../src/domain/condition.ts';
import type { HandoffKind } from '../../src/domain/handoff.ts';
import { isOver, type UmbrellaPhase } from '../../src/domain/umbrella-rotation.ts';
import { tenantSpecSchema, type Purpose, type TenantSpec } from '../../src/domain/tenant.ts';
import { createVendors, type Timers } from '../../src/providers/index.ts';
import type { Answer, Commands } from '../../src/reconciler/commands.ts';
import { createCommands } from '../../src/reconciler/create-commands.ts';
import { createLive } from '../../src/reconciler/live.ts';
import { LOOP_DEFAULTS } from '../../src/reconciler/loop.ts';
import type { ClaimedTenant, Clock, Result, Vendors } from '../../src/reconciler/ports.ts';
import { reconcile, type ReconcileEnd } from '../../src/reconciler/reconcile.ts';
import { identifyPairs, KEY_LOOP_DEFAULTS, rotateKey } from '../../src/reconciler/umbrella-keys.ts';
import type { KeyClaim } from '../../src/reconciler/umbrella-store.ts';
import {
  scenarioSecrets,
  seedScenario,
  startSimulator,
  type FaultEffect,
  type JournalEntry,
  type KeyPair as SimulatedPair,
  type Simulator,
  type Trouble,
} from '../../src/simulator/index.ts';
import { createStore, type Store } from '../../src/store/index.ts';
import { createEnvelopes, createVault } from '../../src/vault/index.ts';
import { TestClock } from '../providers/harness.ts';
import { log, pair } from '../reconciler/harness.ts';
import { sealed } from '../reconciler/sealed.ts';
import { haveStandingClock, setStandingClock } from '../reconciler/standing-clock.ts';
import { createTestDatabase, type TestDatabase } from '../support/postgres.ts';
import { watchJournal, type VendorWrite } from './boundaries.ts';

/**
 * Many tenants of one simulator and one database, side by side at one standing clock:
 *
 *   a tenant of a scenario runs unharmed ─▶ its calls are listed ─▶ for each of them and each fault:
 *   a tenant of its own, which meets the fault there ─▶ the faults end ─▶ it comes to the same end
 */

/** Neither the fleet's brake nor its caps are what is looked at: all these tenants differ alike. */
const LIMITS = {
  ...LOOP_DEFAULTS,
  repairsPerHour: 1_000_000,
  rotationsInFlight: 1_000_000,
  brake: { windowMs: 60 * 60_000, share: 1, least: 1_000_000 },
};
/** A tenant that asks to be looked at again at once for ever is a loop. */
const MOST_AT_ONCE = 12;

/** Passes between two looks at a tenant. */
export const ROUND_MS = 15 * 60_000;

export interface Scenario {
  trouble: Trouble;
  console: TenantSpec['umbrella']['console'];
  spec: Partial<Record<'connectwise' | 'umbrella' | 'integration' | 'rotation', object>> & {
    mode: TenantSpec['mode'];
    onDelete?: TenantSpec['onDelete'];
  };
  /** How often it is looked at, `ROUND_MS` apart and some seconds, until it rests. */
  rounds: number;
  /** What is done beside it, after each round. */
  people?: (play: Play) => Promise<void>;
  /** Umbrella works once a round, some seconds after people did: its times are whole seconds. */
  syncs?: true;
  /** Umbrella's own keys are worked on as well, after each look. */
  umbrellaKeys?: true;
  /** The key in use is to be out of use at once, so that its deletion is not waited for. */
  compromised?: true;
}

/** What an Umbrella key is called that Parasol made: its client id is another one each time. */
export const NEW_UMBRELLA_KEY = 'umbrella-api-new';

/** Which calls are harmed, as one tenant's run makes them; all given parts must match. */
export interface Where {
  vendor?: JournalEntry['vendor'];
  method?: string;
  operation?: string;
  /** A member, or which of the console's keys. */
  actor?: string;
  /** The first that is harmed, from 1; alone only that one is. */
  nth?: number;
  times?: number;
}

export interface PlayOptions {
  maxResponseBytes?: number;
  retries?: number;
}

/** One reconcile, or the work on an Umbrella key, and what reached the vendors meanwhile. */
export interface Run {
  at: Date;
  /** Oldest first; who made them is named alike for all tenants. */
  calls: JournalEntry[];
  end: ReconcileEnd['end'] | 'threw' | 'worked on a key of Umbrella’s';
  result: Result | null;
  /** Conditions as they were before. */
  before: Condition[];
}

export class Stage implements AsyncDisposable {
  readonly clock = new TestClock();
  readonly vault = createVault({ id: 'test', key: randomBytes(32) });
  readonly simulator: Simulator;
  readonly store: Store;
  readonly #database: TestDatabase;
  readonly #plays = new Map<string, Play>();
  #played = 0;

  static async open(seed: number): Promise<Stage> {
    const database = await createTestDatabase();
    await haveStandingClock(database.url);
    const clock = new TestClock();
    const simulator = await startSimulator({ clock: () => clock.now(), seed });
    return new Stage(database, simulator, clock);
  }

  private constructor(database: TestDatabase, simulator: Simulator, clock: TestClock) {
    this.#database = database;
    this.simulator = simulator;
    this.clock = clock;
    this.store = createStore(database.url);
    watchJournal(simulator.world, {
      onMoment: (company) => this.#plays.get(company)?.onMoment(),
      onWrite: (company, write) => this.#plays.get(company)?.onWrite(write),
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.store.close();
    await this.simulator.close();
    await this.#database.drop();
  }

  get world(): Simulator['world'] {
    return this.simulator.world;
  }

  async atThisTime(): Promise<void> {
    await setStandingClock(this.store.pool, this.clock.now());
  }

  /** A tenant with a company and a console of its own; to be ended with `end`. */
  async play(scenario: Scenario, options: PlayOptions = {}): Promise<Play> {
    this.#played += 1;
    const id = `play-${String(this.#played).padStart(5, '0')}`;
    seedScenario(this.world, id, scenario.trouble, {
      organizationId: 6_000_000 + this.#played,
      console: scenario.console,
      customers: 3,
      stragglers: 0,
      lean: true,
    });
    const play = new Play(this, id, scenario, options);
    this.#plays.set(id, play);
    await play.apply();
    return play;
  }

  /** Every one of them once, and again at once for as long as it asks for that, side by side. */
  async look(plays: readonly Play[]): Promise<void> {
    await this.atThisTime();
    let due = plays;
    for (let times = 0; due.length > 0 && times < MOST_AT_ONCE; times += 1) {
      await this.#once(due);
      due = due.filter((play) => play.goesOnAtOnce);
      // What each look saw has a time of its own.
      this.clock.advance(1_000);
      await this.atThisTime();
    }
    for (const play of due) play.wrong(`it was looked at ${MOST_AT_ONCE} times, and asks for one more`);
  }

  async #once(plays: readonly Play[]): Promise<void> {
    const ids = plays.map(({ id }) => id);
    await this.store.pool.query(
      `update tenants set next_run_at = case when id = any($1) then now() else now() + interval '1 day' end`,
      [ids],
    );
    const taken = await this.store.claims.take('stage', ids.length, 60_000);
    if (taken.length !== ids.length) throw new Error(`${ids.length} are due, ${taken.length} were taken`);
    const byId = new Map(plays.map((play) => [play.id, play]));
    await Promise.all(taken.map((claimed) => byId.get(claimed.claim.tenantId)!.run(claimed)));
  }

  /** Time passes, and everybody is looked at; then people do what they do, and Umbrella. */
  async round(plays: readonly Play[]): Promise<void> {
    this.clock.advance(ROUND_MS);
    await this.look(plays);
    if (plays.some(({ scenario }) => scenario.umbrellaKeys)) await this.#workOnUmbrellaKeys();
    await Promise.all(plays.map(async (play) => play.scenario.people?.(play)));
    this.clock.advance(2_000);
    for (const { id, scenario } of plays) if (scenario.syncs) this.umbrellaSyncs(id);
  }

  /** Umbrella's daily work, with something to write. */
  umbrellaSyncs(company: string): void {
    this.world.changeFigures(company);
    this.world.runSync(company);
  }

  /** As the loop of the keys does it: those that are due, and that a tenant here uses. */
  async #workOnUmbrellaKeys(): Promise<void> {
    const { umbrellaKeys, pool } = this.store;
    const { vault, clock } = this;
    const [someone] = this.#plays.values();
    const ids = { next: () => uuidV7() };
    const deps = { keys: umbrellaKeys, vault, clock, ids, log };
    await this.atThisTime();
    await identifyPairs({ ...deps, vendors: someone!.vendors });
    const { rows } = await pool.query<{ key: string; tenant: string }>(`
      select k.id as key, c.tenant_id as tenant from umbrella_keys k
        join credentials c on c.key_identity = k.identity and c.purpose = 'umbrella-api'`);
    const tenants = new Map(rows.map(({ key, tenant }) => [key, tenant]));
    const claims: KeyClaim[] = [];
    for (;;) {
      const claim = await umbrellaKeys.take('stage', KEY_LOOP_DEFAULTS.leaseMs);
      if (!claim) break;
      claims.push(claim);
    }
    await Promise.all(
      claims.map(async (claim) => {
        const play = this.#plays.get(tenants.get(claim.keyId) ?? '');
        if (!play) throw new Error(`nobody uses the Umbrella key ${claim.keyId}`);
        const limits = { ...KEY_LOOP_DEFAULTS, repairsPerHour: LIMITS.repairsPerHour };
        const work = rotateKey(
          { ...deps, vendors: play.vendors },
          claim,
          limits,
          new AbortController().signal,
        );
        await play.works(work);
      }),
    );
  }

  /** Nothing of them is left, neither here nor at the vendors. */
  async end(plays: readonly Play[]): Promise<void> {
    await Promise.all(plays.map((play) => play.vendors.close()));
    await this.store.pool.query('truncate tenants, events, intents, umbrella_keys cascade');
    this.world.clearFaults();
    this.world.faults.releaseHangs('drop');
    this.world.journal.clear();
    for (const { id } of plays) {
      this.world.connectwise.delete(id);
      this.world.consoles.delete(id);
      this.#plays.delete(id);
    }
  }

  /** The use cases, at this time. */
  async ask<T>(what: (commands: Commands) => Promise<Answer<T>>): Promise<T> {
    await this.atThisTime();
    const { clock, vault } = this;
    const { desk, deliveries, eventLog } = this.store;
    const live = createLive({ eventLog, desk, clock, log });
    const ids = { next: () => uuidV7() };
    const envelopes = createEnvelopes();
    const answer = await what(createCommands({ desk, deliveries, envelopes, vault, clock, ids, live }));
    if (!answer.ok) throw new Error(JSON.stringify(answer.refusal));
    return answer.value;
  }
}

/** Deadlines that pass when a test says so. */
class Deadlines implements Timers {
  readonly #waiting = new Set<() => void>();
  after(_ms: number, callback: () => void): () => void {
    this.#waiting.add(callback);
    return () => this.#waiting.delete(callback);
  }
  /** Lets the one that is left pass: while others are on their way, it is not known whose it would be. */
  passLast(): boolean {
    if (this.#waiting.size !== 1) return false;
    for (const callback of this.#waiting) callback();
    return true;
  }
}

/** One tenant, and what was seen of it. */
export class Play {
  readonly id: string;
  readonly scenario: Scenario;
  readonly stage: Stage;
  readonly vendors: Vendors;
  readonly spec: TenantSpec;
  readonly runs: Run[] = [];
  /** Of its calls. */
  readonly deadlines = new Deadlines();
  /** What was found that may not be. */
  readonly wrongs: string[] = [];
  /** Rotations that ended without a new key, by why: a vendor refused what they need. */
  readonly gaveUp: string[] = [];
  /** Stands still but for a write, so that what was seen before it is older than what is seen after it. */
  readonly clock: Clock = {
    now: () => new Date(this.stage.clock.now().getTime() + this.#writesOfRun),
  };
  /** Keys that people made, by the fingerprint that Parasol names them by. */
  readonly made = new Map<string, SimulatedPair>();
  readonly #secrets: ReturnType<typeof scenarioSecrets>;
  readonly #actors: Record<string, string>;
  #seen = 0;
  #writesOfRun = 0;
  /** Since Umbrella was let in first, it has to be at every moment. */
  #relies = false;
  /** Public halves of what was typed into Umbrella. */
  readonly #everInstalled = new Set<string>();

  constructor(stage: Stage, id: string, scenario: Scenario, options: PlayOptions) {
    this.stage = stage;
    this.id = id;
    this.scenario = scenario;
    this.#secrets = scenarioSecrets(id);
    const { umbrellaApiKey, umbrellaKeyAdmin } = this.#secrets;
    this.#actors = { [umbrellaApiKey.key]: 'umbrella-api', [umbrellaKeyAdmin.key]: 'umbrella-key-admin' };
    const { retries = 0, ...bounds } = options;
    this.vendors = createVendors({
      clock: stage.clock,
      timers: this.deadlines,
      retries: { times: retries, firstDelayMs: 0 },
      breaker: { failures: 1_000, openMs: 0 },
      ...bounds,
    });
    const { connectwise = {}, umbrella = {}, ...rest } = scenario.spec;
    this.spec = tenantSpecSchema.parse({
      id,
      name: id,
      every: '15m',
      ...rest,
      connectwise: {
        site: stage.simulator.connectwiseUrl,
        companyId: id,
        clientId: '0a3e1f64-0000-4000-8000-000000000001',
        ...connectwise,
      },
      umbrella: { console: scenario.console, url: stage.simulator.umbrellaUrl, ...umbrella },
    });
  }

  async apply(): Promise<void> {
    await this.stage.atThisTime();
    const { managementKey, integrationKey, umbrellaApiKey, umbrellaKeyAdmin } = this.#secrets;
    const known: [Purpose, SimulatedPair][] = [
      ['management', managementKey],
      ['umbrella-api', { publicKey: umbrellaApiKey.key, privateKey: umbrellaApiKey.secret }],
      ['umbrella-key-admin', { publicKey: umbrellaKeyAdmin.key, privateKey: umbrellaKeyAdmin.secret }],
    ];
    // Nobody has a key of a member that never was.
    if (this.member('umbrella-a') !== undefined) known.push(['integration', integrationKey]);
    this.made.set(this.fingerprintOf(integrationKey), integrationKey);
    const credentials = await Promise.all(
      known.map(([purpose, { publicKey, privateKey }]) =>
        sealed(this.stage.vault, this.spec, uuidV7(), purpose, pair(publicKey, privateKey), {
          member: purpose === 'integration' ? 'umbrella-a' : null,
        }),
      ),
    );
    const { desk } = this.stage.store;
    const write = { id: this.id, expected: null, spec: this.spec, credentials, events: [], cause: 'apply' };
    const applied = await desk.apply([write]);
    if (!applied.ok) throw new Error(applied.refusal.because);
  }

  /** What Parasol's people are told by, of a pair of the simulator's. */
  fingerprintOf({ publicKey, privateKey }: SimulatedPair): string {
    return this.stage.vault.fingerprint(pair(publicKey, privateKey));
  }

  member(identifier: string) {
    return this.stage.world.viewCompany(this.id).members.find((one) => one.identifier === identifier);
  }

  wrong(what: string): void {
    this.wrongs.push(what);
  }

  /** Whether ConnectWise lets in the pair that is typed into Umbrella now. */
  #isUmbrellaLetIn(): boolean {
    const { world } = this.stage;
    const installed = world.console(this.id).installed;
    const { keys, apiMembers } = world.company(this.id);
    const key = installed && keys.get(installed.publicKey);
    return (
      !!key && key.privateKey === installed.privateKey && apiMembers.get(key.memberId)?.inactiveFlag === false
    );
  }

  /** A call came in, or was answered. */
  onMoment(): void {
    const isLetIn = this.#isUmbrellaLetIn();
    if (this.#relies && !isLetIn) this.wrong('Umbrella is not let in any more');
    this.#relies = isLetIn;
    const { installed } = this.stage.world.console(this.id);
    if (installed) this.#everInstalled.add(installed.publicKey);
  }

  /** A write came in: a member that goes off takes no key along that Umbrella used, unless that is compromised. */
  onWrite({ method, operation, path, body }: VendorWrite): void {
    this.#writesOfRun += 1;
    if (method !== 'PATCH' || operation !== '/system/apiMembers/{id}') return;
    const changes = JSON.parse(body) as { path: string; value: unknown }[];
    if (!changes.some((change) => change.path === 'inactiveFlag' && change.value === true)) return;
    const keys = [...this.stage.world.company(this.id).keys.values()].filter(
      ({ memberId, publicKey }) =>
        memberId === Number(path.split('/').at(-1)) && this.#everInstalled.has(publicKey),
    );
    if (keys.length > 0 && !this.scenario.compromised)
      this.wrong('a member goes off whose key was not deleted');
  }

  /** Lets such calls of this tenant go wrong; answers how to end that, and how often it happened. */
  harm({ actor, ...where }: Where, effect: FaultEffect): { id: number; end: () => void } {
    const client = Object.entries(this.#actors).find(([, name]) => name === actor)?.[0];
    const when = { ...where, company: this.id, ...(actor === undefined ? {} : { actor: client ?? actor }) };
    const id = this.stage.world.faults.add({ when, effect });
    return { id, end: () => void this.stage.world.faults.remove(id) };
  }

  /** Its calls of all runs, oldest first. */
  get calls(): JournalEntry[] {
    return this.runs.flatMap(({ calls }) => calls);
  }

  /** Its calls since that entry of the journal. */
  callsSince(since: number): JournalEntry[] {
    return this.stage.world.journal
      .query({ company: this.id, since })
      .map((entry) => ({ ...entry, actor: entry.actor && this.#nameOf(entry.vendor, entry.actor) }));
  }

  #nameOf(vendor: JournalEntry['vendor'], actor: string): string {
    return this.#actors[actor] ?? (vendor === 'umbrella' ? NEW_UMBRELLA_KEY : actor);
  }

  /** The deadline passes of the call that met something and waits; false: none does yet. */
  passDeadline(): boolean {
    const waits = this.callsSince(this.#seen).some(
      ({ fault, status }) => fault !== null && (status === null || fault === 'slowDrip'),
    );
    return waits && this.deadlines.passLast();
  }

  async run(claimed: ClaimedTenant): Promise<void> {
    const { stage } = this;
    const { claims, reconciles } = stage.store;
    const before = (await stage.store.reconciles.snapshot(this.id))?.status?.conditions ?? [];
    let result: Result | null = null;
    const record: typeof reconciles.record = (claim, given) => {
      result = given;
      return reconciles.record(claim, given);
    };
    const deps = {
      reconciles: { ...reconciles, record },
      claims,
      vault: stage.vault,
      vendors: this.vendors,
      clock: this.clock,
      ids: { next: () => uuidV7() },
      random: () => 0.5,
    };
    this.#writesOfRun = 0;
    const at = stage.clock.now();
    let end: Run['end'];
    try {
      ({ end } = await reconcile(deps, claimed, LIMITS, new AbortController().signal));
    } catch (error) {
      end = 'threw';
      this.wrong(`a run threw ${error instanceof Error ? error.stack : String(error)}`);
    }
    // As the loop does it: what was not recorded is due again once its lease has run out.
    if (end !== 'recorded' && end !== 'deferred') await claims.release(claimed.claim, 0);
    this.runs.push({ at, calls: this.#callsOfRun(), end, result, before });
  }

  #callsOfRun(): JournalEntry[] {
    const calls = this.callsSince(this.#seen);
    this.#seen = calls.at(-1)?.seq ?? this.#seen;
    return calls;
  }

  /** Its Umbrella key is worked on. */
  async works(work: Promise<void>): Promise<void> {
    const at = this.stage.clock.now();
    try {
      await work;
    } catch (error) {
      this.wrong(`work on a key threw ${error instanceof Error ? error.stack : String(error)}`);
    }
    const held = await this.held();
    const inUse = this.umbrellaKeys.map((fingerprint) => held.get(fingerprint));
    if (!inUse.some((key) => key?.purpose === 'umbrella-api' && key.state === 'active')) {
      this.wrong('Umbrella has no API key any more that Parasol uses');
    }
    const end = 'worked on a key of Umbrella’s';
    this.runs.push({ at, calls: this.#callsOfRun(), end, result: null, before: [] });
  }

  get last(): Run {
    return this.runs.at(-1)!;
  }

  get goesOnAtOnce(): boolean {
    const { end, result } = this.last;
    return end === 'recorded' && result!.next.inMs <= 0;
  }

  async handoffs(live = true) {
    return this.stage.store.desk.handoffs({ tenant: this.id, live });
  }

  /** What people were ever asked for. */
  async askedFor(): Promise<string[]> {
    return (await this.handoffs(false)).map(({ kind, subject }) => wordOf(kind, subject)).toSorted();
  }

  /** Every pair of the tenant's that Parasol ever had: what it is, and whether it is still held. */
  async held(): Promise<Map<string, { purpose: Purpose; state: string; isHeld: boolean }>> {
    const { rows } = await this.stage.store.pool.query<{
      fingerprint: string;
      purpose: Purpose;
      state: string;
      isHeld: boolean;
    }>(
      `select fingerprint, purpose, state, sealed is not null as "isHeld" from credentials
        where tenant_id = $1 order by created_at, id`,
      [this.id],
    );
    return new Map(rows.map(({ fingerprint, ...held }) => [fingerprint, held]));
  }

  /** The keys of Umbrella's members in ConnectWise. */
  get keys(): { member: string; isLive: boolean; isInstalled: boolean; fingerprint: string }[] {
    const { keys, apiMembers } = this.stage.world.company(this.id);
    const { installed } = this.stage.world.console(this.id);
    return [...keys.values()].flatMap(({ publicKey, privateKey, memberId }) => {
      const member = apiMembers.get(memberId);
      if (!member?.identifier.startsWith('umbrella-')) return [];
      const fingerprint = this.fingerprintOf({ publicKey, privateKey });
      const isInstalled = installed?.publicKey === publicKey;
      return [{ member: member.identifier, isLive: !member.inactiveFlag, isInstalled, fingerprint }];
    });
  }

  /** The API keys of the console, as Parasol's pairs are named. */
  get umbrellaKeys(): string[] {
    const { keys } = this.stage.world.console(this.id);
    return [...keys.values()].map(({ clientId, secret }) =>
      this.fingerprintOf({ publicKey: clientId, privateKey: secret }),
    );
  }

  /** What the vendors have, what is told of it, and who is asked for what. */
  async standing(): Promise<Standing> {
    const { status, rotation } = (await this.stage.store.desk.tenant(this.id))!;
    const { roles, members } = this.stage.world.viewCompany(this.id);
    const { umbrellaRotation } = (await this.stage.store.reconciles.snapshot(this.id))!;
    const held = await this.held();
    const { conditions = [], drift = [], plan = { steps: [] } } = status ?? {};
    return {
      ready: ready(conditions),
      not: conditions
        .filter(({ status, type }) => status !== 'True' && type !== 'Braked' && type !== 'Paused')
        .map(({ type, status, reason }) => `${type} ${status} ${reason}`)
        .toSorted(),
      drift: drift.map(({ path, observed }) => `${path} is ${observed}`).toSorted(),
      plan: plan.steps
        .map(
          ({ action, state }) => `${state} ${action.kind === 'open-handoff' ? action.handoff : action.kind}`,
        )
        .toSorted(),
      asked: (await this.handoffs()).map(({ kind, subject }) => wordOf(kind, subject)).toSorted(),
      rotation: rotation?.phase ?? null,
      rotated: status?.memory.lastRotation?.phase ?? null,
      roles: roles.filter(({ name }) => name === this.spec.connectwise.role.name).map(({ name }) => name),
      members: members.map(
        ({ identifier, inactiveFlag, securityRole }) =>
          `${identifier} ${inactiveFlag ? 'inactive' : 'active'} ${securityRole?.name}`,
      ),
      keys: this.keys.map(
        ({ member, isInstalled, fingerprint }) =>
          `${member} ${held.get(fingerprint)?.state}${isInstalled ? ', in Umbrella' : ''}`,
      ),
      made: this.made.size,
      umbrellaKeys: this.umbrellaKeys.map((fingerprint) => {
        const { purpose, state } = held.get(fingerprint) ?? {};
        return `${purpose} ${state}`;
      }),
      umbrellaRotated: umbrellaRotation && isOver(umbrellaRotation) ? umbrellaRotation.phase : null,
    };
  }
}

/** What two runs of one scenario may be compared by. */
export interface Standing {
  ready: string;
  not: string[];
  drift: string[];
  plan: string[];
  asked: string[];
  rotation: string | null;
  rotated: string | null;
  roles: string[];
  members: string[];
  keys: string[];
  /** How many keys people made. */
  made: number;
  umbrellaKeys: string[];
  umbrellaRotated: UmbrellaPhase | null;
}

/** Pairs are other ones in each run. */
const wordOf = (kind: HandoffKind, subject: string): string =>
  /^(?:install-integration-key|delete-key|renew-umbrella-key)$/.test(kind) ? kind : `${kind} ${subject}`;

/** A call's kind, alike in all tenants: `GET /system/apiMembers as parasol`. */
export const kindOf = ({ method, operation, path, actor }: JournalEntry): string =>
  `${method} ${operation ?? path} as ${actor ?? 'nobody'}`;
