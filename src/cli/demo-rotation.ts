import type { Handoff } from '../domain/handoff.ts';
import type { RotationRecordView } from '../reconciler/commands.ts';
import type { Client } from './client.ts';

export interface Pair {
  publicKey: string;
  privateKey: string;
}

/** What a technician does at both vendors' screens, where no API leads. */
export interface Technician {
  /** Makes a key on an API member; it is shown this once. */
  makeKey(company: string, member: string): Promise<Pair>;
  /** Types a pair into Umbrella, and lets its daily sync run. */
  install(company: string, pair: Pair): Promise<void>;
  deleteKeys(company: string, member: string): Promise<void>;
  /** Lets Umbrella's sync run once more; false: ConnectWise refused it. */
  sync(company: string): Promise<boolean>;
}

/** One line of the story: when and what, and words that may be long. */
export interface StoryLine {
  mark: string;
  words: string;
}

const TECHNICIAN = 'the demo';

/**
 * A whole rotation with nobody there: Parasol rotates, and the demo plays the technician, who does what the
 * hand-offs say and nothing else. Each look goes on from what it finds, as everything here does.
 */
export class PlayedRotation {
  readonly #tenant: string;
  readonly #client: Client;
  readonly #technician: Technician;
  readonly #now: () => Date;
  #begun: Date | null = null;
  /** The window with the new key, still open. */
  #made: Pair | null = null;
  readonly #done = new Set<string>();
  readonly #syncs = { made: 0, refused: 0 };
  #told = 0;
  #ended = false;

  constructor(tenant: string, client: Client, technician: Technician, now: () => Date) {
    this.#tenant = tenant;
    this.#client = client;
    this.#technician = technician;
    this.#now = now;
  }

  /** Does what is to be done next; lines about what happened since the last look. */
  async look(): Promise<StoryLine[]> {
    if (this.#ended) return [];
    const [rotation] = await this.#client.rotations(this.#tenant);
    if (rotation === undefined) return this.#begin();
    this.#syncs.made += 1;
    if (!(await this.#technician.sync(this.#tenant))) this.#syncs.refused += 1;
    const news = this.#news(rotation);
    if (rotation.endedAt !== null) {
      this.#ended = true;
      const { made, refused } = this.#syncs;
      const words = `It took ${this.#seconds()} s. Umbrella synchronised ${made} times meanwhile, and was refused ${refused} times.`;
      return [...news, this.#line('', words)];
    }
    const waiting = await this.#client.handoffs({ tenant: this.#tenant, live: true });
    for (const handoff of waiting) news.push(...(await this.#work(handoff, rotation)));
    return news;
  }

  async #begin(): Promise<StoryLine[]> {
    const { ready } = await this.#client.status(this.#tenant);
    if (ready !== 'True') return [];
    this.#begun = this.#now();
    const request = { reason: 'a rotation from end to end', compromised: false, cutNow: false };
    await this.#client.rotate(this.#tenant, { ...request, credential: 'integration', by: TECHNICIAN });
    const words = `A whole rotation of ${this.#tenant}, unattended: the demo plays the technician.`;
    return [this.#line('', words)];
  }

  #news({ history }: RotationRecordView): StoryLine[] {
    const news = history.slice(this.#told).map(({ phase, evidence }) => this.#line(phase, evidence));
    this.#told = history.length;
    return news;
  }

  async #work(handoff: Handoff, rotation: RotationRecordView): Promise<StoryLine[]> {
    const { id, kind, subject, state } = handoff;
    if (this.#done.has(id) || (state !== 'open' && state !== 'claimed')) return [];
    switch (kind) {
      case 'issue-integration-key': {
        this.#made ??= await this.#technician.makeKey(this.#tenant, subject);
        await this.#client.submit(id, { by: TECHNICIAN, ...this.#made });
        this.#done.add(id);
        return [this.#line('technician', `makes a key on ${subject}, and gives it to Parasol`)];
      }
      case 'install-integration-key': {
        if (this.#made === null) return [];
        await this.#client.claim(id, TECHNICIAN);
        await this.#technician.install(this.#tenant, this.#made);
        await this.#client.submit(id, { by: TECHNICIAN });
        this.#done.add(id);
        this.#made = null;
        return [this.#line('technician', `puts the key ${subject} into Umbrella, whose daily sync runs`)];
      }
      case 'delete-key': {
        const member = rotation.old?.member;
        if (!member) return [];
        await this.#technician.deleteKeys(this.#tenant, member);
        await this.#client.submit(id, { by: TECHNICIAN });
        this.#done.add(id);
        return [this.#line('technician', `deletes the old key of ${member} in ConnectWise`)];
      }
      default:
        return [];
    }
  }

  #seconds(): number {
    return Math.round((this.#now().getTime() - (this.#begun ?? this.#now()).getTime()) / 1000);
  }

  #line(what: string, words: string): StoryLine {
    return { mark: `${`${this.#seconds()}s`.padStart(4)} ${what}`, words };
  }
}
