import { z } from 'zod';
import { tenantIdSchema } from '../../domain/tenant.ts';
import { refuse } from '../problem.ts';
import type { Api } from '../types.ts';
import { answers, asked, time } from '../views.ts';

const tags = ['brake'];

const brake = z
  .object({
    id: z.string(),
    state: z.enum(['on', 'released', 'ended']).describe('`ended`: no tenant differed so any more.'),
    signatures: z.array(z.string()).describe('The ways to differ that set it, alike in every tenant.'),
    what: z.array(z.string()).describe('The same in words.'),
    setAt: time,
    counted: z.int().describe('Tenants that had come to differ so when it was set.'),
    fleet: z.int().describe('Tenants that there were.'),
    held: z.array(tenantIdSchema).describe('Tenants in which nothing is changed for it now.'),
    canaries: z
      .array(
        z.object({
          tenant: tenantIdSchema,
          at: time,
          by: z.string(),
          reason: z.string(),
          conforms: z.boolean().describe('It no longer differs as the brake says.'),
          run: z
            .object({
              id: z.string(),
              outcome: z.string(),
              summary: z.string(),
              actions: z.array(z.object({ action: z.string(), outcome: z.string() })),
            })
            .nullable()
            .describe('The first run since the release; null: it has not ended.'),
        }),
      )
      .describe('Tenants that were released first, and what came of it.'),
    released: z
      .object({ at: time, by: z.string(), reason: z.string(), withoutCanary: z.boolean() })
      .nullable()
      .describe('For all tenants; null: it was not.'),
    endedAt: time.nullable(),
  })
  .meta({ id: 'Brake' });

const release = z.strictObject({
  ...asked,
  tenant: tenantIdSchema.optional().describe('This one first, to see what comes of it. Absent: all tenants.'),
  withoutCanary: z.boolean().default(false).describe('For all, though nobody saw how one tenant took it.'),
});

/** The fleet's brake: what set it, whom it holds, and its release, for one tenant first. */
export function brakeRoutes(app: Api): void {
  app.get(
    '/brakes',
    {
      config: { permission: 'brake:read' },
      schema: {
        tags,
        operationId: 'listBrakes',
        summary: 'Brakes of the fleet: those that are on first, then the newest first',
        response: answers({ 200: z.object({ items: z.array(brake) }) }),
      },
    },
    async ({ commands }) => ({ items: await commands.brakes() }),
  );

  app.post(
    '/brakes/:id/release',
    {
      config: { permission: 'brake:release' },
      schema: {
        tags,
        operationId: 'releaseBrake',
        summary: 'Release one tenant, and see what comes of it; then all',
        params: z.object({ id: z.string().min(1).max(64) }),
        body: release.refine(({ tenant, withoutCanary }) => tenant === undefined || !withoutCanary, {
          path: ['withoutCanary'],
          message: 'is for all tenants: the one that is released first is the canary',
        }),
        response: answers({
          202: z.object({
            triggered: z
              .array(z.object({ tenant: tenantIdSchema, trigger: z.int() }))
              .describe('Runs that follow at once; handled once a status says so.'),
          }),
        }),
      },
    },
    async ({ params, body, commands }, reply) => {
      const { tenant, ...given } = body;
      const answer = await commands.releaseBrake(params.id, tenant ?? null, given);
      return answer.ok ? reply.code(202).send(answer.value) : refuse(reply, answer.refusal);
    },
  );
}
