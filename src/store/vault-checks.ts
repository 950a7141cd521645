import { inArray } from 'drizzle-orm';
import { pgTable } from 'drizzle-orm/pg-core';
import { decodeProtectedHeader } from 'jose';
import { instant, text } from './columns.ts';
import type { Executor } from './database.ts';

/** Every key-encryption key that was ever used here, with what proves it as long as it is needed. */
export const vaultChecks = pgTable('vault_checks', {
  kid: text('kid').primaryKey(),
  /** A known text under this key; null: nothing is sealed under it any more. */
  sealed: text('sealed'),
  createdAt: instant('created_at').notNull().defaultNow(),
  /** From then on nothing new is sealed under it. */
  retiredAt: instant('retired_at'),
});

/**
 * Refuses texts that were sealed under a key that was retired meanwhile: a service that lost the database while
 * the key was changed still has the old one, and what it seals could never be opened again. Locked, so that a
 * retirement that comes at this moment waits and finds the texts.
 */
export async function requireKeyInUse(tx: Executor, ...sealed: string[]): Promise<void> {
  const kids = [...new Set(sealed.map(kidOf))].filter((kid) => kid !== null);
  if (kids.length === 0) return;
  const keys = await tx
    .select({ kid: vaultChecks.kid, retiredAt: vaultChecks.retiredAt })
    .from(vaultChecks)
    .where(inArray(vaultChecks.kid, kids))
    .orderBy(vaultChecks.kid)
    .for('share');
  const retired = keys.find(({ retiredAt }) => retiredAt);
  if (!retired) return;
  throw new Error(`the key-encryption key ${retired.kid} was retired: nothing is sealed under it any more`);
}

function kidOf(sealed: string): string | null {
  try {
    return decodeProtectedHeader(sealed).kid ?? null;
  } catch {
    return null;
  }
}
