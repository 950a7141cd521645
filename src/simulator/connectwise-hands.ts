import {
  FUNCTION_KEYS,
  LEVEL_KINDS,
  PROCEDURE_ALLOW_LIST,
  PROCEDURE_LEVELS,
  type LevelChanges,
} from './connectwise/catalogue.ts';
import {
  ConnectWiseCompany,
  freshInfo,
  touch,
  type ApiMember,
  type CompanyOptions,
  type ConfigurationType,
} from './connectwise/company.ts';
import { setInactive } from './connectwise/members.ts';
import {
  CORPORATE,
  DEPARTMENTS,
  LOCATIONS,
  STRUCTURE_LEVELS,
  TIME_ZONES,
} from './connectwise/reference-data.ts';
import { fingerprint, randomPair, type KeyPair } from './secrets.ts';
import { wireTime } from './time.ts';
import { QUESTIONS } from './umbrella/sync.ts';
import type { KeyView, NewCompany, NewMember } from './hand-types.ts';
import { HandError, WorldState } from './world-state.ts';

/** Who writes when a technician does. */
const TECHNICIAN = 'jdoe';

/** What people do in ConnectWise's windows, most of which no API can (domain.md §2). */
export class ConnectWiseHands extends WorldState {
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
    this.unknownCompanies.set(companyId.toLowerCase(), answer);
  }

  /** The companies of this world, in the order of their founding. */
  listCompanies(): Array<{ companyId: string; name: string }> {
    return [...this.connectwise.values()].map(({ companyId, name }) => ({ companyId, name }));
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
