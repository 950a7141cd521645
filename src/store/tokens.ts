import { and, eq, gt, isNull, ne, or, sql } from 'drizzle-orm';
import { boolean, pgTable, uniqueIndex } from 'drizzle-orm/pg-core';
import type { Tokens } from '../reconciler/ports.ts';
import { instant, iso, isoOrNull, text } from './columns.ts';
import type { Database } from './database.ts';

/** Tokens of the API, as hashes. */
export const tokens = pgTable(
  'tokens',
  {
    id: text('id').primaryKey(),
    name: text('name').notNull(),
    hash: text('hash').notNull(),
    createdAt: instant('created_at').notNull().defaultNow(),
    expiresAt: instant('expires_at'),
    mayReveal: boolean('may_reveal').notNull().default(false),
  },
  (table) => [uniqueIndex('tokens_hash').on(table.hash)],
);

export const createTokens = (db: Database): Tokens => ({
  put: ({ id, name, hash, expiresAt, mayReveal }) =>
    db.transaction(async (tx) => {
      await tx.delete(tokens).where(and(eq(tokens.name, name), ne(tokens.hash, hash)));
      await tx
        .insert(tokens)
        .values({ id, name, hash, mayReveal, expiresAt: expiresAt === null ? null : new Date(expiresAt) })
        .onConflictDoUpdate({
          target: tokens.hash,
          set: {
            name: sql`excluded.name`,
            expiresAt: sql`excluded.expires_at`,
            mayReveal: sql`excluded.may_reveal`,
          },
        });
    }),
  async remove(name) {
    await db.delete(tokens).where(eq(tokens.name, name));
  },
  async findByHash(hash) {
    const [row] = await db
      .select()
      .from(tokens)
      .where(and(eq(tokens.hash, hash), or(isNull(tokens.expiresAt), gt(tokens.expiresAt, sql`now()`))));
    if (!row) return null;
    const { id, name, mayReveal } = row;
    return { id, name, mayReveal, createdAt: iso(row.createdAt), expiresAt: isoOrNull(row.expiresAt) };
  },
});
