import { request } from 'undici';
import { scenarioSecrets, type JournalEntry } from '../../src/simulator/index.ts';
import type { Stage } from './stage.ts';

/** One call as it goes on the wire. */
export interface BareCall {
  vendor: JournalEntry['vendor'];
  method: string;
  path: string;
  headers: Record<string, string>;
}

/** The calls of one tenant's reconcile, in the order in which they arrived. */
export type BareTenant = readonly BareCall[];

/**
 * Every call that a sweep of the service makes, as the simulator's journal has it: the same endpoints, queries
 * and headers. The journal keeps no credentials; they are put back in here.
 */
export async function callsOfSweep(stage: Stage): Promise<BareTenant[]> {
  await stage.control.clearJournal();
  await stage.sweep();
  const tenants: BareTenant[] = [];
  for (const company of stage.tenants) {
    const entries = await stage.control.journal({ company });
    const authorization = await authorizationsOf(stage, company);
    tenants.push(entries.map((entry) => bare(entry, authorization(entry.actor))));
  }
  await stage.control.clearJournal();
  return tenants;
}

function bare(
  { vendor, method, path, query, requestHeaders }: JournalEntry,
  authorization: string,
): BareCall {
  if (method !== 'GET') throw new Error(`a healthy tenant's sweep made a ${method} ${path}`);
  // The connection's own headers are made anew by whoever calls.
  const { host: _, connection: __, ...headers } = requestHeaders;
  const parameters = Object.entries(query).map(([name, value]) => `${name}=${encodeURIComponent(value)}`);
  const search = parameters.length === 0 ? '' : `?${parameters.join('&')}`;
  return { vendor, method, path: path + search, headers: { ...headers, authorization } };
}

/** The Authorization header by who called: a ConnectWise member, or the client id of an Umbrella key. */
async function authorizationsOf(
  { umbrellaUrl }: Stage,
  company: string,
): Promise<(actor: string | null) => string> {
  const { managementKey, integrationKey, umbrellaApiKey, umbrellaKeyAdmin } = scenarioSecrets(company);
  const known = new Map([
    ['parasol', basic(`${company}+${managementKey.publicKey}`, managementKey.privateKey)],
    ['umbrella-a', basic(`${company}+${integrationKey.publicKey}`, integrationKey.privateKey)],
  ]);
  for (const { key, secret } of [umbrellaApiKey, umbrellaKeyAdmin]) {
    const answer = await request(`${umbrellaUrl}/auth/v2/token`, {
      method: 'POST',
      headers: { authorization: basic(key, secret), 'content-type': 'application/x-www-form-urlencoded' },
      body: 'grant_type=client_credentials',
    });
    const { access_token } = (await answer.body.json()) as { access_token: string };
    known.set(key, `Bearer ${access_token}`);
  }
  return (actor) => {
    const found = known.get(actor ?? '');
    if (found === undefined) throw new Error(`nobody knows who called: ${actor}`);
    return found;
  };
}

const basic = (user: string, password: string): string =>
  `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
