import { describe, expect, test } from 'vitest';
import type { Outcome } from '../../src/domain/outcome.ts';
import type { FaultEffect } from '../../src/simulator/index.ts';
import {
  bench,
  contextOf,
  json,
  pairOf,
  serve,
  serveConnectWise,
  specFor,
  TestClock,
  TestTimers,
  vendorsFor,
  type Handler,
} from './harness.ts';

type Bench = Awaited<ReturnType<typeof bench>>;

/** One read of each vendor, and the path that its calls have in common. */
const READS: ['ConnectWise' | 'Umbrella', string, (at: Bench) => Promise<Outcome<unknown>>][] = [
  ['ConnectWise', '/v2025_1', ({ reads }) => reads.roles('Umbrella', [])],
  ['Umbrella', '/admin', ({ umbrella, keys, context }) => umbrella.customers(keys.umbrella, context)],
];

const pair = pairOf('public-half', 'private-half');

/** Reads of the scripted server by a tenant of its own. */
function readsAt(url: string, options: Parameters<typeof vendorsFor>[0] = {}) {
  const clock = new TestClock();
  const vendors = vendorsFor({ clock, ...options });
  const context = contextOf(clock);
  return { vendors, context, reads: vendors.connectwise(specFor(url, url)).reads(pair, context) };
}

const BODIES: [string, FaultEffect, string, number][] = [
  // What may pass is tried three times, what stays as it is once.
  ['a page of HTML', { kind: 'html', status: 200 }, 'not-json', 1],
  ['a page of HTML and 403', { kind: 'html', status: 403 }, 'not-json', 1],
  ['text', { kind: 'text', status: 200 }, 'not-json', 1],
  ['text and 400', { kind: 'text', status: 400 }, 'not-json', 1],
  ['half of its JSON, and the end of the connection', { kind: 'truncate' }, 'truncated', 3],
  [
    'half of its JSON, and says that it was all',
    { kind: 'status', status: 200, body: '[{"id":' },
    'not-json',
    1,
  ],
  ['nothing', { kind: 'status', status: 200, body: '' }, 'not-json', 1],
  ['JSON of another shape', { kind: 'status', status: 200, body: { rows: [] } }, 'wrong-shape', 1],
  ['more than 8 MB', { kind: 'oversize', megabytes: 9 }, 'too-large', 1],
  ['500', { kind: 'status', status: 500 }, 'server-error', 3],
  ['a gateway’s 502 in HTML', { kind: 'html', status: 502 }, 'server-error', 3],
  ['408', { kind: 'status', status: 408 }, 'server-error', 3],
  ['the end of the connection', { kind: 'resetBefore' }, 'connection', 3],
  ['a redirect to another host', { kind: 'redirect', location: 'https://example.com/' }, 'redirected', 1],
];

describe.each(READS)('a read of %s', (_, path, read) => {
  test.each(BODIES)(
    'that is answered with %s is unavailable, and says why',
    async (_, effect, why, times) => {
      const at = await bench();
      at.world.addFault({ when: { path }, effect });
      expect(await read(at)).toMatchObject({ ok: false, failure: { kind: 'Unavailable', why } });
      expect(at.sent().filter((call) => call.path.startsWith(path))).toHaveLength(times);
    },
  );

  test.each<[string, FaultEffect]>([
    ['500', { kind: 'status', status: 500 }],
    ['a broken connection', { kind: 'resetAfter' }],
    ['half an answer', { kind: 'truncate' }],
  ])('that failed quickly with %s, twice, succeeds in the same call', async (_, effect) => {
    const at = await bench();
    at.world.addFault({ when: { path, times: 2 }, effect });
    expect(await read(at)).toMatchObject({ ok: true });
    expect(at.sent().filter((call) => call.path.startsWith(path))).toHaveLength(3);
  });

  test.each(['hangBefore', 'hangAfter'] as const)(
    'that hangs (%s) ends at its deadline, untried again',
    async (kind) => {
      const at = await bench();
      at.world.addFault({ when: { path }, effect: { kind } });
      const pending = read(at);
      await at.world.waitForHang();
      at.timers.fire();
      expect(await pending).toMatchObject({ ok: false, failure: { kind: 'Unavailable', why: 'timeout' } });
      expect(at.sent().filter((call) => call.path.startsWith(path))).toHaveLength(1);
    },
  );

  test('is sent with a small part of the reconcile’s time left, and not at all with none', async () => {
    const at = await bench();
    expect(await read(at)).toMatchObject({ ok: true });
    const { length } = at.sent();
    at.clock.advance(60_000);
    expect(await read(at)).toMatchObject({ ok: false, failure: { kind: 'Unavailable', why: 'timeout' } });
    expect(at.sent()).toHaveLength(length);
  });
});

describe('a call’s time', () => {
  /** Timers that tell what was asked of them. */
  class AskedTimers extends TestTimers {
    readonly asked: number[] = [];
    override after(ms: number, callback: () => void): () => void {
      this.asked.push(ms);
      return super.after(ms, callback);
    }
  }

  test.each([
    ['is its own where the reconcile has more', 60_000, 15_000],
    ['is what the reconcile has left where that is less', 4_000, 4_000],
  ])('%s', async (_, leftMs, expected) => {
    const timers = new AskedTimers();
    const { vendors, spec, keys, clock } = await bench('healthy', { vendors: { timers } });
    const deadline = new Date(clock.now().getTime() + leftMs);
    const reads = vendors.connectwise(spec).reads(keys.management, contextOf(clock, { deadline }));
    expect(await reads.roles('Umbrella', [])).toMatchObject({ ok: true });
    expect(timers.asked).toEqual([expected, expected]);
  });

  test('ends also an answer that comes in drops', async () => {
    const { promise: dripping, resolve: drips } = Promise.withResolvers<void>();
    const server = await serveConnectWise((_, response) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      response.write('[', () => drips());
    });
    const timers = new TestTimers();
    const { reads } = readsAt(server.url, { timers });
    const pending = reads.roles('Umbrella', []);
    await dripping;
    timers.fire();
    expect(await pending).toMatchObject({ ok: false, failure: { kind: 'Unavailable', why: 'timeout' } });
  });

  test('ends with the claim: a run that is stopped waits for nothing', async () => {
    const at = await bench();
    const stop = new AbortController();
    at.world.addFault({ effect: { kind: 'hangBefore' } });
    const pending = at.connectwise
      .reads(at.keys.management, { ...at.context, signal: stop.signal })
      .roles('Umbrella', []);
    await at.world.waitForHang();
    stop.abort();
    expect(await pending).toMatchObject({ ok: false, failure: { kind: 'Unavailable', why: 'cancelled' } });
  });
});

describe('the cap on an answer’s size', () => {
  const rows = JSON.stringify([{ id: 1, name: 'x', notes: 'x'.repeat(2_000) }]);
  test.each<[string, Handler]>([
    ['that is told beforehand', (_, response) => json(response, JSON.parse(rows))],
    [
      'that comes in pieces of no told length',
      (_, response) => {
        response.writeHead(200, { 'content-type': 'application/json' });
        for (let at = 0; at < rows.length; at += 100) response.write(rows.slice(at, at + 100));
        response.end();
      },
    ],
  ])('holds for one %s', async (_, handle) => {
    const server = await serveConnectWise(handle);
    const { reads } = readsAt(server.url, { maxResponseBytes: 1_000 });
    expect(await reads.roles('Umbrella', [])).toMatchObject({
      ok: false,
      failure: { kind: 'Unavailable', why: 'too-large' },
    });
    const wide = readsAt(server.url, { maxResponseBytes: 4_000 });
    expect(await wide.reads.roles('Umbrella', [])).toMatchObject({ ok: true });
  });
});

test('an answer that promises too much is not waited for', async () => {
  const server = await serveConnectWise((_, response) => {
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': '9000000' });
    response.write('[');
  });
  expect(await readsAt(server.url, { timers: new TestTimers() }).reads.roles('Umbrella', [])).toMatchObject({
    ok: false,
    failure: { kind: 'Unavailable', why: 'too-large' },
  });
});

describe('a redirect', () => {
  const redirecting = (location: string, status: number): Handler => {
    return (request, response) => {
      if (request.url?.startsWith('/moved') === true) return json(response, []);
      response.writeHead(status, { location });
      response.end();
    };
  };
  const refused = { ok: false, failure: { kind: 'Unavailable', why: 'redirected' } };

  test.each([301, 302, 303, 307, 308])(
    '(%i) to another host or port is refused, and nothing is sent there',
    async (status) => {
      const elsewhere = await serve((_, response) => json(response, []));
      for (const location of [`${elsewhere.url}/moved`, `//${new URL(elsewhere.url).host}/moved`]) {
        const server = await serveConnectWise(redirecting(location, status));
        expect(await readsAt(server.url).reads.roles('Umbrella', [])).toMatchObject(refused);
        expect(server.requests).toHaveLength(2);
      }
      expect(elsewhere.requests).toEqual([]);
    },
  );

  test('to the same host by another scheme is refused', async () => {
    const server = await serveConnectWise((_, response) => {
      response.writeHead(302, { location: server.url.replace('http:', 'https:') });
      response.end();
    });
    expect(await readsAt(server.url).reads.roles('Umbrella', [])).toMatchObject(refused);
    expect(server.requests).toHaveLength(2);
  });

  test('of the token’s request is refused wherever it leads: the key goes nowhere else', async () => {
    const elsewhere = await serve((_, response) => json(response, {}));
    for (const location of [`${elsewhere.url}/moved`, '/moved']) {
      const server = await serve(redirecting(location, 307));
      const clock = new TestClock();
      const umbrella = vendorsFor({ clock }).umbrella(specFor(server.url, server.url));
      expect(await umbrella.authenticate(pair, contextOf(clock))).toMatchObject(refused);
      expect(server.requests).toHaveLength(1);
    }
    expect(elsewhere.requests).toEqual([]);
  });

  test('of companyinfo to another host is refused: a codebase from elsewhere would name where keys go', async () => {
    const elsewhere = await serve((_, response) =>
      json(response, { CompanyName: 'Acme', Codebase: 'evil/' }),
    );
    const server = await serve(redirecting(elsewhere.url, 302));
    const { reads } = readsAt(server.url);
    expect(await reads.roles('Umbrella', [])).toMatchObject(refused);
    expect(server.requests.map(({ authorization }) => authorization)).toEqual([undefined]);
    expect(elsewhere.requests).toEqual([]);
  });

  test('within its host is followed by a read, three times', async () => {
    const moving =
      (to: string): Handler =>
      (request, response) =>
        redirecting(to + new URL(request.url ?? '', server.url).search, 302)(request, response);
    const server = await serveConnectWise(moving('/moved'));
    const { reads, vendors, context } = readsAt(server.url);
    expect(await reads.roles('Umbrella', [])).toEqual({ ok: true, value: [] });
    expect(server.requests.map(({ url }) => url).at(-1)).toMatch(/^\/moved\?conditions=/);
    expect(vendors.callsOf(context)).toEqual({ reads: 3, writes: 0 });
    const round = await serveConnectWise(moving('/again'));
    expect(await readsAt(round.url).reads.roles('Umbrella', [])).toMatchObject(refused);
    expect(round.requests).toHaveLength(5);
  });

  test('to what is no address is refused', async () => {
    const server = await serveConnectWise(redirecting('http://[', 302));
    expect(await readsAt(server.url).reads.roles('Umbrella', [])).toMatchObject(refused);
  });
});

describe('a wait that a vendor asked for', () => {
  const limited = (retryAfterMs: number) => ({
    ok: false,
    failure: { kind: 'RateLimited', retryAfterMs },
  });

  test('holds back every tenant of the same company, until it is over', async () => {
    const { reads, vendors, spec, keys, clock, world, sent } = await bench();
    await reads.mySecurity();
    world.addFault({ when: { times: 1 }, effect: { kind: 'rateLimit', retryAfterSeconds: 7 } });
    expect(await reads.roles('Umbrella', [])).toMatchObject(limited(7_000));
    const { length } = sent();
    const other = vendors
      .connectwise({ ...spec, id: 'other' })
      .reads(keys.integration, contextOf(clock, { tenantId: 'other' }));
    clock.advance(2_000);
    expect(await other.mySecurity()).toMatchObject(limited(5_000));
    expect(sent()).toHaveLength(length);
    clock.advance(5_000);
    expect(await other.mySecurity()).toMatchObject({ ok: true });
  });

  test('holds back no other company of that site', async () => {
    const { reads, vendors, spec, clock, world } = await bench();
    world.addCompany('birch');
    const role = world.createRole('birch', 'Admin', { adminFlag: true });
    world.createMember('birch', { identifier: 'parasol', role });
    const { publicKey, privateKey } = world.makeKey('birch', 'parasol');
    world.addFault({ when: { company: 'acme' }, effect: { kind: 'rateLimit', retryAfterSeconds: 60 } });
    expect(await reads.mySecurity()).toMatchObject(limited(60_000));
    const birch = { ...spec, id: 'birch', connectwise: { ...spec.connectwise, companyId: 'birch' } };
    const others = vendors.connectwise(birch).reads(pairOf(publicKey, privateKey), contextOf(clock));
    expect(await others.mySecurity()).toMatchObject({ ok: true });
  });

  test('holds back every tenant of the same Umbrella key', async () => {
    const { umbrella, vendors, spec, keys, context, clock, world, sent } = await bench();
    await umbrella.authenticate(keys.umbrella, context);
    world.addFault({
      when: { path: '/admin', times: 1 },
      effect: { kind: 'rateLimit', retryAfterSeconds: 3 },
    });
    expect(await umbrella.customers(keys.umbrella, context)).toMatchObject(limited(3_000));
    const { length } = sent();
    const other = vendors.umbrella({ ...spec, id: 'other' });
    expect(await other.customers(keys.umbrella, contextOf(clock))).toMatchObject(limited(3_000));
    expect(sent()).toHaveLength(length);
    clock.advance(3_000);
    expect(await other.customers(keys.umbrella, contextOf(clock))).toMatchObject({ ok: true });
  });

  test.each<[string, string | undefined, number, number]>([
    ['seconds', '12', 429, 12_000],
    ['a date', 'Tue, 24 Nov 2026 08:00:45 GMT', 429, 45_000],
    ['a date that has passed', 'Mon, 23 Nov 2026 08:00:45 GMT', 429, 0],
    ['nothing: ConnectWise’s own words speak of thirty seconds', undefined, 429, 30_000],
    ['what is neither', 'soon', 429, 30_000],
    ['days: an hour is the most', '172800', 429, 3_600_000],
  ])('may be told as %s', async (_, header, status, expected) => {
    const server = await serveConnectWise((_, response) =>
      json(response, {}, { status, headers: header === undefined ? {} : { 'retry-after': header } }),
    );
    expect(await readsAt(server.url).reads.roles('Umbrella', [])).toMatchObject(limited(expected));
  });

  test('may be told by a server that is down: then nothing more is sent to it meanwhile', async () => {
    const server = await serveConnectWise((_, response) =>
      json(response, {}, { status: 503, headers: { 'retry-after': '9' } }),
    );
    const { reads } = readsAt(server.url);
    expect(await reads.roles('Umbrella', [])).toMatchObject(limited(9_000));
    expect(server.requests).toHaveLength(2);
  });

  test('is not shortened by a later, shorter one', async () => {
    const waits = ['60', '1'];
    const { promise: both, resolve: bothCame } = Promise.withResolvers<void>();
    let came = 0;
    const server = await serveConnectWise((_, response) => {
      came += 1;
      if (came === 2) bothCame();
      const header = { 'retry-after': waits[came - 1] ?? '1' };
      void both.then(() => json(response, {}, { status: 429, headers: header }));
    });
    const { reads } = readsAt(server.url);
    const answers = await Promise.all([reads.roles('One', []), reads.roles('Two', [])]);
    expect(answers.every((answer) => !answer.ok && answer.failure.kind === 'RateLimited')).toBe(true);
    expect(await reads.roles('Three', [])).toMatchObject(limited(60_000));
    expect(server.requests).toHaveLength(3);
  });
});

describe('an origin that fails again and again', () => {
  test('is left alone, for all of its tenants and no other origin’s', async () => {
    const ill = await serveConnectWise((_, response) => json(response, {}, { status: 500 }));
    const well = await serveConnectWise((_, response) => json(response, []));
    const clock = new TestClock();
    const vendors = vendorsFor({ clock, breaker: { failures: 4, openMs: 3_600_000 } });
    const roles = (url: string, id: string) =>
      vendors
        .connectwise({ ...specFor(url, url), id })
        .reads(pair, contextOf(clock, { tenantId: id }))
        .roles('Umbrella', []);
    expect(await roles(ill.url, 'a')).toMatchObject({ ok: false, failure: { why: 'server-error' } });
    expect(await roles(ill.url, 'a')).toMatchObject({ ok: false, failure: { why: 'breaker-open' } });
    const { length } = ill.requests;
    expect(await roles(ill.url, 'b')).toMatchObject({ ok: false, failure: { why: 'breaker-open' } });
    expect(ill.requests).toHaveLength(length);
    expect(await roles(well.url, 'c')).toMatchObject({ ok: true });
  });

  test('is tried again after a while, and trusted again once it answers, which is told once', async () => {
    let status = 500;
    const recovered: string[] = [];
    const onRecovered = (origin: string) => void recovered.push(origin);
    const server = await serveConnectWise((_, response) =>
      json(response, status === 200 ? [] : {}, { status }),
    );
    const { reads } = readsAt(server.url, { breaker: { failures: 2, openMs: 0, onRecovered } });
    expect(await reads.roles('Umbrella', [])).toMatchObject({ ok: false });
    status = 200;
    expect(await reads.roles('Umbrella', [])).toMatchObject({ ok: true });
    expect(await reads.roles('Umbrella', [])).toMatchObject({ ok: true });
    expect(recovered).toEqual([server.url]);
  });

  test('is asked whether it answers by now, though nobody calls: as a read, without credentials', async () => {
    let ill = true;
    const recovered = Promise.withResolvers<string>();
    const server = await serveConnectWise((_, response) => json(response, {}, { status: ill ? 500 : 401 }));
    const timers = new TestTimers();
    const { reads } = readsAt(server.url, {
      timers,
      retries: { times: 0, firstDelayMs: 0 },
      breaker: { failures: 1, openMs: 0, onRecovered: recovered.resolve },
    });
    expect(await reads.roles('Umbrella', [])).toMatchObject({ ok: false });
    const asked = server.requests.at(-1)!;
    timers.fire();
    await expect.poll(() => server.requests.at(-1)).toEqual({ ...asked, authorization: undefined });
    const { length } = server.requests;
    ill = false;
    await expect
      .poll(() => {
        timers.fire();
        return server.requests.length;
      })
      .toBeGreaterThan(length);
    expect(await recovered.promise).toBe(server.url);
  });

  test('is not asked while it wants nobody to call', async () => {
    const clock = new TestClock();
    const timers = new TestTimers();
    const headers = { 'retry-after': '60' };
    const server = await serveConnectWise((_, response) => json(response, {}, { status: 503, headers }));
    const { reads } = readsAt(server.url, {
      clock,
      timers,
      retries: { times: 0, firstDelayMs: 0 },
      breaker: { failures: 1, openMs: 0 },
    });
    expect(await reads.roles('Umbrella', [])).toMatchObject({ ok: false });
    const { length } = server.requests;
    const passes = async () => {
      timers.fire();
      await new Promise((resolve) => setImmediate(resolve));
    };
    for (let rounds = 0; rounds < 20; rounds += 1) await passes();
    expect(server.requests).toHaveLength(length);
    clock.advance(61_000);
    await expect.poll(async () => (await passes(), server.requests.length)).toBeGreaterThan(length);
  });

  test('is no better for calls that were not sent', async () => {
    const server = await serve((_, response) =>
      json(response, {}, { status: 503, headers: { 'retry-after': '60' } }),
    );
    const clock = new TestClock();
    const vendors = vendorsFor({
      clock,
      retries: { times: 0, firstDelayMs: 0 },
      breaker: { failures: 2, openMs: 3_600_000 },
    });
    const rolesOf = async (companyId: string) => {
      const spec = specFor(server.url, server.url);
      const answer = await vendors
        .connectwise({ ...spec, connectwise: { ...spec.connectwise, companyId } })
        .reads(pair, contextOf(clock))
        .roles('Umbrella', []);
      return answer.ok
        ? 'ok'
        : answer.failure.kind === 'Unavailable'
          ? answer.failure.why
          : answer.failure.kind;
    };
    expect(await rolesOf('one')).toBe('server-error');
    // Its company is not called any more, which is no answer of the origin.
    expect(await rolesOf('one')).toBe('RateLimited');
    expect(await rolesOf('two')).toBe('server-error');
    expect(await rolesOf('three')).toBe('breaker-open');
  });

  test('is not ill where it refuses: 401, 403, 404 and 429 are answers', async () => {
    let status = 401;
    const server = await serveConnectWise((_, response) =>
      json(response, {}, { status, headers: { 'retry-after': '0' } }),
    );
    const { reads } = readsAt(server.url, { breaker: { failures: 2, openMs: 3_600_000 } });
    for (status of [401, 403, 404, 429, 400, 401, 403, 429]) {
      const answer = await reads.roles('Umbrella', []);
      expect(!answer.ok && answer.failure.kind).not.toBe('Unavailable');
    }
  });
});

describe('an address', () => {
  test.each([
    ['where nobody listens', 'http://127.0.0.1:1', 'connection'],
    ['of a name that does not exist', 'https://parasol.invalid', 'dns'],
  ])('%s is unavailable, and says why', async (_, url, why) => {
    const { reads } = readsAt(url);
    expect(await reads.roles('Umbrella', [])).toMatchObject({
      ok: false,
      failure: { kind: 'Unavailable', why },
    });
  });
});

describe('lists', () => {
  const numbered = (from: number, to: number) =>
    Array.from({ length: to - from }, (_, index) => ({ id: from + index, name: `Role ${from + index}` }));
  const pageOf = (url: string | undefined) => Number(new URL(url ?? '', 'http://x').searchParams.get('page'));

  test('are read on where the server gives smaller pages than asked for, and no link of it is followed', async () => {
    const elsewhere = await serve((_, response) => json(response, []));
    const server = await serveConnectWise((request, response) => {
      const page = pageOf(request.url);
      const link = `<${elsewhere.url}/roles?page=1>; rel="first", <${elsewhere.url}/roles?page=${page + 1}>; rel="next"`;
      const headers = page < 3 ? { link } : { link: `<${elsewhere.url}/roles?page=1>; rel="first"` };
      json(response, numbered(page * 2, page * 2 + 2), { headers });
    });
    const { reads } = readsAt(server.url);
    const roles = await reads.roles('Umbrella', []);
    expect(roles.ok && roles.value.map(({ id }) => id)).toEqual([2, 3, 4, 5, 6, 7]);
    expect(elsewhere.requests).toEqual([]);
  });

  test('end where a server gives the same page for ever, and are no lists', async () => {
    const server = await serveConnectWise((_, response) =>
      json(response, numbered(1, 1_001), { headers: { link: '<https://x/?page=2>; rel="next"' } }),
    );
    const roles = await readsAt(server.url).reads.roles('Umbrella', []);
    expect(roles).toMatchObject({ ok: false, failure: { kind: 'Unavailable', why: 'wrong-shape' } });
    expect(server.requests).toHaveLength(3);
  });

  test('that fail on a later page fail as a whole: half a list is no list', async () => {
    const server = await serveConnectWise((request, response) => {
      const page = pageOf(request.url);
      if (page > 1) return json(response, {}, { status: 403 });
      json(response, numbered(1, 1_001), { headers: { link: '<https://x/?page=2>; rel="next"' } });
    });
    expect(await readsAt(server.url).reads.roles('Umbrella', [])).toMatchObject({
      ok: false,
      failure: { kind: 'Forbidden' },
    });
  });
});

describe('a token that could not be a header', () => {
  test.each(['two\nlines', 'a b', 'ключ'])('is not believed: %j', async (access_token) => {
    const server = await serve((_, response) =>
      json(response, { token_type: 'bearer', access_token, expires_in: 3_600 }),
    );
    const clock = new TestClock();
    const umbrella = vendorsFor({ clock }).umbrella(specFor(server.url, server.url));
    expect(await umbrella.customers(pair, contextOf(clock))).toMatchObject({
      ok: false,
      failure: { kind: 'Unavailable', why: 'wrong-shape' },
    });
    expect(server.requests).toHaveLength(1);
  });
});
