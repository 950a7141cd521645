import { stripVTControlCharacters } from 'node:util';
import type { Command } from 'commander';
import { describe, expect, it, test } from 'vitest';
import { EXIT, type CliIo } from '../../src/cli/io.ts';
import { buildProgram } from '../../src/cli/program.ts';
import { widthOf } from '../../src/cli/table.ts';
import type {
  AuditRecord,
  BrakeView,
  EventView,
  RunDetail,
  TokenView,
} from '../../src/reconciler/commands.ts';
import { rotations, rotatingStatus } from './canned-rotations.ts';
import * as canned from './canned.ts';
import { fakeService, run, type Routes } from './harness.ts';

/** What holds of every command, whoever wrote it. */

const AT = '2026-11-24T07:40:00.000Z';
const ID = '01996f7e-0000-7000-8000-00000000beef';

const event: EventView = {
  id: '7',
  tenant: 'acme',
  at: AT,
  type: 'DriftFound',
  message: 'It differs.',
  data: null,
};
const runDetail: RunDetail = {
  ...canned.status.lastRun!,
  calls: { 'GET system/members': 2 },
  saw: {
    since: ID,
    conditions: [{ type: 'RoleReady', status: 'False', reason: 'LevelsMissing', message: 'x' }],
    drift: [{ path: 'members.umbrella-a', kind: 'missing', desired: 'umbrella-a', observed: 'none' }],
  },
};
const brake: BrakeView = {
  id: ID,
  state: 'on',
  signatures: ['members.*.active different'],
  what: ['members.*.active is different'],
  setAt: AT,
  counted: 2_000,
  fleet: 10_000,
  held: ['acme', 'birch'],
  canaries: [],
  released: null,
  endedAt: null,
};
const token: TokenView = {
  id: ID,
  name: 'ci',
  role: 'operator',
  scope: { tenants: ['acme'], labels: ['team=north'] },
  mayReveal: false,
  createdAt: AT,
  createdBy: 'admin',
  expiresAt: null,
  lastUsedAt: AT,
};
const entry: AuditRecord = {
  id: '7',
  at: AT,
  actor: 'ci',
  tokenId: ID,
  role: 'admin',
  address: '2001:db8:85a3:8d3:1319:8a2e:370:7348',
  requestId: ID,
  action: 'tenant.replace',
  tenantId: 'acme',
  subject: ID,
  reason: 'the yearly audit',
  before: { spec: { mode: 'observe' } },
  after: { spec: { mode: 'repair' } },
};
const adoption = {
  ...canned.plan,
  tenant: 'acme',
  mode: 'repair',
  verdict: 'differs',
  found: [
    {
      what: 'member',
      name: 'umbrella-a',
      state: 'differs',
      detail: 'Inactive.',
      ours: { how: 'created', since: AT },
    },
  ],
  differences: [{ path: 'role', kind: 'missing', desired: 'Umbrella', observed: 'none' }],
};

/** Each command that shows something, what the service answers it, and the keys that machines rely on. */
const READING: Record<string, { args: string[]; route: string; body: unknown; keys: string[] }> = {
  get: {
    args: ['get'],
    route: 'GET /tenants',
    body: { items: canned.tenants, next: null },
    keys: Object.keys(canned.tenants[0]!),
  },
  fleet: {
    args: ['fleet'],
    route: 'GET /fleet',
    body: canned.fleet,
    keys: [
      'at',
      'tenants',
      'modes',
      'conditions',
      'oldestEvidence',
      'keys',
      'handoffs',
      'rotations',
      'braked',
      'paused',
      'overdue',
      'failing',
      'drift',
    ],
  },
  status: {
    args: ['status', 'acme'],
    route: 'GET /tenants/acme/status',
    body: { ...canned.status, rotation: rotatingStatus.rotation },
    keys: [
      'tenant',
      'name',
      'mode',
      'paused',
      'pause',
      'deleting',
      'generation',
      'observedGeneration',
      'ready',
      'conditions',
      'drift',
      'keys',
      'evidence',
      'rotation',
      'umbrellaRotation',
      'handoffs',
      'lastRun',
      'trigger',
      'nextReconcileAt',
      'waiting',
    ],
  },
  plan: {
    args: ['plan', 'acme'],
    route: 'GET /tenants/acme/plan',
    body: canned.plan,
    keys: ['tenant', 'mode', 'generation', 'observedAt', 'plan'],
  },
  adopt: {
    args: ['adopt', 'acme'],
    route: 'GET /tenants/acme/adoption',
    body: adoption,
    keys: ['tenant', 'mode', 'generation', 'observedAt', 'plan', 'verdict', 'found', 'differences'],
  },
  credentials: {
    args: ['credentials', 'acme'],
    route: 'GET /tenants/acme/credentials',
    body: { items: canned.credentials },
    keys: [
      'purpose',
      'slot',
      'member',
      'fingerprint',
      'state',
      'createdAt',
      'lastProvedAt',
      'since',
      'because',
      'destroyedAt',
    ],
  },
  customers: {
    args: ['customers', 'acme'],
    route: 'GET /tenants/acme/customers',
    body: { items: canned.customers },
    keys: ['customerId', 'customer', 'configuration', 'matchedBy', 'lastWriteAt', 'lastWriteBy'],
  },
  handoffs: {
    args: ['handoffs'],
    route: 'GET /handoffs',
    body: { items: [canned.handoff, canned.keyHandoff] },
    keys: Object.keys(canned.handoff),
  },
  rotations: {
    args: ['rotations', 'acme'],
    route: 'GET /tenants/acme/rotations',
    body: { items: rotations },
    keys: Object.keys(rotations[0]!),
  },
  events: {
    args: ['events', 'acme'],
    route: 'GET /events',
    body: { items: [event], next: null },
    keys: ['id', 'tenant', 'at', 'type', 'message', 'data'],
  },
  runs: {
    args: ['runs', 'acme'],
    route: 'GET /tenants/acme/runs',
    body: { items: [runDetail], next: null },
    keys: Object.keys(runDetail),
  },
  audit: {
    args: ['audit'],
    route: 'GET /audit',
    body: { items: [entry], next: '7' },
    keys: ['items', 'next'],
  },
  brake: { args: ['brake'], route: 'GET /brakes', body: { items: [brake] }, keys: Object.keys(brake) },
  token: { args: ['token'], route: 'GET /tokens', body: { items: [token] }, keys: Object.keys(token) },
};

const routesOf = ({ route, body }: { route: string; body: unknown }): Routes => ({
  [route]: () => ({ body }),
});
type World = Parameters<typeof run>[1];
async function asked(args: string[], routes: Routes, world: World = {}) {
  await using service = await fakeService(routes);
  const env = { PARASOL_URL: service.url, PARASOL_TOKEN: 'the-token', ...world?.env };
  return await run(args, { ...world, env });
}

/** Names, words and paths as long as any that a vendor or a person may give. */
const NAMED = new Set(
  'name customer message reason by detail subject member path desired observed summary why because waitsFor claimedBy trigger fingerprint id tenant tenantId company actor address action title steps evidence closedBy'.split(
    ' ',
  ),
);
function lengthened(value: unknown, key = ''): unknown {
  if (typeof value === 'string') {
    if (!NAMED.has(key)) return value;
    return `${value} Überaus lange Namen 株式会社の長い名前 northwind-managed-services-of-the-far-west/and.many.others`;
  }
  if (Array.isArray(value)) return value.map((one) => lengthened(one, key));
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, lengthened(one, name)]));
}

const names = Object.keys(READING);

describe('whatever is shown', () => {
  test.each(names)(
    '%s fits 80 columns however long its names are, and has no colours in a pipe',
    async (name) => {
      const one = READING[name]!;
      const { out } = await asked(one.args, routesOf({ ...one, body: lengthened(one.body) }));
      expect(out.split('\n').filter((line) => widthOf(line) > 80)).toEqual([]);
      expect(out.length).toBeGreaterThan(20);
      expect(out).not.toContain('\u001b');
    },
  );

  test.each(names)('%s is as machines know it', async (name) => {
    const one = READING[name]!;
    const { out } = await asked([...one.args, '--json'], routesOf(one));
    const answer: unknown = JSON.parse(out);
    const first = Array.isArray(answer) ? (answer as unknown[])[0] : answer;
    expect(Object.keys(first as object).toSorted()).toEqual(one.keys.toSorted());
  });

  test.each(names)(
    '%s has colours on a terminal alone, takes none of its width for them, and never of --json',
    async (name) => {
      const one = READING[name]!;
      const seen = async (args: string[], env: Record<string, string> = {}, body = one.body) =>
        (await asked(args, routesOf({ ...one, body }), { terminal: true, env })).out;
      const coloured = await seen(one.args);
      expect(coloured).toContain('\u001b[');
      expect(stripVTControlCharacters(coloured)).toBe((await asked(one.args, routesOf(one))).out);
      const long = stripVTControlCharacters(await seen(one.args, {}, lengthened(one.body)));
      expect(long.split('\n').filter((line) => widthOf(line) > 80)).toEqual([]);
      expect(await seen(one.args, { NO_COLOR: '1' })).not.toContain('\u001b');
      expect(await seen([...one.args, '--json'], { FORCE_COLOR: '1' })).not.toContain('\u001b');
    },
  );

  test.each<[string, Record<string, string>, boolean, boolean]>([
    ['a terminal', {}, true, true],
    ['a pipe', {}, false, false],
    ['a terminal with NO_COLOR', { NO_COLOR: '1' }, true, false],
    ['a dumb terminal', { TERM: 'dumb' }, true, false],
    ['a pipe with FORCE_COLOR', { FORCE_COLOR: '1' }, false, true],
    ['a terminal with FORCE_COLOR=0', { FORCE_COLOR: '0' }, true, false],
  ])('has colours on %s, or none', async (_, env, terminal, coloured) => {
    const { out } = await asked(['status', 'acme'], routesOf(READING['status']!), { env, terminal });
    expect(out.includes('\u001b[')).toBe(coloured);
  });
});

/** A command line of each command that asks the service; what others do alone is left out. */
const ASKING: Record<string, string[]> = {
  ...Object.fromEntries(names.map((name) => [name, READING[name]!.args])),
  reconcile: ['reconcile', 'acme'],
  delete: ['delete', 'acme', '--reason', 'x', '--yes', 'acme'],
  undelete: ['undelete', 'acme', '--reason', 'x'],
  submit: ['submit', ID, '--attest'],
  rotate: ['rotate', 'acme', '--reason', 'x'],
  rollback: ['rollback', 'acme', '--reason', 'x'],
  pause: ['pause', 'acme', '--reason', 'x'],
  accept: ['accept', 'acme', '--list'],
  resume: ['resume', 'acme', '--reason', 'x'],
  export: ['export', 'acme'],
  reveal: ['reveal', ID, '--reason', 'x'],
};
/** They need no service, or a file or a terminal first: their own tests have them. */
const ALONE = 'apply diff schema init credential doctor vault serve migrate simulate demo completion'.split(
  ' ',
);

const commandsOf = (): Command[] => {
  const io = { scenarios: ['demo'], env: {}, user: 'jamie' } as unknown as CliIo;
  return [...buildProgram(io).commands].filter((command) => command.name() !== 'help');
};

describe('every command', () => {
  it('is known here', () => {
    const known = [...Object.keys(ASKING), ...ALONE];
    expect(
      commandsOf()
        .map((command) => command.name())
        .filter((name) => !known.includes(name)),
    ).toEqual([]);
  });

  test.each(Object.entries(ASKING))('%s ends with 1 where no service answers', async (_, args) => {
    const env = { PARASOL_URL: 'http://127.0.0.1:1', PARASOL_TOKEN: 'x', PARASOL_REVEAL_TOKEN: 'x' };
    const ran = await run(args, { env });
    expect(ran.code).toBe(EXIT.error);
    expect(ran.err).toContain('No answer from the service');
  });

  test.each(Object.entries(ASKING))(
    '%s ends with 4 where the service refuses what was given',
    async (_, args) => {
      const ran = await asked(args, {}, { env: { PARASOL_REVEAL_TOKEN: 'x' } });
      expect(ran.code).toBe(EXIT.refused);
      expect(ran.err).toContain('There is nothing at');
    },
  );

  test.each(Object.entries(ASKING))('%s ends with 1 for want of permission', async (_, args) => {
    const forbidden = { status: 403, body: { title: 'Forbidden', status: 403, detail: 'Not yours.' } };
    const any = new Proxy<Routes>({}, { get: () => () => forbidden });
    const ran = await asked(args, any, { env: { PARASOL_REVEAL_TOKEN: 'x' } });
    expect(ran.code).toBe(EXIT.error);
    expect(ran.err).toContain('Not yours.');
  });

  it('tells what is typed wrongly without saying what', async () => {
    for (const command of commandsOf()) {
      const ran = await run([command.name(), '--nonsense=secret']);
      expect([command.name(), ran.code, ran.err.includes('secret')]).toEqual([
        command.name(),
        EXIT.refused,
        false,
      ]);
    }
  });

  it('has a help in 80 columns', async () => {
    for (const command of commandsOf()) {
      const { out, code } = await run([command.name(), '--help']);
      expect(code).toBe(EXIT.ok);
      expect(out.split('\n').filter((line) => widthOf(line) > 80)).toEqual([]);
    }
  });
});

describe('how a command ends', () => {
  const ready = canned.readyStatus;
  const unready = { ...canned.status, handoffs: [] };
  const tenant = canned.tenants[0]!;
  const plan = canned.plan;
  const noStep = { ...plan, plan: { steps: [] } };
  test.each<[string, string, string[], string, unknown, number]>([
    ['status', 'ready', ['status', 'acme'], 'GET /tenants/acme/status', ready, 0],
    ['status', 'not ready', ['status', 'acme'], 'GET /tenants/acme/status', unready, 2],
    ['status', 'waiting for a person', ['status', 'acme'], 'GET /tenants/acme/status', canned.status, 3],
    ['get', 'all ready', ['get'], 'GET /tenants', { items: [{ ...tenant, ready: 'True' }], next: null }, 0],
    [
      'get',
      'one not ready',
      ['get'],
      'GET /tenants',
      { items: [{ ...tenant, ready: 'False' }], next: null },
      2,
    ],
    [
      'fleet',
      'all ready',
      ['fleet'],
      'GET /fleet',
      { ...canned.fleet, tenants: { total: 2, ready: { True: 2, False: 0, Unknown: 0 }, unseen: 0 } },
      0,
    ],
    ['fleet', 'some not ready', ['fleet'], 'GET /fleet', canned.fleet, 2],
    ['plan', 'nothing to do', ['plan', 'acme'], 'GET /tenants/acme/plan', noStep, 0],
    ['plan', 'something to do', ['plan', 'acme'], 'GET /tenants/acme/plan', { ...plan, mode: 'observe' }, 2],
    ['handoffs', 'none', ['handoffs'], 'GET /handoffs', { items: [] }, 0],
    ['handoffs', 'one', ['handoffs'], 'GET /handoffs', { items: [canned.handoff] }, 3],
    [
      'adopt',
      'taken over',
      ['adopt', 'acme'],
      'GET /tenants/acme/adoption',
      { ...adoption, verdict: 'taken-in' },
      0,
    ],
    ['adopt', 'differing', ['adopt', 'acme'], 'GET /tenants/acme/adoption', adoption, 2],
  ])('%s, %s', async (_, _how, args, route, body, code) => {
    expect((await asked(args, routesOf({ route, body }))).code).toBe(code);
  });
});

describe('--watch', () => {
  /** Looks until that many sleeps are over, then somebody presses Ctrl-C. */
  function until(sleeps: number): Pick<CliIo, 'sleep' | 'interrupted'> {
    let leave = () => {};
    const left = new Promise<void>((resolve) => (leave = resolve));
    let slept = 0;
    return {
      interrupted: () => left,
      sleep: async () => {
        slept += 1;
        if (slept < sleeps) return;
        leave();
        await new Promise(() => {});
      },
    };
  }
  const inTurn = (...bodies: unknown[]): Routes => {
    let at = 0;
    return { 'GET /tenants/acme/status': () => ({ body: bodies[Math.min(at++, bodies.length - 1)] }) };
  };

  it('prints in a pipe what changed, and ends on Ctrl-C as the last look did', async () => {
    const routes = inTurn(canned.status, canned.status, canned.readyStatus, canned.readyStatus);
    const ran = await asked(['status', 'acme', '--watch', '--json'], routes, until(4));
    const looks = ran.out.split(/^(?=\{)/m).map((text) => (JSON.parse(text) as { ready: string }).ready);
    expect(looks).toEqual(['False', 'True']);
    expect(ran.code).toBe(EXIT.ok);
    expect(ran.out).not.toContain('\u001b');
  });

  it('draws anew in place on a terminal', async () => {
    const ran = await asked(['status', 'acme', '--watch'], inTurn(canned.readyStatus), {
      ...until(3),
      terminal: true,
    });
    // oxlint-disable-next-line no-control-regex -- what a terminal is sent
    expect(ran.out.match(/\u001b\[H\u001b\[J/g)).toHaveLength(3);
  });

  it('waits for a service that is away for a while', async () => {
    let at = 0;
    const routes: Routes = {
      'GET /handoffs': () =>
        at++ === 1 ? { status: 503, body: { title: 'Busy', status: 503 } } : { body: { items: [] } },
    };
    const ran = await asked(['handoffs', '--watch'], routes, until(3));
    expect(ran.err).toContain('Busy');
    expect(ran.code).toBe(EXIT.ok);
  });

  test.each(['get', 'fleet', 'status', 'handoffs'])('%s has it', async (name) => {
    const one = READING[name]!;
    const ran = await asked([...one.args, '--watch', '--every', '1s'], routesOf(one), until(2));
    expect(ran.err).toBe('');
    expect(ran.out).not.toBe('');
  });
});
