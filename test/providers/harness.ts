import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { onTestFinished } from 'vitest';
import { Secret, type KeyPair } from '../../src/domain/secret.ts';
import { tenantSpecSchema, type TenantSpec } from '../../src/domain/tenant.ts';
import { createVendors, type Timers, type VendorsOptions } from '../../src/providers/index.ts';
import type { ApiKeyPass, CallContext, Vendors, WritePass } from '../../src/reconciler/ports.ts';
import type { JournalEntry, ScenarioOptions, Trouble, World } from '../../src/simulator/index.ts';
import { start, START } from '../simulator/harness.ts';

export type Handler = (request: IncomingMessage, response: ServerResponse) => void;

export interface Scripted {
  url: string;
  /** What it was sent, in order: method, path with its query, and the Authorization header. */
  requests: { method: string; url: string; authorization: string | undefined }[];
}

/** A server that answers as told, for what the simulator's vendors would never do; it ends with the test. */
export async function serve(handle: Handler, tls?: { key: string; cert: string }): Promise<Scripted> {
  const requests: Scripted['requests'] = [];
  const listener: Handler = (request, response) => {
    const { method = '', url = '', headers } = request;
    requests.push({ method, url, authorization: headers.authorization });
    handle(request, response);
  };
  const server = tls === undefined ? createServer(listener) : createTlsServer(tls, listener);
  onTestFinished(
    () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  );
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return { url: `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}`, requests };
}

/** A ConnectWise that knows its codebase and answers everything else as told. */
export function serveConnectWise(handle: Handler, tls?: { key: string; cert: string }): Promise<Scripted> {
  return serve((request, response) => {
    if (request.url?.startsWith('/login/') !== true) return handle(request, response);
    json(response, { CompanyName: 'Acme', Codebase: 'v2025_1/' });
  }, tls);
}

/** Answers with JSON. */
export function json(
  response: ServerResponse,
  body: unknown,
  { status = 200, headers = {} }: { status?: number; headers?: Record<string, string> } = {},
): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers });
  response.end(JSON.stringify(body));
}

/** Time stands still until a test moves it. */
export class TestClock {
  #now = new Date(START);
  now(): Date {
    return new Date(this.#now);
  }
  advance(ms: number): void {
    this.#now = new Date(this.#now.getTime() + ms);
  }
}

/** Spans that pass when a test says so; asked for an hour or a second, all the same. */
export class TestTimers implements Timers {
  readonly #waiting = new Set<() => void>();
  after(_ms: number, callback: () => void): () => void {
    this.#waiting.add(callback);
    return () => this.#waiting.delete(callback);
  }
  /** Lets every span that is waited for now pass. */
  fire(): void {
    for (const callback of this.#waiting) callback();
  }
}

/** Vendors that wait for nothing between tries, closed with the test. */
export function vendorsFor(options: VendorsOptions = {}): Vendors {
  const vendors = createVendors({ retries: { times: 2, firstDelayMs: 0 }, ...options });
  onTestFinished(() => vendors.close());
  return vendors;
}

export function contextOf(clock: TestClock, fields: Partial<CallContext> = {}): CallContext {
  return {
    tenantId: 'acme',
    deadline: new Date(clock.now().getTime() + 60_000),
    signal: new AbortController().signal,
    ...fields,
  };
}

export function pairOf(publicHalf: string, privateHalf: string): KeyPair {
  return { publicHalf, privateHalf: new Secret(privateHalf) };
}

interface SpecFields {
  mode?: TenantSpec['mode'];
  paused?: boolean;
}

/** A pass that lets every write of ours out, to whatever member. */
export function passFor(roleId: number | null, fields: Partial<WritePass> = {}): WritePass {
  const everyMember = new Set<number>();
  everyMember.has = () => true;
  return {
    ownedMembers: everyMember,
    roleId,
    pause: null,
    confirm: () => Promise.resolve(true),
    ...fields,
  };
}

/** A pass that lets the making of a key of that name out. */
export function passForKey(name: string): ApiKeyPass {
  return { name, deletable: new Set(), pause: null, confirm: () => Promise.resolve(true) };
}

export function specFor(
  connectwiseUrl: string,
  umbrellaUrl: string,
  fields: Partial<Record<'connectwise' | 'umbrella', object>> & SpecFields = {},
): TenantSpec {
  return tenantSpecSchema.parse({
    id: 'acme',
    name: 'Acme',
    mode: fields.mode ?? 'repair',
    paused: fields.paused ?? false,
    connectwise: {
      site: connectwiseUrl,
      companyId: 'acme',
      clientId: '0a3e1f64-0000-4000-8000-000000000001',
      ...fields.connectwise,
    },
    umbrella: { console: 'msp', url: umbrellaUrl, ...fields.umbrella },
  });
}

/** The simulator with the company `acme`, and our adapters pointed at it, all at one standing clock. */
export async function bench(
  trouble: Trouble = 'healthy',
  options: ScenarioOptions &
    SpecFields & { vendors?: VendorsOptions; umbrella?: object; connectwise?: object } = {},
) {
  const clock = new TestClock();
  const timers = new TestTimers();
  const harness = await start(trouble, { ...options, simulator: { clock: () => clock.now() } });
  const { simulator, secrets } = harness;
  const spec = specFor(simulator.connectwiseUrl, simulator.umbrellaUrl, options);
  const vendors = vendorsFor({ clock, timers, ...options.vendors });
  const context = contextOf(clock);
  const keys = {
    management: pairOf(secrets.managementKey.publicKey, secrets.managementKey.privateKey),
    integration: pairOf(secrets.integrationKey.publicKey, secrets.integrationKey.privateKey),
    umbrella: pairOf(secrets.umbrellaApiKey.key, secrets.umbrellaApiKey.secret),
    keyAdmin: pairOf(secrets.umbrellaKeyAdmin.key, secrets.umbrellaKeyAdmin.secret),
  };
  return {
    world: harness.world,
    simulator,
    secrets,
    clock,
    timers,
    vendors,
    spec,
    context,
    keys,
    connectwise: vendors.connectwise(spec),
    umbrella: vendors.umbrella(spec),
    /** As the management key. */
    reads: vendors.connectwise(spec).reads(keys.management, context),
    writes: vendors.connectwise(spec).writes(keys.management, context, passFor(roleOf(harness.world))),
    sent: (): JournalEntry[] => harness.world.journal.query(),
  };
}

/** The id of the role `Umbrella`; null where there is none. */
function roleOf(world: World): number | null {
  const roles = world.company('acme').roles.values();
  return roles.find(({ name }) => name === 'Umbrella')?.id ?? null;
}
