import { z } from 'zod';
import { parseSelector, type LabelSelector } from '../domain/labels.ts';
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
