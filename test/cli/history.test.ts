import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, it } from 'vitest';
import { readEvents } from '../../src/cli/event-source.ts';
import { EXIT } from '../../src/cli/io.ts';
import { widthOf } from '../../src/cli/table.ts';
import type { EventView, RunDetail, RunView } from '../../src/reconciler/commands.ts';
import * as canned from './canned.ts';
import { fakeService, run as parasol, type Routes } from './harness.ts';

const eventAt = (id: number, at = '2026-11-24T07:00:00.000Z', type = 'DriftFound'): EventView => ({
  id: String(id),
  tenant: 'acme',
  at,
  type,
  message: `Event ${id}: role.levels.Companies/Configurations.edit is None, wanted All, as Cisco’s procedure says`,
  data: null,
});

const runOf = (id: string, change: Partial<RunView> = {}): RunView => ({
  id,
  trigger: 'schedule',
  startedAt: '2026-11-24T07:00:00.000Z',
  finishedAt: '2026-11-24T07:00:02.000Z',
  outcome: 'succeeded',
  reads: 9,
  writes: 0,
  summary: 'ready: True',
  actions: [],
  ...change,
});

const RUN_ID = '01996f7e-0000-7000-8000-0000000000a1';
const detail: RunDetail = {
  ...runOf(RUN_ID, {
    outcome: 'degraded',
    writes: 1,
    actions: [{ action: 'create-member umbrella-a', outcome: 'done' }],
  }),
  calls: { 'GET system/members': 2, 'POST system/members': 1 },
  saw: {
    since: RUN_ID,
    conditions: [{ type: 'RoleReady', status: 'False', reason: 'LevelsMissing', message: 'x' }],
    drift: [{ path: 'members.umbrella-a', kind: 'missing', desired: 'umbrella-a', observed: 'none' }],
  },
};

async function asked(args: string[], routes: Routes) {
  await using service = await fakeService(routes);
  const ran = await parasol(args, { env: { PARASOL_URL: service.url, PARASOL_TOKEN: 'the-token' } });
  return { ...ran, asked: service.asked };
}

const tooWide = (text: string) => text.split('\n').filter((line) => widthOf(line) > 80);

describe('parasol events', () => {
  const page = (items: EventView[], next: string | null = null) => ({ body: { items, next } });

  it('shows the last ones, the newest last', async () => {
    const ran = await asked(['events', '--limit', '2'], {
      'GET /events': () => page([eventAt(9), eventAt(8)], '8'),
    });
    expect(ran.asked.map(({ path }) => path)).toEqual(['/events?limit=2']);
    expect(ran.out.indexOf('Event 8')).toBeLessThan(ran.out.indexOf('Event 9'));
    expect(ran.out).toContain('2026-11-24 07:00:00  acme  DriftFound');
    expect(tooWide(ran.out)).toEqual([]);
    expect(ran.code).toBe(EXIT.ok);
  });

  it('asks for a tenant’s, of some types and labels', async () => {
    const args = [
      'events',
      'acme',
      '--type',
      'DriftFound',
      '--type',
      'DriftGone',
      '--label',
      'team=north',
      '--json',
    ];
    const ran = await asked(args, { 'GET /events': () => page([eventAt(9)]) });
    expect(ran.asked[0]!.path).toBe(
      '/events?tenant=acme&type=DriftFound&type=DriftGone&label=team%3Dnorth&limit=20',
    );
    expect(JSON.parse(ran.out)).toEqual([eventAt(9)]);
  });

  it('shows all since a time, page by page, and none before it', async () => {
    const old = '2026-11-24T05:59:59.000Z';
    const ran = await asked(['events', '--since', '2h', '--json'], {
      'GET /events': ({ path }) =>
        path.includes('before=8')
          ? page([eventAt(7), eventAt(6, old)], '6')
          : page([eventAt(9), eventAt(8)], '8'),
    });
    expect((JSON.parse(ran.out) as EventView[]).map(({ id }) => id)).toEqual(['7', '8', '9']);
  });

  it('says so where nothing happened', async () => {
    const ran = await asked(['events'], { 'GET /events': () => page([]) });
    expect(ran.out).toBe('Nothing happened.\n');
  });
});

/** A service whose streams are played one after the other; it notes with which id each was asked for. */
async function streaming(...plays: ((response: ServerResponse) => void)[]) {
  const ids: (string | undefined)[] = [];
  const server = createServer((request, response) => {
    if (request.headers.accept !== 'text/event-stream') {
      response.setHeader('content-type', 'application/json');
      return response.end(JSON.stringify({ items: [eventAt(3)], next: null }));
    }
    ids.push(request.headers['last-event-id'] as string | undefined);
    return plays[ids.length - 1]?.(response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    ids,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const frame = (id: number) => `id: ${id}\ndata: ${JSON.stringify(eventAt(id))}\n\n`;

describe('parasol events -f', () => {
  it('goes on after the last one, across what breaks, and misses and doubles nothing', async () => {
    const interrupted = Promise.withResolvers<void>();
    const open = (response: ServerResponse) =>
      response.writeHead(200, { 'content-type': 'text/event-stream' });
    await using service = await streaming(
      (response) => open(response).end(`retry: 1\n\n${frame(4)}: alive\nid: 6\n\n`),
      (response) => {
        open(response).write(`${frame(7)}id: 8\ndata: {"half`, () => response.destroy());
      },
      (response) => response.writeHead(503).end('{"title":"busy","status":503}'),
      (response) => {
        const gap = { because: 'pruned', message: 'Events after that one are past their retention.' };
        open(response).write(`id: 20\nevent: gap\ndata: ${JSON.stringify(gap)}\n\n${frame(21)}`);
      },
    );
    let out = '';
    const ran = await parasol(['events', '-f', '--json'], {
      env: { PARASOL_URL: service.url, PARASOL_TOKEN: 'the-token' },
      interrupted: () => interrupted.promise,
      stdout: {
        write: (text: string) => {
          out += text;
          if (text.includes('"id":"21"')) interrupted.resolve();
        },
      },
    });
    const lines = out.trimEnd().split('\n');
    expect(lines.map((line) => (JSON.parse(line) as EventView).id)).toEqual(['3', '4', '7', '21']);
    expect(service.ids).toEqual(['3', '6', '7', '7']);
    expect(ran.err).toContain('past their retention');
    expect(ran.code).toBe(EXIT.ok);
  });

  it('does not come back where it is refused', async () => {
    await using service = await streaming((response) =>
      response.writeHead(403).end('{"title":"no","status":403,"detail":"This token may not do that."}'),
    );
    const ran = await parasol(['events', '-f'], {
      env: { PARASOL_URL: service.url },
      interrupted: () => new Promise(() => {}),
    });
    expect(ran.err).toContain('may not');
    expect(ran.code).toBe(EXIT.error);
    expect(service.ids).toHaveLength(1);
  });
});

describe('server-sent events', () => {
  it.each([1, 3, 7, 1_000])('are read whole, however they are cut: every %d bytes', async (size) => {
    const bytes = Buffer.from(
      'retry: 1\n\nid: 1\ndata: Zürich\n\n: alive\nid: 2\n\nid: 3\nevent: gap\ndata: a\ndata: b\n\nid: 4',
    );
    async function* body() {
      for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
    }
    const events = [];
    for await (const event of readEvents(body())) events.push(event);
    expect(events).toEqual([
      { id: '1', name: 'message', data: 'Zürich' },
      { id: '2', name: 'message', data: null },
      { id: '3', name: 'gap', data: 'a\nb' },
    ]);
  });
});

describe('parasol runs', () => {
  const routes: Routes = {
    'GET /tenants/acme/runs': () => ({
      body: { items: [detail, runOf('01996f7e-0000-7000-8000-0000000000a0')], next: null },
    }),
    [`GET /tenants/acme/runs/${RUN_ID}`]: () => ({ body: detail }),
  };

  it('lists them', async () => {
    const ran = await asked(['runs', 'acme'], routes);
    expect(ran.out).toMatch(/000000a1 +1h ago +2s +degraded +9 \+ 1 writes/);
    expect(tooWide(ran.out)).toEqual([]);
  });

  it('shows one by the end of its id: what it called, did and saw', async () => {
    const ran = await asked(['runs', 'acme', '000000a1'], routes);
    for (const words of [
      '2 × GET system/members',
      'create-member umbrella-a: done',
      'LevelsMissing',
      'members.umbrella-a',
    ]) {
      expect(ran.out).toContain(words);
    }
    expect(tooWide(ran.out)).toEqual([]);
  });

  it('says of a quiet one whose findings it has', async () => {
    const quiet = { ...detail, calls: null, saw: { ...detail.saw!, since: canned.handoff.id } };
    const ran = await asked(['runs', 'acme', RUN_ID], {
      [`GET /tenants/acme/runs/${RUN_ID}`]: () => ({ body: quiet }),
    });
    expect(ran.out).toContain('only the numbers are kept');
    expect(ran.out).toContain(`as run ${canned.handoff.id.slice(-8)} before it`);
  });

  it.each([
    ['zz', 'no run zz'],
    ['0000', '2 runs end'],
  ])('refuses %s', async (name, words) => {
    const both = [
      detail,
      { ...detail, id: `${RUN_ID.slice(0, -6)}b0000` },
      { ...detail, id: `${RUN_ID.slice(0, -6)}c0000` },
    ];
    const ran = await asked(['runs', 'acme', name], {
      'GET /tenants/acme/runs': () => ({ body: { items: both, next: null } }),
    });
    expect(ran.err).toContain(words);
    expect(ran.code).toBe(EXIT.refused);
  });
});

describe('--wait', () => {
  it('lets the service wait, and asks again only once something differs', async () => {
    const asks: string[] = [];
    let turn = 0;
    const server = createServer((request, response) => {
      response.setHeader('content-type', 'application/json');
      if (request.method === 'POST') return response.end('{"trigger":7}');
      asks.push(`${request.url?.split('?')[1] ?? ''} ${request.headers['if-none-match'] ?? ''}`.trim());
      turn += 1;
      response.setHeader('etag', `W/"${turn}"`);
      if (turn > 1) response.setHeader('parasol-wait', turn === 2 ? 'timed-out' : 'met');
      if (turn === 2) return response.writeHead(304).end();
      const handled = turn === 4 ? 7 : 6;
      return response.end(JSON.stringify({ ...canned.readyStatus, trigger: { requested: 7, handled } }));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const slept: number[] = [];
    const ran = await parasol(['reconcile', 'acme', '--wait'], {
      env: { PARASOL_URL: `http://127.0.0.1:${(server.address() as AddressInfo).port}` },
      sleep: async (ms) => void slept.push(ms),
    });
    server.closeAllConnections();
    server.close();
    expect(asks).toEqual([
      '',
      'wait=30000ms&for=change W/"1"',
      'wait=30000ms&for=change W/"2"',
      'wait=30000ms&for=change W/"3"',
    ]);
    expect(slept).toEqual([]);
    expect(ran.code).toBe(EXIT.ok);
  });
});
