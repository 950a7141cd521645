import { tenantSpecSchema, type TenantSpec } from '../../src/domain/tenant.ts';
import { noFacts } from '../../src/domain/observation.ts';
import type {
  Claim,
  DeletionRequest,
  NewCredential,
  NewIntent,
  Result,
  RunRecord,
  StoredStatus,
  TenantWrite,
} from '../../src/reconciler/ports.ts';
import type { Store } from '../../src/store/index.ts';

let count = 0;
/** Ids that sort in the order in which they were made, as the product's do. */
export const newId = (): string => `0190-${String(++count).padStart(6, '0')}`;

export const specOf = (id: string, change: { name?: string; companyId?: string } = {}): TenantSpec =>
  tenantSpecSchema.parse({
    id,
    name: change.name ?? id,
    mode: 'repair',
    connectwise: {
      site: 'https://na.myconnectwise.net',
      companyId: change.companyId ?? id,
      clientId: '6f1c1b5e-0d58-4f0a-9a57-1f6b3f5f0a11',
    },
    umbrella: { console: 'msp' },
  });

export const writeOf = (id: string, change: Partial<TenantWrite> = {}): TenantWrite => ({
  id,
  expected: null,
  spec: specOf(id),
  credentials: [],
  events: [{ type: 'Applied', message: 'created' }],
  cause: 'apply',
  ...change,
});

export const credentialOf = (change: Partial<NewCredential> = {}): NewCredential => ({
  id: newId(),
  purpose: 'integration',
  state: 'candidate',
  fingerprint: 'sha256:aaaa',
  member: 'umbrella-a',
  origin: 'https://na.myconnectwise.net',
  sealed: 'eyJ.sealed',
  handoffId: null,
  ...change,
});

/** Stores tenants that are due at once. */
export async function given(store: Store, ...ids: string[]): Promise<void> {
  const applied = await store.desk.apply(ids.map((id) => writeOf(id)));
  if (!applied.ok) throw new Error(`not applied: ${applied.refusal.because}`);
}

/** What a run would do to a tenant that nobody changed since, below the cap, taking nothing away. */
export const BOUNDS = {
  generation: 1,
  decisions: 0,
  deleting: false,
  rotation: null,
  perHour: 10,
  takesAway: false,
};

export const intent = (key = 'role:Umbrella'): NewIntent => ({
  id: newId(),
  key,
  action: 'create',
  request: {},
});

/** Claims one tenant, and leaves every other as it was. */
export async function claimOf(store: Store, tenantId: string, owner = 'owner'): Promise<Claim> {
  const taken = await store.claims.take(owner, 100, 30_000);
  await Promise.all(
    taken
      .filter(({ claim }) => claim.tenantId !== tenantId)
      .map(({ claim }) => store.claims.release(claim, 0)),
  );
  const mine = taken.find(({ claim }) => claim.tenantId === tenantId);
  if (!mine) throw new Error(`${tenantId} was not due`);
  return mine.claim;
}

export const runOf = (change: Partial<RunRecord> = {}): RunRecord => ({
  id: newId(),
  trigger: 'schedule',
  startedAt: '2026-01-01T00:00:00.000Z',
  finishedAt: '2026-01-01T00:00:01.000Z',
  outcome: 'succeeded',
  reads: 5,
  writes: 0,
  summary: 'nothing to do',
  actions: [],
  ...change,
});

export const statusOf = (change: Partial<StoredStatus> = {}): StoredStatus => ({
  observedGeneration: 1,
  facts: noFacts(),
  memory: { type: null, bursts: [] },
  conditions: [
    {
      type: 'RoleReady',
      status: 'False',
      reason: 'RoleMissing',
      message: 'There is no role Umbrella.',
      observedGeneration: 1,
      lastTransitionTime: '2026-01-01T00:00:00.000Z',
    },
  ],
  drift: [],
  plan: { steps: [] },
  observedAt: '2026-01-01T00:00:00.000Z',
  ...change,
});

export const resultOf = (change: Partial<Result> = {}): Result => ({
  run: runOf(),
  calls: { 'GET system/members': 2 },
  status: statusOf(),
  events: [],
  handoffs: [],
  credentials: [],
  intents: [],
  owned: [],
  rotation: null,
  provedAt: {},
  next: { inMs: 3_600_000, failures: 0 },
  pauseOver: null,
  acceptances: [],
  forget: null,
  ...change,
});

/** A deletion that nothing hinders, and the event that ends it. */
export const LEAVING: DeletionRequest = {
  generation: null,
  deletion: { by: 'Jo', reason: null, unseen: false },
  rotations: { integration: null, umbrella: null },
};
export const GONE = { type: 'TenantDeleted', message: 'Gone.' };

/** Makes a tenant due by the database's clock, claimed or not: its time, or its lease, has run out. */
export async function runOut(store: Store, tenantId: string): Promise<void> {
  await store.pool.query("update tenants set next_run_at = now() - interval '1 second' where id = $1", [
    tenantId,
  ]);
}

/** Rows of every table, to see that nothing was written, or nothing but what should be. */
export async function rowCounts(store: Store): Promise<Record<string, number>> {
  const { rows } = await store.pool.query<{ name: string; count: number }>(
    ['statuses', 'credentials', 'handoffs', 'intents', 'events', 'runs', 'owned_objects', 'tenants']
      .map((table) => `select '${table}' as name, count(*)::int as count from ${table}`)
      .join(' union all '),
  );
  return Object.fromEntries(rows.map(({ name, count }) => [name, count]));
}

/** An opening of a hand-off that is an automation's; with an error: it cannot be asked. */
export const openingFor = (webhook = 'https://rpa.example/work', error: string | null = null) => ({
  change: 'open' as const,
  id: newId(),
  kind: 'delete-key' as const,
  subject: newId(),
  content: { title: 'Delete it', why: '', steps: [], closedBy: '' },
  deadline: '2099-02-01T00:00:00.000Z',
  automation: { webhook, error },
});

/** The hand-offs whose delivery is queued in that state. */
export async function queuedIn(store: Store, state = 'created'): Promise<string[]> {
  const { rows } = await store.pool.query<{ id: string }>(
    `select data ->> 'handoff' as id from pgboss.job where name = 'automation-deliveries' and state = $1`,
    [state],
  );
  return rows.map(({ id }) => id);
}

/** `acme`, with such a hand-off; its id. */
export async function opened(store: Store, handoff = openingFor()): Promise<string> {
  await given(store, 'acme');
  await store.reconciles.record(await claimOf(store, 'acme'), resultOf({ handoffs: [handoff] }));
  return handoff.id;
}
