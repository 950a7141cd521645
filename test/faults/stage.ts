import { randomBytes } from 'node:crypto';
import { v7 as uuidV7 } from 'uuid';
import { ready, type Condition } from '../../src/domain/condition.ts';
import type { HandoffKind } from '../../src/domain/handoff.ts';
import { tenantSpecSchema, type Purpose, type TenantSpec } from '../../src/domain/tenant.ts';
import { createVendors, type Timers } from '../../src/providers/index.ts';
import type { Answer, Commands } from '../../src/reconciler/commands.ts';
import { createCommands } from '../../src/reconciler/create-commands.ts';
import { createLive } from '../../src/reconciler/live.ts';
import { LOOP_DEFAULTS } from '../../src/reconciler/loop.ts';
import type { ClaimedTenant, Result, Vendors } from '../../src/reconciler/ports.ts';
import { reconcile, type ReconcileEnd } from '../../src/reconciler/reconcile.ts';
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

export interface Scenario {
  trouble: Trouble;
  console: TenantSpec['umbrella']['console'];
  spec: Partial<Record<'connectwise' | 'umbrella' | 'integration' | 'rotation', object>> & {
    mode: TenantSpec['mode'];
    onDelete?: TenantSpec['onDelete'];
  };
  /** How often it is looked at, a quarter of an hour apart, until it rests. */
  rounds: number;
  /** What is done beside it, after each round. */
  people?: (play: Play) => Promise<void>;
}

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

/** One reconcile, and what reached the vendors meanwhile. */
export interface Run {
  at: Date;
  /** Oldest first; who made them is named alike for all tenants. */
  calls: JournalEntry[];
  end: ReconcileEnd['end'] | 'threw';
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
  #plays = 0;

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
    this.#plays += 1;
    const id = `play-${String(this.#plays).padStart(5, '0')}`;
    seedScenario(this.world, id, scenario.trouble, {
      organizationId: 6_000_000 + this.#plays,
      console: scenario.console,
      customers: 3,
      stragglers: 0,
      lean: true,
    });
    const play = new Play(this, id, scenario, options);
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

  /** Time passes, and everybody is looked at; then people do what they do. */
  async round(plays: readonly Play[], ms = 15 * 60_000): Promise<void> {
    this.clock.advance(ms);
    await this.look(plays);
    for (const play of plays) await play.scenario.people?.(play);
  }

  /** Nothing of them is left, neither here nor at the vendors. */
  async end(plays: readonly Play[]): Promise<void> {
    await Promise.all(plays.map((play) => play.vendors.close()));
    await this.store.pool.query('truncate tenants, events cascade');
    this.world.clearFaults();
    this.world.faults.releaseHangs('drop');
    this.world.journal.clear();
    for (const { id } of plays) {
      this.world.connectwise.delete(id);
      this.world.consoles.delete(id);
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
  /** Keys that people made, by the fingerprint that Parasol names them by. */
  readonly made = new Map<string, SimulatedPair>();
  readonly #secrets: ReturnType<typeof scenarioSecrets>;
  readonly #actors: Record<string, string>;
  #seen = 0;
  readonly #passed = new Set<number>();

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
      .map((entry) => ({ ...entry, actor: entry.actor && (this.#actors[entry.actor] ?? entry.actor) }));
  }

  /** The deadline passes of a call that met something and waits; once, as the next one's is another. */
  passDeadline(): void {
    const waits = this.callsSince(this.#seen).find(
      ({ seq, fault, status }) =>
        fault !== null && (status === null || fault === 'slowDrip') && !this.#passed.has(seq),
    );
    if (waits && this.deadlines.passLast()) this.#passed.add(waits.seq);
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
      clock: stage.clock,
      ids: { next: () => uuidV7() },
      random: () => 0.5,
    };
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
    const calls = this.callsSince(this.#seen);
    this.#seen = calls.at(-1)?.seq ?? this.#seen;
    this.runs.push({ at, calls, end, result, before });
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

  /** What the vendors have, what is told of it, and who is asked for what. */
  async standing(): Promise<Standing> {
    const { status, rotation } = (await this.stage.store.desk.tenant(this.id))!;
    const { roles, members } = this.stage.world.viewCompany(this.id);
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
}

/** Pairs are other ones in each run. */
const wordOf = (kind: HandoffKind, subject: string): string =>
  /^(?:install-integration-key|delete-key|renew-umbrella-key)$/.test(kind) ? kind : `${kind} ${subject}`;

/** A call's kind, alike in all tenants: `GET /system/apiMembers as parasol`. */
export const kindOf = ({ method, operation, path, actor }: JournalEntry): string =>
  `${method} ${operation ?? path} as ${actor ?? 'nobody'}`;
