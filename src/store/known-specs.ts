import { getTableColumns } from 'drizzle-orm';
import type { TenantSpec } from '../domain/tenant.ts';
import { frozen } from '../domain/frozen.ts';
import { tenants } from './tenants.ts';

/** Selects what tells one spec of a tenant from another, whoever wrote it: PostgreSQL hashes what it holds, without making text of it. */
export const SPEC_VERSION = `select tenants.generation || ' ' || jsonb_hash_extended(tenants.spec, 0)`;

/** A tenant's row as JSON, without its spec where that is known, by a condition. */
export const tenantRow = (isKnown: string): string =>
  `(select row_to_json(columns) from (select ${Object.values(getTableColumns(tenants))
    .map(({ name }) =>
      name === 'spec' ? `case when ${isKnown} then null else tenants.spec end as spec` : `tenants.${name}`,
    )
    .join(', ')}) as columns)`;

interface KnownSpec {
  version: string;
  spec: TenantSpec;
}

/** Tenants whose specs a process remembers: some 3 KB each. */
const MOST_TENANTS = 4_000;
/** Roles that differ; a fleet has few. */
const MOST_ROLES = 500;

/**
 * The specs that this process read last, so that they need not be sent and parsed again as long as they stay: each
 * statement names the version that is known, and another one in the row counts. What was derived of a spec once is
 * true of the very same object, run after run; roles that say the same are one object for the whole fleet.
 */
export class KnownSpecs {
  readonly #known = new Map<string, KnownSpec>();
  readonly #roles = new Map<string, TenantSpec['connectwise']['role']>();

  get(tenantId: string): KnownSpec | undefined {
    return this.#known.get(tenantId);
  }

  /** Answers the spec as it is remembered; of more tenants than it may hold, those that come later are not. */
  keep(tenantId: string, version: string, spec: TenantSpec): TenantSpec {
    const kept = frozen({ ...spec, connectwise: { ...spec.connectwise, role: this.#role(spec) } });
    if (this.#known.size < MOST_TENANTS || this.#known.has(tenantId)) {
      this.#known.set(tenantId, { version, spec: kept });
    }
    return kept;
  }

  forget(tenantId: string): void {
    this.#known.delete(tenantId);
  }

  #role({ connectwise: { role } }: TenantSpec): TenantSpec['connectwise']['role'] {
    const name = JSON.stringify(role);
    const known = this.#roles.get(name);
    if (known) return known;
    if (this.#roles.size >= MOST_ROLES) this.#roles.clear();
    this.#roles.set(name, role);
    return role;
  }
}
