import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import type { DeliveryQueue } from '../../src/reconciler/ports.ts';
import { createStore, type Store } from '../../src/store/index.ts';
import { createTestDatabase, type TestDatabase } from '../support/postgres.ts';
import { claimOf, opened, openingFor, queuedIn, resultOf } from './fixtures.ts';

/** Deliveries to automations: done once, tried again, and buried where they fail for good. */

let database: TestDatabase;
let store: Store;
const others: Store[] = [];

beforeAll(async () => {
  database = await createTestDatabase();
  store = createStore(database.url);
});
afterEach(async () => {
  await Promise.all(others.splice(0).map((one) => one.close()));
  await store.pool.query('truncate tenants cascade');
  await store.pool.query('delete from pgboss.job');
});
afterAll(async () => {
  await store.close();
  await database.drop();
});

/** A replica of its own that works on the queue. */
async function worker(handlers: Partial<Parameters<DeliveryQueue['work']>[0]>): Promise<void> {
  const other = createStore(database.url);
  others.push(other);
  await other.queue.work({ deliver: async () => 'done', bury: async () => undefined, ...handlers });
}

describe('a delivery', () => {
  it('is found by a replica that starts afterwards, and done once by two', async () => {
    const id = await opened(store);
    const seen: string[] = [];
    const deliver = async (handoffId: string) => {
      seen.push(handoffId);
      return 'done' as const;
    };
    await Promise.all([worker({ deliver }), worker({ deliver })]);
    await vi.waitFor(async () => expect(await queuedIn(store, 'completed')).toEqual([id]), {
      timeout: 15_000,
    });
    expect(seen).toEqual([id]);
  });

  it('that failed is tried again, also where the handler broke', async () => {
    const id = await opened(store);
    const outcomes = ['fails', 'breaks', 'works'];
    await worker({
      deliver: async () => {
        const next = outcomes.shift();
        if (next === 'breaks') throw new Error('a bug');
        return next === 'fails' ? { failed: 'once' } : 'done';
      },
    });
    await vi.waitFor(
      async () => {
        await store.pool.query(`update pgboss.job set start_after = now() where state = 'retry'`);
        expect(await queuedIn(store, 'completed')).toEqual([id]);
      },
      { timeout: 20_000, interval: 100 },
    );
    expect(outcomes).toEqual([]);
  });

  it('that failed for good is buried at once, and so is one that was tried as often as it may', async () => {
    const forGood = await opened(store);
    const buried: string[] = [];
    await worker({
      deliver: async (handoffId) => ({ failed: handoffId === forGood ? 'for-good' : 'once' }),
      bury: async (handoffId) => void buried.push(handoffId),
    });
    await vi.waitFor(() => expect(buried).toEqual([forGood]), { timeout: 15_000 });
    const often = openingFor();
    await store.pool.query(`update tenants set next_run_at = now(), claim_owner = null`);
    await store.reconciles.record(await claimOf(store, 'acme'), resultOf({ handoffs: [often] }));
    await vi.waitFor(
      async () => {
        await store.pool.query(
          `update pgboss.job set start_after = now(), retry_count = retry_limit where state = 'retry'`,
        );
        expect(buried).toEqual([forGood, often.id]);
      },
      { timeout: 20_000, interval: 100 },
    );
  });

  it('that may not leave now is put off', async () => {
    const id = await opened(store);
    await worker({ deliver: async () => ({ laterMs: 3_600_000 }) });
    await vi.waitFor(async () => expect(await queuedIn(store, 'completed')).toEqual([id]), {
      timeout: 15_000,
    });
    const { rows } = await store.pool.query<{ soon: boolean }>(
      `select start_after < now() + interval '50 minutes' as soon from pgboss.job where state = 'created'`,
    );
    expect(rows).toEqual([{ soon: false }]);
  });
});
