import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import pg from 'pg';
import { Pool } from 'undici';
import { startEmbedded } from '../../src/store/index.ts';
import { fleet, seedFleet } from '../store/fleet.ts';
import { ratiosOf, summarise, type Finding } from './measure.ts';
import { processorMs, startNode } from './processes.ts';
import { startService } from './service.ts';

const TENANTS = 10_000;
/** Requests under way at once, and of one repetition. */
const AT_ONCE = 16;
const REQUESTS = 2_000;
const REPETITIONS = 7;
const LEAST = 0.8;
const PAGE_MS = 50;
const ASKED = 25;
/** Each may ask 1,200 times a minute. */
const TOKENS = 40;

const PAGES: Record<string, string> = {
  'the fleet': '/fleet',
  'the fleet of a label': '/fleet?label=team=north',
  'those not ready': '/tenants?ready=False',
  'those not ready, longest first': '/tenants?ready=False&sort=since',
  'those of a condition': '/tenants?condition=RoleReady=False/LevelsMissing',
  'those of a mode': '/tenants?mode=alert',
  'those of a label': '/tenants?label=team=north',
  'those of a rare label': '/tenants?label=vip',
  'those with drift': '/tenants?drift=true',
  'those with some drift': '/tenants?drift=members.',
  'those called so': '/tenants?q=managed%20it%2077',
  'the first page': '/tenants?limit=200',
};

/** What people read of 10,000 tenants: a status against a bare route with one select, then each page by itself. */
export async function readsBench(profile: string | null): Promise<Finding[]> {
  await using stack = new AsyncDisposableStack();
  const data = await mkdtemp(join(tmpdir(), 'parasol-bench-'));
  stack.defer(() => rm(data, { recursive: true, force: true }));
  await chmod(data, 0o711);
  const server = await startEmbedded(join(data, 'postgres'));
  stack.defer(() => server.stop());
  const {
    url,
    client,
    service: child,
  } = await startService(stack, { databaseUrl: server.url, data, profile });
  const pool = new pg.Pool({ connectionString: server.url, max: 2 });
  stack.defer(() => pool.end());
  const tenants = fleet(TENANTS).map((one) => ({ ...one, nextRunAt: new Date('2999-01-01T00:00:00Z') }));
  await seedFleet(pool, tenants);
  await settleKeys(pool);
  const bare = stack.use(
    startNode('test/bench/bare-status.ts', [], { env: { BARE_DATABASE_URL: server.url } }),
  );
  const bareUrl = await bare.said('it listens', (text) => /bare at (\S+)/.exec(text)?.[1] ?? null);
  const tokens: string[] = [];
  for (let made = 0; made < TOKENS; made += 1) {
    const body = {
      name: `bench-${made}`,
      role: 'viewer' as const,
      tenants: [],
      labels: [],
      mayReveal: false,
    };
    tokens.push((await client.createToken(body, null)).token);
  }

  const service = stack.adopt(new Pool(url, { connections: AT_ONCE }), (one) => one.close());
  const baseline = stack.adopt(new Pool(bareUrl, { connections: AT_ONCE }), (one) => one.close());
  const ids = tenants.map(({ id }) => id);
  let asked = 0;
  const status = (of: Pool) => {
    asked += 1;
    return get(of, `/tenants/${ids[(asked * 7_919) % ids.length]}/status`, tokens[asked % TOKENS]!);
  };
  const ours: number[] = [];
  const theirs: number[] = [];
  const spent = { bare: 0, service: 0 };
  for (let repetition = -1; repetition < REPETITIONS; repetition += 1) {
    const before = { bare: await processorMs(bare.pid), service: await processorMs(child.pid) };
    const [bareRate, rate] = [
      await perSecond(() => status(baseline)),
      await perSecond(() => status(service)),
    ];
    // The first warms both up.
    if (repetition < 0) continue;
    theirs.push(bareRate);
    ours.push(rate);
    spent.bare += (await processorMs(bare.pid)) - before.bare;
    spent.service += (await processorMs(child.pid)) - before.service;
  }
  const each = (ms: number) => `${(ms / (REPETITIONS * REQUESTS)).toFixed(3)} ms`;
  const ratio = ratiosOf(ours, theirs);
  const findings: Finding[] = [
    {
      measure: `GET status, ${TENANTS} tenants`,
      unit: 'a second',
      value: summarise(ours),
      baseline: { name: 'bare Fastify route, one select', value: summarise(theirs) },
      ratio,
      goal: { text: `at least ${LEAST} × the bare route`, met: ratio.median >= LEAST },
      note:
        `${AT_ONCE} requests at once, ${REQUESTS} a repetition; processor time of a request, which a busy machine ` +
        `disturbs less: bare route ${each(spent.bare)}, service ${each(spent.service)}`,
    },
  ];
  for (const [name, path] of Object.entries(PAGES)) {
    const ms: number[] = [];
    for (let repetition = 0; repetition < ASKED; repetition += 1) {
      const begun = performance.now();
      await get(service, path, tokens[repetition % TOKENS]!);
      ms.push(performance.now() - begun);
    }
    const value = summarise(ms);
    findings.push({
      measure: `${name} (${path}), ${TENANTS} tenants`,
      unit: 'ms',
      value,
      baseline: null,
      ratio: null,
      goal: { text: `median under ${PAGE_MS} ms`, met: value.median < PAGE_MS },
      note: '',
    });
  }
  return findings;
}

/** Nothing is done about the keys of the fleet, which nobody could open: what is measured is reading alone. */
async function settleKeys(pool: pg.Pool): Promise<void> {
  await pool.query(`update credentials set key_identity = id where purpose = 'umbrella-api'`);
  for (;;) {
    const { rowCount } = await pool.query(`update umbrella_keys set next_run_at = '2999-01-01'`);
    if (rowCount === TENANTS) break;
    await pause(200);
  }
  await pool.query('vacuum analyze credentials, umbrella_keys');
}

async function get(pool: Pool, path: string, token: string): Promise<void> {
  const { statusCode, body } = await pool.request({
    method: 'GET',
    path,
    headers: { authorization: `Bearer ${token}`, accept: 'application/json' },
  });
  const text = await body.text();
  if (statusCode !== 200) throw new Error(`${path} answered ${statusCode}: ${text}`);
}

async function perSecond(request: () => Promise<void>): Promise<number> {
  const begun = performance.now();
  let left = REQUESTS;
  const worker = async () => {
    while (left > 0) {
      left -= 1;
      await request();
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return (REQUESTS / (performance.now() - begun)) * 1_000;
}
