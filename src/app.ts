import { existsSync, readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { randomBytes } from 'node:crypto';
import type { Logger } from 'pino';
import { v7 as uuidV7 } from 'uuid';
import { buildApi, hashToken, type Readiness } from './api/index.ts';
import type { Config } from './config.ts';
import type { HeldCredential } from './domain/credential.ts';
import { originFor, type Purpose, type TenantInput } from './domain/tenant.ts';
import { BREAKER, createAutomationCalls, createVendors } from './providers/index.ts';
import { deliveryHandlers } from './reconciler/automation.ts';
import { atMost } from './reconciler/at-most.ts';
import { startCalendar } from './reconciler/calendar.ts';
import type {
  AdoptionView,
  Commands,
  Examination,
  KekView,
  RekeyProgress,
  RekeyReport,
} from './reconciler/commands.ts';
import { lookToAdopt } from './reconciler/adopt.ts';
import { kekViews } from './reconciler/command-views.ts';
import { createCommands } from './reconciler/create-commands.ts';
import { examine, type ExamineRequest } from './reconciler/doctor.ts';
import { takeApart } from './reconciler/given-keys.ts';
import { createLive } from './reconciler/live.ts';
import { knowTokens } from './reconciler/known-tokens.ts';
import { createLoop, LOOP_DEFAULTS, type Loop, type LoopOptions } from './reconciler/loop.ts';
import { createMetrics } from './reconciler/metrics.ts';
import type { HeldKey } from './reconciler/observe.ts';
import type { Clock, Ids, Vault } from './reconciler/ports.ts';
import { opened } from './reconciler/reconcile.ts';
import { createKeyLoop, KEY_LOOP_DEFAULTS, type KeyLoopOptions } from './reconciler/umbrella-keys.ts';
import {
  createStore,
  migrate,
  ownerInSession,
  pendingMigrations,
  startEmbedded,
  type Store,
} from './store/index.ts';
import {
  bootstrapToken,
  checkVault,
  createEnvelopes,
  createVault,
  fingerprintOf,
  installNextKek,
  loadKek,
  nextKek,
  parseKek,
  rekey,
  type Kek,
} from './vault/index.ts';

/**
 * The composition root: the one file that knows every adapter.
 *
 *   config ─▶ database (given, or embedded) ─▶ migrations ─▶ vault ─▶ loop, calendar, API
 */

/** A start that cannot go on, for a reason that a person can mend; nothing was changed. */
export class StartRefused extends Error {
  override readonly name = 'StartRefused';
}

export const clock: Clock = { now: () => new Date() };
/** UUID v7 sorts by time, so that pages by id are pages by time. */
export const ids: Ids = { next: () => uuidV7() };

/** The database, migrated, and the vault that opens what it holds. */
export interface Base {
  store: Store;
  vault: Vault;
  /** What a person must be told once. */
  notices: string[];
  /** Stops a loop while the session is lost that shows that its owner lives. */
  guard: (loop: Guarded) => void;
  close: () => Promise<void>;
}

type Guarded = Pick<Loop, 'suspend' | 'resume'>;

/**
 * Opens the configured database (or the embedded one), brings it to this version, and checks the key. The key is
 * not changed meanwhile; `onEnd` is told if it was all the same, after the database had been away. `owner` names whose
 * claims hold as long as the session; null: nothing will be claimed.
 */
export async function openBase(
  config: Config,
  log: Logger,
  onEnd: (why: string) => void = () => undefined,
  owner: string | null = null,
): Promise<Base> {
  const { store, embedded, close: closeDatabase } = await openDatabase(config, log);
  let kek: Kek | null = null;
  const guarded: Guarded[] = [];
  let lost = false;
  let losses = 0;
  const onReturn = async (alone: boolean) => {
    if (alone) return onEnd(BEING_CHANGED);
    const before = losses;
    await checkLineage(store, log);
    // The session may be lost again by now.
    if (losses !== before) return;
    lost = false;
    for (const loop of guarded) loop.resume();
    const checked = kek && (await checkVault(kek, store.keyring));
    if (checked && !checked.ok) onEnd(checked.error.message);
  };
  const release = await store.occupancy
    .share({
      owner,
      onLost: () => {
        log.warn('the session with the database was lost; nothing runs until it is there again');
        lost = true;
        losses += 1;
        for (const loop of guarded) loop.suspend();
      },
      onReturn,
    })
    .catch(async (error: unknown) => {
      await closeDatabase();
      throw error;
    });
  const close = async () => {
    await release?.();
    await closeDatabase();
  };
  try {
    if (!release) throw new StartRefused(BEING_CHANGED);
    await migrate(store.pool);
    const opened = await openVault(config, store, embedded);
    kek = opened.kek;
    if (owner !== null) await checkLineage(store, log);
    const guard: Base['guard'] = (loop) => {
      guarded.push(loop);
      if (lost) loop.suspend();
    };
    return { store, vault: createVault(kek), notices: opened.notices, guard, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Before anything is done that rests on what the database knows: it may be older than what was done (rulings 14). */
async function checkLineage(store: Store, log: Logger): Promise<void> {
  const news = await store.lineage.check(ids.next());
  if (news) log.warn({ event: news.type, ...news.data }, news.message);
}

const BEING_CHANGED =
  'The key-encryption key is being changed at this moment (`parasol vault rekey`): start again once that has ended.';

/** Only the migrations: for `parasol migrate`. Returns what was pending. */
export async function migrateOnly(config: Config, log: Logger): Promise<string[]> {
  const { store, close } = await openDatabase(config, log);
  try {
    const pending = await pendingMigrations(store.pool);
    await migrate(store.pool);
    return pending;
  } finally {
    await close();
  }
}

async function openDatabase(
  config: Config,
  log: Logger,
): Promise<{ store: Store; embedded: boolean; close: () => Promise<void> }> {
  const server = config.databaseUrl === null ? await startEmbedded(join(config.data, 'postgres')) : null;
  const url = config.databaseUrl?.reveal() ?? server?.url ?? '';
  const store = createStore(url, {
    onError: (error) => log.warn({ error: error.message }, 'a database connection was lost'),
  });
  const close = async () => {
    await store.close();
    await server?.stop();
  };
  try {
    await answers(store, log);
  } catch (error) {
    await close();
    throw error;
  }
  return { store, embedded: server !== null, close };
}

const DATABASE_WAIT = { tries: 15, everyMs: 1_000 };

/** A database that starts beside us is waited for; one that does not come ends the start. */
async function answers(store: Store, log: Logger): Promise<void> {
  for (let left = DATABASE_WAIT.tries; ; left -= 1) {
    const health = await store.health();
    if (health.ok) return;
    if (left <= 1)
      throw new StartRefused(`The database cannot be used: ${health.detail}. Check DATABASE_URL.`);
    log.warn({ detail: health.detail }, 'waiting for the database');
    await sleep(DATABASE_WAIT.everyMs);
  }
}

async function openVault(
  config: Config,
  store: Store,
  embedded: boolean,
): Promise<{ kek: Kek; notices: string[] }> {
  const unused = (await store.keyring.keys()).length === 0;
  const loaded = await loadKek({
    kek: config.kek,
    file: join(config.data, 'kek'),
    // Made by ourselves only where nothing can have been sealed yet, and nobody else shares the database.
    mayCreate: embedded && unused,
  });
  if (!loaded.ok) throw new StartRefused(loaded.error.message);
  const { kek, notice } = loaded.value;
  const checked = await checkVault(kek, store.keyring);
  if (!checked.ok) throw new StartRefused(checked.error.message);
  return { kek, notices: notice === null ? [] : [notice] };
}

/** What `parasol vault` shows. */
export async function vaultView(config: Config, log: Logger): Promise<KekView[]> {
  const { store, close } = await openExisting(config, log);
  try {
    return kekViews(await store.keyring.keys(), await store.keyring.counts());
  } finally {
    await close();
  }
}

/** For `parasol vault rekey`: seals everything under another key, and puts that in the place of the old one. */
export async function rekeyVault(
  config: Config,
  log: Logger,
  progress: (at: RekeyProgress) => void,
): Promise<RekeyReport> {
  const file = join(config.data, 'kek');
  const loaded = await loadKek({ kek: config.kek, file, mayCreate: false });
  if (!loaded.ok) throw new StartRefused(loaded.error.message);
  const from = loaded.value.kek;
  if (config.kek && !config.newKek) {
    throw new StartRefused(
      'There is no new key: give one as PARASOL_NEW_KEK, or as a file with --new-kek-file ' +
        '(`openssl rand -base64 32`). Nothing was changed.',
    );
  }
  const { store, close } = await openExisting(config, log);
  try {
    const occupied = await store.occupancy.alone();
    if (!occupied.ok) {
      throw new StartRefused(
        `The database is in use (${occupied.by.join('; ')}): stop every service first. Nothing was changed.`,
      );
    }
    try {
      const next = config.newKek ? parseKek(config.newKek.reveal()) : await nextKek(file);
      if (!next.ok) throw new StartRefused(next.error.message);
      const to = next.value;
      const done = await rekey(store.keyring, { from, to }, progress);
      if (!done.ok) throw new StartRefused(done.error.message);
      const oldFile = config.newKek ? null : await installNextKek(file, from);
      return {
        from: from.id,
        to: to.id,
        ...done.value,
        file: oldFile === null ? null : { kek: file, old: oldFile },
      };
    } finally {
      await occupied.release();
    }
  } finally {
    await close();
  }
}

/** A database that is there and at this version: whoever only looks after it makes none. */
async function openExisting(config: Config, log: Logger): Promise<Pick<Base, 'store' | 'close'>> {
  const folder = join(config.data, 'postgres');
  if (config.databaseUrl === null && !existsSync(folder)) {
    throw new StartRefused(
      `There is no database: DATABASE_URL is not set and ${folder} does not exist. Give one of them (PARASOL_DATA).`,
    );
  }
  const { store, close } = await openDatabase(config, log);
  const pending = await pendingMigrations(store.pool).catch(async (error: unknown) => {
    await close();
    throw error;
  });
  if (pending.length === 0) return { store, close };
  await close();
  throw new StartRefused(
    `The database is not at this version (${pending.join(', ')}): run \`parasol migrate\` first.`,
  );
}

export interface Service {
  url: string;
  /** Where the token lies that a person uses; null: the configuration gave it. */
  tokenFile: string | null;
  notices: string[];
  /** Takes no more work, lets what runs end within the drain's deadline, and lets everything go. */
  stop(): Promise<void>;
}

export interface ServiceOptions {
  loop?: Partial<Pick<LoopOptions, 'leaseMs' | 'heartbeatMs' | 'pollMs' | 'callsMs' | 'takeOverMs'>>;
  keys?: Partial<Pick<KeyLoopOptions, 'leaseMs' | 'pollMs' | 'callsMs'>>;
  /** The service must end, since what it seals could not be opened any more. */
  onEnd?: (why: string) => void;
}

/** The whole service: API, loop and calendar over one database. */
export async function startService(
  config: Config,
  log: Logger,
  options: ServiceOptions = {},
): Promise<Service> {
  const owner = ownerInSession(`${hostname()}:${process.pid}:${randomBytes(4).toString('hex')}`);
  const base = await openBase(config, log, options.onEnd, owner);
  try {
    return await serve(config, log, base, options, owner);
  } catch (error) {
    await base.close();
    throw error;
  }
}

async function serve(
  config: Config,
  log: Logger,
  base: Base,
  options: ServiceOptions,
  owner: string,
): Promise<Service> {
  const { store, vault } = base;
  const onRecovered = (origin: string) => {
    store.claims
      .recall(origin)
      .then((tenants) => log.info({ origin, tenants }, 'a vendor answers again'))
      .catch((error: Error) =>
        log.warn({ origin, error: error.message }, 'its tenants come as they are due'),
      );
  };
  const vendors = createVendors({
    clock,
    ledger: store.budgets(config.shares),
    breaker: { ...BREAKER, onRecovered },
  });
  const metrics = createMetrics(store.housekeeping, clock);
  const { claims, reconciles, housekeeping } = store;
  const loop = createLoop(
    {
      claims,
      reconciles,
      vault,
      vendors,
      clock,
      ids,
      random: Math.random,
      log: log.child({ part: 'loop' }),
      onRun: metrics.onRun,
      onDeferred: metrics.onDeferred,
    },
    {
      ...LOOP_DEFAULTS,
      ...options.loop,
      owner,
      concurrency: config.concurrency,
      repairsPerHour: config.repairsPerHour,
      rotationsInFlight: config.rotationsInFlight,
      brake: config.brake,
    },
  );
  base.guard(loop);
  metrics.watch(loop);
  const keyLoop = createKeyLoop(
    {
      keys: store.umbrellaKeys,
      vault,
      vendors,
      clock,
      ids,
      log: log.child({ part: 'keys' }),
      onTrigger: (listener) => claims.onTrigger(listener),
    },
    { ...KEY_LOOP_DEFAULTS, ...options.keys, owner, repairsPerHour: config.repairsPerHour },
  );

  base.guard(keyLoop);

  const token = await bootstrapToken({ token: config.adminToken, data: config.data });
  // A token that the configuration no longer gives is no longer one; a file's belongs to this machine and folder.
  const name = token.file === null ? 'admin' : `admin of ${hostname()}:${resolve(token.file)}`;
  await store.tokens.put({ id: ids.next(), name, hash: token.hash, role: 'admin' });

  // Nobody reads a key unless the configuration names a token for it.
  if (config.revealToken) {
    const hash = hashToken(config.revealToken.reveal());
    if (hash === token.hash) {
      throw new StartRefused('PARASOL_REVEAL_TOKEN is the administrator’s token: give it one of its own.');
    }
    await store.tokens.put({ id: ids.next(), name: 'reveal', hash, role: 'revealer' });
  } else {
    await store.tokens.remove('reveal');
  }

  let draining = false;
  const envelopes = createEnvelopes();
  const live = createLive({
    eventLog: store.eventLog,
    desk: store.desk,
    clock,
    log: log.child({ part: 'live' }),
  });
  const answering = { desk: store.desk, deliveries: store.deliveries, envelopes, vault, clock, ids };
  const commands: Commands = createCommands({ ...answering, live });
  const tokenOf = knowTokens(store.tokens, clock, log.child({ part: 'tokens' }));
  const api = buildApi({
    commands,
    requests: store.requests,
    authenticate: async (hash) => {
      const found = await tokenOf(hash);
      if (!found) return null;
      const { id: tokenId, name, role, scope, mayReveal } = found;
      return { tokenId, name, role, scope, mayReveal };
    },
    readiness: readiness(store, loop, () => draining),
    metrics: metrics.registry,
    log,
    version: version(),
    trustedProxies: config.trustedProxies,
  });
  const calendar = startCalendar(
    { housekeeping, log: log.child({ part: 'calendar' }) },
    { retentionMs: config.retentionMs, keepDeadMs: config.keepDeadMs },
  );
  const url = await api.listen({ host: config.host, port: config.port });
  const calls = createAutomationCalls();
  await store.queue.work(
    deliveryHandlers({
      ...answering,
      calls,
      publicUrl: config.publicUrl ?? url,
      log: log.child({ part: 'automation' }),
    }),
  );
  await loop.start();
  await keyLoop.start();
  return {
    url,
    tokenFile: token.file,
    notices: base.notices,
    async stop() {
      draining = true;
      // Whoever follows goes to another replica now, not when this one is gone.
      live.end();
      await calendar.stop();
      // The API answers while runs end, so that probes and people see what happens.
      await Promise.all([loop.drain(config.drainMs), keyLoop.drain(config.drainMs)]);
      await store.queue.stop();
      await calls.close();
      // A request that waits for a database which does not answer is answered when its connections go.
      await atMost(ANSWERS_WITHIN_MS, api.close());
      await vendors.close();
      await base.close();
    },
  };
}

const PROBE_WITHIN_MS = 3_000;
const ANSWERS_WITHIN_MS = 2_000;

function readiness(store: Store, loop: { alive(): boolean }, draining: () => boolean): Readiness {
  let migrated = false;
  const databaseAnswers = async (): Promise<boolean> => {
    const { ok } = await store.health();
    if (ok && !migrated) {
      migrated = await pendingMigrations(store.pool).then(
        (pending) => pending.length === 0,
        () => false,
      );
    }
    return ok;
  };
  const loopPart = () => {
    if (draining()) return { ok: false, detail: 'is being drained' };
    return loop.alive()
      ? { ok: true, detail: 'asks for work' }
      : { ok: false, detail: 'has not asked for work' };
  };
  return async () => {
    // A network that swallows everything gives no error, and a probe must be answered all the same.
    const answers = await Promise.race([databaseAnswers(), sleep(PROBE_WITHIN_MS, false, { ref: false })]);
    return [
      { part: 'database', ok: answers, detail: answers ? 'answers' : 'does not answer, or takes no writes' },
      { part: 'migrations', ok: migrated, detail: migrated ? 'at this version' : 'not at this version' },
      { part: 'loop', ...loopPart() },
    ];
  };
}

/**
 * Examines one tenant with real keys, and writes nothing: as a file has it (`input`), or as the database holds
 * it. Null: there is no such tenant.
 */
export async function examineTenant(
  config: Config,
  log: Logger,
  { tenant, input }: { tenant: string; input: TenantInput | null },
): Promise<Examination | null> {
  if (input) {
    const vendors = createVendors({ clock });
    try {
      return await examine({ vendors, clock }, requestOf(input));
    } finally {
      await vendors.close();
    }
  }
  const base = await openBase(config, log);
  try {
    // It calls as part of the service, whose budgets it shares.
    const vendors = createVendors({ clock, ledger: base.store.budgets(config.shares) });
    try {
      const found = await opened({ reconciles: base.store.reconciles, vault: base.vault, clock }, tenant);
      if (!found) return null;
      const { snapshot, keys } = found;
      const { status } = snapshot;
      return await examine(
        { vendors, clock },
        {
          spec: snapshot.tenant.spec,
          keys,
          credentials: snapshot.credentials,
          ...(status ? { known: { facts: status.facts, memory: status.memory } } : {}),
        },
      );
    } finally {
      await vendors.close();
    }
  } finally {
    await base.close();
  }
}

/** What a tenant of a file would be taken over from; reads, and writes nothing. */
export async function adoptTenant(input: TenantInput): Promise<AdoptionView> {
  const vendors = createVendors({ clock });
  try {
    return await lookToAdopt({ vendors, clock }, requestOf(input));
  } finally {
    await vendors.close();
  }
}

/** A tenant of a file: its pairs are called with as they are, and kept nowhere. */
function requestOf(input: TenantInput): ExamineRequest {
  const { spec, pairs } = takeApart(input);
  const at = clock.now().toISOString();
  const credentials = pairs.map(({ purpose, pair, member }): HeldCredential => ({
    id: purpose,
    purpose,
    state: 'active',
    fingerprint: fingerprintOf(pair),
    member,
    origin: originFor(spec, purpose),
    createdAt: at,
    lastProvedAt: null,
    handoffId: null,
  }));
  const key = (purpose: Purpose): HeldKey | null => {
    const given = pairs.find((one) => one.purpose === purpose);
    if (!given) return null;
    return { credentialId: purpose, fingerprint: fingerprintOf(given.pair), pair: given.pair };
  };
  return {
    spec,
    credentials,
    keys: {
      management: key('management'),
      integration: key('integration'),
      umbrellaApi: key('umbrella-api'),
      umbrellaKeyAdmin: key('umbrella-key-admin'),
      candidates: [],
      successors: [],
    },
  };
}

/** The version of the package, for the API's description and the command line. */
export function version(): string {
  const file = resolve(import.meta.dirname, '../package.json');
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
}
