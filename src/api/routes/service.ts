import type { Registry } from 'prom-client';
import { z } from 'zod';
import { Problem, send } from '../problem.ts';
import type { Api } from '../types.ts';
import { answers } from '../views.ts';

/** One part of the service that must work before it can serve; `detail` is shown to anybody. */
export interface ReadyPart {
  part: 'database' | 'migrations' | 'loop';
  ok: boolean;
  detail: string;
}
export type Readiness = () => Promise<ReadyPart[]>;

const tags = ['service'];

/** Whether the process lives, whether it can serve, what it counts, and what it offers. */
export function serviceRoutes(app: Api, deps: { readiness: Readiness; metrics: Registry }): void {
  app.get(
    '/healthz',
    {
      config: { permission: 'public', rateLimit: false },
      schema: {
        tags,
        operationId: 'alive',
        summary: 'The process lives',
        security: [],
        response: answers({ 200: z.object({ status: z.literal('alive') }) }),
      },
    },
    async () => ({ status: 'alive' as const }),
  );

  app.get(
    '/readyz',
    {
      config: { permission: 'public', rateLimit: false },
      schema: {
        tags,
        operationId: 'ready',
        summary: 'It can serve: database, migrations and loop',
        security: [],
        response: answers({
          200: z.object({
            status: z.literal('ready'),
            parts: z.array(z.object({ part: z.string(), ok: z.boolean(), detail: z.string() })),
          }),
        }),
      },
    },
    async (_, reply) => {
      const parts = await deps.readiness();
      const failed = parts.filter(({ ok }) => !ok).map(({ part }) => part);
      if (failed.length === 0) return reply.send({ status: 'ready' as const, parts });
      return send(reply, Problem.unavailable(`Not ready: ${failed.join(', ')}.`, { parts }));
    },
  );

  app.get(
    '/metrics',
    {
      config: { permission: 'metrics:read' },
      schema: {
        tags,
        operationId: 'metrics',
        summary: 'Counters and gauges, as Prometheus reads them',
        response: answers({
          200: { description: 'Prometheus’ text format', content: { 'text/plain': { schema: z.string() } } },
        }),
      },
    },
    async (_, reply) => reply.type(deps.metrics.contentType).send(await deps.metrics.metrics()),
  );

  app.get('/openapi.json', { config: { permission: 'docs:read' }, schema: { hide: true } }, async () =>
    app.swagger(),
  );
}
