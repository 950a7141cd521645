import {
  FUNCTION_KEYS,
  LEVEL_KINDS,
  PROCEDURE_ALLOW_LIST,
  PROCEDURE_LEVELS,
  type LevelChanges,
  type Levels,
} from './connectwise/catalogue.ts';
import { ConnectWise } from './connectwise/api.ts';
import {
  ConnectWiseCompany,
  freshInfo,
  touch,
  type ApiMember,
  type CompanyOptions,
  type Configuration,
  type ConfigurationType,
  type SecurityRole,
} from './connectwise/company.ts';
import { setInactive } from './connectwise/members.ts';
import {
  CORPORATE,
  DEPARTMENTS,
  LOCATIONS,
  STRUCTURE_LEVELS,
  TIME_ZONES,
} from './connectwise/reference-data.ts';
import { Faults } from './faults.ts';
import { Journal } from './journal.ts';
import { fingerprint, random, randomPair, type KeyPair } from './secrets.ts';
import { DAY, wireTime } from './time.ts';
import { Umbrella } from './umbrella/api.ts';
import {
  READ_SCOPES,
  UmbrellaConsole,
  type BearerToken,
  type ConsoleKind,
  type ConsoleOptions,
  type SyncResult,
  type UmbrellaCustomer,
  type UmbrellaKey,
} from './umbrella/console.ts';
import { QUESTIONS, runSync } from './umbrella/sync.ts';

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

export interface NewCompany {
  name?: string;
  /** Default `v2025_1/`. */
  codebase?: string;
  options?: Partial<CompanyOptions>;
}

export interface NewConsole {
  organizationId: number;
  kind?: ConsoleKind;
  /** The organisation whose keys may ask for tokens of this one. */
  parentOrganizationId?: number;
  options?: Partial<ConsoleOptions>;
}

export interface NewMember {
  identifier: string;
  /** A role's name, or its id where names are not unique. */
  role: string | number;
  name?: string;
  inactive?: boolean;
  /** The name of a structure level: Corporate (default), Location or Department. */
  structureLevel?: string;
  /** The name of a location: Corporate (default), Main Office or North Office. */
  securityLocation?: string;
}

export interface NewUmbrellaKey {
  name: string;
  scopes?: readonly string[];
  /** ISO 8601; empty (default): never. */
  expireAt?: string;
  description?: string;
  allowedIPs?: string[];
  /** Default: random. */
  clientId?: string;
  secret?: string;
}

/** A ConnectWise key as tests and the technician's page see it: never the private part. */
export interface KeyView {
  publicKey: string;
  member: string;
  description: string;
  createdAt: string;
  lastUsedAt: string | null;
  fingerprint: string;
}

export interface UmbrellaKeyView {
  id: string;
  name: string;
  clientId: string;
  scopes: string[];
  createdAt: string;
  expireAt: string;
  lastUsedAt: string;
}

export interface RoleView {
  id: number;
  name: string;
  adminFlag: boolean;
  inactiveFlag: boolean;
  /** Only rows that are not all None. */
  levels: Record<string, Levels>;
  allowList: string[];
}

/** One company and its console, as a person sees them who may look everywhere. */
export interface CompanyView {
  companyId: string;
  name: string;
  codebase: string;
  options: CompanyOptions;
  roles: RoleView[];
  members: ApiMember[];
  keys: KeyView[];
  customers: Array<{ id: number; identifier: string; name: string }>;
  configurations: Configuration[];
  console: {
    organizationId: number;
    kind: ConsoleKind;
    options: ConsoleOptions;
    /** The public part of the installed pair; null: nothing is installed. */
    installedPublicKey: string | null;
    customers: UmbrellaCustomer[];
    keys: UmbrellaKeyView[];
    syncs: SyncResult[];
  } | null;
}

interface Stale {
  reads: number;
  /** Milliseconds since the epoch. */
  until: number;
}

/** Who writes when a technician does. */
const TECHNICIAN = 'jdoe';

/**
 * Both vendors' state, and the human hands that change what no API can (domain.md §2). Companies are named by
 * their ConnectWise company id, roles by name (or id), members by identifier. Hands throw `HandError`.
 */
export class World {
  readonly connectwise = new Map<string, ConnectWiseCompany>();
  readonly consoles = new Map<string, UmbrellaConsole>();
  /** Umbrella's bearer tokens, in order of issue. */
  readonly tokens = new Map<string, BearerToken>();
  readonly journal: Journal;
  readonly faults: Faults;
  readonly connectwiseApi = new ConnectWise(this);
  readonly umbrellaApi = new Umbrella(this);
  quotas: boolean;
  readonly #clock: () => Date;
  #skew = 0;
  readonly #unknownCompanies = new Map<string, 'null' | '404'>();
  readonly #consolesByOrganization = new Map<number, UmbrellaConsole>();
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
    return this.#unknownCompanies.get(companyId) ?? this.#unknownCompanies.get('*') ?? 'null';
  }

  consoleOf(organizationId: number): UmbrellaConsole | undefined {
    return this.#consolesByOrganization.get(organizationId);
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

  // ---- hands: companies

  /** Founds a ConnectWise company: no roles, no members. */
  addCompany(companyId: string, fields: NewCompany = {}): void {
    const id = companyId.toLowerCase();
    if (this.connectwise.has(id)) throw new HandError(`the company ${companyId} exists already`);
    const { name = companyId, codebase = 'v2025_1/', options = {} } = fields;
    this.connectwise.set(id, new ConnectWiseCompany(id, name, codebase, options));
  }

  /** Changes how a company's ConnectWise behaves. */
  setCompanyOptions(companyId: string, options: Partial<CompanyOptions>): void {
    const company = this.company(companyId);
    company.options = { ...company.options, ...options };
  }

  /** Moves a company to another codebase, e.g. `v2025_2/`: its old paths answer 404 with text. */
  changeCodebase(companyId: string, codebase: string): void {
    this.company(companyId).codebase = codebase.endsWith('/') ? codebase : `${codebase}/`;
  }

  /** How companyinfo answers for a company that does not exist; `*` is every one not named. */
  setUnknownCompanyAnswer(companyId: string, answer: 'null' | '404'): void {
    this.#unknownCompanies.set(companyId.toLowerCase(), answer);
  }

  /** The companies of this world, in the order of their founding. */
  listCompanies(): Array<{ companyId: string; name: string }> {
    return [...this.connectwise.values()].map(({ companyId, name }) => ({ companyId, name }));
  }

  /** Everything about one company and its console, without private keys and secrets. */
  viewCompany(companyId: string): CompanyView {
    const company = this.company(companyId);
    const { name, codebase, options } = company;
    const console = this.consoles.get(company.companyId);
    return {
      companyId: company.companyId,
      name,
      codebase,
      options,
      roles: company.roles.values().map((role) => this.#viewRole(company, role)),
      members: company.apiMembers.values(),
      keys: this.listKeys(companyId),
      customers: company.companies.values().map(({ id, identifier, name }) => ({ id, identifier, name })),
      configurations: company.configurations.values(),
      console:
        console === undefined
          ? null
          : {
              organizationId: console.organizationId,
              kind: console.kind,
              options: console.options,
              installedPublicKey: console.installed?.publicKey ?? null,
              customers: [...console.customers.values()],
              keys: this.listUmbrellaKeys(companyId),
              syncs: console.syncs,
            },
    };
  }

  // ---- hands: roles

  /** Creates a role, all levels None; answers its id. */
  createRole(companyId: string, name: string, flags: { adminFlag?: boolean; by?: string } = {}): number {
    return this.company(companyId).addRole(name, this.now(), flags.by ?? TECHNICIAN, flags).id;
  }

  renameRole(companyId: string, role: string | number, name: string): void {
    const company = this.company(companyId);
    const found = this.role(companyId, role);
    found.name = name;
    touch(found, this.now(), TECHNICIAN);
    for (const member of [...company.apiMembers.values(), ...company.members.values()]) {
      if (member.securityRole?.id === found.id) member.securityRole = { id: found.id, name };
    }
  }

  /** Deletes a role; members that have it must be given `reassignTo`, or the deletion is refused. */
  deleteRole(companyId: string, role: string | number, options: { reassignTo?: string | number } = {}): void {
    const company = this.company(companyId);
    const found = this.role(companyId, role);
    const holders = [...company.apiMembers.values(), ...company.members.values()].filter(
      (member) => member.securityRole?.id === found.id,
    );
    if (holders.length > 0 && options.reassignTo === undefined) {
      throw new HandError(
        `the role ${found.name} is assigned to ${holders.map((one) => one.identifier).join(', ')}`,
      );
    }
    if (options.reassignTo !== undefined) {
      const { id, name } = this.role(companyId, options.reassignTo);
      for (const holder of holders) holder.securityRole = { id, name };
    }
    company.removeRole(found.id);
  }

  /** Changes cells of a role's matrix: `{'Companies/Configurations': {edit: 'All'}}`. */
  setLevels(companyId: string, role: string | number, changes: LevelChanges): void {
    for (const [key, change] of Object.entries(changes)) {
      if (!FUNCTION_KEYS.has(key)) throw new HandError(`there is no module function ${key}`);
      for (const [kind, level] of Object.entries(change)) {
        const known = LEVEL_KINDS.some((one) => one === kind) && ['None', 'My', 'All'].includes(level);
        if (!known) throw new HandError(`${key}: ${kind} cannot be ${level}`);
      }
    }
    const found = this.role(companyId, role);
    this.company(companyId).changeLevels(found.id, changes);
    touch(found, this.now(), TECHNICIAN);
  }

  /** Makes a role's matrix exactly Cisco's procedure (domain.md §1); the allow list stays as it is. */
  setProcedureLevels(companyId: string, role: string | number): void {
    const found = this.role(companyId, role);
    this.company(companyId).replaceLevels(found.id, PROCEDURE_LEVELS);
    touch(found, this.now(), TECHNICIAN);
  }

  /** Sets "Allow Access to these" of System / Table Setup; without items: Cisco's three. */
  setAllowList(
    companyId: string,
    role: string | number,
    items: readonly string[] = PROCEDURE_ALLOW_LIST,
  ): void {
    const found = this.role(companyId, role);
    this.company(companyId).access(found.id).allowList = [...new Set(items)];
    touch(found, this.now(), TECHNICIAN);
  }

  // ---- hands: API members

  /** Creates an API member, by default active at the Corporate level and location; answers its id. */
  createMember(companyId: string, fields: NewMember): number {
    const company = this.company(companyId);
    if (company.identifierTaken(fields.identifier)) {
      throw new HandError(`the member ${fields.identifier} exists already`);
    }
    const { id, name } = this.role(companyId, fields.role);
    const now = this.now();
    const member = company.addApiMember({
      identifier: fields.identifier,
      name: fields.name ?? fields.identifier,
      inactiveFlag: false,
      securityRole: { id, name },
      structureLevel: named(STRUCTURE_LEVELS, fields.structureLevel ?? CORPORATE.name),
      securityLocation: named(LOCATIONS, fields.securityLocation ?? CORPORATE.name),
      defaultLocation: named(LOCATIONS, 'Main Office'),
      defaultDepartment: named(DEPARTMENTS, 'Professional Services'),
      timeZone: named(TIME_ZONES, 'US Eastern'),
      _info: freshInfo(now, TECHNICIAN),
    });
    setInactive(member, fields.inactive ?? false, now);
    return member.id;
  }

  deactivateMember(companyId: string, identifier: string): void {
    this.#changeMember(companyId, identifier, (member) => setInactive(member, true, this.now()));
  }

  /** Its keys, as far as they still exist, work again (domain.md §3). */
  activateMember(companyId: string, identifier: string): void {
    this.#changeMember(companyId, identifier, (member) => setInactive(member, false, this.now()));
  }

  setMemberRole(companyId: string, identifier: string, role: string | number): void {
    const { id, name } = this.role(companyId, role);
    this.#changeMember(companyId, identifier, (member) => {
      member.securityRole = { id, name };
    });
  }

  /** Narrows or widens what a member sees, by the names of a structure level and of a location. */
  setMemberPlace(
    companyId: string,
    identifier: string,
    structureLevel: string,
    securityLocation: string,
  ): void {
    this.#changeMember(companyId, identifier, (member) => {
      member.structureLevel = named(STRUCTURE_LEVELS, structureLevel);
      member.securityLocation = named(LOCATIONS, securityLocation);
    });
  }

  /** Adds a person with a login; people hold no API keys here. */
  addPerson(
    companyId: string,
    fields: { identifier: string; firstName: string; lastName: string; role: string | number },
  ): number {
    const company = this.company(companyId);
    const { identifier, firstName, lastName } = fields;
    if (company.identifierTaken(identifier)) throw new HandError(`the member ${identifier} exists already`);
    const { id, name, adminFlag } = this.role(companyId, fields.role);
    return company.members.insert({
      identifier,
      firstName,
      lastName,
      licenseClass: 'F',
      hireDate: '2019-05-02T00:00:00Z',
      defaultEmail: 'Office',
      defaultPhone: 'Office',
      adminFlag,
      inactiveFlag: false,
      securityRole: { id, name },
      _info: freshInfo(this.now(), TECHNICIAN),
    }).id;
  }

  // ---- hands: ConnectWise API keys

  /**
   * Makes an API key on a member (API Keys, "+", description, Save). The returned private key is shown only
   * here (domain.md §1). A given pair is taken as it is: for seeds.
   */
  makeKey(
    companyId: string,
    identifier: string,
    description = 'Umbrella',
    pair: KeyPair = randomPair(),
  ): KeyPair {
    const company = this.company(companyId);
    const member = this.member(companyId, identifier);
    if (company.keys.has(pair.publicKey)) throw new HandError(`the key ${pair.publicKey} exists already`);
    company.keys.set(pair.publicKey, {
      ...pair,
      fingerprint: fingerprint(`${company.companyId}+${pair.publicKey}:${pair.privateKey}`),
      memberId: member.id,
      description,
      createdAt: wireTime(this.now()),
      lastUsedAt: null,
    });
    return pair;
  }

  /** Deletes a key for good: it answers 401 from now on. */
  deleteKey(companyId: string, publicKey: string): void {
    if (!this.company(companyId).keys.delete(publicKey)) throw new HandError(`there is no key ${publicKey}`);
  }

  /** The keys of a company, or of one member; no API can tell this (domain.md §2). */
  listKeys(companyId: string, identifier?: string): KeyView[] {
    const company = this.company(companyId);
    const views = [...company.keys.values()].map(({ privateKey: _privateKey, memberId, ...rest }) => ({
      ...rest,
      member: company.apiMembers.get(memberId)?.identifier ?? '',
    }));
    return identifier === undefined ? views : views.filter((view) => view.member === identifier);
  }

  // ---- hands: ConnectWise customers and configurations

  /** Adds a customer company; answers its id. `territory` is a location's name. */
  addCustomerCompany(companyId: string, identifier: string, name: string, territory = 'Corporate'): number {
    return this.company(companyId).companies.insert({
      identifier,
      name,
      territory: named(LOCATIONS, territory),
      status: { id: 1, name: 'Active' },
      deletedFlag: false,
      _info: freshInfo(this.now(), TECHNICIAN),
    }).id;
  }

  /** Adds a configuration as somebody wrote it at some time: the traces of other integrations, or of the past. */
  addConfiguration(
    companyId: string,
    fields: { name: string; type: string; customer: string; by: string; at?: string; enteredAt?: string },
  ): number {
    const company = this.company(companyId);
    const customer = company.companies.find((one) => one.identifier === fields.customer);
    if (customer === undefined) throw new HandError(`there is no customer ${fields.customer}`);
    const type = this.#ensureType(company, fields.type, fields.by, fields.enteredAt ?? fields.at);
    const at = fields.at ?? wireTime(this.now());
    return company.configurations.insert({
      name: fields.name,
      type: { id: type.id, name: type.name },
      status: { id: 1, name: 'Active' },
      company: { id: customer.id, identifier: customer.identifier, name: customer.name },
      activeFlag: true,
      questions: [],
      _info: {
        lastUpdated: at,
        updatedBy: fields.by,
        dateEntered: fields.enteredAt ?? at,
        enteredBy: fields.by,
      },
    }).id;
  }

  /** Gives a configuration type the questions that Umbrella asks, as if its first sync had been long ago. */
  ensureQuestions(companyId: string, type: string, by: string): void {
    const company = this.company(companyId);
    const parent = this.#ensureType(company, type, by, undefined);
    if (company.typeQuestions.find((one) => one.configurationType.id === parent.id) !== undefined) return;
    for (const [index, question] of QUESTIONS.entries()) {
      company.typeQuestions.insert({
        configurationType: { id: parent.id, name: parent.name },
        fieldType: 'Text',
        entryType: 'EntryField',
        sequenceNumber: index + 1,
        question,
        requiredFlag: false,
        inactiveFlag: false,
        _info: parent._info,
      });
    }
  }

  /** A technician saves a configuration, and so overwrites `_info.updatedBy` (rulings 3). */
  touchConfiguration(companyId: string, configuration: string | number, by = TECHNICIAN): void {
    const found = this.company(companyId).configurations.find(
      (one) => one.id === configuration || one.name === configuration,
    );
    if (found === undefined) throw new HandError(`there is no configuration ${configuration}`);
    touch(found, this.now(), by);
  }

  // ---- hands: Umbrella

  /** Gives a company its Umbrella console, empty. */
  addConsole(companyId: string, fields: NewConsole): void {
    const { companyId: id } = this.company(companyId);
    if (this.#consolesByOrganization.has(fields.organizationId)) {
      throw new HandError(`the organization ${fields.organizationId} exists already`);
    }
    const kind = fields.kind ?? 'msp';
    const console = new UmbrellaConsole(
      id,
      fields.organizationId,
      kind,
      fields.parentOrganizationId ?? null,
      {
        expiredTokenAnswer: 401,
        configurationType: 'Cisco Umbrella',
        packageName: kind === 'msp' ? 'Umbrella for MSPs' : 'Umbrella for MSSPs',
        status: 'active',
        expiresAt: wireTime(this.now().getTime() + 365 * DAY),
        ...fields.options,
      },
    );
    this.consoles.set(id, console);
    this.#consolesByOrganization.set(fields.organizationId, console);
  }

  setConsoleOptions(companyId: string, options: Partial<ConsoleOptions>): void {
    const console = this.console(companyId);
    console.options = { ...console.options, ...options };
  }

  /** Types a pair into "PSA Integration Details" and saves; it is not checked, as nothing here says it is. */
  installKey(companyId: string, pair: KeyPair): void {
    this.console(companyId).installed = { publicKey: pair.publicKey, privateKey: pair.privateKey };
  }

  clearInstalledKey(companyId: string): void {
    this.console(companyId).installed = null;
  }

  /** Adds a customer to the console; answers its id. */
  addUmbrellaCustomer(companyId: string, name: string, mappedTo: string | null = null, seats = 25): number {
    return this.console(companyId).addCustomer(name, seats, mappedTo).customerId;
  }

  removeUmbrellaCustomer(companyId: string, customer: string | number): void {
    const console = this.console(companyId);
    console.customers.delete(this.#customer(console, customer).customerId);
  }

  /** Maps a customer, by name or id, to a ConnectWise company identifier. */
  mapCustomer(companyId: string, customer: string | number, companyIdentifier: string): void {
    this.#customer(this.console(companyId), customer).mappedTo = companyIdentifier;
  }

  unmapCustomer(companyId: string, customer: string | number): void {
    this.#customer(this.console(companyId), customer).mappedTo = null;
  }

  /** Lets the figures change that Umbrella writes about a customer, or about all. */
  changeFigures(companyId: string, customer?: string | number): void {
    const console = this.console(companyId);
    const concerned =
      customer === undefined ? console.customers.values() : [this.#customer(console, customer)];
    for (const one of concerned) one.revision += 1;
  }

  /** Makes an Umbrella API key; answers its client id and secret. */
  addUmbrellaKey(companyId: string, fields: NewUmbrellaKey): { key: string; secret: string } {
    const console = this.console(companyId);
    if ([...console.keys.values()].some((one) => one.name === fields.name)) {
      throw new HandError(`the API key ${fields.name} exists already`);
    }
    const at = wireTime(this.now());
    const key: UmbrellaKey = {
      id: `key-${console.organizationId}-${console.keys.size + 1}-${random(6)}`,
      name: fields.name,
      description: fields.description ?? '',
      clientId: fields.clientId ?? random(32),
      secret: fields.secret ?? random(32),
      creatorKeyId: '',
      createdAt: at,
      modifiedAt: at,
      lastUsedAt: at,
      lastRefreshedAt: at,
      expireAt: fields.expireAt ?? '',
      scopes: [...(fields.scopes ?? READ_SCOPES)],
      allowedIPs: fields.allowedIPs ?? [],
    };
    this.registerUmbrellaKey(console, key);
    return { key: key.clientId, secret: key.secret };
  }

  /** Deletes an Umbrella API key, by name or client id. */
  deleteUmbrellaKey(companyId: string, key: string): void {
    const console = this.console(companyId);
    this.forgetUmbrellaKey(console, this.#umbrellaKey(console, key));
  }

  /** `expireAt`: ISO 8601, or empty: never. */
  setUmbrellaKeyExpiry(companyId: string, key: string, expireAt: string): void {
    this.#umbrellaKey(this.console(companyId), key).expireAt = expireAt;
  }

  setUmbrellaKeyScopes(companyId: string, key: string, scopes: readonly string[]): void {
    this.#umbrellaKey(this.console(companyId), key).scopes = [...scopes];
  }

  listUmbrellaKeys(companyId: string): UmbrellaKeyView[] {
    return [...this.console(companyId).keys.values()].map(
      ({ id, name, clientId, scopes, createdAt, expireAt, lastUsedAt }) => ({
        id,
        name,
        clientId,
        scopes,
        createdAt,
        expireAt,
        lastUsedAt,
      }),
    );
  }

  /** Lets a console's daily sync run now; a refusal by ConnectWise is a result, not an error. */
  runSync(companyId: string): SyncResult {
    const console = this.console(companyId);
    const result = runSync(console, this.connectwiseApi, this.company(companyId).codebase, this.now());
    console.recordSync(result);
    return result;
  }

  /** Lets the daily sync of every console run now; answers how many succeeded and how many failed. */
  runAllSyncs(): { succeeded: number; failed: number } {
    const outcomes = [...this.consoles.keys()].map((companyId) => this.runSync(companyId).outcome);
    return {
      succeeded: outcomes.filter((outcome) => outcome === 'succeeded').length,
      failed: outcomes.filter((outcome) => outcome === 'failed').length,
    };
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

  #viewRole(company: ConnectWiseCompany, role: SecurityRole): RoleView {
    const { levels, allowList } = company.access(role.id);
    const notNone = [...levels].filter(([, row]) => LEVEL_KINDS.some((kind) => row[kind] !== 'None'));
    const { id, name, adminFlag, inactiveFlag } = role;
    return { id, name, adminFlag, inactiveFlag, levels: Object.fromEntries(notNone), allowList };
  }

  #changeMember(companyId: string, identifier: string, change: (member: ApiMember) => void): void {
    const member = this.member(companyId, identifier);
    change(member);
    touch(member, this.now(), TECHNICIAN);
  }

  #ensureType(
    company: ConnectWiseCompany,
    name: string,
    by: string,
    at: string | undefined,
  ): ConfigurationType {
    const found = company.configurationTypes.find((one) => one.name === name);
    if (found !== undefined) return found;
    const when = at === undefined ? this.now() : new Date(at);
    return company.configurationTypes.insert({
      name,
      inactiveFlag: false,
      systemFlag: false,
      _info: freshInfo(when, by),
    });
  }

  #customer(console: UmbrellaConsole, customer: string | number): UmbrellaCustomer {
    for (const one of console.customers.values()) {
      if (one.customerId === customer || one.customerName === customer) return one;
    }
    throw new HandError(`the console has no customer ${customer}`);
  }

  #umbrellaKey(console: UmbrellaConsole, key: string): UmbrellaKey {
    for (const one of console.keys.values()) if (one.name === key || one.clientId === key) return one;
    throw new HandError(`the console has no API key ${key}`);
  }
}

function named(
  rows: ReadonlyArray<{ id: number; name: string }>,
  name: string,
): { id: number; name: string } {
  const found = rows.find((row) => row.name === name);
  if (found === undefined)
    throw new HandError(`there is no ${name} among ${rows.map((row) => row.name).join(', ')}`);
  return { id: found.id, name: found.name };
}
