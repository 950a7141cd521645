import type { Pause } from '../../src/domain/pause.ts';
import type { HeldCredential } from '../../src/domain/credential.ts';
import { isLive, type Handoff, type HandoffKind } from '../../src/domain/handoff.ts';
import type { OwnedObject } from '../../src/domain/ground.ts';
import type { ConfigurationFact, MemberFact } from '../../src/domain/observation.ts';
import { failed, ok, type Failure, type Outcome } from '../../src/domain/outcome.ts';
import { isOver, type Rotation } from '../../src/domain/rotation.ts';
import { Secret, type KeyPair } from '../../src/domain/secret.ts';
import { PROCEDURE_ALLOW_LIST, sameIdentifier, type TenantSpec } from '../../src/domain/tenant.ts';
import { reconcile, type ReconcileDeps } from '../../src/reconciler/reconcile.ts';
import { reveal, rollback, rotate } from '../../src/reconciler/rotations.ts';
import { submitHandoff } from '../../src/reconciler/submissions.ts';
import type {
  ConnectWise,
  ConnectWiseReads,
  ConnectWiseWrites,
  Desk,
  NewCredential,
  OpenIntent,
  Reconciles,
  Result,
  StoredStatus,
  Vault,
  Vendors,
} from '../../src/reconciler/ports.ts';
import { ADMIN_ROLE, exactRows, memberWith, NOW, PARASOL, ROLE, TYPE } from './fixtures.ts';
import { UNTOUCHED } from '../support/handoff.ts';

/**
 * A world of one tenant in memory: both vendors as far as a rotation meets them, what the store promises, and people.
 * What runs in it is the real reconcile and the real commands. Each promise is checked where it could be broken.
 */

/** What goes wrong in one reconcile. */
export interface Weather {
  /** `stale`: as before the last change, if that was just now; `partial`: without the known control. */
  members: 'well' | 'fails' | 'stale' | 'partial';
  writes: 'well' | 'fails';
  /** Proofs of pairs. */
  keys: 'well' | 'fails';
  /** What becomes of writes to members: `lost`: done, and the answer is lost. */
  answers: 'well' | 'lost' | 'lost and not done' | 'refused';
  crash: 'never' | 'before a write' | 'before the record';
  /** What a person does while it runs, after it read what is stored. */
  meanwhile: (() => Promise<unknown>) | null;
}
export const FAIR: Weather = {
  members: 'well',
  writes: 'well',
  keys: 'well',
  answers: 'well',
  crash: 'never',
  meanwhile: null,
};

/** How a tenant begins. */
export interface Beginning {
  spec: TenantSpec;
  /** `inactive`: the idle member is there, without a key. */
  idle: 'absent' | 'inactive';
  /** Whether Parasol was given the key that Umbrella holds. */
  given: boolean;
  /** Umbrella has nothing to write. */
  unmapped?: boolean;
  /** Umbrella did not write before the first look, so that nothing tells of a key that was not given. */
  quiet?: boolean;
}

interface Key {
  name: string;
  member: string;
  deleted: boolean;
}

type Member = MemberFact & { inactive: boolean };

const OFFLINE: Failure = { kind: 'Unavailable', why: 'timeout', detail: 'no answer' };
const LOST: Failure = { kind: 'OutcomeUnknown', detail: 'no answer' };
const REFUSED: Failure = { kind: 'Unauthorized', detail: 'Unauthorized' };

/** ConnectWise's lists may be so much older than its answers. */
const LISTS_LAG_MS = 30_000;

export class World {
  spec: TenantSpec;
  readonly members: Member[] = [{ ...PARASOL }];
  readonly keys: Key[] = [];
  readonly configurations: ConfigurationFact[] = [];
  /** The key that Umbrella holds. */
  holds: string;
  /** True once somebody asked for an outage. */
  cut = false;

  status: StoredStatus | null = null;
  rotation: Rotation | null = null;
  readonly ended: Rotation[] = [];
  credentials: (HeldCredential & { key: string })[] = [];
  handoffs: Handoff[] = [];
  intents: OpenIntent[] = [];
  owned: OwnedObject[] = [];
  /** Writes that left for ConnectWise. */
  readonly journal: string[] = [];

  #now = NOW.getTime();
  #ids = 0;
  #weather = FAIR;
  #before: { members: Member[]; at: number } = { members: [], at: 0 };
  #nextInMs = 0;
  #generation = 1;
  #pause: Pause | null = null;
  #decisions = 0;

  readonly #unmapped: boolean;
  /** Keys that nothing tells of. */
  readonly #hidden: string[] = [];

  constructor({ spec, idle, given, unmapped = false, quiet = false }: Beginning) {
    this.spec = spec;
    this.#unmapped = unmapped;
    const [first, second] = spec.connectwise.members.identifiers;
    this.members.push(memberWith({ id: 201, identifier: first!, inactive: false }));
    if (second !== undefined && idle === 'inactive') {
      this.members.push(memberWith({ id: 202, identifier: second, inactive: true }));
    }
    this.holds = this.makeKey(first!);
    if (quiet && !given) this.#hidden.push(this.holds);
    for (const id of [1, 2]) {
      this.configurations.push({
        id,
        name: `Umbrella: customer ${id}`,
        company: null,
        typeId: TYPE.id,
        updatedBy: null,
        lastUpdated: null,
      });
    }
    this.#keep('management', 'management', null, null, 'active');
    if (given) this.#keep('integration', this.holds, first!, null, 'active');
    if (!quiet) this.sync(2);
  }

  // ── time, and looking ───────────────────────────────────────────────────────────────────────────────────

  get now(): Date {
    return new Date(this.#now);
  }
  advance(ms: number): void {
    this.#now += ms;
  }

  /** Reconciles once; then again for as long as more is to be done at once. */
  async look(weather: Weather = FAIR): Promise<void> {
    this.#weather = weather;
    for (let looks = 0; looks < 12; looks += 1) {
      const end = await reconcile(this.#deps, CLAIMED, LIMITS, new AbortController().signal);
      this.#weather = { ...this.#weather, meanwhile: null };
      this.promise();
      if (end.end !== 'recorded' || this.#nextInMs > 0) return;
    }
    throw new Error('it never comes to rest');
  }

  /** What holds at every moment. */
  promise(): void {
    this.#claim(this.cut || this.works(this.holds), 'what Umbrella holds works');
    const active = this.credentials.filter(
      ({ purpose, state }) => purpose === 'integration' && state === 'active',
    );
    this.#claim(active.length <= 1, 'at most one pair is in use');
    for (const { state, key, member } of this.credentials) {
      // A pair that was given as another member's, and is refused, says nothing of whose it is.
      const found = this.keys.find((one) => one.name === key && one.member === member);
      this.#claim(state !== 'dead' || found?.deleted !== false, 'a pair that is called dead is deleted');
    }
  }

  #claim(holds: boolean, what: string): void {
    if (!holds) throw new Error(`broken: ${what}\n${this.tell()}`);
  }

  /** All that is known of where the rotation stands, for who reads a failing case. */
  tell(): string {
    const { holds, keys, members, rotation, ended, handoffs, credentials } = this;
    const live = handoffs
      .filter(isLive)
      .map(({ kind, subject, state, attested }) => ({ kind, subject, state, attested }));
    const states = credentials.map(
      ({ fingerprint, state, member }) => `${fingerprint} of ${member} ${state}`,
    );
    const on = members.map(({ identifier, inactive }) => `${identifier} ${inactive ? 'off' : 'on'}`);
    return JSON.stringify({ holds, keys, on, states, live, rotation, ended: ended.at(-1) ?? null }, null, 1);
  }

  // ── the vendors ─────────────────────────────────────────────────────────────────────────────────────────

  works(key: string): boolean {
    const found = this.keys.find(({ name }) => name === key);
    if (!found || found.deleted) return false;
    return this.#member(found.member)?.inactive === false;
  }
  #member(identifier: string): Member | undefined {
    return this.members.find((member) => sameIdentifier(member.identifier, identifier));
  }
  makeKey(member: string): string {
    const name = `${member}#${this.keys.length + 1}`;
    this.keys.push({ name, member, deleted: false });
    return name;
  }

  /** Umbrella's daily work: it writes the first of its configurations, or all, with the key that it holds. */
  sync(rows: number): void {
    if (this.#unmapped || !this.works(this.holds)) return;
    const by = this.keys.find(({ name }) => name === this.holds)!.member;
    for (const row of this.configurations.slice(0, rows)) {
      Object.assign(row, { updatedBy: by, lastUpdated: new Date(this.#now).toISOString() });
    }
  }
  /** A technician edits a configuration, which hides who wrote it before. */
  edit(row: number): void {
    Object.assign(this.configurations[row]!, {
      updatedBy: 'jdoe',
      lastUpdated: new Date(this.#now).toISOString(),
    });
  }

  #readsWith({ publicHalf }: KeyPair): ConnectWiseReads {
    const calls = <T>(answer: () => T, state: 'well' | 'fails' = 'well'): Promise<Outcome<T>> =>
      Promise.resolve(state === 'fails' ? failed(OFFLINE) : ok(answer()));
    const { members: list, writes, keys } = this.#weather;
    const management = publicHalf === 'management';
    return {
      mySecurity: async () => {
        if (management) {
          const act = this.#weather.meanwhile;
          this.#weather = { ...this.#weather, meanwhile: null };
          await act?.();
          return ok({ member: 'parasol', levels: [] });
        }
        if (keys === 'fails') return failed(OFFLINE);
        const key = this.keys.find(({ name }) => name === publicHalf);
        return key && this.works(publicHalf)
          ? ok({ member: key.member, levels: exactRows() })
          : failed(REFUSED);
      },
      tableSetup: async () =>
        management || this.works(publicHalf) ? calls(() => [...PROCEDURE_ALLOW_LIST]) : failed(REFUSED),
      unreadable: () => calls(() => []),
      roles: () => calls(() => [ADMIN_ROLE, ROLE]),
      roleLevels: () => calls(exactRows),
      configurationTypes: () => calls(() => [TYPE]),
      configurations: () =>
        calls(() => ({ rows: this.configurations.map((row) => ({ ...row })), complete: true }), writes),
      membersByIdentifier: (identifiers) =>
        calls(
          () => {
            const stale = list === 'stale' && this.#now - this.#before.at < LISTS_LAG_MS;
            const shown = stale ? this.#before.members : this.members;
            return shown
              .filter(({ identifier }) => identifiers.some((one) => sameIdentifier(one, identifier)))
              .filter(({ id }) => list !== 'partial' || id !== PARASOL.id)
              .slice(0, list === 'partial' ? 1 : undefined)
              .map((member) => ({ ...member }));
          },
          list === 'fails' ? 'fails' : 'well',
        ),
    };
  }

  #writes(): ConnectWiseWrites {
    const written = <T>(what: string, effect: () => T): Promise<Outcome<T>> => {
      this.#claim(
        this.spec.mode === 'repair' && !this.spec.paused && this.#pause === null,
        'nothing is written where nothing may be',
      );
      const { answers } = this.#weather;
      if (answers === 'refused') return Promise.resolve(failed(OFFLINE));
      if (answers === 'lost and not done') return Promise.resolve(failed(LOST));
      this.#before = { members: this.members.map((member) => ({ ...member })), at: this.#now };
      this.journal.push(what);
      const made = effect();
      this.promise();
      return Promise.resolve(answers === 'lost' ? failed(LOST) : ok(made));
    };
    return {
      createRole: () => Promise.reject(new Error('the role is there')),
      createMember: ({ identifier }) => {
        this.#claim(this.#member(identifier) === undefined, 'no member is made twice');
        return written(`create ${identifier}`, () => {
          const member = memberWith({ id: 300 + this.members.length, identifier, inactive: false });
          this.members.push(member);
          return { ...member };
        });
      },
      changeMember: (id, { active }) => {
        const member = this.members.find((one) => one.id === id)!;
        if (active === true && member.inactive) this.#mayBegin(member);
        if (active === false && !member.inactive) this.#mayEnd(member);
        return written(`${member.identifier} ${active ? 'on' : 'off'}`, () => {
          if (active !== undefined) member.inactive = !active;
          return { ...member };
        });
      },
    };
  }

  /** A member is switched on only where all that it holds is dead, or is what a rollback puts back (rulings 19). */
  #mayBegin({ identifier }: Member): void {
    const held = this.credentials.map(({ key }) => key);
    const back = this.rotation?.reversed === true && this.rotation.target === identifier;
    const alive = this.keys.filter(
      ({ name, member, deleted }) => member === identifier && !deleted && !this.#hidden.includes(name),
    );
    const known = alive.every(({ name }) => held.includes(name));
    this.#claim(alive.length === 0 || (back && known), `no key comes back to life with ${identifier}`);
  }

  /** A member is switched off only after what Umbrella uses instead was shown, and was used for long enough. */
  #mayEnd({ identifier }: Member): void {
    const { rotation } = this;
    this.#claim(rotation !== null, 'only a rotation switches a member off');
    if (!rotation || this.cut) return;
    const { old, adopted, fresh, target, undoing, cause } = rotation;
    if (undoing && target === identifier) return;
    this.#claim(old?.member === identifier && adopted !== null, 'what goes was replaced');
    const key = this.credentials.find(({ id }) => id === fresh?.credentialId)?.key;
    this.#claim(key === this.holds, 'Umbrella holds the new key');
    if (!old || !adopted || cause === 'compromise' || old.deadSince) return;
    const writes = this.configurations.flatMap(({ updatedBy, lastUpdated }) =>
      updatedBy === identifier && lastUpdated ? [Date.parse(lastUpdated)] : [],
    );
    const quiet = this.#now - Math.max(Date.parse(adopted.at), ...writes);
    this.#claim(quiet >= 48 * 3_600_000, 'the old key was quiet for as long as the spec says');
  }

  // ── people ──────────────────────────────────────────────────────────────────────────────────────────────

  async rotate(how: { compromised?: boolean; cutNow?: boolean } = {}): Promise<void> {
    const { compromised = false, cutNow = false } = how;
    if (cutNow) this.cut = true;
    await rotate(this.#deps, this.spec.id, {
      credential: 'integration',
      by: 'ann',
      reason: 'asked',
      compromised,
      cutNow,
    });
  }
  async rollback(): Promise<void> {
    await rollback(this.#deps, this.spec.id, { by: 'ann', reason: 'asked' });
  }

  /** The live hand-offs of that kind, the newest last. */
  asked(kind: HandoffKind): Handoff[] {
    return this.handoffs.filter((handoff) => handoff.kind === kind && isLive(handoff));
  }
  claim(kind: HandoffKind): void {
    const change = { state: 'claimed', claimedBy: 'ann', claimedAt: this.now.toISOString() } as const;
    for (const { id, state } of this.asked(kind)) if (state === 'open') this.#change(id, change);
  }
  /** Gives back what was claimed, and not done. */
  release(kind: HandoffKind): void {
    for (const { id, state, subject } of this.asked(kind)) {
      if (state !== 'claimed' || subject === `fp-${this.holds}`) continue;
      this.#change(id, { state: 'open', claimedBy: null, claimedAt: null });
    }
  }
  async reveal(): Promise<void> {
    for (const { id } of this.asked('install-integration-key')) {
      await reveal(this.#deps, id, { by: 'ann', reason: 'the window is closed' });
    }
  }
  /** Makes a key where it is asked for, and gives it; `kept`: does not give it. */
  async giveKey(how: 'right' | 'of another member' | 'deleted' | 'kept' = 'right'): Promise<void> {
    const [first] = this.spec.connectwise.members.identifiers;
    for (const handoff of this.asked('issue-integration-key')) {
      if (this.#member(handoff.subject) === undefined) continue;
      const key = this.makeKey(how === 'of another member' ? first! : handoff.subject);
      if (how === 'deleted') this.deleteKey(key);
      if (how === 'kept') this.#hidden.push(key);
      else await this.tick(handoff, key);
    }
  }
  /** Puts the key into Umbrella, where it is asked for; who does it has claimed it, or said so. */
  install(): void {
    const handoff = this.asked('install-integration-key').findLast(({ claimedAt }) => claimedAt !== null);
    const held = this.credentials.find(({ fingerprint }) => fingerprint === handoff?.subject);
    if (held) this.holds = held.key;
    this.promise();
  }
  /** Says that it is done; vouches for it where nothing else can show it, and only where it is true. */
  async tickInstall(): Promise<void> {
    for (const handoff of this.asked('install-integration-key')) {
      const vouches = handoff.content.closedBy.includes('--attest');
      const done = `fp-${this.holds}` === handoff.subject;
      await this.tick(handoff, null, vouches && done);
    }
  }
  /** Deletes what is asked for. */
  async deleteAsked(): Promise<void> {
    for (const handoff of this.asked('delete-key')) {
      const named = this.credentials.find(({ fingerprint }) => fingerprint === handoff.subject);
      for (const { name, member } of this.keys) {
        const meant = named ? name === named.key : member === handoff.subject && !this.#isHeld(name);
        if (meant) this.deleteKey(name);
      }
      await this.tick(handoff, null);
    }
  }
  #isHeld(name: string): boolean {
    return this.credentials.some(({ key }) => key === name);
  }
  deleteKey(name: string): void {
    this.keys.find((key) => key.name === name)!.deleted = true;
    this.promise();
  }
  async tick({ id }: Handoff, key: string | null, attest = false): Promise<void> {
    await submitHandoff(this.#deps, id, { by: 'ann', pair: key === null ? null : pairOf(key), attest });
  }
  change(change: Partial<Pick<TenantSpec, 'mode' | 'paused'>>): void {
    this.spec = { ...this.spec, ...change };
    this.#generation += 1;
  }
  /** A person pauses the tenant, or resumes it. */
  pause(on: boolean): void {
    this.#pause = on
      ? { by: 'ann', reason: 'a freeze', since: this.now.toISOString(), until: null, leftMs: null }
      : null;
    this.#decisions += 1;
  }

  /** Everybody does what is asked, Umbrella works, and nothing fails, for so many days. */
  async fairDay(): Promise<void> {
    await this.giveKey();
    await this.look();
    this.claim('install-integration-key');
    await this.look();
    this.install();
    await this.tickInstall();
    await this.deleteAsked();
    const looks = this.spec.rotation.window ? 8 : 1;
    for (let left = looks; left > 0; left -= 1) {
      this.advance((24 * 3_600_000) / looks);
      this.sync(2);
      await this.look();
    }
  }

  // ── what the store promises ─────────────────────────────────────────────────────────────────────────────

  get #deps(): ReconcileDeps & { desk: Desk } {
    return {
      clock: { now: () => new Date((this.#now += 1)) },
      ids: { next: () => `id-${String((this.#ids += 1)).padStart(6, '0')}` },
      random: () => 0.5,
      vault: VAULT,
      claims: { confirm: () => Promise.resolve(true) } as unknown as ReconcileDeps['claims'],
      vendors: this.#vendors(),
      reconciles: this.#reconciles(),
      desk: this.#desk() as Desk,
    };
  }

  #vendors(): Vendors {
    const connectwise: ConnectWise = {
      companyInfo: () => Promise.resolve(ok({ companyName: 'Acme MSP', codebase: 'v2025_1/' })),
      reads: (key) => this.#readsWith(key),
      writes: () => this.#writes(),
      samples: () => Promise.resolve([]),
    };
    return {
      connectwise: () => connectwise,
      umbrella: () => ({}) as ReturnType<Vendors['umbrella']>,
      callsOf: () => ({ reads: 0, writes: this.journal.length }),
      reserve: () => Promise.resolve({ given: true, calls: [] }),
      giveBack: () => undefined,
      kindsOf: () => ({}),
      close: () => Promise.resolve(),
    };
  }

  #tenant() {
    const at = NOW.toISOString();
    return {
      id: this.spec.id,
      spec: this.spec,
      generation: this.#generation,
      decisions: this.#decisions,
      pause: this.#pause,
      createdAt: at,
      updatedAt: at,
      deleting: false,
      deletion: null,
      triggerSeq: 1,
      handledSeq: 1,
      failures: 0,
      brake: null,
      nextReconcileAt: null,
      waiting: null,
    };
  }

  #reconciles(): Reconciles {
    return {
      snapshot: () =>
        Promise.resolve({
          tenant: this.#tenant(),
          status: this.status,
          credentials: this.credentials,
          sealed: Object.fromEntries(this.credentials.map(({ id, key }) => [id, key])),
          handoffs: this.handoffs.filter(isLive),
          intents: [...this.intents],
          owned: [...this.owned],
          rotation: this.rotation,
          umbrellaRotation: null,
          sighted: [],
          acceptances: [],
        }),
      defer: () => Promise.resolve(false),
      sight: () => Promise.resolve({ brake: null, news: [] }),
      openIntent: (_, intent, { generation, decisions, rotation }) => {
        if (this.#weather.crash === 'before a write') {
          return Promise.resolve({ granted: false, because: 'claim-lost' });
        }
        const wished = rotation && (this.rotation?.wish?.at ?? null) !== rotation.wishedAt;
        const decided = generation !== this.#generation || decisions !== this.#decisions;
        if (decided || wished) {
          return Promise.resolve({ granted: false, because: 'spec-changed' });
        }
        if (this.intents.some(({ key }) => key === intent.key)) {
          return Promise.resolve({ granted: false, because: 'already-open' });
        }
        this.intents.push({ ...intent, openedAt: this.now.toISOString(), outcome: 'open' });
        return Promise.resolve({ granted: true });
      },
      admitRotation: () => {
        if (this.rotation) this.rotation = { ...this.rotation, admittedAt: this.now.toISOString() };
        return Promise.resolve(this.rotation?.admittedAt ?? null);
      },
      record: (_, result) => {
        if (this.#weather.crash === 'before the record') return Promise.resolve(false);
        this.#record(result);
        return Promise.resolve(true);
      },
    };
  }

  #record({ status, credentials, handoffs, intents, owned, rotation, next }: Result): void {
    if (status) this.status = status;
    for (const { id, state } of inOrder(credentials, ({ state: to }) => to === 'active')) {
      this.credentials = this.credentials.map((held): typeof held => {
        if (held.id === id) return { ...held, state };
        const stepsDown = state === 'active' && held.purpose === 'integration' && held.state === 'active';
        return stepsDown ? { ...held, state: 'superseded' } : held;
      });
    }
    const at = this.now.toISOString();
    for (const change of inOrder(handoffs, ({ change: what }) => what === 'open')) {
      if (change.change === 'open') {
        if (
          this.handoffs.some(
            (one) => isLive(one) && one.kind === change.kind && one.subject === change.subject,
          )
        )
          continue;
        const { change: _, ...opened } = change;
        this.handoffs.push({ ...opened, ...UNTOUCHED, tenantId: this.spec.id, openedAt: at });
        continue;
      }
      const known = this.handoffs.find(({ id }) => id === change.id);
      if (!known || !isLive(known)) continue;
      switch (change.change) {
        case 'refresh':
          this.#change(change.id, { content: change.content });
          break;
        case 'overdue':
          this.#change(change.id, { overdueSince: at });
          break;
        case 'reopen':
          this.#change(change.id, {
            state: known.claimedBy === null ? 'open' : 'claimed',
            submittedBy: null,
            submittedAt: null,
            attested: false,
          });
          break;
        case 'close':
        case 'withdraw':
          this.#change(change.id, {
            state: change.change === 'close' ? 'closed' : 'withdrawn',
            closedAt: at,
          });
      }
    }
    for (const { id, outcome } of intents) {
      this.intents = this.intents.flatMap((intent) => {
        if (intent.id !== id) return [intent];
        return outcome === 'unknown' ? [{ ...intent, outcome }] : [];
      });
    }
    this.owned.push(...owned);
    if (rotation) this.#keepRotation(rotation);
    this.#nextInMs = next.inMs;
  }

  #keepRotation({ now, heeded }: NonNullable<Result['rotation']>): void {
    const { wish = null } = this.rotation ?? {};
    const kept = { ...now, wish: wish?.at === heeded?.at ? null : wish };
    if (!isOver(kept)) {
      this.rotation = kept;
      return;
    }
    this.ended.push(kept);
    this.rotation = null;
    const key = this.credentials.find(({ id }) => id === kept.old?.credentialId)?.key;
    const proved = kept.phase === 'Completed' || (kept.phase === 'RolledBack' && kept.reversed);
    const deleted = this.keys.find(({ name }) => name === key)?.deleted;
    this.#claim(!proved || kept.old === null || deleted === true, 'only what was seen dead is called so');
  }

  #change(id: string, change: Partial<Handoff>): void {
    this.handoffs = this.handoffs.map((one) => (one.id === id ? { ...one, ...change } : one));
  }

  #keep(
    purpose: HeldCredential['purpose'],
    key: string,
    member: string | null,
    handoffId: string | null,
    state: 'active' | 'candidate',
    id = `cred-${this.credentials.length}`,
  ): void {
    const { site: origin } = this.spec.connectwise;
    const createdAt = this.now.toISOString();
    const fingerprint = `fp-${key}`;
    this.credentials.push({
      id,
      purpose,
      state,
      fingerprint,
      member,
      origin,
      createdAt,
      handoffId,
      key,
      lastProvedAt: null,
    });
  }

  #desk(): Partial<Desk> {
    const trigger = 1;
    const handoff = (id: string) => this.handoffs.find((one) => one.id === id);
    return {
      tenant: () =>
        Promise.resolve({
          tenant: this.#tenant(),
          status: this.status,
          credentials: this.credentials,
          handoffs: this.handoffs.filter(isLive),
          lastRun: null,
          rotation: this.rotation,
          umbrellaRotation: null,
        }),
      handoff: (id) => Promise.resolve(handoff(id) ?? null),
      requestRotation: (rotation) => {
        if (this.rotation) return Promise.resolve({ ok: false, because: 'live', rotation: this.rotation });
        this.rotation = rotation;
        return Promise.resolve({ ok: true, trigger });
      },
      wishOfRotation: (_, wish) => {
        if (!this.rotation) return Promise.resolve({ ok: false, because: 'none' });
        this.rotation = { ...this.rotation, wish };
        return Promise.resolve({ ok: true, rotation: this.rotation.id, trigger });
      },
      reveal: (id, { by }) => {
        const found = handoff(id);
        if (!found || found.claimedBy !== by) return Promise.resolve({ ok: false, because: 'not-claimed' });
        if (found.revealedAt !== null) {
          return Promise.resolve({ ok: false, because: 'shown', to: by, at: found.revealedAt });
        }
        const credential = this.credentials.find(({ fingerprint }) => fingerprint === found.subject)!;
        this.#change(id, { revealedAt: this.now.toISOString(), revealedTo: by });
        return Promise.resolve({ ok: true, handoff: handoff(id)!, credential, sealed: credential.key });
      },
      submitHandoff: (id, { by, attested, candidate }) => {
        const found = handoff(id)!;
        if (candidate) this.#seal(candidate);
        const at = this.now.toISOString();
        this.#change(id, {
          state: 'submitted',
          submittedBy: by,
          submittedAt: at,
          attested,
          ...(found.claimedBy === null ? { claimedBy: by, claimedAt: at } : {}),
        });
        return Promise.resolve({ ok: true, handoff: handoff(id)!, trigger });
      },
    };
  }
  #seal({ id, purpose, sealed, member, handoffId, state }: NewCredential): void {
    this.#keep(purpose, sealed, member, handoffId, state, id);
  }
}

const pairOf = (key: string): KeyPair => ({ publicHalf: key, privateHalf: new Secret(`private ${key}`) });

/** As they came, those that are to be last at the end. */
const inOrder = <T>(all: T[], last: (one: T) => boolean): T[] =>
  all.toSorted((a, b) => Number(last(a)) - Number(last(b)));

const VAULT: Vault = {
  seal: ({ publicHalf }) => Promise.resolve(publicHalf),
  open: (sealed) => Promise.resolve(pairOf(sealed)),
  fingerprint: ({ publicHalf }) => `fp-${publicHalf}`,
};

const CLAIMED = {
  claim: { tenantId: 'acme', token: 1, owner: 'replica', until: NOW.toISOString() },
  trigger: 'schedule',
  runSeq: 1,
};
const LIMITS = {
  repairsPerHour: 1_000_000,
  writeMs: 1_000,
  rotationsInFlight: 1,
  callsMs: 60_000,
  brake: { windowMs: 3_600_000, share: 0.2, least: 5 },
};
