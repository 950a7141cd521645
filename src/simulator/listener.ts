import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { FaultEffect } from './faults.ts';
import type { RawEntry } from './journal.ts';
import { makeCall, type Call, type Prepared, type Reply, type Vendor } from './wire.ts';
import type { World } from './world.ts';

const JSON_TYPE = 'application/json; charset=utf-8';
const MAX_BODY = 10 * 1024 * 1024;

/** A server that listens. */
export interface Listener {
  url: string;
  server: Server;
  close(): Promise<void>;
}

interface Rendered {
  status: number;
  headers: Record<string, string>;
  text: string;
}

interface Exchange {
  call: Call;
  prepared: Prepared;
  entry: RawEntry;
  response: ServerResponse;
}

/** Starts a server; resolves once it listens. */
export async function listen(server: Server, host: string, port: number): Promise<Listener> {
  server.keepAliveTimeout = 30_000;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      resolve();
    });
  });
  const address = server.address() as AddressInfo;
  const name = address.family === 'IPv6' ? `[${address.address}]` : address.address;
  return {
    url: `http://${name}:${address.port}`,
    server,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** A vendor's HTTP server: reads requests, applies faults, writes the journal. */
export function vendorServer(world: World, vendor: Vendor, latencyMs: number): Server {
  return createServer((request, response) => {
    readBody(request, (body) => {
      exchange(world, vendor, latencyMs, request, response, body).catch((error: unknown) => {
        // A bug of the simulator must not look like a vendor's answer: it says so, and it is loud.
        console.error('simulator', error);
        if (!response.headersSent) response.writeHead(500, { 'content-type': 'text/plain' });
        response.end(`The simulator itself failed: ${String(error)}`);
      });
    });
  });
}

/** Reads a whole body; a request that breaks off or is too large is never handled. */
export function readBody(request: IncomingMessage, done: (body: string) => void): void {
  if (request.headers['content-length'] === undefined && request.headers['transfer-encoding'] === undefined) {
    done('');
    return;
  }
  const chunks: Buffer[] = [];
  let size = 0;
  request.on('data', (chunk: Buffer) => {
    size += chunk.length;
    if (size > MAX_BODY) request.destroy();
    else chunks.push(chunk);
  });
  request.on('end', () => done(Buffer.concat(chunks).toString('utf8')));
}

async function exchange(
  world: World,
  vendor: Vendor,
  latencyMs: number,
  request: IncomingMessage,
  response: ServerResponse,
  body: string,
): Promise<void> {
  const call = makeCall(request.method ?? 'GET', request.url ?? '/', request.headers, body);
  const prepared = vendor.prepare(call);
  const entry = world.journal.begin({
    at: world.now().toISOString(),
    vendor: vendor.name,
    ...prepared.identity,
    method: call.method,
    path: call.path,
    query: call.query,
    requestHeaders: headersWithoutSecrets(request),
    requestText: body,
  });
  const effects = world.faults.idle ? [] : world.faults.match(vendor.name, prepared.identity, call);
  if (effects.length === 0 && latencyMs === 0) {
    send(world, { call, prepared, entry, response }, carryOut(prepared, entry));
    return;
  }
  await misbehave(world, vendor, latencyMs, { call, prepared, entry, response }, effects);
}

function headersWithoutSecrets(request: IncomingMessage): Record<string, string> {
  const kept: Record<string, string> = {};
  for (const [name, value] of Object.entries(request.headers)) {
    if (name !== 'authorization' && value !== undefined) kept[name] = String(value);
  }
  return kept;
}

function carryOut(prepared: Prepared, entry: RawEntry, onCreated?: (row: object) => void): Rendered {
  const reply = prepared.run(onCreated);
  entry.applied = entry.method !== 'GET' && entry.method !== 'HEAD' && reply.status < 300;
  return render(reply);
}

function render(reply: Reply): Rendered {
  const text = reply.text ?? (reply.body === undefined ? '' : JSON.stringify(reply.body));
  const headers: Record<string, string> = { ...reply.headers };
  if (reply.status !== 204) headers['Content-Type'] = reply.contentType ?? JSON_TYPE;
  return { status: reply.status, headers, text };
}

function send(world: World, { entry, response }: Exchange, rendered: Rendered): void {
  world.journal.finish(entry, rendered.status, rendered.text);
  const length = rendered.status === 204 ? {} : { 'Content-Length': Buffer.byteLength(rendered.text) };
  response.writeHead(rendered.status, { ...rendered.headers, ...length });
  response.end(rendered.status === 204 ? undefined : rendered.text);
}

function lose(world: World, { entry, response }: Exchange): void {
  world.journal.finish(entry, null, '');
  response.destroy();
}

/** Waits as long as told, then applies the first fault that is not a latency. */
async function misbehave(
  world: World,
  vendor: Vendor,
  latencyMs: number,
  exchange: Exchange,
  effects: readonly FaultEffect[],
): Promise<void> {
  const { prepared, entry } = exchange;
  entry.fault = effects.map((effect) => effect.kind).join('+') || null;
  const added = effects.reduce((sum, effect) => sum + (effect.kind === 'latency' ? effect.ms : 0), latencyMs);
  if (added > 0) await sleep(added);
  const effect = effects.find((one) => one.kind !== 'latency');
  if (effect === undefined) return send(world, exchange, carryOut(prepared, entry));
  const wrong = falseAnswer(vendor, effect);
  if (wrong !== null) {
    if ('applied' in effect && effect.applied) carryOut(prepared, entry);
    return send(world, exchange, render(wrong));
  }
  switch (effect.kind) {
    case 'resetBefore':
      return lose(world, exchange);
    case 'resetAfter':
      carryOut(prepared, entry);
      return lose(world, exchange);
    case 'hangBefore':
    case 'hangAfter':
      return hang(world, exchange, effect.kind);
    case 'truncate':
      return truncate(world, exchange, carryOut(prepared, entry), effect.bytes);
    case 'slowDrip':
      return drip(world, exchange, carryOut(prepared, entry), effect.bytes, effect.ms);
    case 'staleReads': {
      const hide = (row: object) => world.hideFromLists(row, effect.reads, effect.ms);
      return send(world, exchange, carryOut(prepared, entry, hide));
    }
    default:
      throw new Error(`no behaviour for the fault ${effect.kind}`);
  }
}

/** The answer that a fault gives instead of the vendor's; null for faults of the connection. */
function falseAnswer(vendor: Vendor, effect: FaultEffect): Reply | null {
  switch (effect.kind) {
    case 'status':
      return {
        status: effect.status,
        ...(typeof effect.body === 'string' ? { text: effect.body } : { body: effect.body ?? {} }),
        ...(effect.headers === undefined ? {} : { headers: effect.headers }),
      };
    case 'html': {
      const text = effect.html ?? '<html><body><h1>502 Bad Gateway</h1></body></html>';
      return { status: effect.status ?? 502, text, contentType: 'text/html' };
    }
    case 'text':
      return { status: effect.status ?? 200, text: effect.text ?? 'OK', contentType: 'text/plain' };
    case 'redirect':
      return { status: effect.status ?? 302, text: '', headers: { Location: effect.location } };
    case 'rateLimit':
      return vendor.rateLimited(effect.retryAfterSeconds ?? null);
    case 'oversize':
      return { status: 200, text: `["${'x'.repeat(effect.megabytes * 1024 * 1024)}"]` };
    default:
      return null;
  }
}

async function hang(world: World, exchange: Exchange, kind: 'hangBefore' | 'hangAfter'): Promise<void> {
  const { call, prepared, entry, response } = exchange;
  const done = kind === 'hangAfter' ? carryOut(prepared, entry) : null;
  const { seq, vendor, company, operation } = entry;
  const held = { seq, kind, vendor, company, method: call.method, path: call.path, operation };
  const end = await world.faults.hold(held, (gone) => {
    if (response.destroyed) gone();
    else response.once('close', gone);
  });
  if (end !== 'released') return lose(world, exchange);
  send(world, exchange, done ?? carryOut(prepared, entry));
}

function truncate(
  world: World,
  { entry, response }: Exchange,
  rendered: Rendered,
  bytes: number | undefined,
): void {
  const whole = Buffer.from(rendered.text);
  const part = whole.subarray(0, bytes ?? Math.floor(whole.length / 2));
  world.journal.finish(entry, rendered.status, part.toString('utf8'));
  response.writeHead(rendered.status, {
    ...rendered.headers,
    'Content-Length': Math.max(whole.length, part.length + 1),
  });
  response.write(part, () => response.destroy());
}

async function drip(
  world: World,
  { entry, response }: Exchange,
  rendered: Rendered,
  bytes: number,
  ms: number,
): Promise<void> {
  const whole = Buffer.from(rendered.text);
  world.journal.finish(entry, rendered.status, rendered.text);
  response.writeHead(rendered.status, { ...rendered.headers, 'Content-Length': whole.length });
  for (let at = 0; at < whole.length && !response.destroyed; at += bytes) {
    response.write(whole.subarray(at, at + bytes));
    await sleep(ms);
  }
  response.end();
}
