import { z } from 'zod';
import { parseSelector, type LabelSelector } from '../domain/labels.ts';
import { tenantIdSchema } from '../domain/tenant.ts';
import { parseMark, TENANT_SORTS, type TenantFilter } from '../domain/tenant-filter.ts';

/** How tenants are chosen: as the query of a list, and as the selector of a command. */

const truth = z.enum(['True', 'False', 'Unknown']);
const mode = z.enum(['observe', 'alert', 'repair']);

const label = z
  .string()
  .refine((text) => parseSelector(text) !== null, 'must be key=value, or a key alone for any value')
  .describe('`team=north`; `team`: has that label, whatever its value.');
const condition = z
  .string()
  .refine(
    (text) => parseMark(text) !== null,
    'must be such as RoleReady=False or RoleReady=False/LevelsMissing',
  )
  .describe('`RoleReady=False`, `RoleReady=False/LevelsMissing`; `RoleReady` alone: is True.');
const words = z.string().trim().min(1).max(100).describe('Somewhere in id, name or company.');

const MOST = 32;

/** A parameter that may be given several times. */
const several = <T extends z.ZodType>(item: T) =>
  z.preprocess(
    (given) => (given === undefined || Array.isArray(given) ? given : [given]),
    z.array(item).max(MOST).default([]),
  );

const path = z.string().trim().min(1).max(200);

/** The query of a list; parameters that are named differently all hold. */
export const tenantsQuery = z.strictObject({
  after: z
    .string()
    .regex(/^[A-Za-z0-9_-]{1,2000}$/, 'must be the `next` of the page before')
    .optional(),
  limit: z.coerce.number().int().min(1).max(200).default(50),
  sort: z
    .enum(TENANT_SORTS)
    .default('id')
    .describe('ready: the worst first. since: not ready for longest first. next: due soonest first.'),
  ready: several(truth).describe('Any of these.'),
  condition: several(condition).describe('All of these.'),
  mode: mode.optional(),
  label: several(label).describe('All of these.'),
  drift: path.optional().describe('`true`, `false`, or how the path of some drift begins: `role.levels`.'),
  q: words.optional(),
});

/** The part of a query that says which tenants are meant. */
export const filterOfQuery = ({
  ready,
  condition,
  mode,
  label,
  drift,
  q,
}: Pick<
  z.output<typeof tenantsQuery>,
  'ready' | 'condition' | 'mode' | 'label' | 'drift' | 'q'
>): TenantFilter => ({
  ids: null,
  ready,
  marks: condition.map(parseMark).filter((mark) => mark !== null),
  mode: mode ?? null,
  labels: selectorsOf(label),
  drift: drift === 'true' ? true : drift === 'false' ? false : (drift ?? null),
  words: q ?? null,
});

export const labelQuery = z.strictObject({ label: several(label).describe('All of these.') });

export const selectorsOf = (labels: readonly string[]): LabelSelector[] =>
  labels.map(parseSelector).filter((selector) => selector !== null);

/** Which tenants a command is for. Nothing at all means nobody: who means everybody says so. */
export const selector = z
  .strictObject({
    all: z.literal(true).optional().describe('Every tenant; goes with nothing else.'),
    ids: z.array(tenantIdSchema).min(1).max(10_000).optional(),
    ready: z.array(truth).min(1).max(3).optional(),
    conditions: z.array(condition).min(1).max(MOST).optional(),
    mode: mode.optional(),
    labels: z.array(label).min(1).max(MOST).optional(),
    drift: z
      .union([z.boolean(), path])
      .optional()
      .describe('Whether there is any, or how the path of some begins.'),
    q: words.optional(),
  })
  .superRefine(({ all, ...demands }, context) => {
    const some = Object.values(demands).some((demand) => demand !== undefined);
    if (some !== (all === true)) return;
    context.addIssue({
      code: 'custom',
      message: some
        ? 'says all, and demands something besides: say one of them'
        : 'means nobody: demand something, or say all: true',
    });
  });

export const filterOfSelector = (given: z.output<typeof selector>): TenantFilter => ({
  ids: given.ids === undefined ? null : [...new Set(given.ids)].toSorted(),
  ready: given.ready ?? [],
  marks: (given.conditions ?? []).map(parseMark).filter((mark) => mark !== null),
  mode: given.mode ?? null,
  labels: selectorsOf(given.labels ?? []),
  drift: given.drift ?? null,
  words: given.q ?? null,
});

/** A command for many tenants is looked at first, then confirmed by the token that the look gave. */
export const bulkBody = {
  selector,
  reason: z.string().trim().min(1).max(200).describe('Why, for the record.'),
  dryRun: z
    .boolean()
    .default(false)
    .describe('Names every tenant that is meant, and gives the token; changes nothing.'),
  confirmation: z
    .guid()
    .optional()
    .describe('The token of the dry run: for exactly its tenants, by its caller, once, within 10 minutes.'),
};

export const checkConfirmed = (
  { dryRun, confirmation }: { dryRun: boolean; confirmation?: string | undefined },
  context: z.RefinementCtx,
): void => {
  if (dryRun !== (confirmation !== undefined)) return;
  context.addIssue({
    code: 'custom',
    path: ['confirmation'],
    message: dryRun
      ? 'goes with no dry run'
      : 'is needed: ask with dryRun: true, look at who is meant, and give its token',
  });
};
