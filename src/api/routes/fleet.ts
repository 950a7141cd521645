import { fleetCount } from '../fleet-views.ts';
import { filterOfQuery, labelQuery, selectorsOf, tenantsQuery } from '../filters.ts';
import { refuse } from '../problem.ts';
import type { Api } from '../types.ts';
import { answers, tenantPage } from '../views.ts';

/** Many tenants at once: lists, counts, and what is asked of all that are meant. */
export function fleetRoutes(app: Api): void {
  app.get(
    '/tenants',
    {
      config: { permission: 'tenants:read' },
      schema: {
        tags: ['tenants'],
        operationId: 'listTenants',
        summary: 'Tenants, whether they are ready, and what they wait for',
        description:
          'Parameters that are named differently all hold. `next` goes with the `sort` that it came of.',
        querystring: tenantsQuery,
        response: answers({ 200: tenantPage }),
      },
    },
    async ({ query, commands }, reply) => {
      const { sort, after, limit } = query;
      const answer = await commands.tenants({
        sort,
        filter: filterOfQuery(query),
        after: after ?? null,
        limit,
      });
      return answer.ok ? reply.send(answer.value) : refuse(reply, answer.refusal);
    },
  );

  app.get(
    '/fleet',
    {
      config: { permission: 'tenants:read' },
      schema: {
        tags: ['fleet'],
        operationId: 'countFleet',
        summary: 'How the fleet is: readiness, conditions, evidence, keys, hand-offs, rotations, drift',
        querystring: labelQuery,
        response: answers({ 200: fleetCount }),
      },
    },
    ({ query, commands }) => commands.fleet(selectorsOf(query.label)),
  );
}
