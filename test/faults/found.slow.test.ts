import { expect, test } from 'vitest';
import { noFacts } from '../../src/domain/observation.ts';
import { describeFailure } from '../../src/domain/outcome.ts';
import { withoutSecrets } from '../../src/providers/http/redact.ts';
import { observe } from '../../src/reconciler/observe.ts';
import type { ConnectWiseReads } from '../../src/reconciler/ports.ts';
import {
  contextOf,
  json,
  pairOf,
  passForKey,
  serve,
  serveConnectWise,
  specFor,
  TestClock,
  vendorsFor,
} from '../providers/harness.ts';

/** What the suites beside this found, each by its name. */

const key = pairOf('public', 'private-half');

test('an answer that is nested without end is told by doctor as far as anybody reads', async () => {
  const deep = `${'['.repeat(30_000)}1${']'.repeat(30_000)}`;
  const server = await serveConnectWise((_, response) => {
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(deep);
  });
  const clock = new TestClock();
  const connectwise = vendorsFor({ clock }).connectwise(specFor(server.url, server.url));
  const samples = await connectwise.samples(key, contextOf(clock));
  expect(samples.map(({ text }) => text)).toEqual(expect.arrayContaining([expect.stringContaining('…')]));
});

test.each(['<http://[>; rel="next"', '<?page=2>; rel="next"', '<?pageId=2; rel="next"', 'rel=next'])(
  'a list whose next page cannot be found by %s is told as incomplete, and is no crash',
  async (link) => {
    const server = await serveConnectWise(({ url }, response) => {
      // Where newest first is refused, pages come one after the other.
      if (url?.includes('orderBy') === true) return json(response, {}, { status: 400 });
      json(response, [{ id: 1 }], { headers: { link } });
    });
    const clock = new TestClock();
    const connectwise = vendorsFor({ clock }).connectwise(specFor(server.url, server.url));
    const found = await connectwise.reads(key, contextOf(clock)).configurations({ typeId: null, limit: 200 });
    expect(found).toMatchObject({ ok: true, value: { complete: false } });
  },
);

/** Umbrella, as a server has it that answers a request for a token so, and all else with `other`. */
async function umbrellaThat(token: string, other: unknown = []) {
  const server = await serve(({ url }, response) => {
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(url === '/auth/v2/token' ? token : JSON.stringify(other));
  });
  const clock = new TestClock();
  const umbrella = vendorsFor({ clock }).umbrella(specFor(server.url, server.url));
  return { umbrella, clock, context: contextOf(clock) };
}
const tokenFor = (seconds: string, bearer = 'a-bearer') =>
  `{"token_type":"Bearer","access_token":"${bearer}","expires_in":${seconds}}`;

test.each(['1e308', '86400000000000000', '86401'])(
  'a token that is said to live for %s seconds is believed for a day',
  async (seconds) => {
    const { umbrella, clock, context } = await umbrellaThat(tokenFor(seconds));
    const day = new Date(clock.now().getTime() + 86_400_000).toISOString();
    expect(await umbrella.authenticate(key, context)).toEqual({ ok: true, value: { expiresAt: day } });
  },
);

test.each(['1e999', '-1e999', '-1', '0', 'null', '"3600"'])(
  'a token that is said to live for %s seconds is not understood',
  async (seconds) => {
    const { umbrella, context } = await umbrellaThat(tokenFor(seconds));
    expect(await umbrella.authenticate(key, context)).toMatchObject({ failure: { why: 'wrong-shape' } });
  },
);

test('a token that lives for a part of a second is used, and asked for anew', async () => {
  const { umbrella, context } = await umbrellaThat(tokenFor('0.25'));
  expect(await umbrella.authenticate(key, context)).toMatchObject({ ok: true });
  expect(await umbrella.customers(key, context)).toEqual({ ok: true, value: [] });
});

test('a bearer longer than anybody sends is not understood, and is no crash', async () => {
  const longest = 'b'.repeat(8_192);
  const usual = await umbrellaThat(tokenFor('3600', longest));
  expect(await usual.umbrella.customers(key, usual.context)).toEqual({ ok: true, value: [] });
  for (const bearer of [`${longest}b`, 'b'.repeat(1_000_000)]) {
    const { umbrella, context } = await umbrellaThat(tokenFor('3600', bearer));
    expect(await umbrella.customers(key, context)).toMatchObject({ failure: { why: 'wrong-shape' } });
  }
});

test('a made key whose secret is longer than anybody keeps is not understood', async () => {
  const made = { key: { id: 'id', clientId: 'client', clientSecret: 's'.repeat(1_000_000) } };
  const { umbrella, context } = await umbrellaThat(tokenFor('3600'), made);
  const wanted = { name: 'made', description: '', scopes: [], allowedIPs: [], expiresAt: null };
  expect(await umbrella.writes(key, context, passForKey('made')).createApiKey(wanted)).toMatchObject({
    failure: { kind: 'OutcomeUnknown' },
  });
});

test('a secret that is longer than a text is not looked for in it', () => {
  expect(withoutSecrets('a text', ['s'.repeat(10_000_000)])).toBe('a text');
});

test.each([
  ['API members', (reads: ConnectWiseReads) => reads.membersByIdentifier(['umbrella-a'])],
  ['roles', (reads: ConnectWiseReads) => reads.roles('Umbrella', [])],
  ['configuration types', (reads: ConnectWiseReads) => reads.configurationTypes('Umbrella')],
  ['a role’s levels', (reads: ConnectWiseReads) => reads.roleLevels(1)],
  ['a key’s levels', (reads: ConnectWiseReads) => reads.mySecurity()],
] as const)('a list of %s that goes on with the same page is no whole list', async (_, read) => {
  const server = await serveConnectWise((_, response) =>
    json(response, [{ id: 1, identifier: 'parasol', name: 'Parasol' }], {
      headers: { link: '<?page=2>; rel="next"' },
    }),
  );
  const clock = new TestClock();
  const reads = vendorsFor({ clock })
    .connectwise(specFor(server.url, server.url))
    .reads(key, contextOf(clock));
  expect(await read(reads)).toMatchObject({ ok: false, failure: { why: 'wrong-shape' } });
  expect(server.requests.length).toBeLessThan(5);
});

test('a refusal of more fields than anybody reads is told by some of them', async () => {
  const errors = Array.from({ length: 50_000 }, (_, at) => ({
    field: `field ${at}`,
    message: 'm'.repeat(50),
  }));
  const server = await serveConnectWise((_, response) => json(response, { errors }, { status: 400 }));
  const clock = new TestClock();
  const reads = vendorsFor({ clock })
    .connectwise(specFor(server.url, server.url))
    .reads(key, contextOf(clock));
  const refused = await reads.roles('Umbrella', []);
  expect(refused.ok || describeFailure(refused.failure).length).toBeLessThan(10_000);
});

test('a name longer than any is not understood, since it would be told in full', async () => {
  const name = 'n'.repeat(100_000);
  const server = await serveConnectWise((_, response) => json(response, [{ id: 1, identifier: name, name }]));
  const clock = new TestClock();
  const reads = vendorsFor({ clock })
    .connectwise(specFor(server.url, server.url))
    .reads(key, contextOf(clock));
  for (const read of [reads.roles('Umbrella', []), reads.membersByIdentifier(['umbrella-a'])]) {
    expect(await read).toMatchObject({ ok: false, failure: { why: 'wrong-shape' } });
  }
  const { umbrella, context } = await umbrellaThat(tokenFor('3600'), [{ customerId: 1, customerName: name }]);
  expect(await umbrella.customers(key, context)).toMatchObject({ failure: { why: 'wrong-shape' } });
});

test('types without end whose name speaks of Umbrella are not all looked through', async () => {
  const types = Array.from({ length: 900 }, (_, at) => ({ id: at + 1, name: `Umbrella ${at}` }));
  const server = await serveConnectWise(({ url = '' }, response) => {
    if (url.includes('/mySecurity?')) return json(response, [{ member: { identifier: 'parasol' } }]);
    json(response, url.includes('/types') ? types : []);
  });
  const clock = new TestClock();
  const held = { credentialId: 'id', fingerprint: 'f', pair: key };
  await observe({
    spec: specFor(server.url, server.url),
    keys: {
      management: held,
      integration: null,
      umbrellaApi: null,
      umbrellaKeyAdmin: null,
      candidates: [],
      successors: [],
    },
    known: noFacts(),
    memory: { type: null, bursts: [] },
    vendors: vendorsFor({ clock }),
    context: contextOf(clock),
    clock,
  });
  expect(server.requests.length).toBeLessThan(30);
});

test.each(['?', '?pageSize=2', '/elsewhere'])(
  'a redirect to %s, which forgets what was asked for, is not followed',
  async (location) => {
    const server = await serveConnectWise(({ url = '' }, response) => {
      if (!url.includes('pageSize=1000')) return json(response, [{ moduleName: 'some of them' }]);
      response.writeHead(302, { location });
      response.end();
    });
    const clock = new TestClock();
    const reads = vendorsFor({ clock })
      .connectwise(specFor(server.url, server.url))
      .reads(key, contextOf(clock));
    expect(await reads.roleLevels(1)).toMatchObject({ ok: false, failure: { why: 'redirected' } });
  },
);
