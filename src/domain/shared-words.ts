import { HIDDEN_TENANT } from './access.ts';

/**
 * Sentences about what several tenants share, such as an Umbrella key: they are kept once, and told to each tenant so
 * that nobody learns of another one by them. What speaks of one tenant is marked with what all others are told instead.
 */

const MARKS = /[‹¦›]/g;
const MARKED = /‹([^‹¦›]*)¦([^‹¦›]*)¦([^‹¦›]*)›/g;
const SEVERAL = new RegExp(`${HIDDEN_TENANT}(?:, ${HIDDEN_TENANT})+`, 'g');

const plain = (words: string): string => words.replaceAll(MARKS, '');

/** Words that are for that tenant alone; the others are told `otherwise`. */
export const wordsFor = (tenant: string, words: string, otherwise: string): string =>
  `‹${plain(tenant)}¦${plain(words)}¦${plain(otherwise)}›`;

/** Tenants by name. */
export const namesOf = (tenants: readonly string[]): string =>
  tenants.map((tenant) => wordsFor(tenant, tenant, HIDDEN_TENANT)).join(', ');

/** What that tenant is told. */
export const toldTo = (tenant: string, words: string): string =>
  words
    .replaceAll(MARKED, (_, of: string, own: string, otherwise: string) => (of === tenant ? own : otherwise))
    .replaceAll(SEVERAL, (several) => `${several.split(', ').length} other tenants`);
