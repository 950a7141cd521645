import { z } from 'zod';
import { CONDITION_TYPES } from '../domain/condition.ts';
import { HANDOFF_KINDS } from '../domain/handoff.ts';
import { ROTATION_PHASES } from '../domain/rotation.ts';
import { purposeSchema, tenantIdSchema } from '../domain/tenant.ts';
import { UMBRELLA_PHASES } from '../domain/umbrella-rotation.ts';

/** What the API says of many tenants at once. */

const time = z.string().meta({ format: 'date-time' });
const count = z.int();
const truth = z.enum(['True', 'False', 'Unknown']);

export const fleetCount = z
  .object({
    at: time,
    tenants: z.object({
      total: count,
      ready: z.object({ True: count, False: count, Unknown: count }),
      unseen: count.describe('No run has seen anything of them yet; they are Unknown too.'),
    }),
    modes: z.object({ observe: count, alert: count, repair: count }),
    conditions: z.array(
      z.object({ type: z.enum(CONDITION_TYPES), status: truth, reason: z.string(), count }),
    ),
    oldestEvidence: z
      .object({ tenant: tenantIdSchema, at: time })
      .nullable()
      .describe('The tenant that was looked at the longest ago.'),
    keys: z
      .array(
        z.object({
          purpose: purposeSchema,
          youngerThanDays: count
            .nullable()
            .describe('Younger than so many days, and in no class before; null: older than all of them.'),
          count,
          pastMaxAge: count.describe('Older than the `rotation.maxAge` of their tenant.'),
        }),
      )
      .describe('Keys in use.'),
    handoffs: z.array(
      z.object({
        kind: z.enum(HANDOFF_KINDS),
        overdue: count,
        today: count.describe('Due within 24 hours.'),
        week: count.describe('Due within 7 days.'),
        later: count,
      }),
    ),
    rotations: z
      .object({
        integration: z.array(z.object({ phase: z.enum(ROTATION_PHASES), count })),
        umbrella: z.array(z.object({ phase: z.enum(UMBRELLA_PHASES), count })),
      })
      .describe('Those that have not ended.'),
    braked: count.describe('By the brake, or by the cap on repairs: `conditions` tells the two apart.'),
    paused: count.describe('By their spec, or by a person.'),
    overdue: count.describe('Due for more than a minute, and nobody runs them.'),
    failing: count.describe('Their last run failed.'),
    drift: z.object({ tenants: count, paths: z.array(z.object({ path: z.string(), count })) }),
  })
  .meta({ id: 'Fleet' });

/** What a command for many tenants found, or did. */
export const bulkAnswer = z
  .object({
    dryRun: z.boolean(),
    tenants: z.array(
      z.object({
        id: tenantIdSchema,
        name: z.string(),
        refused: z.string().nullable().describe('Why it is not for this tenant; null: it is.'),
        trigger: count.nullable().describe('As of `POST /tenants/:id/reconcile`; null: nothing was done.'),
        rotation: z.string().nullable(),
      }),
    ),
    confirmation: z.object({ token: z.string(), expiresAt: time }).nullable(),
  })
  .meta({ id: 'Bulk' });
