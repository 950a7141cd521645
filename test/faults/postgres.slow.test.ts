import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { StatusView } from '../../src/reconciler/commands.ts';
import { randomOf, seedScenario, type JournalEntry, type Trouble } from '../../src/simulator/index.ts';
import { startEmbedded } from '../../src/store/index.ts';
import {
  expectNothingLeft,
  folder,
  isSettled,
  processesIn,
  simulator,
  startService,
  tenantOf,
  until,
  type Service,
  type Wishes,
} from '../e2e/harness.ts';
import { network, type Network } from '../support/network.ts';
import { absencesSaySomething, leasesRunOut } from './boundaries.ts';

/**
 * The real service over a real PostgreSQL that goes wrong while tenants are worked on. Meanwhile people are told 503 and
 * probes that it is not ready; afterwards every tenant is where it would have been, what was accepted was done, and no
 * vendor was written to twice or by one who had no claim.
 */

expectNothingLeft();

/** Given by FAULT_SEED, so that what was found is found again. */
const SEED = Number(process.env['FAULT_SEED'] ?? 1);

const random = randomOf(SEED);

/** The bounds are shorter than the service's own, so that they are met within a test. */
const STATEMENT_MS = 3_000;
const QUERY_MS = 5_000;
const DRAIN_MS = 3_000;

/** A server of the file's own, which it kills; the service's role there is nobody's superuser. */
class Postgres implements AsyncDisposable {
  readonly #home: string;
  #server: Awaited<ReturnType<typeof startEmbedded>> | null = null;
  #pool: pg.Pool | null = null;

  constructor(home: string) {
    this.#home = home;
  }

  async start(): Promise<void> {
    this.#server = await startEmbedded(this.#home);
    this.#pool = new pg.Pool({ connectionString: this.#at('parasol').href, max: 3 });
    // It is killed while nobody uses it.
    this.#pool.on('error', () => undefined);
  }

  /** The database, its owner, and what tells who had a claim when. */
  async prepare(): Promise<void> {
    await this.query(`create role service login password 'service'`);
    await this.query('create database service owner service');
    await this.#connect('service');
  }

  async #connect(name: string): Promise<void> {
    await this.#pool?.end();
    this.#pool = new pg.Pool({ connectionString: this.#at(name).href, max: 3 });
    this.#pool.on('error', () => undefined);
  }

  #at(name: string): URL {
    const url = new URL(this.#server!.url);
    url.pathname = `/${name}`;
    return url;
  }

  /** The service's database, as the service comes there. */
  get url(): string {
    const url = this.#at('service');
    url.username = url.password = 'service';
    url.search = `statement_timeout=${STATEMENT_MS}&query_timeout=${QUERY_MS}`;
    return url.href;
  }

  get pool(): pg.Pool {
    return this.#pool!;
  }

  async query<Row extends pg.QueryResultRow>(text: string, values: unknown[] = []): Promise<Row[]> {
    return (await this.pool.query<Row>(text, values)).rows;
  }

  /** Ends the service's sessions; how many there were. */
  async terminate(most = 1_000): Promise<number> {
    const ended = await this.query(
      `select pg_terminate_backend(pid) from (
         select pid from pg_stat_activity where usename = 'service' order by random() limit $1) as sessions`,
      [most],
    );
    return ended.length;
  }

  /** The power of its machine goes. */
  async kill(): Promise<void> {
    const cluster = join(this.#home, 'cluster');
    const [first = ''] = (await readFile(join(cluster, 'postmaster.pid'), 'utf8')).split('\n');
    for (const pid of [Number(first), ...(await processesIn(cluster))]) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // It went with the first one.
      }
    }
    await this.#pool!.end();
    await until('the server is gone', async () => (await processesIn(cluster)).length === 0);
  }

  async restart(): Promise<void> {
    await this.start();
    await this.#connect('service');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#pool?.end();
    await this.#server?.stop();
  }
}

let postgres: Postgres;
let link: Network;
let vendors: Awaited<ReturnType<typeof simulator>>;
let service: Service;
const resources = new AsyncDisposableStack();

const TELL_CLAIMS = `
  create table claim_log (tenant text not null, at timestamptz not null, owner text, until timestamptz);
  alter table claim_log owner to service;
  create function log_claim() returns trigger language plpgsql as $$ begin
    insert into claim_log values (new.id, clock_timestamp(), new.claim_owner, new.next_run_at);
    return null;
  end $$;
  create trigger log_claim after insert or update on tenants for each row execute function log_claim()`;

beforeAll(async () => {
  console.log(`FAULT_SEED=${SEED}`);
  const data = resources.use(await folder());
  const home = resources.use(await folder());
  vendors = resources.use(await simulator());
  postgres = resources.use(new Postgres(join(home.path, 'postgres')));
  await postgres.start();
  await postgres.prepare();
  link = resources.use(await network(postgres.url));
  service = await startService({
    databaseUrl: link.url,
    data: data.path,
    env: { PARASOL_REPAIRS_PER_HOUR: '1000', PARASOL_BRAKE_LEAST: '1000', PARASOL_DRAIN: `${DRAIN_MS}ms` },
  });
  resources.defer(() => service.kill());
  await postgres.query(TELL_CLAIMS);
});
afterAll(() => resources.disposeAsync());

const integration = (company: string): string[] => {
  const { roles, members } = vendors.world.viewCompany(company);
  return [
    ...roles.filter(({ name }) => name === 'Umbrella').map(({ name }) => `role ${name}`),
    ...members
      .filter(({ identifier }) => identifier.startsWith('umbrella-'))
      .map(
        ({ identifier, inactiveFlag, securityRole }) =>
          `${identifier} ${inactiveFlag ? 'inactive' : 'active'} ${securityRole?.name}`,
      ),
  ];
};

const ADOPTED = { members: { adopt: true } };
const asks = ({ handoffs }: StatusView): string[] => handoffs.map(({ kind }) => `asks ${kind}`);
const stands = (status: StatusView, company: string): string[] => [...integration(company), ...asks(status)];
const WELL = ['role Umbrella', 'umbrella-a active Umbrella'];

/** What each is like when all is done; there are two of each. */
const KINDS: readonly { trouble: Trouble; wishes: Wishes; ends: string[] }[] = [
  { trouble: 'healthy', wishes: ADOPTED, ends: WELL },
  { trouble: 'member-inactive', wishes: ADOPTED, ends: WELL },
  { trouble: 'member-wrong-role', wishes: ADOPTED, ends: WELL },
  { trouble: 'member-missing', wishes: { withKey: false }, ends: [...WELL, 'asks issue-integration-key'] },
  { trouble: 'role-missing', wishes: { withKey: false }, ends: ['role Umbrella', 'asks grant-role-levels'] },
];

const CREW = [...KINDS, ...KINDS];

/** Tenants of this case, applied: their first runs are under way. */
async function crew(name: string): Promise<string[]> {
  const ids = CREW.map(({ trouble }, index) => `${name}-${trouble}-${index}`);
  for (const [index, { trouble }] of CREW.entries()) seedScenario(vendors.world, ids[index]!, trouble);
  // Runs last long enough that something falls into them.
  vendors.world.addFault({ effect: { kind: 'latency', ms: 60 } });
  await service.client.apply(
    CREW.map(({ wishes }, index) => tenantOf(vendors, ids[index]!, wishes)),
    false,
  );
  return ids;
}

interface Answered {
  status: number;
  retryAfter: string | null;
  text: string;
}

async function ask(method: string, path: string, body?: unknown): Promise<Answered> {
  const response = await fetch(service.url + path, {
    method,
    headers: {
      authorization: `Bearer ${service.token}`,
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    signal: AbortSignal.timeout(60_000),
  });
  return {
    status: response.status,
    retryAfter: response.headers.get('retry-after'),
    text: await response.text(),
  };
}

/** People who look and ask all the time, and the probe. */
class People {
  readonly answers = new Map<string, number>();
  readonly wrongs: string[] = [];
  /** The last trigger of each tenant that was accepted. */
  readonly accepted = new Map<string, number>();
  /** What the probe said was not working. */
  readonly failing = new Set<string>();
  #over = false;
  readonly #turns: Promise<void>[];

  constructor(ids: readonly string[]) {
    const one = () => ids[Math.floor(random() * ids.length)]!;
    this.#turns = [
      this.#again(async () => this.#note('GET', await ask('GET', `/tenants/${one()}/status`))),
      this.#again(async () => {
        const id = one();
        const answer = await ask('POST', `/tenants/${id}/reconcile`, { reason: 'meanwhile' });
        this.#note('POST', answer);
        if (answer.status !== 202) return;
        const { trigger } = JSON.parse(answer.text) as { trigger: number };
        this.accepted.set(id, Math.max(trigger, this.accepted.get(id) ?? 0));
      }),
      this.#again(async () => {
        const { parts } = await probe();
        for (const part of parts) this.failing.add(part);
      }),
    ];
  }

  #note(method: string, { status, retryAfter, text }: Answered): void {
    const kind = `${method} ${status}`;
    this.answers.set(kind, (this.answers.get(kind) ?? 0) + 1);
    if (![200, 202, 503].includes(status)) this.wrongs.push(`${kind}: ${text}`);
    if (status === 503 && !(Number(retryAfter) > 0))
      this.wrongs.push(`${kind} tells no time to come back at`);
  }

  async #again(turn: () => Promise<void>): Promise<void> {
    while (!this.#over) {
      await turn().catch((error: unknown) => this.wrongs.push(`not answered at all: ${String(error)}`));
      await sleep(100);
    }
  }

  async end(): Promise<void> {
    this.#over = true;
    await Promise.all(this.#turns);
  }
}

/** What does not work, by the service's own word. */
async function probe(): Promise<{ status: number; parts: string[] }> {
  const { status, text } = await ask('GET', '/readyz');
  const { parts } = JSON.parse(text) as { parts: { part: string; ok: boolean }[] };
  return { status, parts: parts.filter(({ ok }) => !ok).map(({ part }) => part) };
}

/** All are where they would have been, and did what was accepted. */
async function converged(ids: readonly string[], people: People): Promise<void> {
  let left: string[] = [];
  const look = async () => {
    left = [];
    for (const [index, id] of ids.entries()) {
      const status = await service.client.status(id);
      const here = stands(status, id).toSorted();
      const ends = CREW[index]!.ends.toSorted();
      const asked = people.accepted.get(id) ?? 0;
      if (!isSettled(status) || status.trigger.handled < asked || here.join() !== ends.join()) {
        left.push(`${id}: ${here.join()}; ${JSON.stringify(status.trigger)} ${status.lastRun?.summary}`);
      }
    }
    if (left.length === 0) return true;
    // A token may ask so many times a minute.
    await sleep(1_000);
    return false;
  };
  await until('every tenant is where it would have been', look, 45_000).catch((error: Error) => {
    throw new Error(`${error.message}: ${left.join(' | ')}`);
  });
}

const writesOf = (ids: readonly string[]): JournalEntry[] =>
  ids.flatMap((company) => vendors.world.journal.query({ company, writes: true }));

/** Writes that were made twice, and such as were made without a claim. */
async function wrongWrites(ids: readonly string[]): Promise<string[]> {
  const wrongs: string[] = [];
  for (const id of ids) {
    const writes = writesOf([id]);
    const told = ({ method, path, requestBody }: JournalEntry) =>
      `${id}: ${method} ${path} ${JSON.stringify(requestBody)}`;
    const applied = writes.filter(({ applied }) => applied).map(told);
    wrongs.push(...applied.filter((one, at) => applied.indexOf(one) !== at).map((one) => `twice: ${one}`));
    for (const write of writes) {
      const [claim] = await postgres.query<{ held: boolean }>(
        `select owner is not null and until > $2::timestamptz as held from claim_log
          where tenant = $1 and at <= $2::timestamptz order by at desc limit 1`,
        [id, write.at],
      );
      if (claim?.held !== true) wrongs.push(`without a claim: ${told(write)}`);
    }
  }
  return wrongs;
}

interface Weather {
  name: string;
  /** What people see. */
  title: string;
  /** Begins; what it answers ends it. */
  strike: (ids: readonly string[], people: People) => Promise<() => Promise<void>>;
  /** What the probe says meanwhile; null: it may say anything. */
  tells: 'database' | 'loop' | null;
  /** Whether people are told 503 meanwhile. */
  unavailable: boolean;
}

const WEATHERS: readonly Weather[] = [
  {
    name: 'killed',
    title: 'PostgreSQL is killed and started again',
    async strike() {
      await postgres.kill();
      return async () => {
        await postgres.restart();
        link.retarget(postgres.url);
      };
    },
    tells: 'database',
    unavailable: true,
  },
  {
    name: 'readonly',
    title: 'PostgreSQL takes no writes for a while',
    async strike() {
      await postgres.query('alter database service set default_transaction_read_only = on');
      await postgres.terminate();
      return async () => {
        await postgres.query('begin read write; alter database service reset all; commit');
        await postgres.terminate();
      };
    },
    tells: 'database',
    unavailable: true,
  },
  {
    name: 'slow',
    title: 'each statement takes half a second more',
    async strike() {
      link.slow(500);
      await sleep(5_000);
      return async () => link.restore();
    },
    tells: null,
    unavailable: false,
  },
  {
    name: 'onebyone',
    title: 'one session after the other is ended',
    async strike() {
      let ended = 0;
      for (let times = 0; times < 25; times += 1) {
        ended += await postgres.terminate(1);
        await sleep(100 + random() * 200);
      }
      expect(ended).toBeGreaterThan(10);
      return async () => undefined;
    },
    tells: null,
    unavailable: false,
  },
  {
    name: 'begin',
    title: 'fifteen transactions cannot begin',
    async strike() {
      link.cutAt('begin', 15);
      await until('they could not', () => link.cutsLeft() === 0, 30_000);
      return async () => link.restore();
    },
    tells: null,
    unavailable: true,
  },
  {
    name: 'locked',
    title: 'a lock is held for longer than a statement may take',
    async strike() {
      const other = await postgres.pool.connect();
      await other.query('begin; lock table tenants in access exclusive mode');
      return async () => {
        await other.query('rollback');
        other.release();
      };
    },
    tells: 'loop',
    unavailable: true,
  },
  {
    name: 'halfopen',
    title: 'the network swallows all that is sent',
    async strike() {
      link.swallow();
      return async () => {
        link.restore();
        // Also those that nobody asks anything: the one that listens, and the one that is there.
        await until('no connection is left that is dead', () => link.deadConnections() === 0);
      };
    },
    tells: 'database',
    unavailable: true,
  },
  {
    name: 'toomany',
    title: 'PostgreSQL has no connection left',
    async strike() {
      await postgres.query('alter database service connection limit 0');
      await postgres.terminate();
      return async () => void (await postgres.query('alter database service connection limit -1'));
    },
    tells: 'database',
    unavailable: true,
  },
];

beforeEach(async () => {
  await until('it is ready', async () => (await probe()).status === 200);
});
afterEach(() => vendors.world.clearFaults());

describe('while tenants are worked on', () => {
  test.each(WEATHERS)('$title', async ({ name, strike, tells, unavailable }) => {
    const ids = await crew(name);
    const some = 1 + Math.floor(random() * 5);
    await until('some have been written to', () => writesOf(ids).length >= some);
    const people = new People(ids);
    const before = writesOf(ids).length;
    const heal = await strike(ids, people);
    const toldOf = () => tells === null || people.failing.has(tells);
    const refused = () => [...people.answers.keys()].some((kind) => kind.endsWith('503'));
    try {
      await until('probes and people are told', () => toldOf() && (!unavailable || refused()));
      await sleep(1_000 + random() * 1_000);
    } finally {
      await heal();
    }
    await until('it is ready again', async () => (await probe()).status === 200);
    await sleep(500);
    await people.end();
    await leasesRunOut(postgres);
    await absencesSaySomething(postgres);
    await converged(ids, people);
    expect(people.wrongs).toEqual([]);
    expect(people.answers.get('POST 202') ?? 0).toBeGreaterThan(0);
    expect(await wrongWrites(ids)).toEqual([]);
    expect(service.running()).toBe(true);
    const writes = `${before} writes before, ${writesOf(ids).length - before} later`;
    console.log(name, Object.fromEntries(people.answers), [...people.failing], writes);
  });
});

describe('what PostgreSQL takes back', () => {
  test('for the sake of another is done all the same, and nobody hears of it: a deadlock', async () => {
    const ids = await crew('deadlock');
    const [first, last] = [ids.toSorted()[0]!, ids.toSorted().at(-1)!];
    const other = await postgres.pool.connect();
    try {
      // Nobody but the service finds the deadlock, and so nobody else is its victim.
      await other.query(`set deadlock_timeout = '1h'; begin`);
      await other.query('select from tenants where id = $1 for update', [last]);
      const changed = CREW.map(({ wishes }, index) =>
        tenantOf(vendors, ids[index]!, { ...wishes, every: '2h' }),
      );
      const applying = ask('POST', '/fleet/apply', { tenants: changed });
      await sleep(500);
      await other.query('select from tenants where id = $1 for update', [first]);
      await other.query('commit');
      expect(await applying).toMatchObject({ status: 200 });
    } finally {
      other.release(true);
    }
    const [row] = await postgres.query<{ changed: number }>(
      `select count(*)::int as changed from tenants where id = any ($1) and generation = 2`,
      [ids],
    );
    expect(row).toEqual({ changed: ids.length });
  });

  test('for the sake of order is done all the same, and nobody hears of it: a serialization failure', async () => {
    const ids = await crew('serial');
    await postgres.query(`
      create sequence refusals owned by none;
      grant all on sequence refusals to service;
      create function refuse() returns trigger language plpgsql as $$ begin
        if random() < 0.2 then
          perform nextval('refusals');
          raise exception 'not now' using errcode = '40001';
        end if;
        return null;
      end $$;
      create trigger refuse after update on tenants for each statement execute function refuse()`);
    const people = new People(ids);
    await sleep(4_000);
    await people.end();
    await postgres.query('drop trigger refuse on tenants');
    expect(people.wrongs).toEqual([]);
    expect([...people.answers.keys()].toSorted()).toEqual(['GET 200', 'POST 202']);
    const [refused] = await postgres.query<{ times: number }>(
      'select last_value::int as times from refusals',
    );
    expect(refused!.times).toBeGreaterThan(10);
    await leasesRunOut(postgres);
    await converged(ids, people);
    expect(await wrongWrites(ids)).toEqual([]);
  });
});

describe('a service that is asked to end', () => {
  test('while the network swallows all that is sent ends soon, and as one that was asked to', async () => {
    const ids = await crew('ending');
    const people = new People(ids);
    await sleep(300);
    link.swallow();
    await sleep(500);
    const started = performance.now();
    expect(await service.stop()).toEqual({ code: 0, signal: null });
    const tookMs = performance.now() - started;
    console.log(`ended within ${Math.round(tookMs)} ms`);
    expect(tookMs).toBeLessThan(DRAIN_MS + 10_000);
    await people.end();
    expect(service.stderr()).toBe('');
    expect(service.lines().at(-1)).toMatchObject({ msg: 'ended' });
  });
});
