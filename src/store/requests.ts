import { and, asc, eq, gte, isNull, sql } from 'drizzle-orm';
import type { Requests, TakenUp } from '../reconciler/ports.ts';
import { audit } from './audit.ts';
import { attempt, requests } from './attempts.ts';
import { iso } from './columns.ts';
import type { Database } from './database.ts';

/** How long an attempt is waited for; what comes of a slower one is still not done twice. */
const ATTEMPT = sql`now() + interval '30 seconds'`;

export const createRequests = (db: Database): Requests => ({
  begin: (request) =>
    db.transaction(async (tx): Promise<TakenUp> => {
      const { tokenId, key, hash, requestId } = request;
      const [fresh] = await tx
        .insert(requests)
        .values({ tokenId, key, hash, requestId, until: ATTEMPT })
        .onConflictDoNothing()
        .returning({ key: requests.key });
      if (fresh) return { state: 'begun' };
      const [row] = await tx
        .select({ request: requests, waits: sql<boolean>`${requests.until} > now()` })
        .from(requests)
        .where(attempt(request))
        .for('update');
      // Pruned at this very moment: the client asks again.
      if (!row) return { state: 'under-way' };
      if (row.request.hash !== hash) return { state: 'other-body' };
      if (row.request.answer) return { state: 'answered', answer: row.request.answer };
      if (row.waits) return { state: 'under-way' };
      await tx.update(requests).set({ requestId, until: ATTEMPT }).where(attempt(request));
      const [done] = await tx
        .select()
        .from(audit)
        .where(
          and(
            eq(audit.tokenId, tokenId),
            eq(audit.idempotencyKey, key),
            gte(audit.at, row.request.createdAt),
          ),
        )
        .orderBy(asc(audit.id))
        .limit(1);
      if (!done) return { state: 'begun' };
      const { action, tenantId, subject, after } = done;
      return { state: 'unanswered', done: { at: iso(done.at), action, tenantId, subject, after } };
    }),

  async answered(request, answer) {
    await db
      .update(requests)
      .set({ answer })
      .where(and(attempt(request), eq(requests.requestId, request.requestId), isNull(requests.answer)));
  },

  async broken(request) {
    await db
      .update(requests)
      .set({ until: sql`now()` })
      .where(and(attempt(request), eq(requests.requestId, request.requestId)));
  },
});
