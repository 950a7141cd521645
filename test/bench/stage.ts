import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import pg from 'pg';
import type { Client } from '../../src/cli/client.ts';
import { tenantInputSchema, type TenantInput } from '../../src/domain/tenant.ts';
import { scenarioSecrets, SimulatorControl } from '../../src/simulator/index.ts';
import { startEmbedded } from '../../src/store/index.ts';
import { parentOf, startNode, type Child } from './processes.ts';
import { newSecrets, startService } from './service.ts';

/** A healthy company of an ordinary size, beside the fleet of small ones. */
export const ORDINARY = { id: 'acme', customers: 41 };

/** So many tenants in one file, and in one apply: a fleet is kept in many. */
const TENANTS_OF_A_FILE = 250;

/**
 * What every bench plays on: PostgreSQL as a first run has it (durable), both vendors without latency and
 * quotas in a process of their own, the service in another, and a fleet of healthy tenants that nothing but a
 * trigger runs.
 */
export interface Stage {
  pool: pg.Pool;
  databaseUrl: string;
  control: SimulatorControl;
  connectwiseUrl: string;
  umbrellaUrl: string;
  service: Child;
  /** Where the service listens. */
  url: string;
  /** The server's own process; its children are the connections. */
  postgresPid: number;
  client: Client;
  /** Every tenant's id: the fleet of small ones, and the ordinary one. */
  tenants: readonly string[];
  /** Triggers every tenant in one statement and waits until the last run is recorded; milliseconds. */
  sweep(): Promise<number>;
  /** Its halves: triggers every tenant that is not claimed; waits until the last run is recorded. */
  trigger(): Promise<void>;
  /** `but`: a tenant that is not waited for. */
  handled(but?: string): Promise<void>;
  /** One more service on the same database. */
  another(): Promise<{ service: Child; url: string }>;
  /** Lets every tenant be due, as the calendar would, and waits until each was looked at; milliseconds. */
  calendar(): Promise<number>;
  /** Runs one tenant, asked for as a person does, until it is recorded. */
  reconcile(tenant: string): Promise<void>;
  /** Runs one tenant, for which nobody asked, until it is recorded. */
  run(tenant: string): Promise<void>;
}

export interface StageOptions {
  tenants: number;
  /** Where the service writes a CPU profile when it ends; null: it is not profiled. */
  profile: string | null;
  /** The vendors count calls, and the service keeps to its usual share of them. Default: as many as anybody wants. */
  quotas?: boolean;
  say: (line: string) => void;
}

/** Whatever is started is handed to `stack` at once, so that it ends with it, however far this came. */
export async function setStage(
  stack: AsyncDisposableStack,
  { tenants: count, profile, quotas = false, say }: StageOptions,
): Promise<Stage> {
  const data = await mkdtemp(join(tmpdir(), 'parasol-bench-'));
  stack.defer(() => rm(data, { recursive: true, force: true }));
  // Where root runs it, PostgreSQL's own account must pass.
  await chmod(data, 0o711);

  say('starting PostgreSQL, both vendors and the service');
  const server = await startEmbedded(join(data, 'postgres'));
  stack.defer(() => server.stop());
  const simulator = stack.use(
    startNode('dist/main.js', [
      'simulate',
      '--port',
      '0',
      '--scenario',
      'empty',
      ...(quotas ? [] : ['--no-quotas']),
    ]),
  );
  const [connectwiseUrl, umbrellaUrl, controlUrl] = await simulator.said('it listens', urlsIn);
  const control = new SimulatorControl(controlUrl);

  const started = { databaseUrl: server.url, data, secrets: newSecrets(), quotas };
  const { service, url, client } = await startService(stack, { ...started, profile });
  const pool = new pg.Pool({ connectionString: server.url, max: 4, application_name: 'bench' });
  stack.defer(() => pool.end());

  say(`seeding and applying ${count} tenants`);
  await control.seedScenario(ORDINARY.id, 'healthy', { customers: ORDINARY.customers });
  const tenants = [ORDINARY.id, ...(await control.seedMany(count - 1, { lean: true }))];
  const inputs = tenants.map((id) => healthyTenant(id, { connectwiseUrl, umbrellaUrl }));
  for (let from = 0; from < count; from += TENANTS_OF_A_FILE) {
    await client.apply(inputs.slice(from, from + TENANTS_OF_A_FILE), false);
  }
  await untilHandled(pool);
  // The first run of a tenant tells what is new, and fetches what later ones share.
  await sweep(pool);
  await requireReady(pool, count);
  await untilKeysAreKnown(pool);

  const postgresPid = await serverPid(pool);
  return {
    pool,
    url,
    databaseUrl: server.url,
    control,
    connectwiseUrl,
    umbrellaUrl,
    service,
    postgresPid,
    client,
    tenants,
    sweep: () => sweep(pool),
    trigger: () => trigger(pool),
    handled: (but) => untilHandled(pool, LOOK_EVERY_MS, but),
    calendar: () => calendar(pool),
    another: () => startService(stack, started),
    async run(tenant) {
      await pool.query(`${TRIGGER_ALL} and id = $1`, [tenant]);
      await pool.query(`select pg_notify('parasol_trigger', $1)`, [tenant]);
      await untilHandled(pool, 5);
    },
    async reconcile(tenant) {
      await client.reconcile(tenant, 'bench');
      await untilHandled(pool, 5);
    },
  };
}

function urlsIn(text: string): [string, string, string] | null {
  const [connectwise, umbrella, control] = text.match(/http:\/\/\S+/g) ?? [];
  return connectwise && umbrella && control ? [connectwise, umbrella, control] : null;
}

/** A seeded company as its tenant; its period is so long that only triggers run it. */
function healthyTenant(
  id: string,
  { connectwiseUrl, umbrellaUrl }: Pick<Stage, 'connectwiseUrl' | 'umbrellaUrl'>,
): TenantInput {
  const { managementKey, integrationKey, umbrellaApiKey, umbrellaKeyAdmin } = scenarioSecrets(id);
  return tenantInputSchema.parse({
    id,
    name: id,
    mode: 'repair',
    every: '1d',
    connectwise: {
      site: connectwiseUrl,
      companyId: id,
      clientId: '0d1f5a52-3f0e-4d0c-9c43-5a7c1e0f2b68',
      managementKey,
      integrationKey: { member: 'umbrella-a', ...integrationKey },
    },
    umbrella: { console: 'msp', url: umbrellaUrl, apiKey: umbrellaApiKey, keyAdmin: umbrellaKeyAdmin },
  });
}

const TRIGGER_ALL = `
  update tenants set trigger_seq = trigger_seq + 1, trigger_cause = 'bench', next_run_at = now()
   where claim_owner is null`;

async function sweep(pool: pg.Pool): Promise<number> {
  const started = performance.now();
  await trigger(pool);
  await untilHandled(pool);
  return performance.now() - started;
}

async function trigger(pool: pg.Pool): Promise<void> {
  await pool.query(TRIGGER_ALL);
  await pool.query(`select pg_notify('parasol_trigger', 'all')`);
}

/** Seldom enough that the looking costs nothing, often enough for sweeps of seconds. */
const LOOK_EVERY_MS = 100;
const SWEEP_WITHIN_MS = 600_000;

async function untilHandled(pool: pg.Pool, lookEveryMs = LOOK_EVERY_MS, but = ''): Promise<void> {
  // By an index that has those alone: to count them each time took as much as to run some.
  await untilNone(pool, 'trigger_seq > handled_seq and id <> $1', [but], lookEveryMs);
}

async function calendar(pool: pg.Pool): Promise<number> {
  const started = performance.now();
  const { rows } = await pool.query<{ at: Date }>('select clock_timestamp() as at');
  await pool.query('update tenants set next_run_at = now() where claim_owner is null');
  await pool.query(`select pg_notify('parasol_trigger', 'all')`);
  // What waits for a budget has a due time ahead of it, and was not looked at.
  const unseen = 'not exists (select from statuses where tenant_id = tenants.id and observed_at >= $1)';
  await untilNone(pool, unseen, [rows[0]?.at], LOOK_EVERY_MS);
  return performance.now() - started;
}

async function untilNone(pool: pg.Pool, open: string, values: unknown[], lookEveryMs: number): Promise<void> {
  const end = performance.now() + SWEEP_WITHIN_MS;
  for (;;) {
    const { rows } = await pool.query<{ open: boolean }>(
      `select exists (select from tenants where ${open}) as open`,
      values,
    );
    if (rows[0]?.open === false) return;
    if (performance.now() > end) throw new Error('some tenants were not run in time');
    await pause(lookEveryMs);
  }
}

async function serverPid(pool: pg.Pool): Promise<number> {
  const { rows } = await pool.query<{ pid: number }>('select pg_backend_pid() as pid');
  return parentOf(rows[0]?.pid ?? 0);
}

/** A bench of healthy tenants that are not would measure something else. */
async function requireReady(pool: pg.Pool, count: number): Promise<void> {
  const { rows } = await pool.query<{ ready: string; count: number }>(
    'select ready, count(*)::int as count from statuses group by ready',
  );
  if (rows.length !== 1 || rows[0]?.ready !== 'True' || rows[0].count !== count) {
    throw new Error(`not every tenant is ready: ${JSON.stringify(rows)}`);
  }
}

/** Each Umbrella key gets a row of its own, once, beside the reconciles: what is measured begins after that. */
async function untilKeysAreKnown(pool: pg.Pool): Promise<void> {
  for (;;) {
    const { rows } = await pool.query<{ open: number }>(
      `select (select count(*) from credentials where purpose = 'umbrella-api' and state = 'active')::int
            - (select count(*) from umbrella_keys where next_run_at > now() and claim_owner is null)::int as open`,
    );
    if ((rows[0]?.open ?? 0) <= 0) return;
    await pause(1_000);
  }
}
