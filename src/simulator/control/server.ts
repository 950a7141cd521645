import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { FaultRule } from '../faults.ts';
import type { JournalQuery } from '../journal.ts';
import { readBody } from '../listener.ts';
import {
  seedDemo,
  seedMany,
  seedScenario,
  TROUBLES,
  type ScenarioOptions,
  type Trouble,
} from '../scenarios.ts';
import type { VendorName } from '../wire.ts';
import { HandError, type World } from '../world.ts';
import { callHand, isHandName } from './hands.ts';
import { TechnicianPages } from './pages.ts';

/** What a control request answers: JSON unless it is a page or a redirect. */
export interface ControlReply {
  status: number;
  json?: unknown;
  html?: string;
  location?: string;
}

/**
 * The control server: the hands, faults and journal as JSON under `/api`, and the technician's pages. It has
 * no login: it belongs to a rehearsal, on a loopback address.
 */
export function controlServer(world: World): Server {
  const pages = new TechnicianPages(world);
  return createServer((request, response) => {
    readBody(request, (body) => {
      answer(world, pages, request, body)
        .catch((error: unknown) => failure(error))
        .then((reply) => send(response, reply))
        .catch((error: unknown) => response.destroy(error instanceof Error ? error : undefined));
    });
  });
}

function failure(error: unknown): ControlReply {
  const asked = error instanceof HandError || error instanceof TypeError || error instanceof SyntaxError;
  return {
    status: asked ? 400 : 500,
    json: { error: error instanceof Error ? error.message : String(error) },
  };
}

function send(response: ServerResponse, reply: ControlReply): void {
  const isPage = reply.html !== undefined;
  const headers: Record<string, string> = {
    'Content-Type': isPage ? 'text/html; charset=utf-8' : 'application/json; charset=utf-8',
    'Cache-Control': 'no-store',
    'Content-Security-Policy': "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'",
  };
  if (reply.location !== undefined) headers['Location'] = reply.location;
  response.writeHead(reply.status, headers);
  response.end(isPage ? reply.html : JSON.stringify(reply.json ?? null));
}

async function answer(
  world: World,
  pages: TechnicianPages,
  request: IncomingMessage,
  body: string,
): Promise<ControlReply> {
  const url = new URL(request.url ?? '/', 'http://control');
  const method = request.method ?? 'GET';
  // A page of somebody else's must not press our buttons in the visitor's browser.
  if (method !== 'GET' && request.headers['sec-fetch-site'] === 'cross-site') {
    return { status: 403, json: { error: 'cross-site requests are refused' } };
  }
  if (!url.pathname.startsWith('/api/')) return pages.answer(method, url, body);
  return api(world, method, url, body);
}

async function api(world: World, method: string, url: URL, body: string): Promise<ControlReply> {
  const [, , area = '', name = ''] = url.pathname.split('/');
  const given: unknown = body === '' ? null : JSON.parse(body);
  switch (`${method} ${area}`) {
    case 'POST hands':
      if (!isHandName(name)) return { status: 404, json: { error: `there is no hand ${name}` } };
      return ok(callHand(world, name, Array.isArray(given) ? given : []));
    case 'POST seed':
      return ok(seed(world, given as SeedRequest));
    case 'GET faults':
      return ok(world.faults.list());
    case 'POST faults':
      return ok(world.faults.add(given as FaultRule));
    case 'DELETE faults':
      if (name === '') return ok(world.faults.clear());
      return ok(world.faults.remove(Number(name)));
    case 'GET hangs':
      return ok(await world.faults.waitForHang(Number(url.searchParams.get('timeoutMs') ?? 30_000)));
    case 'DELETE hangs':
      return ok(world.faults.releaseHangs(url.searchParams.get('how') === 'drop' ? 'drop' : 'answer'));
    case 'GET journal':
      return ok(world.journal.query(journalQuery(url.searchParams)));
    case 'DELETE journal':
      return ok(world.journal.clear());
    case 'GET counts':
      return ok(world.journal.counts());
    default:
      return { status: 404, json: { error: `there is no ${method} ${url.pathname}` } };
  }
}

function ok(result: unknown): ControlReply {
  return { status: 200, json: { result: result ?? null } };
}

/** What `POST /api/seed` takes. */
export type SeedRequest =
  | { demo: true }
  | { many: number; options?: ScenarioOptions }
  | { companyId: string; trouble: Trouble; options?: ScenarioOptions };

function seed(world: World, request: SeedRequest): unknown {
  if ('demo' in request) return seedDemo(world);
  if ('many' in request) return seedMany(world, request.many, request.options);
  if (!TROUBLES.includes(request.trouble)) throw new HandError(`there is no trouble ${request.trouble}`);
  return seedScenario(world, request.companyId, request.trouble, request.options);
}

function journalQuery(parameters: URLSearchParams): JournalQuery {
  const query: JournalQuery = {};
  for (const part of ['company', 'operation', 'method', 'actor'] as const) {
    const value = parameters.get(part);
    if (value !== null) query[part] = value;
  }
  const vendor = parameters.get('vendor');
  if (vendor !== null) query.vendor = vendor as VendorName;
  if (parameters.get('writes') === 'true') query.writes = true;
  const since = parameters.get('since');
  if (since !== null) query.since = Number(since);
  return query;
}
