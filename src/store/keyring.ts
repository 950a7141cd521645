import { asc, isNotNull, ne, sql } from 'drizzle-orm';
import type pg from 'pg';
import type { Keyring, KekRecord, SealedText } from '../reconciler/ports.ts';
import { iso, isoOrNull } from './columns.ts';
import type { Database, Executor } from './database.ts';
import { vaultChecks } from './vault-checks.ts';

/** Tables with sealed texts in a column `sealed`, and a key `id`: whatever is not named here keeps its old key. */
const SEALED = ['credentials', 'umbrella_keys', 'answer_keys'] as const;

/**
 * The key that a text says it was sealed under: `kid` in the first part of a JWE, base64url of JSON. Null where
 * there is none to be read; a text that is anything else is no error.
 */
const KID = `
  cross join lateral (select translate(split_part(sealed, '.', 1), '-_', '+/') as part) as header
  cross join lateral (
    select case when part ~ '^[A-Za-z0-9+/]+$' and length(part) % 4 <> 1 then substring(
      encode(decode(rpad(part, (length(part) + 3) / 4 * 4, '='), 'base64'), 'escape') from '"kid":"([0-9a-f]{16})"'
    ) end as kid
  ) as named`;

const COUNTS = `
  select kid, count(*)::int as count from (
    ${SEALED.map((table) => `select kid from ${table} ${KID} where sealed is not null`).join(' union all ')}
  ) as texts group by kid order by kid nulls last`;

/** Key-encryption keys and what is sealed under them. Statements, not tables, are what a re-seal is made of. */
export function createKeyring(db: Database): Keyring {
  const pool: pg.Pool = db.$client;

  async function texts(
    table: string,
    condition: string,
    kid: string,
    afterId: string,
    limit: number,
  ): Promise<SealedText[]> {
    const { rows } = await pool.query<SealedText>(
      `select '${table}' as table, id, sealed from ${table} ${KID}
        where sealed is not null and id > $1 and ${condition} order by id limit $3`,
      [afterId, kid, limit],
    );
    return rows;
  }

  return {
    keys: () => all(db),

    first: (kid, check) =>
      db.transaction(async (tx) => {
        // Two processes that start at once with different keys must not both be the first.
        await tx.execute(sql`lock table ${vaultChecks} in exclusive mode`);
        const known = await all(tx);
        if (known.length > 0) return known;
        await tx.insert(vaultChecks).values({ kid, sealed: check });
        return all(tx);
      }),

    async counts() {
      const { rows } = await pool.query<{ kid: string | null; count: number }>(COUNTS);
      return rows;
    },

    async page(which, after, limit) {
      const [kid, condition] =
        'under' in which ? [which.under, 'kid = $2'] : [which.notUnder, 'kid is distinct from $2'];
      const found: SealedText[] = [];
      for (const table of SEALED.slice(
        Math.max(
          0,
          SEALED.findIndex((name) => name === after?.table),
        ),
      )) {
        const afterId = table === after?.table ? after.id : '';
        found.push(...(await texts(table, condition, kid, afterId, limit - found.length)));
        if (found.length === limit) break;
      }
      return found;
    },

    begin: (kid, check) =>
      db.transaction(async (tx) => {
        await tx
          .insert(vaultChecks)
          .values({ kid, sealed: check })
          .onConflictDoUpdate({ target: vaultChecks.kid, set: { retiredAt: null } });
        await tx
          .update(vaultChecks)
          .set({ retiredAt: sql`coalesce(${vaultChecks.retiredAt}, now())` })
          .where(ne(vaultChecks.kid, kid));
      }),

    async replace(changed) {
      let replaced = 0;
      for (const table of SEALED) {
        const rows = changed.filter((text) => text.table === table);
        if (rows.length === 0) continue;
        const { rowCount } = await pool.query(
          `update ${table} as t set sealed = n.by
             from unnest($1::text[], $2::text[], $3::text[]) as n (id, sealed, by)
            where t.id = n.id and t.sealed = n.sealed`,
          [rows.map(({ id }) => id), rows.map(({ sealed }) => sealed), rows.map(({ by }) => by)],
        );
        replaced += rowCount ?? 0;
      }
      return replaced;
    },

    async finish(kid) {
      await db
        .update(vaultChecks)
        .set({ sealed: null })
        .where(sql`${ne(vaultChecks.kid, kid)} and ${isNotNull(vaultChecks.sealed)}`);
    },
  };
}

async function all(tx: Executor): Promise<KekRecord[]> {
  const rows = await tx.select().from(vaultChecks).orderBy(asc(vaultChecks.createdAt), asc(vaultChecks.kid));
  return rows.map(({ kid, sealed, createdAt, retiredAt }) => ({
    kid,
    createdAt: iso(createdAt),
    retiredAt: isoOrNull(retiredAt),
    check: sealed,
  }));
}
