import { connect } from 'node:net';
import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import type { EventListener } from '../../src/reconciler/follower.ts';
import type { LoggedEvent } from '../../src/reconciler/event-log.ts';
import { event, startApi, TOKEN } from './harness.ts';

const logged = (place: number, message = ''): LoggedEvent => ({
  place,
  event: { ...event, id: String(place), message },
  labels: {},
});

const STREAM = { accept: 'text/event-stream' };

/** What a client reads until the stream ends. */
async function streamed(play: (listener: EventListener) => void, headers: Record<string, string> = STREAM) {
  const { call, commands } = startApi();
  commands.followEvents.mockImplementation(async (_, listener) => {
    play(listener);
    listener.end();
    return () => {};
  });
  return { answer: await call('GET', '/events', { headers }), commands };
}

describe('the stream of events', () => {
  it('tells each event with its id, and the same as a page tells', async () => {
    const { answer } = await streamed((listener) => listener.take([logged(7), logged(8)]));
    expect(answer.statusCode).toBe(200);
    expect(answer.headers).toMatchObject({
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-store',
      'x-accel-buffering': 'no',
    });
    expect(answer.headers['x-request-id']).toBeDefined();
    const [retry, first, second, rest] = answer.body.split('\n\n');
    expect(retry).toBe('retry: 2000');
    expect(first).toBe(`id: 7\ndata: ${JSON.stringify(logged(7).event)}`);
    expect(second).toContain('id: 8\n');
    expect(rest).toBe('');
  });

  it('moves the id of who hears nothing, and gives no event for it', async () => {
    const { answer } = await streamed((listener) => listener.beat(41));
    expect(answer.body).toBe('retry: 2000\n\n: alive\nid: 41\n\n');
  });

  it.each(['pruned', 'unknown'] as const)('says what is missing: %s', async (because) => {
    const { answer } = await streamed((listener) => listener.gap({ because, after: 3, resumesAfter: 40 }));
    const [, gap = ''] = answer.body.split('\n\n');
    expect(gap).toMatch(/^id: 40\nevent: gap\ndata: /);
    expect(JSON.parse(gap.split('data: ')[1]!)).toMatchObject({ because, after: '3', resumesAfter: '40' });
  });

  it.each([
    ['from now on', '', {}, null],
    ['after an event', '?after=12', {}, 12],
    ['after the last event that was read', '', { 'last-event-id': '14' }, 14],
    ['after the last event that was read, wherever it began', '?after=12', { 'last-event-id': '14' }, 14],
  ])('goes %s', async (_, query, headers, after) => {
    const { call, commands } = startApi();
    await call('GET', `/events${query}`, { headers: { ...STREAM, ...headers } });
    expect(commands.followEvents.mock.calls[0]![0]).toEqual({
      after,
      filter: { tenant: null, types: [], labels: [] },
    });
  });

  it('is of what was asked for', async () => {
    const { call, commands } = startApi();
    const query = 'tenant=acme&type=DriftFound&type=DriftGone&label=team%3Dnorth&label=tier';
    await call('GET', `/events?${query}`, { headers: STREAM });
    expect(commands.followEvents.mock.calls[0]![0].filter).toEqual({
      tenant: 'acme',
      types: ['DriftFound', 'DriftGone'],
      labels: [
        { key: 'team', value: 'north' },
        { key: 'tier', value: null },
      ],
    });
  });

  it.each([
    ['tenant=Acme!', {}, 'tenant'],
    ['type=drift-found', {}, 'type'],
    ['label=%3Dnorth', {}, 'label'],
    ['after=x', {}, 'after'],
    ['before=12', {}, 'before'],
    ['', { 'last-event-id': 'x' }, 'last-event-id'],
  ])('is refused with ?%s %j, naming %s', async (query, headers, path) => {
    const { call, commands } = startApi();
    const answer = await call('GET', `/events?${query}`, { headers: { ...STREAM, ...headers } });
    expect(answer.statusCode).toBe(400);
    expect(answer.json()).toMatchObject({ errors: [{ path: expect.stringContaining(path) as unknown }] });
    expect(commands.followEvents).not.toHaveBeenCalled();
  });

  it('answers with a problem where it cannot begin', async () => {
    const { call, commands } = startApi();
    commands.followEvents.mockRejectedValue(new Error('no database'));
    expect((await call('GET', '/events', { headers: STREAM })).statusCode).toBe(500);
  });

  it('lets the log go once the client has gone', async () => {
    const { app, commands } = startApi();
    const left = Promise.withResolvers<void>();
    commands.followEvents.mockImplementation(async () => () => left.resolve());
    const url = await app.listen({ port: 0 });
    const client = new AbortController();
    const response = await fetch(`${url}/events`, {
      headers: { authorization: `Bearer ${TOKEN}`, ...STREAM },
      signal: client.signal,
    });
    expect(response.status).toBe(200);
    client.abort();
    await left.promise;
  });

  it('lets a client go that does not read, and keeps no more for it than a bound', async () => {
    const { app, commands, lines } = startApi();
    const following = Promise.withResolvers<EventListener>();
    const left = Promise.withResolvers<void>();
    commands.followEvents.mockImplementation(async (_, listener) => {
      following.resolve(listener);
      return () => left.resolve();
    });
    await app.listen({ port: 0 });
    const { port } = app.server.address() as { port: number };
    const socket = connect(port, '127.0.0.1');
    await once(socket, 'connect');
    socket.pause();
    socket.write(`GET /events HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${TOKEN}\r\n\r\n`);
    const listener = await following.promise;
    const batch = Array.from({ length: 64 }, (_, at) => logged(at, 'x'.repeat(1_000)));
    const turn = (): Promise<false> => new Promise((resolve) => setImmediate(() => resolve(false)));
    const gone = left.promise.then(() => true);
    for (let told = 0; told < 10_000 && !(await Promise.race([gone, turn()])); told += 1)
      listener.take(batch);
    await gone;
    expect(lines.join('')).toContain('too slow');
    socket.destroy();
  });
});

describe('events in pages', () => {
  const PAGE = { accept: 'application/json' };

  it.each([
    ['newest first', '', { before: null, limit: 50 }],
    ['before one', '?before=12&limit=7', { before: 12, limit: 7 }],
    ['in order, after one', '?after=12', { after: 12, limit: 50 }],
  ])('come %s', async (_, query, page) => {
    const { call, commands } = startApi();
    const answer = await call('GET', `/events${query}`, { headers: PAGE });
    expect(answer.statusCode).toBe(200);
    expect(answer.headers['content-type']).toMatch(/^application\/json/);
    expect(answer.json()).toEqual({ items: [event], next: '12' });
    expect(commands.fleetEvents).toHaveBeenCalledWith(page, { tenant: null, types: [], labels: [] });
  });

  it('go one way only', async () => {
    const { call } = startApi();
    const answer = await call('GET', '/events?after=1&before=9', { headers: PAGE });
    expect(answer.statusCode).toBe(400);
    expect(answer.json()).toMatchObject({ errors: [{ path: 'before' }] });
  });
});
