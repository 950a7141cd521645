import type { ApiMember, ConnectWiseCompany, SecurityRole } from './connectwise/company.ts';
import { Faults } from './faults.ts';
import { Journal } from './journal.ts';
import type { BearerToken, UmbrellaConsole, UmbrellaKey } from './umbrella/console.ts';

/** A hand was asked for something that cannot be done; nothing was changed. */
export class HandError extends Error {
  override name = 'HandError';
}

export interface WorldOptions {
  clock?: () => Date;
  /** Whether the vendors' published quotas are enforced. Default true. */
  quotas?: boolean;
  /** How many calls the journal remembers. Default 50,000. */
  journalLimit?: number;
  /** For faults with a probability. Default 1. */
  seed?: number;
}

interface Stale {
  reads: number;
  /** Milliseconds since the epoch. */
  until: number;
}

/** Both vendors' state, time, faults and journal, and how things in it are found. */
export class WorldState {
  readonly connectwise = new Map<string, ConnectWiseCompany>();
  readonly consoles = new Map<string, UmbrellaConsole>();
  /** Umbrella's bearer tokens, in order of issue. */
  readonly tokens = new Map<string, BearerToken>();
  readonly journal: Journal;
  readonly faults: Faults;
  quotas: boolean;
  readonly #clock: () => Date;
  #skew = 0;
  protected readonly unknownCompanies = new Map<string, 'null' | '404'>();
  protected readonly consolesByOrganization = new Map<number, UmbrellaConsole>();
  readonly #umbrellaKeys = new Map<string, { console: UmbrellaConsole; key: UmbrellaKey }>();
  readonly #stale = new Map<object, Stale>();

  constructor(options: WorldOptions = {}) {
    this.#clock = options.clock ?? (() => new Date());
    this.quotas = options.quotas ?? true;
    this.journal = new Journal(options.journalLimit ?? 50_000);
    this.faults = new Faults(options.seed);
  }

  // ---- time

  /** The instant by which both vendors live. */
  now(): Date {
    return this.#skew === 0 ? this.#clock() : new Date(this.#clock().getTime() + this.#skew);
  }

  /** Moves the world's time; a negative number moves it back. */
  advanceClock(milliseconds: number): void {
    this.#skew += milliseconds;
  }

  // ---- what the vendors ask of their world

  /** How companyinfo answers for a company that does not exist. */
  unknownCompanyAnswer(companyId: string): 'null' | '404' {
    return this.unknownCompanies.get(companyId) ?? this.unknownCompanies.get('*') ?? 'null';
  }

  consoleOf(organizationId: number): UmbrellaConsole | undefined {
    return this.consolesByOrganization.get(organizationId);
  }

  umbrellaKeyOwner(clientId: string): { console: UmbrellaConsole; key: UmbrellaKey } | undefined {
    return this.#umbrellaKeys.get(clientId);
  }

  registerUmbrellaKey(console: UmbrellaConsole, key: UmbrellaKey): void {
    console.keys.set(key.id, key);
    this.#umbrellaKeys.set(key.clientId, { console, key });
  }

  forgetUmbrellaKey(console: UmbrellaConsole, key: UmbrellaKey): void {
    console.keys.delete(key.id);
    this.#umbrellaKeys.delete(key.clientId);
  }

  /** Hides an object from lists for so many reads, or milliseconds (fault `staleReads`). */
  hideFromLists(row: object, reads: number | undefined, ms: number | undefined): void {
    const until = ms === undefined ? Number.NEGATIVE_INFINITY : this.now().getTime() + ms;
    this.#stale.set(row, { reads: reads ?? (ms === undefined ? 1 : 0), until });
  }

  /** The rows without those that lists do not show yet; counts as one read of each hidden row. */
  withoutStale<T extends object>(rows: readonly T[]): readonly T[] {
    if (this.#stale.size === 0) return rows;
    const now = this.now().getTime();
    return rows.filter((row) => {
      const stale = this.#stale.get(row);
      if (stale === undefined) return true;
      if (stale.reads <= 0 && stale.until <= now) {
        this.#stale.delete(row);
        return true;
      }
      stale.reads -= 1;
      return false;
    });
  }

  // ---- finding things

  company(companyId: string): ConnectWiseCompany {
    const company = this.connectwise.get(companyId.toLowerCase());
    if (company === undefined) throw new HandError(`there is no company ${companyId}`);
    return company;
  }

  console(companyId: string): UmbrellaConsole {
    const console = this.consoles.get(companyId.toLowerCase());
    if (console === undefined) throw new HandError(`the company ${companyId} has no Umbrella console`);
    return console;
  }

  /** A role by id, or by its name if that is unique. */
  role(companyId: string, role: string | number): SecurityRole {
    const found = this.company(companyId)
      .roles.values()
      .filter((one) => one.id === role || one.name === role);
    const [only] = found;
    if (only === undefined) throw new HandError(`there is no role ${role}`);
    if (found.length > 1) throw new HandError(`${found.length} roles are named ${role}: use an id`);
    return only;
  }

  member(companyId: string, identifier: string): ApiMember {
    const member = this.company(companyId).apiMember(identifier);
    if (member === undefined) throw new HandError(`there is no API member ${identifier}`);
    return member;
  }
}
