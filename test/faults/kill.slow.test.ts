import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { Secret } from '../../src/domain/secret.ts';
import type { StatusView } from '../../src/reconciler/commands.ts';
import {
  scenarioSecrets,
  seedScenario,
  type JournalEntry,
  type KeyPair,
  type Trouble,
  type World,
} from '../../src/simulator/index.ts';
import { fingerprintOf } from '../../src/vault/index.ts';
import {
  database,
  expectNothingLeft,
  folder,
  isSettled,
  reconciled,
  simulator,
  startService,
  statusWhen,
  tenantOf,
  until,
  verdict,
  type Database,
  type Service,
  type Wishes,
} from '../e2e/harness.ts';
import { absencesSaySomething, leasesRunOut } from './boundaries.ts';

/**
 * The service is killed at each boundary of each effect, and started again: what it had done is found and not
 * done twice, what it had not done is done, and what it was given is not lost (design.md §3.2, rulings 7).
 *
 *   look ─▶ intent committed ─1─▶ write leaves ─▶ done there ─2─▶ answered ─3─▶ look again ─▶ recording ─4─▶ recorded
 */

expectNothingLeft();

type Fault = Parameters<World['addFault']>[0];

let db: Database;
let vendors: Awaited<ReturnType<typeof simulator>>;
let data: Awaited<ReturnType<typeof folder>>;
let service: Service;
const resources = new AsyncDisposableStack();
let killed = 0;

/** One service goes through all cases: where one has killed it, it is started again for this and the next. */
const start = async (): Promise<Service> =>
  startService({ databaseUrl: db.url, data: data.path, env: { PARASOL_REPAIRS_PER_HOUR: '1000' } });

beforeAll(async () => {
  db = resources.use(await database());
  data = resources.use(await folder());
  vendors = resources.use(await simulator());
  service = await start();
  resources.defer(() => service.kill());
});
afterEach(async () => {
  vendors.world.clearFaults();
  vendors.world.releaseHangs('drop');
  if (!service.running()) service = await start();
});
afterAll(async () => {
  await service.stop();
  await resources.disposeAsync();
  console.log(`killed at ${killed} boundaries`);
});

/** Arms a fault and waits until a call is held by it, while `cause` makes it happen. */
async function held(company: string, fault: Fault, cause: () => Promise<unknown>): Promise<void> {
  vendors.world.addFault({ ...fault, when: { company, ...fault.when } });
  await cause();
  const call = await vendors.world.waitForHang(20_000);
  if (call === null) throw new Error(`no call of ${company} was held: ${JSON.stringify(fault)}`);
  expect(call).toMatchObject({ company });
}

/** The power goes. What was held before its effect never happens: its connection is gone. */
async function powerCut(): Promise<void> {
  await service.kill();
  killed += 1;
  vendors.world.clearFaults();
  vendors.world.releaseHangs('drop');
  await until('no call is held', () => vendors.world.faults.heldCalls().length === 0);
}

/** Time passes (leases run out, an absence begins to say something), and the service is started again. */
async function powerIsBack({ settled = true } = {}): Promise<void> {
  await leasesRunOut(db);
  if (settled) await absencesSaySomething(db);
  service = await start();
}

/** Lets the call go on that is held, and waits until the run cannot record: the tenant's row is locked. */
async function stuckWhileRecording(tenant: string, then: () => Promise<void>): Promise<void> {
  const lock = await db.pool.connect();
  try {
    await lock.query('begin');
    await lock.query('select from tenants where id = $1 for update', [tenant]);
    vendors.world.clearFaults();
    vendors.world.releaseHangs();
    await until('somebody waits for the row', async () => {
      const [row] = await db.query<{ waiting: number }>(
        `select count(*)::int as waiting from pg_stat_activity
          where datname = current_database() and wait_event_type = 'Lock' and application_name = 'parasol'`,
      );
      return (row?.waiting ?? 0) > 0;
    });
    await then();
  } finally {
    await lock.query('rollback');
    lock.release();
  }
}

const writes = (company: string): JournalEntry[] => vendors.world.journal.query({ company, writes: true });

/** Writes that changed something, as `POST /system/apiMembers`. */
const applied = (company: string): string[] =>
  writes(company)
    .filter(({ applied }) => applied)
    .map(({ method, operation }) => `${method} ${operation}`);

const openIntents = async (tenant: string): Promise<number> => {
  const [row] = await db.query<{ open: number }>(
    `select count(*)::int as open from intents where tenant_id = $1 and outcome in ('open', 'unknown')`,
    [tenant],
  );
  return row?.open ?? 0;
};

/** Every hand-off that the tenant ever had. */
const handoffs = async (tenant: string): Promise<string[]> => {
  const rows = await db.query<{ told: string }>(
    `select kind || ' ' || state as told from handoffs where tenant_id = $1 order by opened_at, kind`,
    [tenant],
  );
  return rows.map(({ told }) => told);
};

/** What Parasol knows to have made itself, which it may switch off and on again (rulings 9, 19). */
const made = async (tenant: string): Promise<string[]> => {
  const rows = await db.query<{ told: string }>(
    `select kind || ' ' || name as told from owned_objects where tenant_id = $1 and how = 'created'`,
    [tenant],
  );
  return rows.map(({ told }) => told);
};

/** Keys of the integration's members that work and that Parasol holds no pair of; no API can list them. */
const unknownKeys = async (company: string, pairs: readonly KeyPair[]): Promise<string[]> => {
  const known = await db.query<{ fingerprint: string }>(
    'select fingerprint from credentials where tenant_id = $1',
    [company],
  );
  const fingerprints = new Set(known.map(({ fingerprint }) => fingerprint));
  return vendors.world
    .listKeys(company)
    .filter(({ member }) => member.startsWith('umbrella-'))
    .filter(({ publicKey }) => {
      const pair = pairs.find((one) => one.publicKey === publicKey);
      return pair === undefined || !fingerprints.has(fingerprintOf(halves(pair)));
    })
    .map(({ publicKey }) => publicKey);
};

const halves = ({ publicKey, privateKey }: KeyPair) => ({
  publicHalf: publicKey,
  privateHalf: new Secret(privateKey),
});

/** What must be found of the integration in ConnectWise, by a person who may look everywhere. */
function integration(company: string) {
  const { roles, members } = vendors.world.viewCompany(company);
  return {
    roles: roles.filter(({ name }) => name === 'Umbrella').length,
    members: members
      .filter(({ identifier }) => identifier.startsWith('umbrella-'))
      .map(({ identifier, inactiveFlag, securityRole, structureLevel }) =>
        [identifier, inactiveFlag ? 'inactive' : 'active', securityRole?.name, structureLevel?.name].join(
          ' ',
        ),
      ),
  };
}

/** A write to ConnectWise, what makes it due, and what there is when all is done. */
interface Effect {
  name: string;
  trouble: Trouble;
  wishes: Wishes;
  /** The write, as the journal tells it. */
  write: { method: string; operation: string };
  /** A read that the write waits for, where there is one: held, the intent is committed and nothing was sent. */
  readBefore?: string;
  /** Brings the tenant to where the effect is due next. Default: it is, when the tenant is applied. */
  prepare?: (company: string) => Promise<void>;
  due: (company: string) => Promise<unknown>;
  done: (company: string) => Promise<void>;
}

const apply = (company: string, wishes: Wishes) =>
  service.client.apply([tenantOf(vendors, company, wishes)], false);

const MEMBER = '/system/apiMembers/{id}';
const ADOPTED = { members: { adopt: true } };
const READY = { roles: 1, members: ['umbrella-a active Umbrella Corporate'] };

/** A change of a member that exists, after which nothing is left to do. */
const change = (name: string, trouble: Trouble, prepare?: Effect['prepare']): Effect => ({
  name,
  trouble,
  wishes: ADOPTED,
  write: { method: 'PATCH', operation: MEMBER },
  readBefore: MEMBER,
  ...(prepare === undefined ? {} : { prepare }),
  due: (company) =>
    prepare === undefined ? apply(company, ADOPTED) : service.client.reconcile(company, 'due'),
  async done(company) {
    const status = await statusWhen(service, company, 'ready', (s) => isReady(s) && isSettled(s));
    expect(status.drift).toEqual([]);
    expect(integration(company)).toEqual(READY);
    expect(await handoffs(company)).toEqual([]);
  },
});

const isReady = ({ ready }: StatusView): boolean => ready === 'True';

const EFFECTS: Effect[] = [
  {
    name: 'making the role',
    trouble: 'role-missing',
    wishes: { withKey: false },
    write: { method: 'POST', operation: '/system/securityroles' },
    due: (company) => apply(company, { withKey: false }),
    async done(company) {
      const status = await statusWhen(service, company, 'its levels are asked for', ({ handoffs }) =>
        handoffs.some(({ kind }) => kind === 'grant-role-levels'),
      );
      expect(verdict(status, 'RoleReady')).toBe('False LevelsMissing');
      expect(integration(company)).toEqual({ roles: 1, members: [] });
      expect(await made(company)).toEqual(['role Umbrella']);
      expect(await handoffs(company)).toEqual(['grant-role-levels open']);
    },
  },
  {
    name: 'making the member',
    trouble: 'member-missing',
    wishes: { withKey: false },
    write: { method: 'POST', operation: '/system/apiMembers' },
    readBefore: '/system/apiMembers/default',
    due: (company) => apply(company, { withKey: false }),
    async done(company) {
      const status = await statusWhen(service, company, 'its key is asked for', ({ handoffs }) =>
        handoffs.some(({ kind }) => kind === 'issue-integration-key'),
      );
      expect(verdict(status, 'MembersReady')).toBe('True AsSpecified');
      expect(status.drift).toEqual([]);
      expect(integration(company)).toEqual(READY);
      expect(await made(company)).toEqual(['member umbrella-a']);
      expect(await handoffs(company)).toEqual(['issue-integration-key open']);
    },
  },
  change('activating the member', 'member-inactive'),
  change('giving the member its role', 'member-wrong-role'),
  change('giving the member its level', 'healthy', async (company) => {
    await apply(company, ADOPTED);
    await statusWhen(service, company, 'ready', isReady);
    vendors.world.setMemberPlace(company, 'umbrella-a', 'Location', 'Corporate');
  }),
  {
    name: 'deactivating the member of a tenant that is deleted',
    trouble: 'healthy',
    wishes: {},
    write: { method: 'PATCH', operation: MEMBER },
    readBefore: MEMBER,
    async prepare(company) {
      await apply(company, {
        onDelete: 'deactivate-members',
        members: { adopt: true, dedicated: true },
      });
      await statusWhen(service, company, 'ready', isReady);
    },
    due: (company) => service.call('DELETE', `/tenants/${company}`),
    async done(company) {
      await until(
        'the tenant is gone',
        async () => (await service.get(`/tenants/${company}`)).status === 404,
      );
      expect(integration(company)).toEqual({
        roles: 1,
        members: ['umbrella-a inactive Umbrella Corporate'],
      });
    },
  },
];

type Boundary =
  'before the write leaves' | 'before its answer' | 'before the second look' | 'while it is recorded';

/** The management key's second look begins with this call; the first one since the effect was due is the first look's. */
const SECOND_LOOK: Fault = {
  when: { operation: '/system/mySecurity', actor: 'parasol', nth: 2 },
  effect: { kind: 'hangBefore' },
};

const BOUNDARIES: Record<Boundary, (effect: Effect, company: string) => Promise<void>> = {
  async 'before the write leaves'({ write, readBefore, due }, company) {
    const when = readBefore === undefined ? write : { method: 'GET', operation: readBefore };
    await held(company, { when: { ...when, nth: 1 }, effect: { kind: 'hangBefore' } }, () => due(company));
    expect(await openIntents(company)).toBe(1);
    await powerCut();
  },
  async 'before its answer'({ write, due }, company) {
    await held(company, { when: write, effect: { kind: 'hangAfter' } }, () => due(company));
    expect(await openIntents(company)).toBe(1);
    await powerCut();
  },
  async 'before the second look'({ due }, company) {
    await held(company, SECOND_LOOK, () => due(company));
    expect(await openIntents(company)).toBe(1);
    await powerCut();
  },
  async 'while it is recorded'({ due }, company) {
    await held(company, SECOND_LOOK, () => due(company));
    await stuckWhileRecording(company, powerCut);
    expect(await openIntents(company)).toBe(1);
  },
};

let companies = 0;

/** A company of its own for each case. */
function company(trouble: Trouble): string {
  companies += 1;
  const id = `case-${companies}`;
  seedScenario(vendors.world, id, trouble, { organizationId: 5_000_000 + companies });
  return id;
}

describe.each(EFFECTS)('$name', (effect) => {
  const { method, operation } = effect.write;

  test.each(Object.keys(BOUNDARIES) as Boundary[])('killed %s: it is done exactly once', async (boundary) => {
    const id = company(effect.trouble);
    await effect.prepare?.(id);
    await BOUNDARIES[boundary](effect, id);
    const atTheCut = boundary === 'before the write leaves' ? [] : [`${method} ${operation}`];
    expect(applied(id)).toEqual(atTheCut);
    await powerIsBack();
    await effect.done(id);

    expect(applied(id)).toEqual([`${method} ${operation}`]);
    expect(await openIntents(id)).toBe(0);
    // Another look finds nothing more to do.
    const isThere = (await service.get(`/tenants/${id}`)).status === 200;
    if (isThere) await reconciled(service, id);
    await effect.done(id);
    // What a deleted tenant's member had for keys went with its pairs.
    expect(isThere ? await unknownKeys(id, [scenarioSecrets(id).integrationKey]) : []).toEqual([]);
    expect(applied(id)).toEqual([`${method} ${operation}`]);
    // What was sent again had not been done: its first try was held and lost.
    expect(writes(id).filter(({ applied, fault }) => !applied && fault !== 'hangBefore')).toEqual([]);
  });
});

describe.each([
  {
    name: 'making the role',
    trouble: 'role-missing',
    operation: '/system/securityroles',
    effect: EFFECTS[0]!,
  },
  {
    name: 'making the member',
    trouble: 'member-missing',
    operation: '/system/apiMembers',
    effect: EFFECTS[1]!,
  },
] as const)('$name where lists are older than answers', ({ trouble, operation, effect }) => {
  test('killed before the second look: what the list does not show yet is not made again', async () => {
    const id = company(trouble);
    vendors.world.addFault({
      when: { company: id, method: 'POST', operation },
      effect: { kind: 'staleReads', reads: 3 },
    });
    await held(id, SECOND_LOOK, () => effect.due(id));
    await powerCut();
    // The service is back before an absence says anything.
    await powerIsBack({ settled: false });
    await statusWhen(service, id, 'it was looked at', isSettled);
    expect(await openIntents(id)).toBe(1);
    await reconciled(service, id);
    await reconciled(service, id);
    await reconciled(service, id);
    await effect.done(id);
    expect(applied(id)).toEqual([`POST ${operation}`]);
    expect(await openIntents(id)).toBe(0);
  });
});

describe('opening a hand-off', () => {
  const opened = async (id: string) => {
    const status = await statusWhen(service, id, 'it is asked for', ({ handoffs }) => handoffs.length > 0);
    expect(verdict(status, 'RoleReady')).toBe('False LevelsMissing');
    await reconciled(service, id);
    expect(await handoffs(id)).toEqual(['grant-role-levels open']);
    expect(applied(id)).toEqual([]);
  };
  const LAST_READ: Fault = {
    when: { operation: '/system/mySecurity/customizeItems/' },
    effect: { kind: 'hangBefore' },
  };

  test.each([
    ['before it is recorded', () => powerCut()],
    ['while it is recorded', (id: string) => stuckWhileRecording(id, powerCut)],
  ])('killed %s: it is opened once', async (_, cut) => {
    const id = company('level-missing');
    await held(id, LAST_READ, () => apply(id, {}));
    await cut(id);
    expect(await handoffs(id)).toEqual([]);
    await powerIsBack();
    await opened(id);
  });

  test('killed as soon as it was recorded: it stays the same one', async () => {
    const id = company('level-missing');
    await apply(id, {});
    await until('it is opened', async () => (await handoffs(id)).length > 0);
    await powerCut();
    const [before] = await db.query<{ id: string }>('select id from handoffs where tenant_id = $1', [id]);
    await powerIsBack();
    await opened(id);
    expect(await db.query('select id from handoffs where tenant_id = $1', [id])).toEqual([before]);
  });
});

describe('promoting a key', () => {
  /** A tenant whose key is dead, asks for another one, and is given it. */
  async function asked() {
    const id = company('key-dead');
    await apply(id, {});
    const status = await statusWhen(service, id, 'a key is asked for', ({ handoffs }) => handoffs.length > 0);
    const handoff = status.handoffs[0]?.id ?? '';
    const pair = vendors.world.makeKey(id, 'umbrella-a', 'Umbrella, by Parasol');
    return { id, handoff, pair };
  }
  const submit = ({ handoff, pair }: { handoff: string; pair: KeyPair }) =>
    service.client.submit(handoff, { by: 'ann', ...pair });

  const states = async (id: string, pair: KeyPair) => {
    const rows = await db.query<{ state: string }>(
      `select state from credentials where tenant_id = $1 and purpose = 'integration' and fingerprint = $2`,
      [id, fingerprintOf(halves(pair))],
    );
    return rows.map(({ state }) => state);
  };

  const promoted = async ({ id, pair }: { id: string; pair: KeyPair }) => {
    const inUse = (status: StatusView) => verdict(status, 'IntegrationKeyValid') === 'True Valid';
    const status = await statusWhen(service, id, 'the key is in use', inUse);
    await reconciled(service, id);
    expect(status.drift).toEqual([]);
    expect(await states(id, pair)).toEqual(['active']);
    expect(await handoffs(id)).toEqual(['issue-integration-key closed', 'install-integration-key open']);
    expect(await unknownKeys(id, [pair])).toEqual([]);
    expect(applied(id)).toEqual([]);
    expect(await openIntents(id)).toBe(0);
  };

  const PROOF: Fault = {
    when: { operation: '/system/mySecurity', actor: 'umbrella-a' },
    effect: { kind: 'hangBefore' },
  };

  test('killed before the submission was committed: it was never accepted, and may be given again', async () => {
    const given = await asked();
    const lock = await db.pool.connect();
    await lock.query('begin');
    await lock.query('select from tenants where id = $1 for update', [given.id]);
    const answer = submit(given).then(
      () => 'accepted',
      () => 'no answer',
    );
    await until('it waits for the row', async () => {
      const waiting = await db.query(
        `select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
      );
      return waiting.length > 0;
    });
    await powerCut();
    expect(await answer).toBe('no answer');
    await lock.query('rollback');
    lock.release();
    expect(await states(given.id, given.pair)).toEqual([]);
    await powerIsBack();
    await submit(given);
    await promoted(given);
  });

  test('killed as soon as the submission was accepted: the pair is not lost', async () => {
    const given = await asked();
    await submit(given);
    await powerCut();
    expect(await states(given.id, given.pair)).toHaveLength(1);
    await powerIsBack();
    await promoted(given);
  });

  test.each([
    ['while it is proved', () => powerCut()],
    ['after the proof, while it is recorded', (id: string) => stuckWhileRecording(id, powerCut)],
  ])('killed %s: it is proved again', async (_, cut) => {
    const given = await asked();
    await held(given.id, PROOF, () => submit(given));
    await cut(given.id);
    expect(await states(given.id, given.pair)).toEqual(['candidate']);
    await powerIsBack();
    await promoted(given);
  });

  test('killed as soon as it was recorded: it stays in use', async () => {
    const given = await asked();
    await submit(given);
    await until('it is in use', async () => (await states(given.id, given.pair)).includes('active'));
    await powerCut();
    expect(await states(given.id, given.pair)).toEqual(['active']);
    await powerIsBack();
    await promoted(given);
  });
});

test('the fleet is told truthfully at the end, by a service that ends in peace', async () => {
  const tenants = await service.client.tenants();
  expect(tenants.length).toBeGreaterThan(20);
  const open = await db.query(`select * from intents where outcome in ('open', 'unknown')`);
  expect(open).toEqual([]);
  expect(await service.stop()).toEqual({ code: 0, signal: null });
});
