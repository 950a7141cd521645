import { asc, sql } from 'drizzle-orm';
import { pgTable } from 'drizzle-orm/pg-core';
import type { VaultChecks } from '../reconciler/ports.ts';
import { instant, text } from './columns.ts';
import type { Database, Executor } from './database.ts';

/** A known text, sealed when the database was first used: opening it proves that the key given is the right one. */
export const vaultChecks = pgTable('vault_checks', {
  kid: text('kid').primaryKey(),
  sealed: text('sealed').notNull(),
  createdAt: instant('created_at').notNull().defaultNow(),
});

export const createVaultChecks = (db: Database): VaultChecks => ({
  read: () => first(db),
  keep: (kid, sealed) =>
    db.transaction(async (tx) => {
      // Two processes that start at once with different keys must not both be the first.
      await tx.execute(sql`lock table ${vaultChecks} in exclusive mode`);
      const known = await first(tx);
      if (known !== null) return known;
      await tx.insert(vaultChecks).values({ kid, sealed });
      return sealed;
    }),
});

async function first(tx: Executor): Promise<string | null> {
  const [row] = await tx.select().from(vaultChecks).orderBy(asc(vaultChecks.createdAt)).limit(1);
  return row?.sealed ?? null;
}
