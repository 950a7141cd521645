import { pino } from 'pino';
import { describe, expect, it, vi } from 'vitest';
import { EVERY_EVENT, passes, type EventLog, type LoggedEvent } from '../../src/reconciler/event-log.ts';
import {
  createFollower,
  FOLLOWER_DEFAULTS,
  type EventListener,
  type FollowerOptions,
} from '../../src/reconciler/follower.ts';

/** A log in memory: places 1, 2, 3 …; `told` says that something came. */
function logOf(count: number) {
  const events: LoggedEvent[] = [];
  const listeners = new Set<(tenant: string | null) => void>();
  let pruned = 0;
  const add = (type = 'A', tenant = 'acme') => {
    const place = events.length + 1;
    const event = { id: String(place), tenant, at: '', type, message: '', data: null };
    events.push({ place, event, labels: {} });
  };
  for (let n = 0; n < count; n += 1) add();
  const log = {
    head: vi.fn<EventLog['head']>(async () => ({ placed: events.length, pruned })),
    after: vi.fn<EventLog['after']>(async (place, { placed }, filter, limit) => {
      const found = events
        .slice(Math.max(place, pruned), placed)
        .filter((event) => passes(filter, event))
        .slice(0, limit);
      return { events: found, through: found.length < limit ? placed : found.at(-1)!.place };
    }),
    page: vi.fn<EventLog['page']>(),
    onChange: vi.fn<EventLog['onChange']>(async (listen) => {
      listeners.add(listen);
      return async () => {
        listeners.delete(listen);
      };
    }),
  } satisfies EventLog;
  return {
    log,
    listeners,
    add: (type?: string, tenant?: string) => {
      add(type, tenant);
      for (const listen of listeners) listen(tenant ?? 'acme');
    },
    prune: (through: number) => (pruned = through),
  };
}

const following = (log: EventLog, options: Partial<FollowerOptions> = {}) =>
  createFollower(
    { eventLog: log, log: pino({ level: 'silent' }) },
    { ...FOLLOWER_DEFAULTS, gatherMs: 0, stretch: 3, ...options },
  );

/** Notes what it is told; `until` settles once that many things were. */
function listening(room = async () => true) {
  const told: string[] = [];
  let heard = () => {};
  const note = (...words: string[]) => {
    told.push(...words);
    heard();
  };
  const listener: EventListener = {
    take: (events) => note(...events.map(({ place }) => String(place))),
    beat: (place) => note(`beat ${place}`),
    gap: ({ because, after, resumesAfter }) => note(`${because} ${after}-${resumesAfter}`),
    room,
    end: () => note('end'),
  };
  const until = async (count: number) => {
    while (told.length < count) await new Promise<void>((resolve) => (heard = resolve));
    return told;
  };
  return { listener, told, until };
}

describe('following', () => {
  it('begins now, and lets the log go with the last listener', async () => {
    const { log, add, listeners } = logOf(5);
    const follower = following(log);
    const { listener, until } = listening();
    const leave = await follower.follow({ after: null, filter: EVERY_EVENT }, listener);
    add();
    expect(await until(1)).toEqual(['6']);
    leave();
    leave();
    await vi.waitFor(() => expect(listeners.size).toBe(0));
  });

  it('replays what came since, then goes on with what comes', async () => {
    const { log, add } = logOf(8);
    const { listener, told, until } = listening();
    await following(log).follow({ after: 1, filter: EVERY_EVENT }, listener);
    expect(told).toEqual(['2', '3', '4', '5', '6', '7', '8']);
    add();
    await until(8);
    expect(told.at(-1)).toBe('9');
  });

  it('reads what is new once for all, and gives each what it wants', async () => {
    const { log, add } = logOf(0);
    const follower = following(log);
    const all = Array.from({ length: 20 }, () => listening());
    for (const { listener } of all) await follower.follow({ after: null, filter: EVERY_EVENT }, listener);
    const picky = listening();
    await follower.follow({ after: null, filter: { ...EVERY_EVENT, types: ['B'] } }, picky.listener);
    log.after.mockClear();
    add('A');
    add('B', 'globex');
    for (const { until } of all) expect(await until(2)).toEqual(['1', '2']);
    expect(await picky.until(1)).toEqual(['2']);
    expect(log.after).toHaveBeenCalledTimes(1);
  });

  it('waits for a slow reader while it replays, and asks for no more once it has gone', async () => {
    const { log } = logOf(9);
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const { listener, told } = listening(() => promise);
    const follow = following(log).follow({ after: 0, filter: EVERY_EVENT }, listener);
    await vi.waitFor(() => expect(told).toHaveLength(3));
    expect(log.after).toHaveBeenCalledTimes(1);
    resolve(false);
    await follow;
    expect(told).toHaveLength(3);
  });

  it.each([
    ['what retention took', 2, ['pruned 2-4', '5', '6']],
    ['nothing where it took only what was read', 4, ['5', '6']],
    ['that it was never there', 9, ['unknown 9-6']],
  ])('says of a replay: %s', async (_, after, expected) => {
    const { log, prune } = logOf(6);
    prune(4);
    const { listener, told } = listening();
    await following(log).follow({ after, filter: EVERY_EVENT }, listener);
    expect(told).toEqual(expected);
  });

  it('moves on who hears nothing', async () => {
    const { log, add } = logOf(0);
    const { listener, until } = listening();
    const filter = { ...EVERY_EVENT, types: ['B'] };
    await following(log, { beatMs: 5, pollMs: 1_000_000 }).follow({ after: null, filter }, listener);
    expect((await until(1))[0]).toBe('beat 0');
    add('A');
    const told = await until(1);
    while (told.at(-1) !== 'beat 1') await until(told.length + 1);
  });

  it('finds by looking what no notice told', async () => {
    const { log, listeners, add } = logOf(0);
    const { listener, until } = listening();
    await following(log, { pollMs: 5 }).follow({ after: null, filter: EVERY_EVENT }, listener);
    listeners.clear();
    add();
    expect(await until(1)).toEqual(['1']);
  });

  it('outlives a database that is away', async () => {
    const { log, add } = logOf(0);
    const { listener, until } = listening();
    await following(log, { pollMs: 5 }).follow({ after: null, filter: EVERY_EVENT }, listener);
    log.head.mockRejectedValueOnce(new Error('away'));
    add();
    expect(await until(1)).toEqual(['1']);
  });

  it('cannot begin without a database, and can once it is back', async () => {
    const { log, add } = logOf(0);
    const follower = following(log);
    const { listener, until } = listening();
    log.head.mockRejectedValueOnce(new Error('away'));
    await expect(follower.follow({ after: null, filter: EVERY_EVENT }, listener)).rejects.toThrow('away');
    await follower.follow({ after: null, filter: EVERY_EVENT }, listener);
    add();
    expect(await until(1)).toEqual(['1']);
  });

  it('ends with the process, for those who listen and those who come then', async () => {
    const { log } = logOf(0);
    const follower = following(log);
    const [here, late] = [listening(), listening()];
    await follower.follow({ after: null, filter: EVERY_EVENT }, here.listener);
    follower.end();
    await follower.follow({ after: null, filter: EVERY_EVENT }, late.listener);
    expect([here.told, late.told]).toEqual([['end'], ['end']]);
  });
});
