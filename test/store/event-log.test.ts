import fc from 'fast-check';
import pg from 'pg';
import { pino } from 'pino';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { EVERY_EVENT, passes, type EventFilter, type LoggedEvent } from '../../src/reconciler/event-log.ts';
import { createFollower, FOLLOWER_DEFAULTS, type Gap } from '../../src/reconciler/follower.ts';
import { openDatabase } from '../../src/store/database.ts';
import { addEvents } from '../../src/store/events.ts';
import { createStore, type Store } from '../../src/store/index.ts';
import { createTestDatabase, type TestDatabase } from '../support/postgres.ts';
import { claimOf, given, resultOf, specOf, writeOf } from './fixtures.ts';

let database: TestDatabase;
let store: Store;
let other: Store;

beforeAll(async () => {
  database = await createTestDatabase();
  store = createStore(database.url);
  other = createStore(database.url);
});
beforeEach(async () => {
  await store.pool.query('truncate tenants, events cascade; update event_log set placed = 0, pruned = 0');
});
afterAll(async () => {
  await Promise.all([store.close(), other.close()]);
  await database.drop();
});

const add = (tenant: string, ...types: string[]) =>
  openDatabase(store.pool).transaction((tx) =>
    addEvents(
      tx,
      tenant,
      types.map((type) => ({ type, message: type })),
    ),
  );

const readAfter = async (place: number, filter: EventFilter = EVERY_EVENT, from = store) =>
  (await from.eventLog.after(place, await from.eventLog.head(), filter, 100)).events;
const told = (events: readonly LoggedEvent[]) => events.map(({ place, event }) => `${place} ${event.type}`);

describe('the log of events', () => {
  it('gives an event that is committed late a place after those that were read before it', async () => {
    const slow = await store.pool.connect();
    await slow.query('begin');
    await addEvents(openDatabase(slow), 'acme', [{ type: 'Slow', message: '' }]);
    await add('acme', 'Quick');
    expect(told(await readAfter(0))).toEqual(['1 Quick']);
    await slow.query('commit');
    slow.release();
    expect(told(await readAfter(1))).toEqual(['2 Slow']);
    expect(told(await readAfter(0, EVERY_EVENT, other))).toEqual(['1 Quick', '2 Slow']);
  });

  it('gives no place to what was rolled back, so that places have no holes', async () => {
    await add('acme', 'A');
    const undone = add('acme', 'B').then(() => undefined);
    await undone;
    await expect(
      openDatabase(store.pool).transaction(async (tx) => {
        await addEvents(tx, 'acme', [{ type: 'Never', message: '' }]);
        throw new Error('changed its mind');
      }),
    ).rejects.toThrow(/changed its mind/);
    await add('acme', 'C');
    expect(told(await readAfter(0))).toEqual(['1 A', '2 B', '3 C']);
  });

  it('gives the places of a crowd once, however many readers let it happen at the same time', async () => {
    await Promise.all(Array.from({ length: 30 }, (_, at) => add('acme', `E${at}`)));
    const reads = await Promise.all(
      Array.from({ length: 8 }, (_, at) => readAfter(0, EVERY_EVENT, at % 2 ? store : other)),
    );
    for (const events of reads) expect(events.map(({ place }) => place)).toEqual(range(1, 30));
    expect(new Set(reads.map((events) => told(events).join())).size).toBe(1);
  });

  it('tells how far retention has taken it, of events too that nobody had read', async () => {
    await add('acme', 'Old', 'Older');
    await store.pool.query(`update events set at = now() - interval '2 days'`);
    await add('acme', 'New');
    expect(await store.housekeeping.prune(86_400_000, 100)).toBe(2);
    expect(await store.eventLog.head()).toEqual({ placed: 3, pruned: 2 });
    expect(told(await readAfter(0))).toEqual(['3 New']);
  });

  it('shows pages of the whole fleet, newest first', async () => {
    await add('acme', 'A', 'B');
    await add('globex', 'C');
    const first = await store.eventLog.page({ before: null, limit: 2 }, EVERY_EVENT);
    expect(first.items.map(({ id, tenant, type }) => [id, tenant, type])).toEqual([
      ['3', 'globex', 'C'],
      ['2', 'acme', 'B'],
    ]);
    expect(first.next).toBe('2');
    const second = await store.eventLog.page({ before: 2, limit: 2 }, EVERY_EVENT);
    expect(second.items.map(({ type }) => type)).toEqual(['A']);
    expect(second.next).toBeNull();
  });

  it.each<[string, Partial<EventFilter>, string[]]>([
    ['everything', {}, ['1 Applied', '2 Applied', '3 A', '4 B', '5 A', '6 B', '7 A']],
    ['one tenant', { tenant: 'acme' }, ['1 Applied', '3 A', '4 B']],
    ['some types', { types: ['B', 'C'] }, ['4 B', '6 B']],
    ['a label', { labels: [{ key: 'team', value: 'north' }] }, ['1 Applied', '3 A', '4 B']],
    ['a label with any value', { labels: [{ key: 'team', value: null }], types: ['A'] }, ['3 A', '5 A']],
    [
      'two labels',
      {
        labels: [
          { key: 'team', value: 'south' },
          { key: 'tier', value: null },
        ],
      },
      ['2 Applied', '5 A', '6 B'],
    ],
    [
      'one of the tenants that exist for who asks',
      { scope: { tenants: ['globex', 'gone'], labels: [] } },
      ['2 Applied', '5 A', '6 B', '7 A'],
    ],
    [
      'those that exist by their labels',
      { scope: { tenants: [], labels: [{ key: 'team', value: 'north' }] } },
      ['1 Applied', '3 A', '4 B'],
    ],
    ['nobody', { scope: { tenants: [], labels: [] } }, []],
  ])('is filtered for %s, by the database as at hand', async (_, change, expected) => {
    const label = (id: string, labels: Record<string, string>) =>
      writeOf(id, { spec: { ...specOf(id), labels } });
    await store.desk.apply([label('acme', { team: 'north' }), label('globex', { team: 'south', tier: 'a' })]);
    await add('acme', 'A', 'B');
    await add('globex', 'A', 'B');
    await add('gone', 'A');
    const filter = { ...EVERY_EVENT, ...change };
    expect(told(await readAfter(0, filter))).toEqual(expected);
    const all = await readAfter(0);
    expect(told(all.filter((event) => passes(filter, event)))).toEqual(expected);
  });

  it('says that something changed, once it is committed, to whoever waits in another process', async () => {
    const changes: (string | null)[] = [];
    let heard = () => {};
    const unlisten = await other.eventLog.onChange((tenant) => {
      changes.push(tenant);
      heard();
    });
    const next = () => new Promise<void>((resolve) => (heard = resolve));
    expect(changes).toEqual([null]);
    let change = next();
    await given(store, 'acme');
    await change;
    expect(changes).toEqual([null, 'acme']);
    // The trigger of its making is answered by a run that has nothing else to tell.
    change = next();
    await store.reconciles.record(await claimOf(store, 'acme'), resultOf());
    await change;
    expect(changes).toEqual([null, 'acme', 'acme']);
    await unlisten();
  });

  it('stays silent about a run that nobody asked for and that found nothing new', async () => {
    await given(store, 'acme');
    await store.reconciles.record(await claimOf(store, 'acme'), resultOf({ next: { inMs: 0, failures: 0 } }));
    const changes: (string | null)[] = [];
    let heard = () => {};
    const loud = new Promise<void>((resolve) => (heard = resolve));
    const unlisten = await other.eventLog.onChange((tenant) => {
      changes.push(tenant);
      if (tenant === 'loud') heard();
    });
    await store.reconciles.record(await claimOf(store, 'acme'), resultOf());
    await add('loud', 'A');
    await loud;
    expect(changes).toEqual([null, 'loud']);
    await unlisten();
  });
});

const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, at) => from + at);

describe('following the log', () => {
  /** What one writer does: a transaction of some events that takes its time, and may be taken back. */
  const turn = fc.record({
    events: fc.integer({ min: 1, max: 3 }),
    roundTrips: fc.integer({ min: 0, max: 6 }),
    undone: fc.boolean(),
  });
  const plan = fc.record({
    writers: fc.array(fc.array(turn, { minLength: 3, maxLength: 10 }), { minLength: 3, maxLength: 5 }),
    /** After so many events the reader goes, and comes back with the last place that it has seen. */
    leaves: fc.array(fc.integer({ min: 0, max: 6 }), { maxLength: 12 }),
  });

  it('loses and doubles nothing, whatever commits late and however often a reader comes back', async () => {
    await fc.assert(
      fc.asyncProperty(plan, async ({ writers, leaves }) => {
        const { placed: before } = await store.eventLog.head();
        const committed: string[] = [];
        const writing = Promise.all(
          writers.map(async (turns, writer) => {
            const client = new pg.Client({ connectionString: database.url });
            await client.connect();
            for (const [at, { events, roundTrips, undone }] of turns.entries()) {
              const types = range(1, events).map((n) => `${writer}.${at}.${n}`);
              await client.query('begin');
              await addEvents(
                openDatabase(client as unknown as pg.PoolClient),
                'acme',
                types.map((type) => ({ type, message: '' })),
              );
              for (let trip = 0; trip < roundTrips; trip += 1) await client.query('select 1');
              await client.query(undone ? 'rollback' : 'commit');
              if (!undone) committed.push(...types);
            }
            await client.end();
          }),
        );
        const readers = [store, other].map((from, which) => reader(from, before, which ? leaves : []));
        await writing;
        const last = before + committed.length;
        for (const { until } of readers) await until(last);
        const [steady, restless] = readers.map(({ seen }) => seen);
        expect(steady!.map(({ place }) => place)).toEqual(range(before + 1, last));
        expect(restless).toEqual(steady);
        expect(steady!.map(({ type }) => type).toSorted()).toEqual(committed.toSorted());
      }),
      { numRuns: 12 },
    );
  });

  /** Follows with one process's store; goes and comes back as `leaves` says. */
  function reader(from: Store, start: number, leaves: number[]) {
    const follower = createFollower(
      { eventLog: from.eventLog, log: pino({ level: 'silent' }) },
      { ...FOLLOWER_DEFAULTS, gatherMs: 0, pollMs: 50, stretch: 4 },
    );
    const seen: { place: number; type: string }[] = [];
    let looked = () => {};
    const follow = async (stays: number | undefined): Promise<void> => {
      let left = stays ?? Number.POSITIVE_INFINITY;
      let gone = false;
      const { promise, resolve } = Promise.withResolvers<void>();
      const leave = await follower.follow(
        { after: seen.at(-1)?.place ?? start, filter: EVERY_EVENT },
        {
          take(events) {
            for (const { place, event } of events) {
              // What is on its way when the connection breaks does not arrive.
              if (gone) return;
              seen.push({ place, type: event.type });
              left -= 1;
              if (left > 0) continue;
              gone = true;
              resolve();
            }
            looked();
          },
          beat: () => {},
          gap: (gap: Gap) => expect.unreachable(JSON.stringify(gap)),
          room: async () => !gone,
          end: () => {},
        },
      );
      if (left <= 0) resolve();
      await promise;
      leave();
    };
    const following = (async () => {
      for (const stays of leaves) await follow(stays);
      await follow(undefined);
    })();
    following.catch(() => undefined);
    return {
      seen,
      until: async (place: number) => {
        while ((seen.at(-1)?.place ?? start) < place)
          await new Promise<void>((resolve) => (looked = resolve));
      },
    };
  }
});
