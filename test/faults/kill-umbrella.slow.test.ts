import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { Secret } from '../../src/domain/secret.ts';
import type { TenantInput } from '../../src/domain/tenant.ts';
import { scenarioSecrets, seedScenario, type World } from '../../src/simulator/index.ts';
import { fingerprintOf } from '../../src/vault/index.ts';
import {
  database,
  expectNothingLeft,
  folder,
  isSettled,
  simulator,
  startService,
  statusWhen,
  tenantOf,
  until,
  type Database,
  type Service,
} from '../e2e/harness.ts';

/**
 * The service is killed at each boundary of the rotation of an Umbrella key that two tenants share: whatever was
 * done is found, no key is alive whose secret nobody holds, and the pair in use works at every cut (rulings 29).
 *
 *   intent ─▶ POST ─1─▶ made ─2─▶ answered ─3─▶ sealed ─▶ proved ─4─▶ switched ─▶ rested ─▶ intent
 *     ─▶ DELETE ─5─▶ gone ─6─▶ answered ─7─▶ seen dead, recorded
 */

expectNothingLeft();

const KEYS = '/admin/v2/apiKeys';
const KEY = '/admin/v2/apiKeys/{apiKeyId}';

let db: Database;
let vendors: Awaited<ReturnType<typeof simulator>>;
let data: Awaited<ReturnType<typeof folder>>;
let service: Service;
const resources = new AsyncDisposableStack();
let killed = 0;

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

let cases = 0;

/** A parent and its child, which share the parent's key; ready, and looked at. */
async function shared(): Promise<{ parent: string; child: string }> {
  cases += 1;
  const parent = `parent-${cases}`;
  const child = `child-${cases}`;
  const parentOrganizationId = 6_000_000 + 2 * cases;
  const organizationId = parentOrganizationId + 1;
  seedScenario(vendors.world, parent, 'healthy', { organizationId: parentOrganizationId, lean: true });
  seedScenario(vendors.world, child, 'healthy', { organizationId, parentOrganizationId, lean: true });
  const apiKey = scenarioSecrets(parent).umbrellaApiKey;
  const own = tenantOf(vendors, parent);
  const { keyAdmin: _, ...umbrella } = tenantOf(vendors, child).umbrella;
  const given = [
    { ...own, rotation: { overlap: '1s' } },
    {
      ...tenantOf(vendors, child),
      rotation: { overlap: '1s' },
      umbrella: { ...umbrella, apiKey, organizationId: String(organizationId) },
    },
  ] as unknown as TenantInput[];
  await service.client.apply(given, false);
  for (const tenant of [parent, child]) await statusWhen(service, tenant, 'looked at', isSettled);
  return { parent, child };
}

/** Asks for the rotation; the key may have been given so lately that nobody looked at it yet. */
const ask = (tenant: string): Promise<true> =>
  until('the rotation is asked for', async () => {
    const body = { credential: 'umbrella-api', by: 'ann', reason: 'a drill' };
    return (await service.call('POST', `/tenants/${tenant}/rotations`, body)).status === 202;
  });

type Fault = Parameters<World['addFault']>[0];

async function held(company: string, fault: Fault): Promise<void> {
  vendors.world.addFault({ ...fault, when: { company, ...fault.when, nth: 1 } });
  await ask(company);
  const call = await vendors.world.waitForHang(60_000);
  expect(call).toMatchObject({ company, method: fault.when?.method });
}

async function powerCut(): Promise<void> {
  await service.kill();
  killed += 1;
  vendors.world.clearFaults();
  vendors.world.releaseHangs('drop');
  await until('no call is held', () => vendors.world.faults.heldCalls().length === 0);
}

/** Leases run out, and the service is started again. */
async function powerIsBack(): Promise<void> {
  await db.query(`update tenants set next_run_at = now() where claim_owner is not null`);
  await db.query(`update umbrella_keys set next_run_at = now() where claim_owner is not null`);
  service = await start();
}

/** Locks rows so that nothing can be recorded, lets the held call go on, and cuts once somebody waits for them. */
async function cutWhileWaiting(
  lockRows: string,
  parameters: unknown[],
  release: () => unknown,
): Promise<void> {
  const lock = await db.pool.connect();
  try {
    await lock.query('begin');
    await lock.query(lockRows, parameters);
    await release();
    await until(
      'somebody waits for the rows',
      async () => {
        const [row] = await db.query<{ waiting: number }>(
          `select count(*)::int as waiting from pg_stat_activity
            where datname = current_database() and wait_event_type = 'Lock' and application_name = 'parasol'`,
        );
        return (row?.waiting ?? 0) > 0;
      },
      60_000,
    );
    await powerCut();
  } finally {
    await lock.query('rollback');
    lock.release();
  }
}

const letGo = () => {
  vendors.world.clearFaults();
  vendors.world.releaseHangs();
};

const fingerprint = ({ clientId, secret }: { clientId: string; secret: string }) =>
  fingerprintOf({ publicHalf: clientId, privateHalf: new Secret(secret) });

/** Keys of the parent's console that are alive, by fingerprint. */
const alive = (parent: string) => [...vendors.world.console(parent).keys.values()].map(fingerprint);

const inUse = async (tenant: string): Promise<string> => {
  const [row] = await db.query<{ fingerprint: string }>(
    `select fingerprint from credentials where tenant_id = $1 and purpose = 'umbrella-api' and state = 'active'`,
    [tenant],
  );
  return row?.fingerprint ?? 'none';
};

/** Writes to API keys that changed something. */
const applied = (parent: string): string[] =>
  vendors.world.journal
    .query({ company: parent, vendor: 'umbrella', writes: true })
    .filter(({ applied }) => applied)
    .map(({ method }) => method);

const ONCE = ['POST', 'DELETE'];
const MADE_AGAIN = ['POST', 'DELETE', 'POST', 'DELETE'];

/** How far it came, and all that was written in the end. */
const BOUNDARIES: [string, (parent: string) => Promise<void>, string[]][] = [
  [
    'before the key is made',
    async (parent) => {
      await held(parent, { when: { method: 'POST', operation: KEYS }, effect: { kind: 'hangBefore' } });
      await powerCut();
    },
    ONCE,
  ],
  [
    'after the key was made, before the answer',
    async (parent) => {
      await held(parent, { when: { method: 'POST', operation: KEYS }, effect: { kind: 'hangAfter' } });
      await powerCut();
    },
    MADE_AGAIN,
  ],
  [
    'after the answer, before its secret was sealed and kept',
    async (parent) => {
      await held(parent, { when: { method: 'POST', operation: KEYS }, effect: { kind: 'hangAfter' } });
      await cutWhileWaiting('select from umbrella_keys for update', [], letGo);
    },
    MADE_AGAIN,
  ],
  [
    'after it was proved, while tenants are switched',
    async (parent) => {
      const child = parent.replace('parent', 'child');
      await held(parent, { when: { method: 'POST', operation: KEYS }, effect: { kind: 'hangAfter' } });
      await statusWhen(service, parent, 'the run that was asked for has ended', isSettled);
      await cutWhileWaiting('select from tenants where id = $1 for update', [child], letGo);
      expect(alive(parent)).toHaveLength(3);
    },
    ONCE,
  ],
  [
    'before the old key is deleted',
    async (parent) => {
      await held(parent, { when: { method: 'DELETE', operation: KEY }, effect: { kind: 'hangBefore' } });
      await powerCut();
    },
    ONCE,
  ],
  [
    'after the old key was deleted, before the answer',
    async (parent) => {
      await held(parent, { when: { method: 'DELETE', operation: KEY }, effect: { kind: 'hangAfter' } });
      await powerCut();
    },
    ONCE,
  ],
  [
    'after the deletion was answered, before it was recorded',
    async (parent) => {
      await held(parent, { when: { method: 'DELETE', operation: KEY }, effect: { kind: 'hangAfter' } });
      await cutWhileWaiting('select from umbrella_keys for update', [], letGo);
    },
    ONCE,
  ],
];

describe('the rotation of a shared Umbrella key', () => {
  test.each(BOUNDARIES)('killed %s: one key in the end, and its secret held', async (_, cut, writes) => {
    const { parent, child } = await shared();
    const before = await inUse(parent);
    await cut(parent);
    // What tenants have in use works, whatever was cut.
    for (const tenant of [parent, child]) expect(alive(parent)).toContain(await inUse(tenant));
    await powerIsBack();
    const status = await statusWhen(
      service,
      child,
      'the rotation ends',
      ({ umbrellaRotation }) => umbrellaRotation?.phase === 'Completed',
      90_000,
    );
    const now = await inUse(parent);
    expect(now).not.toBe(before);
    expect(await inUse(child)).toBe(now);
    expect(status.umbrellaRotation).toMatchObject({ old: before, new: now, tenants: [child], others: 1 });
    expect(alive(parent)).toEqual([
      fingerprint({
        clientId: scenarioSecrets(parent).umbrellaKeyAdmin.key,
        secret: scenarioSecrets(parent).umbrellaKeyAdmin.secret,
      }),
      now,
    ]);
    expect(applied(parent)).toEqual(writes);
    const [row] = await db.query<{ open: number }>(
      `select count(*)::int as open from intents where outcome in ('open', 'unknown')`,
    );
    expect(row?.open).toBe(0);
    const states = await db.query<{ state: string }>(
      `select state from credentials where tenant_id = $1 and purpose = 'umbrella-api' order by state`,
      [child],
    );
    expect(states.map(({ state }) => state)).toEqual(['active', 'dead']);
  });
});
