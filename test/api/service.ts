import type { InjectOptions, LightMyRequestResponse } from 'fastify';
import { pino } from 'pino';
import { Registry } from 'prom-client';
import { onTestFinished } from 'vitest';
import { buildApi, hashToken, type ApiDeps, type Identity } from '../../src/api/index.ts';
import type { openDesk } from '../reconciler/commands-fixtures.ts';

/** The API over the true commands and a database, with tokens that are known by their own names. */

type Desk = Awaited<ReturnType<typeof openDesk>>;

export const identity = (name: string, change: Partial<Identity> = {}): Identity => ({
  name,
  tokenId: `id-of-${name}`,
  role: 'admin',
  scope: null,
  mayReveal: false,
  ...change,
});

/** One process: what it holds in memory ends with it. Closed after the test. */
export function startService(desk: Desk, identities: Identity[], change: Partial<ApiDeps> = {}) {
  const known = new Map(identities.map((one) => [hashToken(one.name), one]));
  const app = buildApi({
    commands: desk.commands,
    requests: desk.store.requests,
    authenticate: async (hash) => known.get(hash) ?? null,
    readiness: async () => [],
    metrics: new Registry(),
    log: pino({ level: 'silent' }),
    version: '0',
    ...change,
    // On a busy machine the loop may be late for long, which is not what is looked at.
    limits: { requestsPerMinute: 100_000, eventLoopDelayMs: 0, ...change.limits },
  });
  onTestFinished(() => app.close());
  const call = (
    token: string,
    method: NonNullable<InjectOptions['method']>,
    url: string,
    options: Omit<InjectOptions, 'method' | 'url'> = {},
  ): Promise<LightMyRequestResponse> =>
    app.inject({
      method,
      url,
      ...options,
      headers: { authorization: `Bearer ${token}`, accept: 'application/json', ...options.headers },
    });
  return { app, call };
}
