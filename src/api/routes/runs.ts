import { refuse } from '../problem.ts';
import type { Api } from '../types.ts';
import { answers, atRun, atTenant, backwardPage, runDetail, runPage } from '../views.ts';

const tags = ['tenants'];

/** What each reconcile of a tenant saw and did. */
export function runRoutes(app: Api): void {
  app.get(
    '/tenants/:id/runs',
    {
      config: { permission: 'tenants:read' },
      schema: {
        tags,
        operationId: 'listRuns',
        summary: 'Reconciles, newest first',
        params: atTenant,
        querystring: backwardPage,
        response: answers({ 200: runPage }),
      },
    },
    async ({ params, query, commands }, reply) => {
      const answer = await commands.runs(params.id, { before: query.before ?? null, limit: query.limit });
      return answer.ok ? reply.send(answer.value) : refuse(reply, answer.refusal);
    },
  );

  app.get(
    '/tenants/:id/runs/:run',
    {
      config: { permission: 'tenants:read' },
      schema: {
        tags,
        operationId: 'getRun',
        summary: 'What one reconcile saw and did',
        params: atRun,
        response: answers({ 200: runDetail }),
      },
    },
    async ({ params, commands }, reply) => {
      const answer = await commands.run(params.id, params.run);
      return answer.ok ? reply.send(answer.value) : refuse(reply, answer.refusal);
    },
  );
}
