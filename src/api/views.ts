import { z } from 'zod';
import { BUDGET_KINDS } from '../domain/budget.ts';
import { CONDITION_TYPES } from '../domain/condition.ts';
import { HANDOFF_KINDS } from '../domain/handoff.ts';
import { labelsSchema } from '../domain/labels.ts';
import { ROTATION_CAUSES, ROTATION_PHASES } from '../domain/rotation.ts';
import { UMBRELLA_CAUSES, UMBRELLA_PHASES } from '../domain/umbrella-rotation.ts';
import { purposeSchema, tenantIdSchema, tenantInputSchema, tenantSpecSchema } from '../domain/tenant.ts';
import { problemSchema } from './problem.ts';

/** What the API takes and gives, beside the tenant's own schemas. An answer shows exactly what stands here. */

// Described, not checked: a time that is written differently is no reason to withhold an answer.
export const time = z.string().meta({ format: 'date-time' });
const truth = z.enum(['True', 'False', 'Unknown']);

export const tenantBody = tenantInputSchema.meta({ id: 'Tenant' });

const keyView = z
  .object({
    purpose: purposeSchema,
    slot: z.enum(['a', 'b']).nullable(),
    member: z.string().nullable(),
    fingerprint: z.string(),
    state: z.string(),
    createdAt: time,
    lastProvedAt: time.nullable(),
    rotateBy: time.nullable(),
  })
  .meta({ id: 'Key' });

export const credentialView = keyView
  .omit({ rotateBy: true })
  .extend({
    since: time.describe('When it came into its state.'),
    because: z.string(),
    destroyedAt: time
      .nullable()
      .describe('When its sealed text was destroyed: nobody can open it any more. Null: it is there.'),
  })
  .meta({ id: 'Credential' });

export const tenantView = z
  .object({
    id: tenantIdSchema,
    generation: z.int(),
    createdAt: time,
    updatedAt: time,
    deleting: z.boolean(),
    spec: tenantSpecSchema.meta({ id: 'TenantSpec' }),
    credentials: z.array(keyView),
  })
  .meta({ id: 'TenantView' });

const tenantSummary = z
  .object({
    id: tenantIdSchema,
    name: z.string(),
    mode: z.string(),
    ready: truth,
    waitsFor: z.string().nullable(),
    paused: z.boolean().describe('By its spec, or by a person.'),
    labels: labelsSchema,
    unreadySince: time.nullable().describe('Since when it is not ready; null: it is.'),
    drift: z.int().describe('How many paths differ.'),
    observedAt: time.nullable(),
    nextReconcileAt: time.nullable(),
  })
  .meta({ id: 'TenantSummary' });

const condition = z
  .object({
    type: z.enum(CONDITION_TYPES),
    status: truth,
    reason: z.string(),
    message: z.string(),
    observedGeneration: z.int(),
    lastTransitionTime: time,
  })
  .meta({ id: 'Condition' });

const drift = z
  .object({
    path: z.string(),
    kind: z.enum(['missing', 'excess', 'different']),
    desired: z.string(),
    observed: z.string(),
    since: time,
    action: z.string(),
    accepted: z
      .object({ by: z.string(), reason: z.string(), until: time })
      .nullable()
      .describe('Who accepted it as it is; null: nobody.'),
  })
  .meta({ id: 'Drift' });

const run = z
  .object({
    id: z.string(),
    trigger: z.string(),
    startedAt: time,
    finishedAt: time,
    outcome: z.string(),
    reads: z.int(),
    writes: z.int(),
    summary: z.string(),
    actions: z.array(z.object({ action: z.string(), outcome: z.string() })),
  })
  .meta({ id: 'Run' });

export const runDetail = run
  .extend({
    calls: z
      .record(z.string(), z.int())
      .nullable()
      .describe(
        'How many calls of each kind. Null: a run that saw nothing new and wrote nothing keeps only their numbers.',
      ),
    saw: z
      .object({
        since: z.string().describe('The run that saw it first: this one, or one before it.'),
        conditions: z.array(
          z.object({ type: z.string(), status: truth, reason: z.string(), message: z.string() }),
        ),
        drift: z.array(
          z.object({ path: z.string(), kind: z.string(), desired: z.string(), observed: z.string() }),
        ),
      })
      .nullable()
      .describe('What the run found; null: no longer kept.'),
  })
  .meta({ id: 'RunDetail' });

const handoffState = z.enum(['open', 'claimed', 'submitted', 'closed', 'withdrawn']);
const handoffKind = z.enum(HANDOFF_KINDS);

const handoffContent = z.object({
  title: z.string(),
  why: z.string(),
  steps: z.array(z.string()),
  closedBy: z.string(),
  input: z.object({ purpose: purposeSchema, member: z.string().nullable() }).exactOptional(),
  cells: z
    .array(z.object({ function: z.string(), right: z.string(), observed: z.string(), desired: z.string() }))
    .exactOptional(),
});

const automationView = z
  .object({
    state: z.enum(['delivering', 'accepted', 'answered', 'failed']),
    webhook: z.string(),
    attempts: z.int(),
    error: z.string().nullable().describe('Why the last request failed, or why people have the work now.'),
    since: time,
  })
  .meta({ id: 'Automation' })
  .describe('The tenant’s automation that has the work, or had it; null: it is people’s.');

export const handoffView = z
  .object({
    id: z.string(),
    tenantId: tenantIdSchema,
    kind: handoffKind,
    subject: z.string(),
    state: handoffState,
    content: handoffContent,
    openedAt: time,
    deadline: time,
    overdueSince: time.nullable(),
    claimedBy: z.string().nullable(),
    claimedAt: time.nullable(),
    submittedBy: z.string().nullable(),
    submittedAt: time.nullable(),
    attested: z.boolean(),
    revealedAt: time.nullable().describe('When the pair that it is about was shown, once.'),
    revealedTo: z.string().nullable(),
    closedAt: time.nullable(),
    automation: automationView.nullable(),
    evidence: z.string().nullable(),
  })
  .meta({ id: 'Handoff' });

const oldKey = z.object({
  fingerprint: z.string().nullable(),
  member: z.string().nullable(),
  deadSince: time.nullable().describe('When ConnectWise was seen to refuse it while its member was active.'),
});

const rotationView = z
  .object({
    id: z.string(),
    phase: z.enum(ROTATION_PHASES),
    since: time,
    cause: z.enum(ROTATION_CAUSES),
    by: z.string().nullable(),
    reason: z.string().nullable(),
    member: z.string().nullable().describe('The member that the new key is made on.'),
    old: oldKey.nullable(),
    new: z.object({ fingerprint: z.string().nullable(), member: z.string().nullable() }).nullable(),
    deadline: time.nullable(),
    next: z.string().describe('What it waits for.'),
    rollingBack: z.boolean(),
  })
  .meta({ id: 'Rotation' });

export const rotationRecord = rotationView
  .extend({
    old: oldKey
      .extend({ lastWrite: z.object({ at: time, configuration: z.string() }).nullable() })
      .nullable(),
    cutNow: z.boolean().describe('The old key was cut before there was a new one.'),
    requestedAt: time,
    admittedAt: time.nullable(),
    installable: z
      .object({ at: time, how: z.enum(['revealed', 'claimed', 'submitted', 'written']) })
      .nullable()
      .describe('From then on the new key may be in Umbrella.'),
    adopted: z.object({ at: time, how: z.enum(['observed', 'attested']), evidence: z.string() }).nullable(),
    history: z.array(z.object({ phase: z.enum(ROTATION_PHASES), at: time, evidence: z.string() })),
    notices: z.array(z.object({ kind: z.string(), at: time, message: z.string() })),
    outcome: z.string().nullable(),
    endedAt: time.nullable(),
  })
  .meta({ id: 'RotationRecord' });

const umbrellaRotationView = z
  .object({
    number: z.int(),
    phase: z.enum(UMBRELLA_PHASES),
    since: time,
    startedAt: time,
    cause: z.enum(UMBRELLA_CAUSES),
    why: z.string(),
    by: z.string().nullable().describe('Who asked; null: Parasol itself.'),
    old: z.string().describe('The fingerprint of the key that goes.'),
    new: z.string().nullable(),
    tenants: z.array(z.string()).describe('This tenant, once it was given the new key.'),
    others: z
      .int()
      .describe('How many other tenants that share the key were given it; their names are not told here.'),
    held: z.string().nullable().describe('Why it does not go on at present.'),
    stuck: z.string().nullable().describe('What a person must look at.'),
    evidence: z.array(z.object({ at: time, what: z.string() })),
  })
  .meta({ id: 'UmbrellaRotation' });

export const rotating = z.object({
  rotation: z.string(),
  trigger: z.int().describe('Handled once the status says `trigger.handled` is at least this.'),
});

/** Who asks, and why: both are kept. */
export const asked = {
  by: z.string().trim().min(1).max(100).describe('The person who asks.'),
  reason: z.string().trim().min(1).max(200).describe('Why, for the record.'),
};

const flag = z.stringbool({ truthy: ['true'], falsy: ['false'] }).default(false);

/** How a deletion is asked for, in the query of a DELETE. */
export const leaving = z.strictObject({
  by: asked.by.optional(),
  reason: asked.reason.optional(),
  force: flag.describe('Though a rotation is in flight; needs a reason. Both of its keys stay alive.'),
  unseen: flag.describe(
    'For one that waits already: it is final with the next run, though no vendor answers; needs a reason.',
  ),
});

export const revealed = z.object({
  handoff: handoffView,
  fingerprint: z.string(),
  member: z.string().nullable(),
  publicKey: z.string(),
  privateKey: z.string(),
});

const deletionView = z.object({
  since: time,
  by: z.string().nullable(),
  reason: z.string().nullable(),
  unseen: z.boolean().describe('It is final with the next run, whatever that sees.'),
  waitsFor: z.string(),
});

export const statusView = z
  .object({
    tenant: tenantIdSchema,
    name: z.string(),
    mode: z.string(),
    paused: z.boolean().describe('By the spec, or by a person.'),
    pause: z
      .object({
        by: z.string(),
        reason: z.string(),
        since: time,
        until: time.nullable().describe('Null: until somebody resumes.'),
      })
      .nullable()
      .describe('A person’s, which lives apart from the spec; null: there is none.'),
    deleting: deletionView.nullable().describe('Its end, while it waits to be seen.'),
    generation: z.int(),
    observedGeneration: z.int().nullable(),
    ready: truth,
    conditions: z.array(condition),
    drift: z.array(drift),
    keys: z.array(keyView),
    evidence: z.object({
      lastUmbrellaWriteAt: time.nullable(),
      by: z.string().nullable(),
      customers: z.int().nullable(),
      configurations: z.int().nullable(),
    }),
    rotation: rotationView.nullable(),
    umbrellaRotation: umbrellaRotationView.nullable(),
    handoffs: z.array(
      z.object({
        id: z.string(),
        kind: handoffKind,
        subject: z.string(),
        state: handoffState,
        deadline: time,
        claimedBy: z.string().nullable(),
        overdueSince: time.nullable(),
        automation: automationView.nullable(),
      }),
    ),
    lastRun: run.nullable(),
    trigger: z
      .object({ requested: z.int(), handled: z.int() })
      .describe('A trigger is handled once `handled` has reached its number.'),
    nextReconcileAt: time.nullable(),
    waiting: z
      .object({
        budget: z.enum(BUDGET_KINDS).describe('What there is not enough of.'),
        since: time,
        every: z
          .string()
          .nullable()
          .describe('How often it is looked at as it comes out; null: about as its spec wants.'),
        message: z.string(),
      })
      .nullable()
      .describe('The vendor’s budget that it waits for, or has just waited for; null: there is enough.'),
  })
  .meta({ id: 'Status' });

const action = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('create-role'), name: z.string() }),
  z.object({
    kind: z.literal('create-member'),
    identifier: z.string(),
    roleId: z.int(),
    roleName: z.string(),
    level: z.string(),
    location: z.string().nullable(),
  }),
  z.object({
    kind: z.literal('change-member'),
    id: z.int(),
    identifier: z.string(),
    set: z.object({
      active: z.boolean().exactOptional(),
      roleId: z.int().exactOptional(),
      roleName: z.string().exactOptional(),
      level: z.string().exactOptional(),
      location: z.string().exactOptional(),
    }),
  }),
  z.object({
    kind: z.literal('open-handoff'),
    handoff: handoffKind,
    subject: z.string(),
    content: handoffContent,
  }),
]);

export const planView = z
  .object({
    tenant: tenantIdSchema,
    mode: z.string(),
    generation: z.int(),
    observedAt: time.nullable(),
    plan: z.object({
      steps: z.array(
        z.object({
          action,
          state: z.enum(['now', 'later', 'held']),
          because: z.string(),
          removes: z.array(z.string()),
        }),
      ),
    }),
  })
  .meta({ id: 'Plan' });

export const adoptionView = planView
  .extend({
    verdict: z
      .enum(['taken-in', 'differs', 'unseen'])
      .describe('taken-in: all of it conforms, and the member is Parasol’s; unseen: it cannot be said yet.'),
    found: z.array(
      z.object({
        what: z.enum(['role', 'levels', 'allow list', 'member', 'key', 'umbrella']),
        name: z.string(),
        state: z.enum(['conforms', 'differs', 'absent', 'unseen']),
        detail: z.string(),
        ours: z
          .object({ how: z.enum(['created', 'conforming', 'declared']), since: time.nullable() })
          .nullable()
          .describe('Why it is Parasol’s to write; null: it is not.'),
      }),
    ),
    differences: z.array(drift.pick({ path: true, kind: true, desired: true, observed: true })),
  })
  .meta({ id: 'Adoption' });

export const customerView = z
  .object({
    customerId: z.int().nullable(),
    customer: z.string(),
    configuration: z.object({ id: z.int(), name: z.string(), company: z.string().nullable() }).nullable(),
    matchedBy: z
      .literal('name')
      .nullable()
      .describe('`name`: inferred from equal names, which is no proof; null: not matched.'),
    lastWriteAt: time.nullable(),
    lastWriteBy: z.string().nullable(),
  })
  .meta({ id: 'Customer' });

const event = z
  .object({
    id: z.string(),
    tenant: tenantIdSchema.nullable().describe('Null: it is the fleet’s.'),
    at: time,
    type: z.string(),
    message: z.string(),
    data: z.record(z.string(), z.unknown()).nullable(),
  })
  .meta({ id: 'Event' });

export const applyBody = z
  .strictObject({
    tenants: z.array(tenantInputSchema).min(1).max(10_000),
    dryRun: z.boolean().default(false).describe('Checks and tells, changes nothing.'),
    continue: z
      .boolean()
      .default(false)
      .describe('Tenants that are refused do not hinder the others: all that are in order are written.'),
    prune: z
      .strictObject({
        labels: labelsSchema.refine(
          (labels) => Object.keys(labels).length > 0,
          'must name at least one: without a label every tenant would go that is not given',
        ),
        count: z.int().min(0).optional().describe('How many were confirmed: as many go, or nothing is done.'),
        by: z.string().trim().min(1).max(100).optional(),
      })
      .optional()
      .describe(
        'Deletes the tenants that carry all of these labels and are not given, as their `onDelete` says.',
      ),
  })
  .refine((body) => !body.continue || body.prune === undefined, {
    path: ['continue'],
    message: 'does not go with prune: what is refused might be what another tenant goes for',
  });

const applyChange = z
  .object({
    id: tenantIdSchema,
    change: z.enum(['created', 'updated', 'unchanged']),
    generation: z.int(),
    differences: z
      .array(
        z.object({
          path: z.string(),
          kind: z.enum(['setting', 'key']),
          before: z.unknown().describe('Null: it was not there. Of a key, its fingerprint.'),
          after: z.unknown(),
        }),
      )
      .describe('Of a new tenant, all that is not as it is by default.'),
    warnings: z.array(z.string()),
  })
  .meta({ id: 'ApplyChange' });

export const applied = z.object({
  dryRun: z.boolean(),
  changes: z.array(applyChange),
  removals: z
    .array(z.object({ id: tenantIdSchema, name: z.string(), onDelete: tenantSpecSchema.shape.onDelete }))
    .describe('With `prune`: tenants that go.'),
  refused: z
    .array(
      z.object({
        id: tenantIdSchema,
        problems: z.array(z.object({ path: z.string(), message: z.string() })),
      }),
    )
    .describe('With `continue`: tenants that were left as they are, and why.'),
});

export const keyAudit = z
  .object({
    tenant: tenantIdSchema,
    name: z.string(),
    exportedAt: time,
    rotations: z.array(
      rotationRecord
        .extend({ handoffs: z.array(handoffView), events: z.array(event) })
        .meta({ id: 'RotationAudit' }),
    ),
    umbrellaRotation: umbrellaRotationView.nullable(),
    credentials: z.array(credentialView),
    handoffs: z.array(handoffView).describe('Those that belong to none of the rotations.'),
    events: z.array(event).describe('Those that belong to none of the rotations.'),
  })
  .meta({ id: 'KeyAudit' });

const pageOf = <T extends z.ZodType>(item: T) =>
  z.object({
    items: z.array(item),
    next: z.string().nullable().describe('The cursor of the next page; null on the last one.'),
  });
export const tenantPage = pageOf(tenantSummary);
export const eventPage = pageOf(event);
export const runPage = pageOf(run);

export const triggered = z.object({
  trigger: z.int().describe('Handled once the status says `trigger.handled` is at least this.'),
});

export const atTenant = z.object({ id: tenantIdSchema });
export const atRun = z.object({ id: tenantIdSchema, run: z.string().min(1).max(100) });
export const atHandoff = z.object({ id: z.guid() });

export const pageLimit = z.coerce.number().int().min(1).max(200).default(50);
const cursor = z
  .string()
  .regex(/^[A-Za-z0-9_.:-]{1,100}$/, 'must be the `next` of the page before')
  .optional();
export const forwardPage = z.strictObject({ after: cursor, limit: pageLimit });
export const backwardPage = z.strictObject({ before: cursor, limit: pageLimit });

/** Loose, since validation replaces the headers and the other ones are still needed. */
export const ifMatch = z.looseObject({
  'if-match': z
    .string()
    .regex(/^(?:\*|"\d{1,9}")$/, 'must be the ETag of the tenant, such as "3", or *')
    .optional()
    .describe('Refused with 412 unless the tenant is still at this generation.'),
});

const anyProblem = {
  description: 'A problem (RFC 9457)',
  content: { 'application/problem+json': { schema: problemSchema } },
};

type Answers = Record<
  number,
  z.ZodType | { description: string; content: Record<string, { schema: z.ZodType }> }
>;

/** The answers of a route: the good ones, and problems for everything else. */
export const answers = <T extends Answers>(good: T) => ({ ...good, default: anyProblem });
