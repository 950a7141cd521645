import { and, asc, eq, gt, isNull, lt, ne, or, sql } from 'drizzle-orm';
import { boolean, check, pgTable, uniqueIndex } from 'drizzle-orm/pg-core';
import { covers, whyStronger, type Caller, type Grant, type Role, type Scope } from '../domain/access.ts';
import type { Desk, StoredToken, Tokens } from '../reconciler/ports.ts';
import { instant, iso, isoOrNull, jsonb, text } from './columns.ts';
import { addAudit } from './audit.ts';
import type { Database, Executor } from './database.ts';

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
  async touch(id) {
    const before = sql`now() - interval '1 minute'`;
    await db
      .update(tokens)
      .set({ lastUsedAt: sql`now()` })
      .where(and(eq(tokens.id, id), or(isNull(tokens.lastUsedAt), lt(tokens.lastUsedAt, before))));
  },
  async findByHash(hash) {
    const [row] = await db
      .select()
      .from(tokens)
      .where(and(eq(tokens.hash, hash), VALID));
    return row ? toToken(row) : null;
  },
});

/** What people do with tokens: the part of the desk that is about them. */
export const tokenDesk = (
  db: Database,
  caller: Caller,
): Pick<Desk, 'tokens' | 'addToken' | 'revokeToken'> => ({
  async tokens() {
    const rows = await db.select().from(tokens).orderBy(asc(tokens.name));
    return rows.map(toToken).filter(({ scope }) => covers(caller.scope, scope));
  },

  addToken: (token) =>
    db.transaction(async (tx) => {
      const { forMs, witness, reason, ...row } = token;
      const own = caller.tokenId === null ? null : await lockedGrant(tx, caller.tokenId);
      if (caller.tokenId !== null && !own) return { ok: false, because: 'not-a-token' };
      const ends = forMs === null ? sql`${own?.expiresAt ?? null}::timestamptz` : inMs(forMs);
      const { rows } = await tx.execute<{ at: string | null }>(sql`select ${ends} as at`);
      const expiresAt = rows[0]?.at ? iso(new Date(rows[0].at)) : null;
      const wanted: Grant = { ...row, expiresAt };
      const second = row.mayReveal && witness !== null ? await lockedGrant(tx, witness) : null;
      const vouched = second?.mayReveal === true && covers(second.scope, row.scope);
      const problems = own ? whyStronger({ ...own, mayReveal: own.mayReveal || vouched }, wanted) : [];
      if (problems.length > 0) return { ok: false, because: 'stronger', problems };
      const [made] = await tx
        .insert(tokens)
        .values({
          ...row,
          createdBy: caller.name,
          expiresAt: expiresAt === null ? null : new Date(expiresAt),
        })
        .onConflictDoNothing({ target: tokens.name })
        .returning();
      if (!made) return { ok: false, because: 'name-taken' };
      const after = { ...told(made), ...(vouched ? { revealGrantedBy: witness } : {}) };
      await addAudit(tx, caller, { action: 'token.create', subject: made.id, reason, after });
      return { ok: true, token: toToken(made) };
    }),

  revokeToken: (id, reason) =>
    db.transaction(async (tx) => {
      const [row] = await tx.select().from(tokens).where(eq(tokens.id, id)).for('update');
      if (!row || !covers(caller.scope, row.scope)) return { ok: false, because: 'not-found' };
      if (row.createdBy === null) return { ok: false, because: 'configured' };
      await tx.delete(tokens).where(eq(tokens.id, id));
      await addAudit(tx, caller, { action: 'token.revoke', subject: id, reason, before: told(row) });
      return { ok: true, token: toToken(row) };
    }),
});

const inMs = (ms: number) => sql`now() + ${ms} * interval '1 millisecond'`;

const told = (row: typeof tokens.$inferSelect) => {
  const { name, role, scope, mayReveal, createdBy, expiresAt } = toToken(row);
  return { name, role, scope, mayReveal, createdBy, expiresAt };
};

/** What a token may at this moment: it is not revoked while something rests on that. */
async function lockedGrant(tx: Executor, id: string): Promise<Grant | null> {
  const [row] = await tx
    .select()
    .from(tokens)
    .where(and(eq(tokens.id, id), VALID))
    .for('share');
  return row ? toToken(row) : null;
}
