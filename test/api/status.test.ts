import { beforeAll, describe, expect, it } from 'vitest';
import type { StatusView } from '../../src/reconciler/commands.ts';
import { openApi, startApi, status, TOKEN } from './harness.ts';

const at = (change: Partial<StatusView>): StatusView => ({ ...status, ...change });

async function tagOf(shown: StatusView): Promise<string> {
  const { app, call, commands } = openApi();
  commands.status.mockResolvedValue({ ok: true, value: shown });
  const { headers } = await call('GET', '/tenants/acme/status');
  await app.close();
  return String(headers.etag);
}

describe('the ETag of a status', () => {
  const later = '2026-11-24T09:00:00.000Z';
  const aged = (message: string) => status.conditions.map((one) => ({ ...one, message }));
  it.each<[string, Partial<StatusView>]>([
    ['the last run', { lastRun: null }],
    ['when the next run comes', { nextReconcileAt: later }],
    ['the age in a message', { conditions: aged('seen just now; held for 3m.') }],
    ['when a key was last proved', { keys: status.keys.map((key) => ({ ...key, lastProvedAt: later })) }],
  ])('is the same whatever %s is', async (_, change) => {
    const known = at({ conditions: aged('seen 12m ago; held for 1d 2h.') });
    expect(await tagOf({ ...known, ...change })).toBe(await tagOf(known));
  });

  it.each<[string, Partial<StatusView>]>([
    ['a condition', { conditions: status.conditions.map((one) => ({ ...one, message: 'Other words.' })) }],
    ['drift', { drift: [] }],
    ['the generation', { generation: 4 }],
    ['a key', { keys: status.keys.map((key) => ({ ...key, state: 'dead' })) }],
    ['a hand-off', { handoffs: status.handoffs.map((one) => ({ ...one, claimedBy: 'Ada' })) }],
    ['a trigger', { trigger: { requested: 4, handled: 4 } }],
    ['evidence', { evidence: { ...status.evidence, lastUmbrellaWriteAt: later } }],
  ])('is another one once %s differs', async (_, change) => {
    expect(await tagOf(at(change))).not.toBe(await tagOf(status));
  });

  it.each([
    ['the same tag', (tag: string) => tag],
    ['the same tag among others', (tag: string) => `"other", ${tag}`],
    ['the tag as a cache that made it strong has it', (tag: string) => tag.replace('W/', '')],
  ])('saves the body of who knows %s', async (_, header) => {
    const { call } = startApi();
    const tag = await tagOf(status);
    const known = await call('GET', '/tenants/acme/status', { headers: { 'if-none-match': header(tag) } });
    expect(known.statusCode).toBe(304);
    expect(known.body).toBe('');
    expect(known.headers.etag).toBe(tag);
    const other = await call('GET', '/tenants/acme/status', { headers: { 'if-none-match': '"other"' } });
    expect(other.statusCode).toBe(200);
  });
});

describe('waiting for a status', () => {
  let tag = '';
  beforeAll(async () => {
    tag = await tagOf(status);
  });

  it.each<[string, Partial<StatusView>, boolean]>([
    ['condition=Ready', { ready: 'True' }, true],
    ['condition=Ready', { ready: 'Unknown' }, false],
    ['condition=Ready:False', {}, true],
    ['condition=RoleReady:False', {}, true],
    ['condition=RoleReady', {}, false],
    ['condition=RoleReady:False', { generation: 4 }, false],
    ['condition=MembersReady', {}, false],
    ['trigger=3', {}, true],
    ['trigger=4', {}, false],
    ['generation', {}, true],
    ['generation', { generation: 4 }, false],
    ['generation', { observedGeneration: null }, false],
    ['generation=2', { generation: 4 }, true],
    ['generation=5', {}, false],
    ['change', {}, false],
    ['change', { drift: [] }, true],
  ])('for=%s of %j is met: %s', async (wanted, change, met) => {
    const { call, commands } = startApi();
    const headers = { 'if-none-match': tag };
    await call('GET', `/tenants/acme/status?wait=30s&for=${wanted}`, { headers });
    const [id, asked] = commands.waitForStatus.mock.calls[0]!;
    expect(id).toBe('acme');
    expect(asked.met(at(change))).toBe(met);
  });

  it.each(['met', 'timed-out', 'draining'] as const)('says that it ended so: %s', async (end) => {
    const { call, commands } = startApi();
    commands.waitForStatus.mockResolvedValue({ ok: true, value: { status, end } });
    const answer = await call('GET', '/tenants/acme/status?wait=30s&for=generation');
    expect(answer.statusCode).toBe(200);
    expect(answer.headers['parasol-wait']).toBe(end);
    expect(answer.headers.etag).toBe(tag);
    expect(answer.json()).toEqual(status);
  });

  it('answers who waits for a change that did not come with 304', async () => {
    const { call, commands } = startApi();
    commands.waitForStatus.mockResolvedValue({ ok: true, value: { status, end: 'timed-out' } });
    const headers = { 'if-none-match': tag };
    const answer = await call('GET', '/tenants/acme/status?wait=30s&for=change', { headers });
    expect(answer.statusCode).toBe(304);
    expect(answer.headers['parasol-wait']).toBe('timed-out');
  });

  it.each([
    ['30s', 30_000],
    ['250ms', 250],
    ['5m', 60_000],
  ])('waits %s for %d ms', async (wait, ms) => {
    const { call, commands } = startApi();
    await call('GET', `/tenants/acme/status?wait=${wait}&for=generation`);
    expect(commands.waitForStatus.mock.calls[0]![1].ms).toBe(ms);
  });

  it.each([
    ['wait=soon&for=generation', 'wait'],
    ['wait=0s&for=generation', 'wait'],
    ['for=generation', 'wait'],
    ['wait=30s', 'for'],
    ['wait=30s&for=', 'for'],
    ['wait=30s&for=condition=Fine', 'for'],
    ['wait=30s&for=condition=Ready:Maybe', 'for'],
    ['wait=30s&for=condition=Ready:True:True', 'for'],
    ['wait=30s&for=trigger=x', 'for'],
    ['wait=30s&for=trigger', 'for'],
    ['wait=30s&for=generation=-1', 'for'],
    ['wait=30s&for=change=1', 'for'],
    ['wait=30s&for=change', 'if-none-match'],
  ])('is refused as %s, naming %s', async (query, path) => {
    const { call, commands } = startApi();
    const answer = await call('GET', `/tenants/acme/status?${query}`);
    expect(answer.statusCode).toBe(400);
    expect(answer.json()).toMatchObject({ errors: [{ path }] });
    expect(commands.waitForStatus).not.toHaveBeenCalled();
  });

  it('is of no tenant that does not exist', async () => {
    const { call, commands } = startApi();
    const refusal = { kind: 'not-found' as const, what: 'There is no tenant acme.' };
    commands.waitForStatus.mockResolvedValue({ ok: false, refusal });
    expect((await call('GET', '/tenants/acme/status?wait=30s&for=generation')).statusCode).toBe(404);
  });

  it('ends when the client goes, and outlives the time that a request may take to come in', async () => {
    const { app, commands } = startApi();
    const asked = Promise.withResolvers<AbortSignal>();
    commands.waitForStatus.mockImplementation((_, { signal }) => {
      asked.resolve(signal);
      const gone = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
      return gone.then(() => ({ ok: true, value: { status, end: 'timed-out' } }));
    });
    // Node counts this until the request is read; the answer may take as long as it wants.
    app.server.requestTimeout = 1;
    const url = await app.listen({ port: 0 });
    const client = new AbortController();
    const call = fetch(`${url}/tenants/acme/status?wait=30s&for=generation`, {
      headers: { authorization: `Bearer ${TOKEN}` },
      signal: client.signal,
    });
    const signal = await asked.promise;
    expect(signal.aborted).toBe(false);
    const gone = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
    client.abort();
    await expect(call).rejects.toThrow(/abort/i);
    await gone;
  });
});
