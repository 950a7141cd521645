import { sql } from 'drizzle-orm';
import { bigint, pgTable, primaryKey } from 'drizzle-orm/pg-core';
import type { OwnedObject } from '../domain/ground.ts';
import { instant, iso, text } from './columns.ts';
import type { Executor } from './database.ts';
import { tenants } from './tenants.ts';

/** What Parasol may write outside, and how it came to be Parasol's (rulings 8). */
export const ownedObjects = pgTable(
  'owned_objects',
  {
    tenantId: text('tenant_id')
      .notNull()
      .references(() => tenants.id, { onDelete: 'cascade' }),
    kind: text('kind').$type<OwnedObject['kind']>().notNull(),
    name: text('name').notNull(),
    externalId: bigint('external_id', { mode: 'number' }).notNull(),
    how: text('how').$type<OwnedObject['how']>().notNull(),
    since: instant('since').notNull(),
  },
  (table) => [primaryKey({ columns: [table.tenantId, table.kind, table.name] })],
);

export const toOwned = ({
  kind,
  name,
  externalId,
  how,
  since,
}: typeof ownedObjects.$inferSelect): OwnedObject => ({
  kind,
  name,
  externalId,
  how,
  since: iso(since),
});

/** Adds what became Parasol's; what already was keeps its beginning, unless it is another object by now. */
export async function addOwned(tx: Executor, tenantId: string, owned: OwnedObject[]): Promise<void> {
  for (const object of owned) {
    await tx
      .insert(ownedObjects)
      .values({ ...object, tenantId, since: new Date(object.since) })
      .onConflictDoUpdate({
        target: [ownedObjects.tenantId, ownedObjects.kind, ownedObjects.name],
        set: {
          externalId: sql`excluded.external_id`,
          how: sql`excluded.how`,
          since: sql`excluded.since`,
        },
        setWhere: sql`${ownedObjects.externalId} <> excluded.external_id`,
      });
  }
}
