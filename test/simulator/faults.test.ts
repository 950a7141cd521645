import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import type { FaultEffect } from '../../src/simulator/index.ts';
import { basic, start, type Harness } from './harness.ts';

const POST_ROLE = { method: 'POST', body: { name: 'Made' } };
const ROLES = '/system/securityroles';

function madeRoles(harness: Harness): number {
  return harness.world
    .company('acme')
    .roles.values()
    .filter((role) => role.name === 'Made').length;
}

describe('false answers', () => {
  test.each<[FaultEffect, number, string | RegExp]>([
    [{ kind: 'status', status: 503 }, 503, '{}'],
    [{ kind: 'status', status: 500, body: 'oops' }, 500, 'oops'],
    [{ kind: 'html' }, 502, /<html>/],
    [{ kind: 'text', text: 'hello' }, 200, 'hello'],
    [{ kind: 'redirect', location: 'http://elsewhere.invalid/' }, 302, ''],
    [{ kind: 'rateLimit', retryAfterSeconds: 7 }, 429, /try again in 7 seconds/],
  ])('%j', async (effect, status, text) => {
    const harness = await start();
    harness.world.addFault({ effect });
    const answer = await harness.connectwise(ROLES, POST_ROLE);
    expect(answer.status).toBe(status);
    expect(answer.text).toMatch(text);
    expect(madeRoles(harness)).toBe(0);
    expect(harness.world.journal.query()).toMatchObject([{ status, fault: effect.kind, applied: false }]);
  });

  test('may hide that the request was carried out', async () => {
    const harness = await start();
    harness.world.addFault({ effect: { kind: 'status', status: 502, applied: true } });
    expect((await harness.connectwise(ROLES, POST_ROLE)).status).toBe(502);
    expect(madeRoles(harness)).toBe(1);
    expect(harness.world.journal.query()).toMatchObject([{ status: 502, applied: true }]);
  });

  test('oversize', async () => {
    const harness = await start();
    harness.world.addFault({ effect: { kind: 'oversize', megabytes: 2 } });
    expect((await harness.connectwise(ROLES)).text.length).toBeGreaterThan(2_000_000);
  });

  test('a throttled Umbrella without Retry-After', async () => {
    const harness = await start();
    harness.world.addFault({ when: { vendor: 'umbrella' }, effect: { kind: 'rateLimit' } });
    const answer = await harness.token(harness.secrets.umbrellaApiKey);
    expect([answer.status, answer.headers.has('retry-after')]).toEqual([429, false]);
    expect((await harness.connectwise(ROLES)).status).toBe(200);
  });
});

describe('lost connections', () => {
  test.each([
    ['resetBefore', 0],
    ['resetAfter', 1],
    ['truncate', 1],
  ] as const)('%s', async (kind, made) => {
    const harness = await start();
    harness.world.addFault({ effect: { kind } });
    await expect(harness.connectwise(ROLES, POST_ROLE)).rejects.toThrow(/fetch failed|terminated/);
    expect(madeRoles(harness)).toBe(made);
    expect(harness.world.journal.query()[0]).toMatchObject({ applied: made === 1, fault: kind });
  });

  test('a slow answer comes in pieces, and whole', async () => {
    const harness = await start();
    harness.world.addFault({ effect: { kind: 'slowDrip', bytes: 400, ms: 1 } });
    expect(await harness.rows(ROLES)).not.toHaveLength(0);
  });

  test('latency delays and changes nothing else', async () => {
    const harness = await start();
    harness.world.addFault({ effect: { kind: 'latency', ms: 1 } });
    expect((await harness.connectwise(ROLES, POST_ROLE)).status).toBe(201);
  });
});

describe('held requests', () => {
  test.each([
    ['hangBefore', 0],
    ['hangAfter', 1],
  ] as const)('%s', async (kind, madeWhileHeld) => {
    const harness = await start();
    const { world } = harness;
    world.addFault({ when: { method: 'POST' }, effect: { kind } });
    const answer = harness.connectwise(ROLES, POST_ROLE);
    expect(await world.waitForHang()).toMatchObject({
      kind,
      company: 'acme',
      operation: ROLES,
      method: 'POST',
    });
    expect(madeRoles(harness)).toBe(madeWhileHeld);
    expect(world.releaseHangs()).toBe(1);
    expect((await answer).status).toBe(201);
    expect(madeRoles(harness)).toBe(1);
  });

  test('one held before its effect never happens when its client has died', async () => {
    const harness = await start();
    const { world } = harness;
    world.addFault({ effect: { kind: 'hangBefore' } });
    const client = new AbortController();
    const { publicKey, privateKey } = harness.secrets.managementKey;
    const lost = fetch(`${harness.simulator.connectwiseUrl}/v2025_1/apis/3.0${ROLES}`, {
      method: 'POST',
      body: JSON.stringify(POST_ROLE.body),
      headers: { authorization: basic(`acme+${publicKey}`, privateKey), clientId: 'x' },
      signal: client.signal,
    });
    await world.waitForHang();
    client.abort();
    await expect(lost).rejects.toThrow('aborted');
    // The broken connection is seen in the next turns of the event loop, not by any clock.
    while (world.faults.heldCalls().length > 0) await sleep(1);
    expect(world.releaseHangs()).toBe(0);
    expect(madeRoles(harness)).toBe(0);
    expect(world.journal.query()).toMatchObject([{ actor: 'parasol', status: null, applied: false }]);
  });

  test('a dropped one never happens either', async () => {
    const harness = await start();
    const { world } = harness;
    world.addFault({ effect: { kind: 'hangBefore' } });
    const lost = harness.connectwise(ROLES, POST_ROLE).catch((error: unknown) => String(error));
    await world.waitForHang();
    world.releaseHangs('drop');
    expect(await lost).toContain('fetch failed');
    expect(madeRoles(harness)).toBe(0);
  });

  test('waiting in vain ends', async () => {
    const { world } = await start();
    expect(await world.waitForHang(1)).toBeNull();
  });

  test('closing lets go of everything', async () => {
    const harness = await start();
    harness.world.addFault({ effect: { kind: 'hangBefore' } });
    const lost = harness.connectwise(ROLES).catch((error: unknown) => String(error));
    await harness.world.waitForHang();
    await harness.simulator.close();
    expect(await lost).toContain('fetch failed');
  });
});

describe('stale lists', () => {
  test('do not show what was just made, for so many reads', async () => {
    const harness = await start();
    harness.world.addFault({ when: { method: 'POST' }, effect: { kind: 'staleReads', reads: 2 } });
    const made = await harness.connectwise(ROLES, POST_ROLE);
    const list = async () => (await harness.rows(`${ROLES}?conditions=name="Made"`)).length;
    expect([await list(), await list(), await list()]).toEqual([0, 0, 1]);
    expect(made.status).toBe(201);
  });

  test('or for so long', async () => {
    const harness = await start();
    harness.world.addFault({ effect: { kind: 'staleReads', ms: 5_000 } });
    const { id } = (await harness.connectwise(ROLES, POST_ROLE)).json<{ id: number }>();
    const list = async () => (await harness.rows(`${ROLES}?conditions=name="Made"`)).length;
    expect(await list()).toBe(0);
    expect((await harness.connectwise(`${ROLES}/${id}`)).status).toBe(200);
    harness.world.advanceClock(5_000);
    expect(await list()).toBe(1);
  });
});

describe('which calls are concerned', () => {
  test('by vendor, company, method, path, operation and actor', async () => {
    const harness = await start();
    const { world, secrets } = harness;
    const effect = { kind: 'status', status: 503 } as const;
    const concerned = async (when: object) => {
      world.clearFaults();
      world.addFault({ when, effect });
      const member = await harness.connectwise('/system/apiMembers/300');
      const own = await harness.connectwise('/system/mySecurity', { pair: secrets.integrationKey });
      return [member.status, own.status];
    };
    expect(await concerned({ vendor: 'umbrella' })).toEqual([200, 200]);
    expect(await concerned({ company: 'other' })).toEqual([200, 200]);
    expect(await concerned({ method: 'POST' })).toEqual([200, 200]);
    expect(await concerned({ operation: '/system/apiMembers/{id}' })).toEqual([503, 200]);
    expect(await concerned({ path: '/v2025_1/apis/3.0/system/my' })).toEqual([200, 503]);
    expect(await concerned({ path: '/apiMembers/\\d+$' })).toEqual([200, 200]);
    expect(await concerned({ path: '^.*/apiMembers/\\d+$' })).toEqual([503, 200]);
    expect(await concerned({ actor: 'parasol', company: 'acme' })).toEqual([503, 200]);
  });

  test('by number and by chance', async () => {
    const harness = await start();
    const { world } = harness;
    const statuses = async (n: number) => {
      const seen: number[] = [];
      for (let i = 0; i < n; i += 1) seen.push((await harness.connectwise('/system/info')).status);
      return seen;
    };
    const effect = { kind: 'status', status: 503 } as const;
    world.addFault({ when: { nth: 2 }, effect });
    expect(await statuses(4)).toEqual([200, 503, 200, 200]);
    world.clearFaults();
    const id = world.addFault({ when: { times: 2 }, effect });
    expect(await statuses(3)).toEqual([503, 503, 200]);
    expect(world.faults.list()).toMatchObject([{ id, used: 2 }]);
    expect([world.faults.remove(id), world.faults.remove(id)]).toEqual([true, false]);
    world.addFault({ when: { probability: 0.5 }, effect });
    const failed = (await statuses(60)).filter((status) => status === 503).length;
    expect(failed).toBeGreaterThan(15);
    expect(failed).toBeLessThan(45);
  });
});
