import { ManageAPI } from 'connectwise-rest';
import { request } from 'undici';
import type { BareCall, BareTenant } from './calls.ts';
import type { FromBareLoop, Load, ToBareLoop } from './bare-loop.ts';

/**
 * What people have instead, in a process of its own: a script on the public client of ConnectWise, one tenant and one call
 * after the other. That client knows nothing of Umbrella, whose calls are made as plainly.
 */

let load: Load | null = null;

process.on('message', (message: ToBareLoop) => {
  if (message === 'sweep') {
    void sweep().then((ms) => process.send?.({ ms } satisfies FromBareLoop));
    return;
  }
  load = message.load;
  process.send?.('loaded' satisfies FromBareLoop);
});
process.once('disconnect', () => process.exit());

async function sweep(): Promise<number> {
  if (load === null) throw new Error('a sweep of nothing');
  const started = performance.now();
  for (const tenant of load.tenants) await look(tenant, load);
  return performance.now() - started;
}

async function look(calls: BareTenant, { connectwiseUrl, umbrellaUrl }: Load): Promise<void> {
  const clients = new Map<string, ManageAPI>();
  for (const call of calls) {
    if (call.vendor === 'umbrella') await plain(umbrellaUrl, call);
    else {
      const { authorization = '' } = call.headers;
      let client = clients.get(authorization);
      if (client === undefined) clients.set(authorization, (client = clientFor(connectwiseUrl, call)));
      await asked(client, call);
    }
  }
}

function clientFor(url: string, { path, headers }: BareCall): ManageAPI {
  const { authorization = '', clientid: clientId = '' } = headers;
  const [user = '', privateKey = ''] = Buffer.from(authorization.slice('Basic '.length), 'base64')
    .toString()
    .split(':');
  const [companyId = '', publicKey = ''] = user.split('+');
  const [, entryPoint = ''] = path.split('/');
  const { host, origin } = new URL(url);
  const client = new ManageAPI({ companyId, publicKey, privateKey, clientId, companyUrl: host, entryPoint });
  // It speaks https alone, which the simulator does not.
  const { instance } = client as unknown as { instance: { defaults: { baseURL: string } } };
  instance.defaults.baseURL = `${origin}/${entryPoint}/apis/3.0`;
  return client;
}

async function asked(client: ManageAPI, { path }: BareCall): Promise<void> {
  const { pathname, searchParams } = new URL(path, 'http://x');
  await client.request({
    path: pathname.slice(pathname.indexOf('/apis/3.0') + '/apis/3.0'.length),
    method: 'get',
    params: Object.fromEntries(searchParams),
  });
}

async function plain(url: string, { method, path, headers }: BareCall): Promise<void> {
  const answer = await request(`${url}${path}`, { method, headers });
  await answer.body.json();
  if (answer.statusCode !== 200) throw new Error(`${method} ${path} answered ${answer.statusCode}`);
}
