import type { LightMyRequestResponse } from 'fastify';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Identity } from '../../src/api/index.ts';
import { ROLES, type Scope } from '../../src/domain/access.ts';
import { applied, input, openDesk } from '../reconciler/commands-fixtures.ts';
import { BODIES, type Route } from './harness.ts';
import { identity, startService } from './service.ts';

/**
 * All routes, as fastify has them, × all roles × own and other people's tenants, over the true commands. A route
 * without a case fails, and a case without a route.
 */

/** The least role that may use a route; `public` needs no token, `reveal` is a grant. */
const LEAST: Record<string, 'public' | 'viewer' | 'operator' | 'rotator' | 'admin' | 'reveal'> = {
  'GET /healthz': 'public',
  'GET /readyz': 'public',
  'GET /schemas/tenants.json': 'public',
  'POST /automation/answers': 'public',
  'GET /metrics': 'viewer',
  'GET /openapi.json': 'viewer',
  'GET /tenants': 'viewer',
  'GET /fleet': 'viewer',
  'GET /fleet/specs': 'viewer',
  'GET /events': 'viewer',
  'GET /handoffs': 'viewer',
  'GET /brakes': 'viewer',
  'GET /tenants/:id': 'viewer',
  'GET /tenants/:id/status': 'viewer',
  'GET /tenants/:id/plan': 'viewer',
  'GET /tenants/:id/adoption': 'viewer',
  'GET /tenants/:id/customers': 'viewer',
  'GET /tenants/:id/credentials': 'viewer',
  'GET /tenants/:id/events': 'viewer',
  'GET /tenants/:id/runs': 'viewer',
  'GET /tenants/:id/runs/:run': 'viewer',
  'GET /tenants/:id/rotations': 'viewer',
  'GET /tenants/:id/export': 'viewer',
  'GET /tenants/:id/acceptances': 'viewer',
  'GET /handoffs/:id': 'viewer',
  'POST /tenants/:id/reconcile': 'operator',
  'POST /tenants/:id/pause': 'operator',
  'POST /tenants/:id/resume': 'operator',
  'POST /tenants/:id/accept': 'operator',
  'POST /tenants/:id/accept/withdraw': 'operator',
  'POST /handoffs/:id/claim': 'operator',
  'POST /handoffs/:id/release': 'operator',
  'POST /handoffs/:id/submit': 'operator',
  'POST /handoffs/:id/reveal': 'reveal',
  'POST /tenants/:id/rotations': 'rotator',
  'POST /tenants/:id/rollback': 'rotator',
  'PUT /tenants/:id/credentials/management': 'rotator',
  'PUT /tenants/:id/credentials/integration': 'rotator',
  'PUT /tenants/:id/credentials/umbrella-api': 'rotator',
  'PUT /tenants/:id/credentials/umbrella-key-admin': 'rotator',
  'PUT /tenants/:id/credentials/automation': 'rotator',
  'POST /tenants': 'admin',
  'PUT /tenants/:id': 'admin',
  'DELETE /tenants/:id': 'admin',
  'POST /tenants/:id/undelete': 'admin',
  'POST /fleet/apply': 'admin',
  'POST /fleet/reconcile': 'admin',
  'POST /fleet/rotations': 'admin',
  'GET /audit': 'admin',
  'GET /tokens': 'admin',
  'POST /tokens': 'admin',
  'DELETE /tokens/:id': 'admin',
  'POST /brakes/:id/release': 'admin',
};

/** What tells of the fleet as a whole: nobody's who is bound to tenants. */
const OF_THE_FLEET = ['GET /metrics', 'GET /brakes', 'POST /brakes/:id/release'];

/** What the configuration's token for reading keys may do besides. */
const REVEALERS = /^(GET \/(tenants|fleet|events|handoffs|openapi)|POST \/handoffs)/;

const MINE: Scope = { tenants: ['acme'], labels: [{ key: 'team', value: 'north' }] };
const HANDOFFS = {
  acme: '01996f7e-0000-7000-8000-00000000000a',
  theirs: '01996f7e-0000-7000-8000-00000000000b',
  nobody: '01996f7e-0000-7000-8000-00000000000c',
};
type Whose = keyof typeof HANDOFFS;

const WHO: Identity[] = [null, MINE].flatMap((scope) => [
  ...ROLES.map((role) => identity(`${role}${scope ? '-bound' : ''}`, { role, scope })),
  identity(`reader${scope ? '-bound' : ''}`, { role: 'viewer', mayReveal: true, scope }),
  identity(`revealer${scope ? '-bound' : ''}`, { role: 'revealer', mayReveal: true, scope }),
]);

let desk: Awaited<ReturnType<typeof openDesk>>;
beforeAll(async () => {
  desk = await openDesk();
  await applied(
    desk.commands,
    input('acme', { mode: 'repair' }),
    input('theirs', { mode: 'repair', labels: { team: 'south' } }),
  );
  for (const id of ['acme', 'theirs'] as const) {
    const made = await desk.handoff(id, 'issue-integration-key', 'umbrella-a', {
      input: { purpose: 'integration', member: 'umbrella-a' },
    });
    await desk.store.pool.query('update handoffs set id = $2 where id = $1', [made, HANDOFFS[id]]);
  }
});
afterAll(() => desk.close());

const nameOf = ({ method, url }: Route) => `${method} ${url}`;

function service() {
  const started = startService(desk, WHO);
  const routes: Route[] = [];
  started.app.addHook('onRoute', ({ method, url, config }) => {
    for (const one of [method].flat()) routes.push({ method: one, url, permission: config?.permission });
  });
  const all = async () => {
    await started.app.ready();
    // What the documentation brings along is told by one permission; HEAD is GET without its body.
    return routes.filter(({ url, method }) => !url.startsWith('/docs') && method !== 'HEAD');
  };
  const ask = (who: Identity, route: Route, whose: Whose): Promise<LightMyRequestResponse> => {
    const id = route.url.startsWith('/handoffs') ? HANDOFFS[whose] : whose;
    const other = /^\/(tokens|brakes)/.test(route.url) ? HANDOFFS.nobody : id;
    const body = BODIES[nameOf(route)];
    const payload = body && (JSON.parse(JSON.stringify(body).replaceAll('"acme"', `"${whose}"`)) as object);
    return started.call(
      who.name,
      route.method,
      route.url.replace(':id', other).replace(':run', 'r1'),
      payload ? { payload } : {},
    );
  };
  return { all, ask };
}

test('each route has a permission and a case, and each case a route', async () => {
  const routes = await service().all();
  expect(routes.filter(({ permission }) => permission === undefined)).toEqual([]);
  expect(routes.map(nameOf).toSorted()).toEqual(Object.keys(LEAST).toSorted());
});

function expected(who: Identity, name: string): boolean {
  const least = LEAST[name]!;
  if (least === 'public') return true;
  if (who.scope && OF_THE_FLEET.includes(name)) return false;
  if (least === 'reveal') return who.mayReveal;
  if (who.role === 'revealer') return REVEALERS.test(name);
  return ROLES.indexOf(who.role) >= ROLES.indexOf(least);
}

describe.each(WHO)('$name', (who) => {
  test('may do what its role may, and nothing else', async () => {
    const { all, ask } = service();
    for (const route of await all()) {
      const name = nameOf(route);
      const answer = await ask(who, route, 'acme');
      const allowed = ![401, 403].includes(answer.statusCode) || LEAST[name] === 'public';
      expect([name, allowed]).toEqual([name, expected(who, name)]);
      expect([name, answer.statusCode]).not.toEqual([name, 500]);
    }
  });
});

describe.each(WHO.filter(({ scope }) => scope !== null))('for $name', (who) => {
  test('other people’s tenants do not exist on any route', async () => {
    const { all, ask } = service();
    const before = await desk.store.pool.query("select * from tenants where id = 'theirs'");
    for (const route of await all()) {
      const name = nameOf(route);
      const theirs = await ask(who, route, 'theirs');
      const nobodys = await ask(who, route, 'nobody');
      expect([name, theirs.statusCode, words(theirs)]).toEqual([name, nobodys.statusCode, words(nobodys)]);
      const named = route.url.includes(':id') && LEAST[name] !== 'public';
      expect([name, named && theirs.statusCode < 400]).toEqual([name, false]);
    }
    const after = await desk.store.pool.query("select * from tenants where id = 'theirs'");
    expect(after.rows).toEqual(before.rows);
  });

  test('no answer about the fleet names them', async () => {
    const { all, ask } = service();
    for (const route of (await all()).filter(({ url, method }) => method === 'GET' && !url.includes(':id'))) {
      const answer = await ask(who, route, 'acme');
      expect([nameOf(route), /theirs|0000b"/.test(answer.body)]).toEqual([nameOf(route), false]);
    }
  });
});

test('who is bound to none sees them all', async () => {
  const { all, ask } = service();
  const [list] = (await all()).filter((route) => nameOf(route) === 'GET /tenants');
  const answer = await ask(identity('viewer'), list!, 'acme');
  expect(answer.json<{ items: { id: string }[] }>().items.map(({ id }) => id)).toEqual(['acme', 'theirs']);
});

/** An answer without what names the request and what was asked for. */
const words = ({ body }: LightMyRequestResponse): string =>
  body.replaceAll(
    /urn:uuid:[\w-]+|theirs|nobody|01996f7e-[\w-]+|parasol_[\w-]+|\d{4}-\d\d-\d\dT[\d:.]+Z/g,
    '…',
  );
