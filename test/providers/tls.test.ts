import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  contextOf,
  json,
  pairOf,
  passFor,
  serve,
  serveConnectWise,
  specFor,
  TestClock,
  vendorsFor,
} from './harness.ts';

const read = (name: string) => readFileSync(join(import.meta.dirname, 'tls', `${name}.pem`), 'utf8');
const key = read('key');
const ca = read('ca');

const pair = pairOf('public-half', 'private-half');
const tlsFailure = { ok: false, failure: { kind: 'Unavailable', why: 'tls' } };

/** A ConnectWise over TLS that would answer any read with an empty list. */
const serving = (certificate: string) =>
  serveConnectWise((_, response) => json(response, []), { key, cert: read(certificate) });

const readsOf = (url: string, trusted?: string, vendors = vendorsFor({ clock: new TestClock() })) =>
  vendors
    .connectwise(specFor(url, url, { connectwise: trusted === undefined ? {} : { ca: trusted } }))
    .reads(pair, contextOf(new TestClock()));

describe('a server whose certificate', () => {
  test.each<[string, string, string | undefined]>([
    ['is its own authority', 'self-signed', undefined],
    ['is of an authority that nobody trusts', 'localhost', undefined],
    ['is of the tenant’s authority, for another host', 'elsewhere', ca],
    ['is of the tenant’s authority, and expired', 'expired', ca],
    ['is of another authority than the tenant’s', 'self-signed', ca],
  ])('%s is refused before anything was sent to it', async (_, certificate, trusted) => {
    const server = await serving(certificate);
    expect(await readsOf(server.url, trusted).roles('Umbrella', [])).toMatchObject(tlsFailure);
    expect(server.requests).toEqual([]);
  });

  test.each([
    ['is of the tenant’s own authority', 'localhost', ca],
    ['is named by the tenant itself', 'self-signed', read('self-signed')],
  ])('%s is accepted', async (_, certificate, trusted) => {
    const server = await serving(certificate);
    expect(await readsOf(server.url, trusted).roles('Umbrella', [])).toEqual({ ok: true, value: [] });
    expect(server.requests).toHaveLength(2);
  });
});

test('one tenant’s authority is no other tenant’s, though a connection stands open already', async () => {
  const server = await serving('localhost');
  const vendors = vendorsFor({ clock: new TestClock() });
  expect(await readsOf(server.url, ca, vendors).roles('Umbrella', [])).toMatchObject({ ok: true });
  const before = server.requests.length;
  expect(await readsOf(server.url, undefined, vendors).roles('Umbrella', [])).toMatchObject(tlsFailure);
  expect(server.requests).toHaveLength(before);
});

test('a write that met a wrong certificate never left: its outcome is known', async () => {
  const server = await serving('self-signed');
  const clock = new TestClock();
  const writes = vendorsFor({ clock })
    .connectwise(specFor(server.url, server.url))
    .writes(pair, contextOf(clock), passFor(null));
  expect(await writes.createRole('Umbrella')).toMatchObject(tlsFailure);
  expect(server.requests).toEqual([]);
});

test('Umbrella is verified as ConnectWise is', async () => {
  const token = { token_type: 'bearer', access_token: 'a-token', expires_in: 3_600 };
  const server = await serve((_, response) => json(response, token), { key, cert: read('localhost') });
  const clock = new TestClock();
  const ask = (umbrella: object) =>
    vendorsFor({ clock })
      .umbrella(specFor(server.url, server.url, { umbrella }))
      .authenticate(pair, contextOf(clock));
  expect(await ask({})).toMatchObject(tlsFailure);
  expect(server.requests).toEqual([]);
  expect(await ask({ ca })).toMatchObject({ ok: true });
});

describe('the environment', () => {
  const NAME = 'NODE_TLS_REJECT_UNAUTHORIZED';
  let before: string | undefined;
  beforeEach(() => {
    before = process.env[NAME];
    process.env[NAME] = '0';
  });
  afterEach(() => {
    if (before === undefined) delete process.env[NAME];
    else process.env[NAME] = before;
  });

  test('cannot switch verification off', async () => {
    const server = await serving('self-signed');
    expect(await readsOf(server.url).roles('Umbrella', [])).toMatchObject(tlsFailure);
    expect(server.requests).toEqual([]);
  });
});
