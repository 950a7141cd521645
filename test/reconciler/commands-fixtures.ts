import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { pino } from 'pino';
import { CONDITION_TYPES, type Condition } from '../../src/domain/condition.ts';
import type { CredentialState } from '../../src/domain/credential.ts';
import type { HandoffContent, HandoffKind } from '../../src/domain/handoff.ts';
import { Secret, type KeyPair } from '../../src/domain/secret.ts';
import { tenantInputSchema, type Purpose, type TenantInput } from '../../src/domain/tenant.ts';
import type { Answer, Commands, DeleteRequest, KeyView } from '../../src/reconciler/commands.ts';
import { createCommands } from '../../src/reconciler/create-commands.ts';
import { createLive } from '../../src/reconciler/live.ts';
import type { Result } from '../../src/reconciler/ports.ts';
import { createStore, type Store } from '../../src/store/index.ts';
import { createEnvelopes, createVault, parseKek } from '../../src/vault/index.ts';
import { claimOf, newId, resultOf, statusOf } from '../store/fixtures.ts';
import { createTestDatabase } from '../support/postgres.ts';

export const NOW = new Date('2026-11-24T08:00:00.000Z');
export const SITE = 'https://na.myconnectwise.net';
export const EU_SITE = 'https://eu.myconnectwise.net';

/** A deletion as most people ask for it. */
export const leaving = (change: Partial<DeleteRequest> = {}): DeleteRequest => ({
  ifGeneration: null,
  by: 'Jo',
  reason: null,
  force: false,
  unseen: false,
  ...change,
});

/** The commands over a database and a vault of their own, at a time that stands still. */
export async function openDesk() {
  const database = await createTestDatabase();
  const store = createStore(database.url);
  const kek = parseKek(randomBytes(32).toString('hex'));
  if (!kek.ok) throw kek.error;
  const vault = createVault(kek.value);
  const clock = { now: () => NOW };
  const commands = createCommands({
    desk: store.desk,
    deliveries: store.deliveries,
    envelopes: createEnvelopes(),
    vault,
    clock,
    ids: { next: newId },
    live: createLive({ eventLog: store.eventLog, desk: store.desk, clock, log: pino({ level: 'silent' }) }),
  });
  const fingerprint = (name: string) => vault.fingerprint(pair(name));
  return {
    commands,
    store,
    fingerprint,

    /** `active slot-a`, `dead old`: each key of a tenant by its state and the name of its pair. */
    async keys(id: string, purpose: Purpose, names: string[]): Promise<string[]> {
      const { credentials } = value(await commands.tenant(id));
      return credentials
        .filter((key) => key.purpose === purpose)
        .map((key) => `${key.state} ${named(key, names)}`);
    },

    /** The name of the pair that a run would open for this purpose, bound as the spec wants it; null: none. */
    async opens(id: string, purpose: Purpose, origin: string): Promise<string | null> {
      const snapshot = await store.reconciles.snapshot(id);
      const held = snapshot?.credentials.find((one) => one.purpose === purpose && one.state === 'active');
      if (!held || held.origin !== origin) return null;
      const bound = { tenantId: id, credentialId: held.id, purpose, origin };
      return (await vault.open(snapshot!.sealed[held.id]!, bound)).publicHalf.replace(/-public$/, '');
    },

    /** A run of the tenant ends, and leaves this behind. */
    run: (id: string, result: Partial<Result> = {}) => recordRun(store, id, result),

    /** A run finds that this pair is no longer, or not, what it was. */
    async becomes(id: string, name: string, state: CredentialState): Promise<void> {
      const snapshot = await store.reconciles.snapshot(id);
      const held = snapshot!.credentials.findLast((one) => one.fingerprint === fingerprint(name));
      await recordRun(store, id, { credentials: [{ id: held!.id, state, because: 'a run saw it' }] });
    },

    /** A run opens a hand-off; its id. */
    async handoff(id: string, kind: HandoffKind, subject: string, content: Partial<HandoffContent> = {}) {
      const handoffId = newId();
      await recordRun(store, id, {
        handoffs: [
          {
            change: 'open',
            id: handoffId,
            kind,
            subject,
            content: {
              title: `Do ${kind}`,
              why: 'No API does.',
              steps: [],
              closedBy: 'evidence',
              ...content,
            },
            deadline: '2026-11-27T08:00:00.000Z',
          },
        ],
      });
      return handoffId;
    },

    eventTypes: async (id: string): Promise<string[]> =>
      value(await commands.events(id, { before: null, limit: 200 })).items.map(({ type }) => type),

    /** Everything that lies in the database, as one text. */
    async dump(): Promise<string> {
      const client = new pg.Client({ connectionString: database.url });
      await client.connect();
      try {
        const { rows: tables } = await client.query<{ name: string }>(
          "select table_name as name from information_schema.tables where table_schema = 'public'",
        );
        const texts = [];
        for (const { name } of tables) {
          const { rows } = await client.query<{ text: string }>(`select t::text as text from "${name}" t`);
          texts.push(...rows.map(({ text }) => text));
        }
        return texts.join('\n');
      } finally {
        await client.end();
      }
    },

    async close(): Promise<void> {
      await store.close();
      await database.drop();
    },
  };

  function named(key: KeyView, names: string[]): string {
    return names.find((name) => fingerprint(name) === key.fingerprint) ?? key.fingerprint;
  }
}

async function recordRun(store: Store, id: string, result: Partial<Result>): Promise<void> {
  await store.desk.trigger(id, 'test');
  const claim = await claimOf(store, id);
  if (!(await store.reconciles.record(claim, resultOf({ status: null, ...result })))) {
    throw new Error(`the run of ${id} was not recorded`);
  }
}

export const pair = (name: string): KeyPair => ({
  publicHalf: `${name}-public`,
  privateHalf: new Secret(`${name}-private`),
});

type Part = Record<string, unknown>;

/** A tenant as a person gives it, without keys; the parts named replace its own. */
export function input(id: string, parts: { connectwise?: Part; umbrella?: Part } & Part = {}): TenantInput {
  const { connectwise, umbrella, ...rest } = parts;
  return tenantInputSchema.parse({
    id,
    name: `${id} MSP`,
    ...rest,
    connectwise: {
      site: SITE,
      companyId: id,
      clientId: '7d2b5a0e-8d3c-4f0e-9a51-1f2e3d4c5b6a',
      ...connectwise,
    },
    umbrella: { console: 'msp', ...umbrella },
  });
}

/** The pairs of an input, as its file would have them. */
export const connectwiseKey = (name: string) => ({
  publicKey: `${name}-public`,
  privateKey: `${name}-private`,
});
export const umbrellaKey = (name: string) => ({ key: `${name}-public`, secret: `${name}-private` });

/** The value of an answer that must be good. */
export function value<T>(answer: Answer<T>): T {
  if (!answer.ok) throw new Error(`refused: ${JSON.stringify(answer.refusal)}`);
  return answer.value;
}

/** What an answer that must be a refusal says, in one text; problems as `path: message`. */
export function refusal(answer: Answer<unknown>): string {
  if (answer.ok) throw new Error(`not refused: ${JSON.stringify(answer.value)}`);
  const { refusal } = answer;
  switch (refusal.kind) {
    case 'not-found':
      return `not found: ${refusal.what}`;
    case 'stale':
      return `stale: ${refusal.generation}`;
    case 'gone':
      return `gone: ${refusal.message}`;
    case 'conflict':
      return `conflict: ${refusal.message}`;
    case 'invalid':
      return refusal.problems.map(({ path, message }) => `${path}: ${message}`).join('\n');
  }
}

export const applied = async (commands: Commands, ...inputs: TenantInput[]) =>
  value(await commands.apply(inputs, { dryRun: false })).changes;

/** Every condition True, except for those named. */
export const conditions = (
  change: Partial<Record<Condition['type'], Partial<Condition>>> = {},
  observedGeneration = 1,
): Condition[] =>
  CONDITION_TYPES.map((type) => ({
    type,
    status: type === 'Braked' || type === 'Paused' ? 'False' : 'True',
    reason: 'Fine',
    message: `${type} is fine.`,
    observedGeneration,
    lastTransitionTime: '2026-11-24T07:00:00.000Z',
    ...change[type],
  }));

/** A status as a run a minute ago recorded it. */
export const status = (change: Parameters<typeof statusOf>[0] = {}) =>
  statusOf({ conditions: conditions(), observedAt: '2026-11-24T07:59:00.000Z', ...change });
