import type { Handoff } from '../domain/handoff.ts';
import type { RotationRecordView } from '../reconciler/commands.ts';
import type { Client } from './client.ts';

/** Umbrella's part: its daily sync. */
export interface DailySync {
  /** Lets it run once more, with something to write; false: ConnectWise refused it. */
  sync(company: string): Promise<boolean>;
}

/** One line of the story: when and what, and words that may be long. */
export interface StoryLine {
  mark: string;
  words: string;
}

const ASKS = 'the demo';

/**
 * A whole rotation with nobody there: Parasol rotates, and the simulated robot does the work of the hand-offs, by
 * webhook. What is told is what Parasol says of it. Each look goes on from what it finds, as everything here does.
 */
export class WatchedRotation {
  readonly #tenant: string;
  readonly #client: Client;
  readonly #umbrella: DailySync;
  readonly #now: () => Date;
  #begun: Date | null = null;
  readonly #done = new Set<string>();
  readonly #syncs = { made: 0, refused: 0 };
  #told = 0;
  #ended = false;

  constructor(tenant: string, client: Client, umbrella: DailySync, now: () => Date) {
    this.#tenant = tenant;
    this.#client = client;
    this.#umbrella = umbrella;
    this.#now = now;
  }

  /** Lets a day of Umbrella's pass; lines about what happened since the last look. */
  async look(): Promise<StoryLine[]> {
    if (this.#ended) return [];
    const [rotation] = await this.#client.rotations(this.#tenant);
    if (rotation === undefined) return this.#begin();
    this.#syncs.made += 1;
    if (!(await this.#umbrella.sync(this.#tenant))) this.#syncs.refused += 1;
    const worked = (await this.#client.handoffs({ tenant: this.#tenant, live: false })).flatMap((handoff) =>
      this.#worked(handoff, rotation),
    );
    const news = [...this.#news(rotation), ...worked];
    if (rotation.endedAt !== null) {
      this.#ended = true;
      const { made, refused } = this.#syncs;
      const words = `It took ${this.#seconds()} s. Umbrella synchronised ${made} times meanwhile, and was refused ${refused} times.`;
      return [...news, this.#line('', words)];
    }
    return news;
  }

  async #begin(): Promise<StoryLine[]> {
    const { ready } = await this.#client.status(this.#tenant);
    if (ready !== 'True') return [];
    this.#begun = this.#now();
    const request = { reason: 'a rotation from end to end', compromised: false, cutNow: false };
    await this.#client.rotate(this.#tenant, { ...request, credential: 'integration', by: ASKS });
    const words = `A whole rotation of ${this.#tenant}, unattended: a robot does the work of the hand-offs.`;
    return [this.#line('', words)];
  }

  #news({ history }: RotationRecordView): StoryLine[] {
    const news = history.slice(this.#told).map(({ phase, evidence }) => this.#line(phase, evidence));
    this.#told = history.length;
    return news;
  }

  /** What the robot answered since the last look. */
  #worked({ id, kind, subject, automation }: Handoff, rotation: RotationRecordView): StoryLine[] {
    if (this.#done.has(id) || automation?.state !== 'answered') return [];
    this.#done.add(id);
    switch (kind) {
      case 'issue-integration-key':
        return [this.#line('robot', `makes a key on ${subject}, and gives it to Parasol, encrypted`)];
      case 'install-integration-key':
        return [this.#line('robot', `puts the key ${subject} into Umbrella`)];
      case 'delete-key':
        return [this.#line('robot', `deletes the old key of ${rotation.old?.member} in ConnectWise`)];
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
