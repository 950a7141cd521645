import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { requested, type RotationCause } from '../../src/domain/rotation.ts';
import { createStore, type Store } from '../../src/store/index.ts';
import { createTestDatabase, type TestDatabase } from '../support/postgres.ts';
import { claimOf, given } from './fixtures.ts';

/** How many rotations the fleet has in flight, and which of those that wait is next. */

let database: TestDatabase;
let store: Store;
beforeAll(async () => {
  database = await createTestDatabase();
  store = createStore(database.url);
});
afterAll(async () => {
  await store.close();
  await database.drop();
});
beforeEach(() => store.pool.query('truncate tenants, events cascade'));

/** Tenants that may be changed, each with a rotation that waits, the first the oldest. */
async function waiting(ids: string[], causes: Record<string, RotationCause> = {}): Promise<void> {
  await given(store, ...ids);
  await store.pool.query(`update tenants set spec = spec || '{"mode":"repair"}'`);
  for (const [index, id] of ids.entries()) {
    const rotation = requested({
      id: `rotation-${id}`,
      tenantId: id,
      cause: causes[id] ?? 'age',
      by: null,
      reason: null,
      cutNow: false,
      at: new Date(Date.UTC(2026, 0, 1, index)).toISOString(),
    });
    const kept = await store.desk.requestRotation(rotation, [], 'asked');
    if (!kept.ok) throw new Error(kept.because);
  }
}

/** Whether the rotation of that tenant may begin now. */
const asks = async (id: string, limit: number | null): Promise<boolean> => {
  const claim = await claimOf(store, id, `owner-${id}`);
  const admitted = await store.reconciles.admitRotation(claim, `rotation-${id}`, limit);
  await store.claims.release(claim, 0);
  return admitted !== null;
};

describe('the fleet’s limit of rotations', () => {
  it('lets the oldest begin first, and the next one when another has ended', async () => {
    await waiting(['a', 'b', 'c']);
    expect([await asks('b', 1), await asks('a', 1), await asks('b', 1), await asks('a', 1)]).toEqual([
      false,
      true,
      false,
      true,
    ]);
    await store.pool.query(
      `update rotations set ended_at = now(), phase = 'Completed' where id = 'rotation-a'`,
    );
    expect([await asks('c', 1), await asks('b', 1)]).toEqual([false, true]);
  });

  it('is not held up by a tenant in which nothing may be changed', async () => {
    await waiting(['a', 'b', 'c', 'd']);
    await store.pool.query(`update tenants set spec = spec || '{"mode":"observe"}' where id = 'a'`);
    await store.pool.query(`update tenants set spec = spec || '{"paused":true}' where id = 'b'`);
    await store.pool.query(`update tenants set deleting = true, deletion = '{}' where id = 'c'`);
    expect(await asks('d', 1)).toBe(true);
  });

  it('is never exceeded by tenants that ask at the same time', async () => {
    const ids = ['a', 'b', 'c', 'd', 'e', 'f'];
    await waiting(ids);
    const claims = await Promise.all(ids.map((id) => claimOf(store, id, `owner-${id}`).catch(() => null)));
    const held = claims.filter((claim) => claim !== null);
    const admitted = await Promise.all(
      held.map((claim) => store.reconciles.admitRotation(claim, `rotation-${claim.tenantId}`, 3)),
    );
    expect(admitted.filter((at) => at !== null).length).toBeLessThanOrEqual(3);
    const { rows } = await store.pool.query(
      `select count(*)::int as n from rotations where admitted_at is not null`,
    );
    expect(rows).toEqual([{ n: admitted.filter((at) => at !== null).length }]);
  });

  it('is not for a compromised key, a first one, or one that is dead', async () => {
    await waiting(['a', 'b', 'c', 'd'], { b: 'compromise', c: 'first', d: 'invalid' });
    for (const id of ['b', 'c', 'd']) expect(await asks(id, null)).toBe(true);
    // Nor do they take room from the others.
    expect(await asks('a', 1)).toBe(true);
  });

  it('lets nothing begin for who lost the claim', async () => {
    await waiting(['a']);
    const claim = await claimOf(store, 'a');
    expect(
      await store.reconciles.admitRotation({ ...claim, token: claim.token - 1 }, 'rotation-a', 5),
    ).toBeNull();
  });
});
