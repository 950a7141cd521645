import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { join, resolve } from 'node:path';
import { expect, test } from 'vitest';
import type { TenantInput } from '../../src/domain/tenant.ts';
import type { StatusView } from '../../src/reconciler/commands.ts';
import { seedScenario, type Simulator } from '../../src/simulator/index.ts';
import { residentMb } from '../bench/processes.ts';
import {
  database,
  expectNothingLeft,
  folder,
  isSettled,
  simulator,
  startService,
  statusWhen,
  tenantOf,
  until,
} from '../e2e/harness.ts';
import { network } from '../support/network.ts';

/**
 * What is between the service and ConnectWise: names that are not found, certificates that ran out, ports that nobody
 * has open, connections that are dead and do not know it, answers that never end. Each tenant has one of them; what is
 * seen is that it stays that tenant's.
 */

expectNothingLeft();

const TLS = join(resolve(import.meta.dirname, '../providers'), 'tls');
const pem = (name: string) => readFileSync(join(TLS, `${name}.pem`), 'utf8');
const LARGE_MEGABYTES = 200;
const MEGABYTE = Buffer.alloc(1024 * 1024, '[');

interface Bad extends AsyncDisposable {
  url: string;
  /** Calls that came to it. */
  calls: string[];
}

/** A server that answers every call with so many megabytes, or for ever, as JSON that never ends. */
async function endless(megabytes: number): Promise<Bad> {
  const calls: string[] = [];
  const server = createServer((request, response) => {
    calls.push(`${request.method} ${request.url}`);
    response.on('error', () => undefined);
    response.writeHead(200, { 'content-type': 'application/json' });
    let left = megabytes;
    const more = (): void => {
      while (left > 0 && !response.destroyed) {
        left -= 1;
        if (!response.write(MEGABYTE)) return void response.once('drain', more);
      }
      response.end();
    };
    more();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    calls,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

/** A server of the tenant's own authority, whose certificate has run out. */
async function expired(): Promise<Bad> {
  const calls: string[] = [];
  const server = createTlsServer({ key: pem('key'), cert: pem('expired') }, ({ method, url }, response) => {
    calls.push(`${method} ${url}`);
    response.end('{}');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `https://localhost:${(server.address() as AddressInfo).port}`,
    calls,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

/** A healthy company that is asked for at another address. */
function at(
  vendors: Pick<Simulator, 'connectwiseUrl' | 'umbrellaUrl' | 'world'>,
  id: string,
  site: string,
  ca?: string,
): TenantInput {
  seedScenario(vendors.world, id, 'healthy');
  const tenant = tenantOf({ ...vendors, connectwiseUrl: site }, id);
  return { ...tenant, connectwise: { ...tenant.connectwise, ...(ca === undefined ? {} : { ca }) } };
}

const reachable = ({ conditions }: StatusView) => {
  const { status, reason, message } = conditions.find(({ type }) => type === 'ConnectWiseReachable')!;
  return { status, reason, message };
};

test('sites that cannot be reached, each in its own way, hold up nobody else, cost no memory and are told as what they are', async () => {
  await using db = await database();
  await using data = await folder();
  await using vendors = await simulator();
  await using large = await endless(LARGE_MEGABYTES);
  await using old = await expired();
  await using half = await network(vendors.connectwiseUrl);
  const silentUrl = new URL(half.url).origin;
  const bad: Record<string, [TenantInput, RegExp]> = {
    nowhere: [at(vendors, 'nowhere', 'https://connectwise.invalid'), /dns/],
    closed: [at(vendors, 'closed', 'http://127.0.0.1:1'), /connection/],
    expired: [at(vendors, 'expired', old.url, pem('ca')), /tls/],
    large: [at(vendors, 'large', large.url), /too-large/],
    silent: [at(vendors, 'silent', silentUrl), /timeout/],
  };
  const good = at(vendors, 'good', vendors.connectwiseUrl);
  await using service = await startService({ databaseUrl: db.url, data: data.path });
  const idleMb = await residentMb(service.pid);
  half.swallow();
  await service.client.apply(
    Object.values(bad).map(([tenant]) => tenant),
    false,
  );
  await service.client.apply([good], false);
  expect(await statusWhen(service, 'good', 'it was looked at', isSettled)).toMatchObject({ ready: 'True' });
  // By the database, since a token may not ask so often for so long.
  const looked = async (id: string, times: number) => {
    const [runs] = await db.query<{ runs: number }>(
      'select count(*)::integer as runs from runs where tenant_id = $1',
      [id],
    );
    return runs!.runs >= times;
  };
  for (const [id, [, why]] of Object.entries(bad)) {
    await until(`${id} was looked at`, () => looked(id, 1), 120_000);
    const status = await service.client.status(id);
    expect({ id, ...reachable(status) }).toEqual({
      id,
      status: 'False',
      reason: 'Unreachable',
      message: expect.stringMatching(why),
    });
    expect(status.ready).toBe('False');
  }
  // Whoever came last was not kept by those who wait.
  const [first] = await db.query<{ tenant: string }>(
    `select tenant_id as tenant from runs where tenant_id in ('good', 'silent') order by finished_at limit 1`,
  );
  expect(first).toEqual({ tenant: 'good' });
  expect(old.calls).toEqual([]);
  // Nothing but what asks: no key is blamed, and nothing is made where nothing could be read.
  expect(large.calls.filter((call) => !call.startsWith('GET '))).toEqual([]);
  const written = vendors.world.journal.query({ actor: 'parasol' }).filter(({ applied }) => applied);
  expect(written).toEqual([]);
  // An answer of 200 MB is not held: it is let go as soon as it is too long.
  expect((await residentMb(service.pid))! - idleMb!).toBeLessThan(LARGE_MEGABYTES);

  half.restore();
  await service.client.reconcile('silent', 'the network is there again');
  await until('silent is looked at again', () => looked('silent', 2), 120_000);
  expect(await service.client.status('silent')).toMatchObject({ ready: 'True' });
  expect(await service.stop()).toMatchObject({ code: 0 });
});
