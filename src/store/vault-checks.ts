import { eq } from 'drizzle-orm';
import { pgTable } from 'drizzle-orm/pg-core';
import type { VaultChecks } from '../reconciler/ports.ts';
import { instant, text } from './columns.ts';
import type { Database } from './database.ts';

/** One known text sealed under each key-encryption key: opening it proves that the key is the right one. */
export const vaultChecks = pgTable('vault_checks', {
  kid: text('kid').primaryKey(),
  sealed: text('sealed').notNull(),
  createdAt: instant('created_at').notNull().defaultNow(),
});

export const createVaultChecks = (db: Database): VaultChecks => {
  const read = async (kid: string): Promise<string | null> => {
    const [row] = await db.select().from(vaultChecks).where(eq(vaultChecks.kid, kid));
    return row?.sealed ?? null;
  };
  return {
    read,
    async write(kid, sealed) {
      await db.insert(vaultChecks).values({ kid, sealed }).onConflictDoNothing();
      return (await read(kid)) ?? sealed;
    },
  };
};
