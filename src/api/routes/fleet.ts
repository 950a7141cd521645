import { z } from 'zod';
import { bulkAnswer, fleetCount } from '../fleet-views.ts';
import {
  bulkBody,
  checkConfirmed,
  filterOfQuery,
  filterOfSelector,
  labelQuery,
  selectorsOf,
  tenantsQuery,
} from '../filters.ts';
import { refuse } from '../problem.ts';
import type { Api } from '../types.ts';
import { answers, asked, tenantPage } from '../views.ts';

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

  app.post(
    '/fleet/reconcile',
    {
      config: { permission: 'fleet:change' },
      bodyLimit: SELECTOR_BYTES,
      schema: {
        tags: ['fleet'],
        operationId: 'reconcileFleet',
        summary: 'Reconcile many tenants now: all that were confirmed, or none',
        body: z.strictObject(bulkBody).superRefine(checkConfirmed),
        response: answers({ 200: bulkAnswer }),
      },
    },
    async ({ body, commands }, reply) => {
      const answer = await commands.reconcileMany(requestOf(body));
      return answer.ok ? reply.send(answer.value) : refuse(reply, answer.refusal);
    },
  );

  app.post(
    '/fleet/rotations',
    {
      config: { permission: 'fleet:change' },
      bodyLimit: SELECTOR_BYTES,
      schema: {
        tags: ['fleet'],
        operationId: 'rotateFleet',
        summary: 'Rotate the integration keys of many tenants: of all that were confirmed, or of none',
        description:
          'The dry run tells of which tenants that would be refused, and why; the fleet’s limit lets the others begin.',
        body: z.strictObject({ ...bulkBody, by: asked.by }).superRefine(checkConfirmed),
        response: answers({ 200: bulkAnswer }),
      },
    },
    async ({ body, commands }, reply) => {
      const answer = await commands.rotateMany({ ...requestOf(body), by: body.by });
      return answer.ok ? reply.send(answer.value) : refuse(reply, answer.refusal);
    },
  );
}

/** 10,000 ids fit. */
const SELECTOR_BYTES = 1024 * 1024;

const requestOf = (body: {
  selector: Parameters<typeof filterOfSelector>[0];
  reason: string;
  confirmation?: string | undefined;
}) => ({
  filter: filterOfSelector(body.selector),
  reason: body.reason,
  confirmation: body.confirmation ?? null,
});
