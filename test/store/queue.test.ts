import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import type { DeliveryQueue } from '../../src/reconciler/ports.ts';
import { createStore, type Store } from '../../src/store/index.ts';
import { createTestDatabase, type TestDatabase } from '../support/postgres.ts';
import { claimOf, given, newId, resultOf, runOf } from './fixtures.ts';

/** Deliveries to automations: queued with their cause, tried again, and buried where they fail for good. */

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
  if (await isThere()) await store.pool.query('delete from pgboss.job');
});
afterAll(async () => {
  await store.close();
  await database.drop();
});

const isThere = async (): Promise<boolean> => {
  const { rows } = await store.pool.query<{ there: boolean }>(
    `select to_regclass('pgboss.job') is not null as there`,
  );
  return rows[0]!.there;
};

const opening = (webhook = 'https://rpa.example/work', error: string | null = null) => ({
  change: 'open' as const,
  id: newId(),
  kind: 'delete-key' as const,
  subject: newId(),
  content: { title: 'Delete it', why: '', steps: [], closedBy: '' },
  deadline: '2099-02-01T00:00:00.000Z',
  automation: { webhook, error },
});

async function queued(state = 'created'): Promise<string[]> {
  const { rows } = await store.pool.query<{ id: string }>(
    `select data ->> 'handoff' as id from pgboss.job where name = 'automation-deliveries' and state = $1`,
    [state],
  );
  return rows.map(({ id }) => id);
}

async function open(handoff = opening()): Promise<string> {
  await given(store, 'acme');
  await store.reconciles.record(await claimOf(store, 'acme'), resultOf({ handoffs: [handoff] }));
  return handoff.id;
}

/** A replica of its own that works on the queue. */
async function worker(handlers: Partial<Parameters<DeliveryQueue['work']>[0]>): Promise<void> {
  const other = createStore(database.url);
  others.push(other);
  await other.queue.work({ deliver: async () => 'done', bury: async () => undefined, ...handlers });
}

describe('a delivery', () => {
  it('is queued in the transaction that opens its hand-off, or not at all', async () => {
    await given(store, 'acme');
    const runId = newId();
    await store.pool.query(
      `insert into runs (id, tenant_id, trigger, started_at, finished_at, outcome, reads, writes, summary, actions)
       values ($1, 'acme', 'x', now(), now(), 'succeeded', 0, 0, '', '[]')`,
      [runId],
    );
    const claim = await claimOf(store, 'acme');
    const handoff = opening();
    const broken = resultOf({ run: runOf({ id: runId }), handoffs: [handoff] });
    await expect(store.reconciles.record(claim, broken)).rejects.toThrow(/duplicate key/);
    expect(await queued()).toEqual([]);
    expect(await store.desk.handoffs({ tenant: 'acme', live: false })).toEqual([]);

    await store.reconciles.record(claim, resultOf({ handoffs: [handoff] }));
    expect(await queued()).toEqual([handoff.id]);
    expect(await store.desk.handoff(handoff.id)).toMatchObject({
      state: 'claimed',
      claimedBy: 'automation',
      automation: { state: 'delivering', attempts: 0, error: null },
    });
  });

  it('is not queued where the automation cannot be asked: people have it, and are told why', async () => {
    const id = await open(opening(undefined, 'there is no secret to sign with'));
    expect(await queued()).toEqual([]);
    expect(await store.desk.handoff(id)).toMatchObject({ state: 'open', automation: { state: 'failed' } });
    const { items } = await store.desk.events('acme', { before: null, limit: 5 });
    expect(items[0]).toMatchObject({ type: 'AutomationFailed' });
  });

  it('carries nothing but the hand-off’s id', async () => {
    const id = await open();
    const { rows } = await store.pool.query<{ data: object }>('select data from pgboss.job');
    expect(rows).toEqual([{ data: { handoff: id } }]);
  });

  it('is found by a replica that starts afterwards, and done once by two', async () => {
    const id = await open();
    const seen: string[] = [];
    const deliver = async (handoffId: string) => {
      seen.push(handoffId);
      return 'done' as const;
    };
    await Promise.all([worker({ deliver }), worker({ deliver })]);
    await vi.waitFor(async () => expect(await queued('completed')).toEqual([id]), { timeout: 15_000 });
    expect(seen).toEqual([id]);
  });

  it('that failed is tried again, also where the handler broke', async () => {
    const id = await open();
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
        expect(await queued('completed')).toEqual([id]);
      },
      { timeout: 20_000, interval: 100 },
    );
    expect(outcomes).toEqual([]);
  });

  it('that failed for good is buried at once, and so is one that was tried as often as it may', async () => {
    const forGood = await open();
    const buried: string[] = [];
    await worker({
      deliver: async (handoffId) => ({ failed: handoffId === forGood ? 'for-good' : 'once' }),
      bury: async (handoffId) => void buried.push(handoffId),
    });
    await vi.waitFor(() => expect(buried).toEqual([forGood]), { timeout: 15_000 });
    const often = opening();
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
    const id = await open();
    await worker({ deliver: async () => ({ laterMs: 3_600_000 }) });
    await vi.waitFor(async () => expect(await queued('completed')).toEqual([id]), { timeout: 15_000 });
    const { rows } = await store.pool.query<{ soon: boolean }>(
      `select start_after < now() + interval '50 minutes' as soon from pgboss.job where state = 'created'`,
    );
    expect(rows).toEqual([{ soon: false }]);
  });
});

it('costs nothing where nobody has an automation: neither schema nor library nor connection', async () => {
  const fresh = await createTestDatabase();
  const lonely = createStore(fresh.url);
  try {
    await lonely.queue.work({ deliver: async () => 'done', bury: async () => undefined });
    const { rows } = await lonely.pool.query<{ there: boolean; connections: number }>(
      `select to_regnamespace('pgboss') is not null as there, count(*)::int as connections
         from pg_stat_activity where datname = current_database() group by 1`,
    );
    expect(rows).toEqual([{ there: false, connections: 1 }]);
  } finally {
    await lonely.close();
    await fresh.drop();
  }
});
