import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it, test, vi } from 'vitest';
import { Secret } from '../../src/domain/secret.ts';
import type { Keyring, RekeyProgress, SealedFor } from '../../src/reconciler/ports.ts';
import { createStore, type Store } from '../../src/store/index.ts';
import { checkVault, createVault, parseKek, rekey, type Kek } from '../../src/vault/index.ts';
import { credentialOf, given } from '../store/fixtures.ts';
import { createTestDatabase, type TestDatabase } from '../support/postgres.ts';

let database: TestDatabase;
let store: Store;
let ring: Keyring;

beforeAll(async () => {
  database = await createTestDatabase();
  store = createStore(database.url);
  ring = store.keyring;
});
beforeEach(async () => {
  await store.pool.query('truncate tenants, events, umbrella_keys, vault_checks cascade');
  await given(store, 'acme');
});
afterAll(async () => {
  await store.close();
  await database.drop();
});

function kek(): Kek {
  const parsed = parseKek(randomBytes(32).toString('hex'));
  if (!parsed.ok) throw parsed.error;
  return parsed.value;
}

const boundOf = (credentialId: string): SealedFor => ({
  tenantId: 'acme',
  credentialId,
  purpose: 'integration',
  origin: 'https://na.myconnectwise.net',
});

/** Pairs that a service keeps which has this key; their ids. */
async function sealed(key: Kek, count: number): Promise<string[]> {
  await ring.first(key.id, (await canaryOf(key)) ?? '');
  return kept(key, count);
}

async function kept(key: Kek, count: number): Promise<string[]> {
  const vault = createVault(key);
  const ids: string[] = [];
  for (let at = 0; at < count; at += 1) {
    const credential = credentialOf();
    const pair = {
      publicHalf: `public of ${credential.id}`,
      privateHalf: new Secret(`private of ${credential.id}`),
    };
    const text = await vault.seal(pair, boundOf(credential.id));
    await store.desk.addCredential('acme', { ...credential, sealed: text }, { events: [], cause: 'test' });
    ids.push(credential.id);
  }
  return ids;
}

async function canaryOf(key: Kek): Promise<string | null> {
  let canary: string | null = null;
  await checkVault(key, {
    keys: async () => [],
    first: async (kid, check) => {
      canary = check;
      return [{ kid, check, createdAt: '', retiredAt: null }];
    },
  });
  return canary;
}

async function texts(): Promise<{ id: string; sealed: string }[]> {
  const { rows } = await store.pool.query<{ id: string; sealed: string }>(
    'select id, sealed from credentials order by id',
  );
  return rows;
}

/** Which of these keys opens each pair, to what was sealed and bound as it was. */
async function openedBy(keys: Record<string, Kek>): Promise<string[]> {
  const found: string[] = [];
  for (const { id, sealed } of await texts()) {
    for (const [name, key] of Object.entries(keys)) {
      const pair = await createVault(key)
        .open(sealed, boundOf(id))
        .catch(() => null);
      if (pair?.publicHalf === `public of ${id}` && pair.privateHalf.reveal() === `private of ${id}`) {
        found.push(name);
      }
    }
  }
  return found;
}

const refusalOf = async (from: Kek, to: Kek): Promise<string> => {
  const answer = await rekey(ring, { from, to }, () => undefined);
  return answer.ok ? 'done' : `${answer.error.reason}: ${answer.error.message}`;
};

describe('a change of key', () => {
  it('seals everything anew, bound as it was, and only the new key starts a service then', async () => {
    const [old, fresh] = [kek(), kek()];
    await sealed(old, 7);
    const answer = await rekey(ring, { from: old, to: fresh }, () => undefined);
    expect(answer).toEqual({ ok: true, value: { resealed: 7, total: 7, damaged: [] } });
    expect(await openedBy({ old, fresh })).toEqual(Array.from({ length: 7 }, () => 'fresh'));
    expect(await checkVault(fresh, ring)).toEqual({ ok: true, value: null });
    expect(await checkVault(old, ring)).toMatchObject({ error: { reason: 'retired' } });
    expect(await ring.counts()).toEqual([{ kid: fresh.id, count: 7 }]);
    expect(await ring.keys()).toMatchObject([
      { kid: old.id, check: null, retiredAt: expect.any(String) },
      { kid: fresh.id, check: expect.any(String), retiredAt: null },
    ]);
  });

  it('tells how far it is, in both of its steps, over more than one batch', async () => {
    const [old, fresh] = [kek(), kek()];
    await sealed(old, 260);
    const told: RekeyProgress[] = [];
    await rekey(ring, { from: old, to: fresh }, (at) => told.push(at));
    expect(told).toEqual([
      { step: 'seal', done: 0, total: 260 },
      { step: 'seal', done: 250, total: 260 },
      { step: 'seal', done: 260, total: 260 },
      { step: 'check', done: 0, total: 260 },
      { step: 'check', done: 250, total: 260 },
      { step: 'check', done: 260, total: 260 },
    ]);
  });

  it('takes every table with it: the new pair of an Umbrella key’s row too', async () => {
    const [old, fresh] = [kek(), kek()];
    await sealed(old, 2);
    const bound: SealedFor = { tenantId: '*', credentialId: 'k1', purpose: 'umbrella-api', origin: 'o' };
    const pair = { publicHalf: 'made', privateHalf: new Secret('made-private') };
    await store.pool.query(
      `insert into umbrella_keys (id, origin, identity, sealed) values ('k1', 'o', 'i', $1)`,
      [await createVault(old).seal(pair, bound)],
    );
    expect(await rekey(ring, { from: old, to: fresh }, () => undefined)).toMatchObject({
      value: { resealed: 3, total: 3 },
    });
    const { rows } = await store.pool.query<{ sealed: string }>('select sealed from umbrella_keys');
    expect((await createVault(fresh).open(rows[0]!.sealed, bound)).privateHalf.reveal()).toBe('made-private');
  });

  it('leaves what was destroyed as it is', async () => {
    const [old, fresh] = [kek(), kek()];
    const [gone] = await sealed(old, 2);
    await store.pool.query(
      "update credentials set state = 'dead', sealed = null, destroyed_at = now() where id = $1",
      [gone],
    );
    const answer = await rekey(ring, { from: old, to: fresh }, () => undefined);
    expect(answer).toMatchObject({ value: { resealed: 1, total: 1 } });
  });

  it('names what no key opens, leaves it as it is, and ends all the same', async () => {
    const [old, fresh] = [kek(), kek()];
    const [spoilt, foreign] = await sealed(old, 3);
    await store.pool.query("update credentials set sealed = left(sealed, -3) || 'AAA' where id = $1", [
      spoilt,
    ]);
    await store.pool.query("update credentials set sealed = 'eyJ.nonsense' where id = $1", [foreign]);
    const before = (await texts()).filter(({ id }) => id === spoilt || id === foreign);
    const answer = await rekey(ring, { from: old, to: fresh }, () => undefined);
    expect(answer).toEqual({
      ok: true,
      value: { resealed: 1, total: 1, damaged: [`credentials/${spoilt}`, `credentials/${foreign}`] },
    });
    expect((await texts()).filter(({ id }) => id === spoilt || id === foreign)).toEqual(before);
    expect(await checkVault(fresh, ring)).toMatchObject({ ok: true });
  });

  it('done again with the same two keys, has nothing left to do', async () => {
    const [old, fresh] = [kek(), kek()];
    await sealed(old, 3);
    await rekey(ring, { from: old, to: fresh }, () => undefined);
    const before = [await texts(), await ring.keys()];
    expect(await rekey(ring, { from: old, to: fresh }, () => undefined)).toMatchObject({
      value: { resealed: 0, total: 3 },
    });
    expect([await texts(), await ring.keys()]).toEqual(before);
  });
});

describe('a change of key is refused, and nothing is changed,', () => {
  const unchanged = async (doing: () => Promise<string>): Promise<string> => {
    const before = [await texts(), await ring.keys()];
    const said = await doing();
    expect([await texts(), await ring.keys()]).toEqual(before);
    return said;
  };

  test('where both keys are one', async () => {
    const old = kek();
    await sealed(old, 1);
    expect(await unchanged(() => refusalOf(old, old))).toContain('bad-key: The new key is the one in use');
  });

  test('where nothing was ever sealed', async () => {
    expect(await unchanged(() => refusalOf(kek(), kek()))).toContain('no-key: Nothing was ever sealed');
  });

  test('where the old key is not the one in use', async () => {
    await sealed(kek(), 2);
    expect(await unchanged(() => refusalOf(kek(), kek()))).toMatch(/^wrong-key: This is not the key/);
  });

  test('where the new key was retired before', async () => {
    const [old, fresh] = [kek(), kek()];
    await sealed(old, 1);
    await rekey(ring, { from: old, to: fresh }, () => undefined);
    expect(await unchanged(() => refusalOf(fresh, old))).toContain(
      `retired: The key ${old.id} was retired before`,
    );
  });

  test('where another change is under way', async () => {
    const [old, fresh] = [kek(), kek()];
    await sealed(old, 2);
    await ring.begin(fresh.id, (await canaryOf(fresh))!);
    expect(await unchanged(() => refusalOf(old, kek()))).toContain(
      `under-way: The key-encryption key is being`,
    );
    expect(await unchanged(() => refusalOf(kek(), fresh))).toContain('under-way');
  });

  test('where something is sealed under a third key, which can be sealed anew first', async () => {
    const [third, old, fresh] = [kek(), kek(), kek()];
    await sealed(old, 1);
    const [lost] = await sealed(third, 1);
    expect(await unchanged(() => refusalOf(old, fresh))).toContain(
      `1 texts are sealed under the key ${third.id}`,
    );
    expect(await rekey(ring, { from: third, to: old }, () => undefined)).toMatchObject({
      value: { resealed: 1 },
    });
    expect(await rekey(ring, { from: old, to: fresh }, () => undefined)).toMatchObject({
      value: { total: 2 },
    });
    expect((await texts()).map(({ id }) => id)).toContain(lost);
    expect(await openedBy({ third, old, fresh })).toEqual(['fresh', 'fresh']);
  });

  test('no longer, where it goes back to the old key before its end', async () => {
    const [old, fresh] = [kek(), kek()];
    await sealed(old, 3);
    await ring.begin(fresh.id, (await canaryOf(fresh))!);
    expect(await refusalOf(fresh, old)).toBe('done');
    expect(await openedBy({ old, fresh })).toEqual(['old', 'old', 'old']);
    expect(await checkVault(old, ring)).toMatchObject({ ok: true });
    expect(await checkVault(fresh, ring)).toMatchObject({ error: { reason: 'retired' } });
  });
});

/** The keyring, whose `at`th call is the last: cut off just before it, or just after it was committed. */
function cutOff(at: number, when: 'before' | 'after'): { ring: Keyring; calls: () => number } {
  let calls = 0;
  const wrapped = Object.entries(ring).map(
    ([name, method]: [string, (...given: unknown[]) => Promise<unknown>]) => [
      name,
      async (...given: unknown[]) => {
        calls += 1;
        if (calls === at && when === 'before') throw new Error('cut off');
        const answer = await method(...given);
        if (calls === at) throw new Error('cut off');
        return answer;
      },
    ],
  );
  return { ring: Object.fromEntries(wrapped) as Keyring, calls: () => calls };
}

describe('a change of key that is cut off', () => {
  it('just before or after any of its steps: every pair opens with one of the two keys, no service starts with a pair that it cannot open, and the next call ends it', async () => {
    const whole = cutOff(Infinity, 'before');
    const start = [kek(), kek()] as const;
    await sealed(start[0], 260);
    await rekey(whole.ring, { from: start[0], to: start[1] }, () => undefined);
    const steps = whole.calls();
    // Begin, two batches, the check's pages, finish: fewer would prove less than is said.
    expect(steps).toBeGreaterThanOrEqual(10);

    let from = start[1];
    for (let at = 1; at <= steps; at += 1) {
      for (const when of ['before', 'after'] as const) {
        const to = kek();
        await expect(rekey(cutOff(at, when).ring, { from, to }, () => undefined)).rejects.toThrow('cut off');
        const found = await openedBy({ from, to });
        expect(found).toHaveLength(260);
        for (const [name, key] of Object.entries({ from, to })) {
          const { ok } = await checkVault(key, ring);
          expect(ok && found.some((by) => by !== name)).toBe(false);
        }
        expect(await rekey(ring, { from, to }, () => undefined)).toMatchObject({
          ok: true,
          value: { total: 260, damaged: [] },
        });
        expect(new Set(await openedBy({ from, to }))).toEqual(new Set(['to']));
        expect(await checkVault(to, ring)).toMatchObject({ ok: true });
        from = to;
      }
    }
  });

  it('leaves no way to keep a pair under the old key, not for a service that knows nothing of it either', async () => {
    const [old, fresh] = [kek(), kek()];
    await sealed(old, 1);
    await ring.begin(fresh.id, (await canaryOf(fresh))!);
    await expect(sealed(old, 1)).rejects.toThrow(`the key-encryption key ${old.id} was retired`);
    expect(await texts()).toHaveLength(1);
    await rekey(ring, { from: old, to: fresh }, () => undefined);
    await expect(sealed(old, 1)).rejects.toThrow('was retired');
    await sealed(fresh, 1);
    expect(await openedBy({ old, fresh })).toEqual(['fresh', 'fresh']);
  });

  it('lets a pair wait that comes in while the old key is being retired, and then refuses it', async () => {
    const [old, fresh] = [kek(), kek()];
    await sealed(old, 1);
    const client = await store.pool.connect();
    try {
      await client.query('begin');
      await client.query('update vault_checks set retired_at = now() where kid = $1', [old.id]);
      const coming = kept(old, 1).then(
        () => 'kept',
        (error: Error) => error.message,
      );
      await vi.waitFor(async () => {
        const { rows } = await store.pool.query(
          "select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'",
        );
        expect(rows).toHaveLength(1);
      });
      await client.query('commit');
      expect(await coming).toContain('was retired');
    } finally {
      client.release();
    }
    expect(await texts()).toHaveLength(1);
    await ring.begin(fresh.id, (await canaryOf(fresh))!);
    expect(await refusalOf(old, fresh)).toBe('done');
  });

  it('waits for a pair that comes in at this very moment, and seals it anew', async () => {
    const [old, fresh] = [kek(), kek()];
    await sealed(old, 1);
    const client = await store.pool.connect();
    try {
      // As the insertion does it: the key's row is shared until the pair is there.
      await client.query('begin');
      await client.query('select from vault_checks where kid = $1 for share', [old.id]);
      const changing = rekey(ring, { from: old, to: fresh }, () => undefined);
      const late = await createVault(old).seal(
        { publicHalf: 'public of late', privateHalf: new Secret('private of late') },
        boundOf('late'),
      );
      await client.query(
        `insert into credentials (id, tenant_id, purpose, state, fingerprint, origin, sealed, state_because)
         values ('late', 'acme', 'integration', 'candidate', 'f', 'o', $1, '')`,
        [late],
      );
      await client.query('commit');
      expect(await changing).toMatchObject({ value: { resealed: 2 } });
    } finally {
      client.release();
    }
    expect(await openedBy({ old, fresh })).toEqual(['fresh', 'fresh']);
  });
});
