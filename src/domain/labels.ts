import { z } from 'zod';

/** Words of a person's own on a tenant, and how tenants are selected by them. */

const WORD = /^[a-z0-9](?:[a-z0-9._/-]{0,61}[a-z0-9])?$/;
const WORD_RULE = 'must be a-z, 0-9 and inner dots, hyphens, underscores or slashes, at most 63';

/** How many labels a tenant may carry. */
const MOST_LABELS = 32;

const wordSchema = z.string().regex(WORD, WORD_RULE);

export const labelsSchema = z
  .record(wordSchema, wordSchema)
  .refine((labels) => Object.keys(labels).length <= MOST_LABELS, `must be at most ${MOST_LABELS}`)
  .describe('Words of one’s own to select tenants by, such as "team: north".');
export type Labels = z.infer<typeof labelsSchema>;

/** One condition on labels; null: any value will do. */
export interface LabelSelector {
  key: string;
  value: string | null;
}

/**
 * `team=north`, or `team` for any value; null where it is neither. A word has no equals sign in it.
 *
 * ```ts
 * parseSelector('team=north'); // { key: 'team', value: 'north' }
 * ```
 */
export function parseSelector(text: string): LabelSelector | null {
  const [key = '', value, ...more] = text.split('=');
  if (more.length > 0 || !WORD.test(key) || (value !== undefined && !WORD.test(value))) return null;
  return { key, value: value ?? null };
}

/** True where the labels meet every condition. */
export const selects = (selectors: readonly LabelSelector[], labels: Labels): boolean =>
  selectors.every(
    ({ key, value }) => Object.hasOwn(labels, key) && (value === null || labels[key] === value),
  );
