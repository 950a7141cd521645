import { and, eq, gt, isNull, ne, or, sql } from 'drizzle-orm';
import { boolean, check, pgTable, uniqueIndex } from 'drizzle-orm/pg-core';
import type { Role, Scope } from '../domain/access.ts';
import type { StoredToken, Tokens } from '../reconciler/ports.ts';
import { instant, iso, isoOrNull, jsonb, text } from './columns.ts';
import type { Database } from './database.ts';

/** Tokens of the API, as hashes. */
export const tokens = pgTable(
  'tokens',
  {
    id: text('id').primaryKey(),
    name: text('name').notNull(),
    hash: text('hash').notNull(),
    role: text('role').$type<Role>().notNull(),
    scope: jsonb<Scope>('scope'),
    mayReveal: boolean('may_reveal').notNull().default(false),
    createdAt: instant('created_at').notNull().defaultNow(),
    createdBy: text('created_by'),
    expiresAt: instant('expires_at'),
    lastUsedAt: instant('last_used_at'),
  },
  (table) => [
    uniqueIndex('tokens_hash').on(table.hash),
    uniqueIndex('tokens_name').on(table.name),
    check('tokens_role', sql`${table.role} in ('viewer', 'operator', 'rotator', 'admin', 'revealer')`),
  ],
);

const toToken = (row: typeof tokens.$inferSelect): StoredToken => ({
  id: row.id,
  name: row.name,
  role: row.role,
  scope: row.scope,
  mayReveal: row.mayReveal,
  createdAt: iso(row.createdAt),
  createdBy: row.createdBy,
  expiresAt: isoOrNull(row.expiresAt),
  lastUsedAt: isoOrNull(row.lastUsedAt),
});

/** Not yet expired, by the database's clock. */
const VALID = or(isNull(tokens.expiresAt), gt(tokens.expiresAt, sql`now()`));

export const createTokens = (db: Database): Tokens => ({
  put: ({ id, name, hash, role }) =>
    db.transaction(async (tx) => {
      await tx.delete(tokens).where(and(eq(tokens.name, name), ne(tokens.hash, hash)));
      const mayReveal = role === 'revealer';
      await tx
        .insert(tokens)
        .values({ id, name, hash, role, mayReveal })
        .onConflictDoUpdate({
          target: tokens.hash,
          set: { name, role, mayReveal, scope: null, createdBy: null, expiresAt: null },
        });
    }),
  async remove(name) {
    await db.delete(tokens).where(eq(tokens.name, name));
  },
  async findByHash(hash) {
    const [row] = await db
      .select()
      .from(tokens)
      .where(and(eq(tokens.hash, hash), VALID));
    return row ? toToken(row) : null;
  },
});
