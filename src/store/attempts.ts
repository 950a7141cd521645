import { and, eq } from 'drizzle-orm';
import { index, pgTable, primaryKey } from 'drizzle-orm/pg-core';
import type { Caller } from '../domain/access.ts';
import type { KeptAnswer } from '../reconciler/ports.ts';
import { instant, jsonb, text } from './columns.ts';
import type { Executor } from './database.ts';

/** Requests that came with a key of their own, so that each is done once however often it is sent. */
export const requests = pgTable(
  'requests',
  {
    tokenId: text('token_id').notNull(),
    key: text('key').notNull(),
    hash: text('hash').notNull(),
    requestId: text('request_id').notNull(),
    createdAt: instant('created_at').notNull().defaultNow(),
    until: instant('until').notNull(),
    answer: jsonb<KeptAnswer>('answer'),
  },
  (table) => [
    primaryKey({ columns: [table.tokenId, table.key] }),
    index('requests_by_age').on(table.createdAt),
  ],
);

export const attempt = ({ tokenId, key }: { tokenId: string; key: string }) =>
  and(eq(requests.tokenId, tokenId), eq(requests.key, key));

/**
 * Lets a change be committed only by the attempt that may make it: another that took over since sees this one's
 * entry in the audit, or this one ends here. The row stays locked until the change is committed.
 */
export async function holdAttempt(
  tx: Executor,
  { tokenId, idempotencyKey: key, requestId }: Caller,
): Promise<void> {
  if (tokenId === null || key === null) return;
  const [row] = await tx
    .select({ requestId: requests.requestId })
    .from(requests)
    .where(attempt({ tokenId, key }))
    .for('update');
  if (row?.requestId !== requestId) throw new Error('this request was taken over by its repetition');
}
