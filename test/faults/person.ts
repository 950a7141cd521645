import { Secret } from '../../src/domain/secret.ts';
import type { RotationCause, RotationPhase } from '../../src/domain/rotation.ts';
import type { KeyPair, World } from '../../src/simulator/index.ts';
import { fingerprintOf } from '../../src/vault/index.ts';
import { until, type Database } from '../e2e/harness.ts';

/** The people of an MSP, who do what is asked of them, and again where no answer came. */

/** What a person sees of a tenant. */
export interface View {
  tenant: string;
  /** Null: nothing was observed yet. */
  ready: string | null;
  /** Every trigger was answered, and no effect is open. */
  rests: boolean;
  /** Oldest first. */
  rotations: {
    id: string;
    phase: RotationPhase;
    cause: RotationCause;
    ended: boolean;
    reversed: boolean;
    undoing: boolean;
  }[];
  /** Those that are still to be done. */
  handoffs: { id: string; kind: string; subject: string; state: string; revealed: boolean }[];
}

/** All tenants at one moment. */
export async function views(db: Database): Promise<Map<string, View>> {
  const rows = await db.query<View & { rotations: View['rotations'] | null }>(`
    select t.id as tenant, s.ready,
      t.handled_seq >= t.trigger_seq and not exists (
        select from intents i where i.tenant_id = t.id and i.outcome in ('open', 'unknown')) as rests,
      (select coalesce(json_agg(json_build_object('id', r.id, 'phase', r.phase, 'cause', r.cause,
           'ended', r.ended_at is not null, 'reversed', r.record -> 'reversed', 'undoing', r.record -> 'undoing')
         order by r.requested_at), '[]') from rotations r where r.tenant_id = t.id) as rotations,
      (select coalesce(json_agg(json_build_object('id', h.id, 'kind', h.kind, 'subject', h.subject,
           'state', h.state, 'revealed', h.revealed_at is not null) order by h.opened_at, h.id), '[]')
         from handoffs h where h.tenant_id = t.id and h.state in ('open', 'claimed', 'submitted')) as handoffs
    from tenants t left join statuses s on s.tenant_id = t.id`);
  return new Map(rows.map((row) => [row.tenant, row]));
}

/** How the people of one tenant act. */
export interface Habits {
  /** How many rotations they ask for, one after the other. */
  asks: number;
  request?: { compromised?: boolean; cutNow?: boolean };
  /** They let Parasol show them the pair; else they take it from the window in which they made it. */
  reveals?: boolean;
  /** Nothing shows that Umbrella uses the key, so that they give their word. */
  attests?: boolean;
  /** They delete the key that was replaced, when they are asked to. */
  deletes: boolean;
  /** They take the rotation back: before the key was shown, or instead of deleting the one before it. */
  rollsBack?: 'before the reveal' | 'after the adoption';
}

/** An answer of the service's; null: none came. */
export type Ask = (
  path: string,
  body: unknown,
  as?: 'reveal',
) => Promise<{ status: number; text: string } | null>;

const BY = { by: 'ann', reason: 'a drill' };

export class Person {
  /** Every pair of the integration's, in the order in which it was made. */
  readonly pairs: (KeyPair & { member: string; fingerprint: string })[] = [];
  /** What the service answered and should not have. */
  readonly surprises: string[] = [];
  /** From now on Umbrella must be let in at every moment. */
  relies: boolean;
  readonly #world: World;
  readonly #company: string;
  readonly #habits: Habits;
  readonly #ask: Ask;
  readonly #made = new Map<string, KeyPair>();
  readonly #installed = new Set<string>();
  /** Rotations that were taken back, and the service said so. */
  readonly #takenBack = new Set<string>();
  #busy = false;
  #syncedAt = 0;

  constructor(
    world: World,
    company: string,
    habits: Habits,
    ask: Ask,
    { pair, relies }: { pair: KeyPair; relies: boolean },
  ) {
    this.#world = world;
    this.#company = company;
    this.#habits = habits;
    this.#ask = ask;
    this.relies = relies;
    this.#remember(pair, 'umbrella-a');
  }

  #remember(pair: KeyPair, member: string): void {
    const halves = { publicHalf: pair.publicKey, privateHalf: new Secret(pair.privateKey) };
    this.pairs.push({ ...pair, member, fingerprint: fingerprintOf(halves) });
  }

  /** All that was asked for was done, and nothing is under way. */
  isDone({ ready, rests, rotations, handoffs }: View): boolean {
    const enough = rotations.length >= Math.max(1, this.#habits.asks);
    return (
      ready === 'True' && rests && enough && rotations.every(({ ended }) => ended) && handoffs.length === 0
    );
  }

  /** Does what is to be done by what is seen; one thing after the other. */
  async act(view: View): Promise<void> {
    if (this.#busy) return;
    this.#busy = true;
    try {
      this.#umbrellaSyncs();
      await this.#asksForRotation(view);
      for (const handoff of view.handoffs) await this.#does(handoff, view);
    } finally {
      this.#busy = false;
    }
  }

  /** Umbrella's daily work, with something to write; its times are whole seconds. */
  #umbrellaSyncs(): void {
    const now = Date.now();
    if (now - this.#syncedAt < 1_000) return;
    this.#syncedAt = now;
    this.#world.changeFigures(this.#company);
    this.#world.runSync(this.#company);
  }

  async #asksForRotation(view: View): Promise<void> {
    const { rotations, handoffs, ready } = view;
    const live = rotations.find(({ ended }) => !ended);
    const { asks, request, rollsBack } = this.#habits;
    if (!live && rotations.length < asks && ready === 'True' && handoffs.length === 0) {
      await this.#post(`/tenants/${this.#company}/rotations`, { ...BY, ...request }, [202, 409]);
    }
    if (!live || live.reversed || live.undoing || !rollsBack || this.#takenBack.has(live.id)) return;
    // Phases in which the rotation waits for a person, so that it is taken back there and nowhere else.
    const moment: RotationPhase = rollsBack === 'before the reveal' ? 'AwaitingInstall' : 'RetiringOld';
    if (live.phase !== moment) return;
    const answer = await this.#post(`/tenants/${this.#company}/rollback`, BY, [202, 409]);
    if (answer) this.#takenBack.add(live.id);
  }

  async #does(handoff: View['handoffs'][number], view: View): Promise<void> {
    switch (handoff.kind) {
      case 'grant-role-levels':
        this.#world.setProcedureLevels(this.#company, 'Umbrella');
        return;
      case 'allow-table-setup':
        this.#world.setAllowList(this.#company, 'Umbrella');
        return;
      case 'issue-integration-key':
        return this.#makesKey(handoff);
      case 'install-integration-key':
        return this.#installsKey(handoff, view);
      case 'delete-key':
        return this.#deletesKey(handoff, view);
      default:
        throw new Error(`nobody knows how to do ${handoff.kind}`);
    }
  }

  async #makesKey({ id, subject, state }: View['handoffs'][number]): Promise<void> {
    let pair = this.#made.get(id);
    if (pair && state === 'submitted') return;
    if (!pair) {
      if (!(await this.#post(`/handoffs/${id}/claim`, { by: BY.by }, [200]))) return;
      pair = this.#world.makeKey(this.#company, subject, 'Umbrella, by Parasol');
      this.#made.set(id, pair);
      this.#remember(pair, subject);
    }
    const { publicKey, privateKey } = pair;
    // Where no answer came, the same pair is given again until one does.
    const body = { by: BY.by, publicKey, privateKey };
    await until('the pair is taken', () => this.#post(`/handoffs/${id}/submit`, body, [202]), 120_000);
  }

  async #installsKey({ id, subject, state, revealed }: View['handoffs'][number], view: View): Promise<void> {
    if (state === 'submitted') return;
    const live = view.rotations.find(({ ended }) => !ended);
    if (!live || (this.#habits.rollsBack === 'before the reveal' && !live.reversed)) return;
    if (
      this.#habits.rollsBack === 'after the adoption' &&
      live.reversed !== (subject === this.pairs[0]?.fingerprint)
    )
      return;
    const pair = this.pairs.find(({ fingerprint }) => fingerprint === subject);
    if (!pair) {
      this.surprises.push(`a pair that nobody made is to be installed: ${subject}`);
      return;
    }
    if (state === 'open' && !(await this.#post(`/handoffs/${id}/claim`, { by: BY.by }, [200, 409]))) return;
    if (this.#habits.reveals && !revealed) {
      const shown = await this.#post(`/handoffs/${id}/reveal`, BY, [200, 409], 'reveal');
      if (!shown) return;
      if (shown.status === 200 && !shown.text.includes(pair.privateKey)) {
        this.surprises.push(`another pair was shown for ${subject}`);
      }
    }
    // From then on Parasol counts with the key's being in Umbrella; what stops before that stops nothing there.
    if (!['AwaitingAdoption', 'Overlap'].includes(live.phase)) return;
    // What was shown to nobody, since the answer was lost, still stands in the window where it was made.
    if (!this.#installed.has(id)) {
      this.#installed.add(id);
      this.#world.installKey(this.#company, pair);
      this.relies = true;
    }
    const word = this.#habits.attests ? { attest: true } : {};
    await this.#post(`/handoffs/${id}/submit`, { by: BY.by, ...word }, [202, 409]);
  }

  #deletesKey({ subject }: View['handoffs'][number], view: View): void {
    const live = view.rotations.find(({ ended }) => !ended);
    const keeps = this.#habits.rollsBack === 'after the adoption' && !live?.reversed;
    if (!this.#habits.deletes || keeps) return;
    const pair = this.pairs.find(({ fingerprint }) => fingerprint === subject);
    if (!pair) {
      this.surprises.push(`a pair that nobody made is to be deleted: ${subject}`);
      return;
    }
    const there = this.#world.listKeys(this.#company).some(({ publicKey }) => publicKey === pair.publicKey);
    if (there) this.#world.deleteKey(this.#company, pair.publicKey);
  }

  /** The answer, where one came that may be. */
  async #post(path: string, body: unknown, may: number[], as?: 'reveal') {
    const answer = await this.#ask(path, body, as);
    if (!answer || may.includes(answer.status)) return answer;
    this.surprises.push(`POST ${path}: ${answer.status} ${answer.text}`);
    return answer;
  }
}
