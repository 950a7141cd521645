import type pg from 'pg';
import { inScope, type Scope } from '../domain/access.ts';
import type { TenantRecord } from '../reconciler/ports.ts';
import { rowOf, type Json } from './rows.ts';
import { runs, toRun } from './runs.ts';
import { statuses, toStatus } from './statuses.ts';
import { tenantParts, toParts, type PartsRow } from './tenant-parts.ts';
import { tenants, toTenant } from './tenants.ts';
import { together } from './together.ts';

/**
 * All that people ask of one tenant, of one moment, in one round trip; whoever asks while others are answered goes with
 * the next one. Planned once for any ids, as `SNAPSHOT` is.
 */
const TENANT_RECORD = `
  select tenants.id, row_to_json(tenants) as tenant, row_to_json(statuses) as status, ${tenantParts(false)},
    (select row_to_json(r) from (
      select * from runs where runs.tenant_id = tenants.id order by id desc limit 1) as r) as last_run
  from unnest((select $1::text[])) as asked (id)
  join tenants on tenants.id = asked.id
  left join statuses on statuses.tenant_id = tenants.id`;

interface Row extends PartsRow {
  id: string;
  tenant: Json;
  status: Json | null;
  last_run: Json | null;
}

/** Tenants of one statement. */
const MOST_TOGETHER = 32;

export type RecordOf = (id: string, scope: Scope | null) => Promise<TenantRecord | null>;

/** Reads a tenant for somebody; null: it is not there, or not for them. */
export function createTenantRecords(pool: pg.Pool): RecordOf {
  const read = together<string, TenantRecord | null>(async (ids) => {
    const { rows } = await pool.query<Row>({
      name: 'parasol_tenant_record',
      text: TENANT_RECORD,
      values: [[...new Set(ids)]],
    });
    const records = new Map(rows.map((row) => [row.id, toRecord(row)]));
    return ids.map((id) => records.get(id) ?? null);
  }, MOST_TOGETHER);
  return async (id, scope) => {
    const record = await read(id);
    return record && inScope(scope, { id, labels: record.tenant.spec.labels }) ? record : null;
  };
}

function toRecord(row: Row): TenantRecord {
  return {
    tenant: toTenant({ ...rowOf(tenants, row.tenant), pause: row.pause, brake: row.brake }),
    status: row.status && toStatus(rowOf(statuses, row.status)),
    lastRun: row.last_run && toRun(rowOf(runs, row.last_run)),
    ...toParts(row).parts,
  };
}
