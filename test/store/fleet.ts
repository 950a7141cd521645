import type pg from 'pg';
import { CONDITION_TYPES, ready, type Condition, type Truth } from '../../src/domain/condition.ts';
import type { Drift } from '../../src/domain/drift.ts';
import { listedFindings, listedSpec } from '../../src/domain/listing.ts';
import { noFacts } from '../../src/domain/observation.ts';
import { companyIdentity, tenantSpecSchema, type TenantSpec } from '../../src/domain/tenant.ts';

/** A tenant of a large fleet, as it is written past the product: one apply and one run of each take minutes. */
export interface Seeded {
  id: string;
  spec: TenantSpec;
  conditions: Condition[];
  drift: Drift[];
  ready: Truth;
  unreadySince: Date | null;
  nextRunAt: Date;
  failures: number;
  observedAt: Date;
  /** The age of each of its keys. */
  keyDays: number;
}

const MODES = ['observe', 'alert', 'repair', 'repair', 'repair'] as const;
const TEAMS = ['north', 'south', 'east', 'west', 'a/b'];
const PATHS = [
  'role.levels.Companies/Configurations.edit',
  'role.levels.System/Table Setup.inquire',
  'members.umbrella-a.role',
];
const REASONS = ['LevelsMissing', 'RoleMissing', 'RoleInactive'];
const HOUR = 3_600_000;

/** Mostly healthy: one in twenty is not ready, one in fifty cannot be told. The same each time, at that time. */
export function fleet(count: number, now = new Date()): Seeded[] {
  return Array.from({ length: count }, (_, at) => {
    const id = `tenant-${String(at).padStart(5, '0')}`;
    const spec = specAt(id, at);
    const isBad = at % 20 === 3;
    const isUnseen = at % 50 === 7;
    const wrong: Partial<Record<Condition['type'], [Truth, string]>> = {
      ...(isBad ? { RoleReady: ['False', REASONS[at % 3]!] } : {}),
      ...(isUnseen ? { UmbrellaIntegrated: ['Unknown', 'NeverSeen'] } : {}),
      ...(at % 33 === 0 ? { Paused: ['True', 'PausedBySpec'] } : {}),
    };
    const conditions = conditionsOf(wrong, now);
    const truth = ready(conditions);
    return {
      id,
      spec,
      conditions,
      drift: isBad || at % 40 === 9 ? [driftAt(PATHS[at % 3]!, now), driftAt(PATHS[(at + 1) % 3]!, now)] : [],
      ready: truth,
      // Some at the same moment, as after an outage.
      unreadySince: truth === 'True' ? null : new Date(now.getTime() - (at % 7) * HOUR),
      nextRunAt: new Date(now.getTime() + ((at * 7919) % 900) * 1_000),
      failures: at % 500 === 11 ? 3 : 0,
      observedAt: new Date(now.getTime() - (at % 800) * 1_000),
      keyDays: (at * 13) % 200,
    };
  });
}

const specAt = (id: string, at: number): TenantSpec =>
  tenantSpecSchema.parse({
    id,
    name:
      at % 1000 === 5 ? `100%_ sure ${at}` : `${at % 2 === 0 ? 'Managed' : 'managed'} IT ${(at * 31) % 1000}`,
    mode: MODES[at % MODES.length],
    paused: at % 33 === 0,
    labels: { team: TEAMS[at % TEAMS.length], ...(at % 90 === 0 ? { vip: 'yes' } : {}) },
    connectwise: {
      site: 'https://na.myconnectwise.net',
      companyId: `company-${at}`,
      clientId: '6f1c1b5e-0d58-4f0a-9a57-1f6b3f5f0a11',
    },
    umbrella: { console: 'msp' },
  });

const conditionsOf = (wrong: Partial<Record<Condition['type'], [Truth, string]>>, now: Date): Condition[] =>
  CONDITION_TYPES.map((type) => {
    const usual: Truth = type === 'Braked' || type === 'Paused' ? 'False' : 'True';
    const [status, reason] = wrong[type] ?? [usual, 'AsItShouldBe'];
    return {
      type,
      status,
      reason,
      message: `${type} is ${status}, and this sentence is as long as such sentences are: it says what was seen.`,
      observedGeneration: 1,
      lastTransitionTime: new Date(now.getTime() - HOUR).toISOString(),
    };
  });

const driftAt = (path: string, now: Date): Drift => ({
  path,
  kind: 'missing',
  desired: 'All',
  observed: 'None',
  since: now.toISOString(),
  action: 'handoff:grant-role-levels',
  accepted: null,
});

const BATCH = 1_000;

/** Writes them, each with what a status of an ordinary tenant holds, keys in use, and its listing. */
export async function seedFleet(pool: pg.Pool, tenants: readonly Seeded[]): Promise<void> {
  for (let from = 0; from < tenants.length; from += BATCH) {
    const some = tenants.slice(from, from + BATCH);
    const each = <T>(value: (one: Seeded) => T) => some.map(value);
    const listed = some.map(({ spec, conditions, drift }) => ({
      ...listedSpec(spec, new Date()),
      ...listedFindings(conditions, drift),
    }));
    await pool.query(
      `insert into tenants (id, spec, company_identity, next_run_at, failures)
       select * from unnest($1::text[], $2::jsonb[], $3::text[], $4::timestamptz[], $5::integer[])`,
      [
        each(({ id }) => id),
        each(({ spec }) => JSON.stringify(spec)),
        each(({ spec }) => companyIdentity(spec)),
        each(({ nextRunAt }) => nextRunAt),
        each(({ failures }) => failures),
      ],
    );
    await pool.query(
      `insert into statuses (tenant_id, observed_generation, ready, facts, memory, conditions, drift, plan, observed_at, version)
       select id, 1, ready, $6::jsonb, '{"type": null, "bursts": []}', conditions, drift, '{"steps": []}', at, ''
         from unnest($1::text[], $2::text[], $3::jsonb[], $4::jsonb[], $5::timestamptz[]) as s (id, ready, conditions, drift, at)`,
      [
        each(({ id }) => id),
        each(({ ready }) => ready),
        each(({ conditions }) => JSON.stringify(conditions)),
        each(({ drift }) => JSON.stringify(drift)),
        each(({ observedAt }) => observedAt),
        JSON.stringify(noFacts()),
      ],
    );
    await pool.query(
      `insert into credentials (id, tenant_id, purpose, state, fingerprint, origin, sealed, created_at, state_because)
       select id || purpose, id, purpose, 'active', 'f', 'https://na.myconnectwise.net', repeat(md5(id), 20),
              now() - age * interval '1 day', ''
         from unnest($1::text[], $2::integer[]) as t (id, age), unnest(array['management', 'integration', 'umbrella-api']) as purpose`,
      [each(({ id }) => id), each(({ keyDays }) => keyDays)],
    );
    await pool.query(
      `insert into listings
       select id, name, mode, paused, labels, words, holds, age, ready, since, marks::text[], drift::text[]
         from unnest($1::text[], $2::text[], $3::text[], $4::boolean[], $5::jsonb[], $6::text[], $7::bigint[], $8::bigint[],
                     $9::text[], $10::timestamptz[], $11::text[], $12::text[])
           as l (id, name, mode, paused, labels, words, holds, age, ready, since, marks, drift)`,
      [
        each(({ id }) => id),
        listed.map(({ name }) => name),
        listed.map(({ mode }) => mode),
        listed.map(({ paused }) => paused),
        listed.map(({ labels }) => JSON.stringify(labels)),
        listed.map(({ words }) => words),
        listed.map(({ holdsMs }) => holdsMs),
        listed.map(({ keyMaxAgeMs }) => keyMaxAgeMs),
        each(({ ready }) => ready),
        each(({ unreadySince }) => unreadySince),
        listed.map(({ marks }) => arrayText(marks)),
        listed.map(({ drift }) => arrayText(drift)),
      ],
    );
  }
  await pool.query('vacuum analyze tenants, statuses, credentials, listings');
}

/** None of these has a quote in it. */
const arrayText = (items: readonly string[]): string => `{${items.map((item) => `"${item}"`).join(',')}}`;
