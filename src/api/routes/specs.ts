import { z } from 'zod';
import { parseSelector } from '../../domain/labels.ts';
import type { Api } from '../types.ts';
import { answers, forwardPage, tenantView } from '../views.ts';

const selector = z.string().transform((text, context) => {
  const parsed = parseSelector(text);
  if (parsed) return parsed;
  context.addIssue({ code: 'custom', message: 'must be a label, team=north, or the key of one, team' });
  return z.NEVER;
});

const label = z
  .union([selector.transform((one) => [one]), z.array(selector)])
  .default([])
  .meta({ type: 'array', items: { type: 'string' } })
  .describe('`team=north`, or `team` for any value; repeated: all of them.');

/** Whole specs of a part of the fleet, as files of tenants have them. */
export function specRoutes(app: Api): void {
  app.get(
    '/fleet/specs',
    {
      config: { permission: 'tenants:read' },
      schema: {
        tags: ['fleet'],
        operationId: 'listSpecs',
        summary: 'How tenants should be, and the keys that are held, by id',
        querystring: forwardPage.extend({ label }),
        response: answers({ 200: z.object({ items: z.array(tenantView), next: z.string().nullable() }) }),
      },
    },
    ({ query, commands }) =>
      commands.specs({ labels: query.label, after: query.after ?? null, limit: query.limit }),
  );
}
