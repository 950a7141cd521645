import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Client } from '../../src/cli/client.ts';
import { ROOT, startNode, type Child } from './processes.ts';

/** Tenants that the service runs at once: its default. */
export const CONCURRENCY = 32;

/** What replicas of one database have alike. */
export interface Secrets {
  token: string;
  kek: string;
}
export const newSecrets = (): Secrets => ({
  token: randomBytes(32).toString('hex'),
  kek: randomBytes(32).toString('base64'),
});

interface ServiceOptions {
  databaseUrl: string;
  data: string;
  profile?: string | null;
  secrets?: Secrets;
  /** Keeps to its usual share of the vendors' budgets. */
  quotas?: boolean;
}

/** The service as `npm start` runs it, on a database that is there; its client is the administrator's. */
export async function startService(
  stack: AsyncDisposableStack,
  { databaseUrl, data, profile = null, secrets = newSecrets(), quotas = false }: ServiceOptions,
): Promise<{ service: Child; url: string; client: Client }> {
  const { token, kek } = secrets;
  const started = await asStarted();
  const service = stack.use(
    startNode('dist/main.js', ['serve'], {
      env: {
        ...started.env,
        DATABASE_URL: databaseUrl,
        PARASOL_DATA: data,
        PARASOL_PORT: '0',
        PARASOL_KEK: kek,
        PARASOL_ADMIN_TOKEN: token,
        PARASOL_CONCURRENCY: String(CONCURRENCY),
        // As many sweeps as there are in a minute: budgets are kept, and not what is measured.
        ...(quotas ? {} : { PARASOL_CONNECTWISE_SHARE: '1000', PARASOL_UMBRELLA_SHARE: '1000' }),
      },
      nodeFlags: [
        ...started.flags,
        ...(profile === null ? [] : ['--cpu-prof', `--cpu-prof-dir=${join(ROOT, profile)}`]),
      ],
    }),
  );
  const url = await service.said('it listens', listening);
  return { service, url, client: new Client(url, token) };
}

/** Node's flags and the environment of `npm start`, which runs what was built: measured is what people run. */
async function asStarted(): Promise<{ flags: string[]; env: Record<string, string> }> {
  const { scripts } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as {
    scripts: { start: string };
  };
  const words = scripts.start.split(' ');
  return {
    flags: words.filter((word) => word.startsWith('--')),
    env: Object.fromEntries(
      words.slice(0, words.indexOf('node')).map((setting) => {
        const [name = '', value = ''] = setting.split('=');
        return [name, value];
      }),
    ),
  };
}

const listening = (text: string): string | null =>
  /"url":"(http:[^"]+)"[^\n]*"msg":"listening"/.exec(text)?.[1] ?? null;
