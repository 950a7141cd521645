import { eq, sql } from 'drizzle-orm';
import type { Caller } from '../domain/access.ts';
import type { Pause } from '../domain/pause.ts';
import { isOn } from '../domain/pause.ts';
import { addAudit } from './audit.ts';
import { NOW_ISO } from './columns.ts';
import type { Executor } from './database.ts';
import { PAUSE, tenants } from './tenants.ts';

/** A person's pause of a tenant, which applying its spec does not undo. The tenant's row is locked. */

export async function pauseTenant(
  tx: Executor,
  caller: Caller,
  tenantId: string,
  { by, reason, until }: Pick<Pause, 'by' | 'reason' | 'until'>,
): Promise<void> {
  const before = await pauseOf(tx, tenantId);
  await tx
    .update(tenants)
    .set({
      pause: sql`jsonb_build_object('by', ${by}::text, 'reason', ${reason}::text, 'since', ${NOW_ISO}, 'until', ${until}::text)`,
      decisions: sql`${tenants.decisions} + 1`,
    })
    .where(eq(tenants.id, tenantId));
  const after = { by, reason, until };
  await addAudit(tx, caller, { action: 'tenant.pause', tenantId, reason, before: told(before), after });
}

/** False: none holds it. */
export async function resumeTenant(
  tx: Executor,
  caller: Caller,
  tenantId: string,
  { by, reason }: Pick<Pause, 'by' | 'reason'>,
): Promise<boolean> {
  const before = await pauseOf(tx, tenantId);
  if (!isOn(before)) return false;
  await tx
    .update(tenants)
    .set({ pause: null, decisions: sql`${tenants.decisions} + 1` })
    .where(eq(tenants.id, tenantId));
  await addAudit(tx, caller, {
    action: 'tenant.resume',
    tenantId,
    reason,
    before: told(before),
    after: { by },
  });
  return true;
}

async function pauseOf(tx: Executor, tenantId: string): Promise<Pause | null> {
  const [row] = await tx.select({ pause: PAUSE }).from(tenants).where(eq(tenants.id, tenantId));
  return row?.pause ?? null;
}

function told(pause: Pause | null): Record<string, unknown> | null {
  if (!isOn(pause)) return null;
  const { leftMs: _, ...kept } = pause;
  return kept;
}

/** One whose time is up; another that took its place meanwhile stays. */
export async function forgetPause(tx: Executor, tenantId: string, { since }: Pause): Promise<void> {
  await tx
    .update(tenants)
    .set({ pause: null })
    .where(sql`${tenants.id} = ${tenantId} and ${tenants.pause} ->> 'since' = ${since}`);
}
