import { SlidingQuota } from '../quota.ts';
import { MINUTE, wireTime } from '../time.ts';
import { NO_LEVELS, type Level, type LevelChanges, type LevelKind, type Levels } from './catalogue.ts';
import { BOARDS, PRIORITIES } from './reference-data.ts';

/** Who wrote an object, and when. Members are named by their identifier. */
export interface Info {
  lastUpdated: string;
  updatedBy: string;
  dateEntered: string;
  enteredBy: string;
}

export interface Row {
  id: number;
  _info: Info;
}

export interface Reference {
  id: number;
  name: string;
}

interface IdentifiedReference extends Reference {
  identifier: string;
}

export interface SecurityRole extends Row {
  name: string;
  adminFlag: boolean;
  inactiveFlag: boolean;
}

export interface ApiMember extends Row {
  identifier: string;
  name: string;
  inactiveFlag: boolean;
  inactiveDate?: string;
  emailAddress?: string;
  securityRole?: Reference;
  structureLevel?: Reference;
  securityLocation?: Reference;
  defaultLocation?: Reference;
  defaultDepartment?: Reference;
  timeZone?: Reference;
}

/** A person of the MSP: a full member, with a login. */
export interface Member extends Row {
  identifier: string;
  firstName: string;
  lastName: string;
  licenseClass: string;
  hireDate: string;
  defaultEmail: string;
  defaultPhone: string;
  adminFlag: boolean;
  inactiveFlag: boolean;
  securityRole: Reference;
}

export interface CustomerCompany extends Row {
  identifier: string;
  name: string;
  territory: Reference;
  status: Reference;
  deletedFlag: boolean;
}

export interface ConfigurationQuestion {
  answerId: number;
  questionId: number;
  question: string;
  answer: unknown;
  sequenceNumber: number;
  fieldType: string;
  requiredFlag: boolean;
}

export interface Configuration extends Row {
  name: string;
  type: Reference;
  status: Reference;
  company: IdentifiedReference;
  activeFlag: boolean;
  questions: ConfigurationQuestion[];
}

export interface ConfigurationType extends Row {
  name: string;
  inactiveFlag: boolean;
  systemFlag: boolean;
}

export interface TypeQuestion extends Row {
  configurationType: Reference;
  fieldType: string;
  entryType: string;
  sequenceNumber: number;
  question: string;
  requiredFlag: boolean;
  inactiveFlag: boolean;
}

export interface Ticket extends Row {
  summary: string;
  company: IdentifiedReference;
  [field: string]: unknown;
}

export interface TicketNote extends Row {
  ticketId: number;
  text: string;
  [field: string]: unknown;
}

export interface Callback extends Row {
  url: string;
  objectId: number;
  type: string;
  level: string;
  [field: string]: unknown;
}

export interface Board extends Row {
  name: string;
  location: Reference;
  department: Reference;
  inactiveFlag: boolean;
  projectFlag: boolean;
}

export interface Priority extends Row {
  name: string;
  color: string;
  sortOrder: number;
  defaultFlag: boolean;
}

/** An API key. No endpoint knows it: only its pair, shown once when it is made (domain.md §2). */
export interface ApiKey {
  publicKey: string;
  privateKey: string;
  fingerprint: string;
  memberId: number;
  description: string;
  createdAt: string;
  lastUsedAt: string | null;
}

/** How one company's ConnectWise behaves where real ones differ or nobody knows. */
export interface CompanyOptions {
  /** `IsCloud` of companyinfo as the text "True" instead of a boolean. Default false. */
  isCloudAsString: boolean;
  /** `orderBy` on `_info/…` answers 400. Default false. */
  refuseInfoOrdering: boolean;
  /** `conditions` on `_info/updatedBy` or `_info/enteredBy` answer 400. Default false. */
  refuseInfoMemberConditions: boolean;
  /** A PATCH that changes nothing leaves `_info.lastUpdated` where it was. Default false. */
  unchangedPatchKeepsLastUpdated: boolean;
  /** Bad credentials answer 404 with text instead of 401 (domain.md §4). Default false. */
  badCredentialsAs404: boolean;
}

const DEFAULT_OPTIONS: Readonly<CompanyOptions> = {
  isCloudAsString: false,
  refuseInfoOrdering: false,
  refuseInfoMemberConditions: false,
  unchangedPatchKeepsLastUpdated: false,
  badCredentialsAs404: false,
};

/** A company's objects of one type, by id. */
class Table<T extends Row> {
  readonly rows = new Map<number, T>();
  #nextId: number;

  constructor(firstId: number) {
    this.#nextId = firstId;
  }

  /** Adds an object under a fresh id. */
  insert(fields: Omit<T, 'id'>): T {
    const row = { id: this.#nextId, ...fields } as T;
    this.#nextId += 1;
    this.rows.set(row.id, row);
    return row;
  }

  get(id: number): T | undefined {
    return this.rows.get(id);
  }

  delete(id: number): boolean {
    return this.rows.delete(id);
  }

  values(): T[] {
    return [...this.rows.values()];
  }

  find(test: (row: T) => boolean): T | undefined {
    for (const row of this.rows.values()) if (test(row)) return row;
    return undefined;
  }
}

/** The levels and the Table Setup allow list of one role; kept apart from the role since no API edits them. */
export interface RoleAccess {
  levels: Map<string, Levels>;
  allowList: string[];
  /** Rises with each change of `levels`. */
  revision: number;
}

/** `_info` of an object that `by` writes now. */
export function freshInfo(now: Date, by: string): Info {
  const at = wireTime(now);
  return { lastUpdated: at, updatedBy: by, dateEntered: at, enteredBy: by };
}

/** Marks an object as written by `by` now. */
export function touch(row: Row, now: Date, by: string): void {
  row._info = { ...row._info, lastUpdated: wireTime(now), updatedBy: by };
}

/** About 1,000 requests a minute is the level that throttles (domain.md §4). */
const REQUESTS_PER_MINUTE = 1_000;

/** The state of one ConnectWise company. */
export class ConnectWiseCompany {
  readonly companyId: string;
  name: string;
  /** With its slash at the end, as companyinfo tells it: `v2025_1/`. */
  codebase: string;
  options: CompanyOptions;
  readonly roles = new Table<SecurityRole>(60);
  readonly apiMembers = new Table<ApiMember>(300);
  readonly members = new Table<Member>(150);
  readonly companies = new Table<CustomerCompany>(19_300);
  readonly configurations = new Table<Configuration>(500);
  readonly configurationTypes = new Table<ConfigurationType>(20);
  readonly typeQuestions = new Table<TypeQuestion>(100);
  readonly tickets = new Table<Ticket>(70_000);
  readonly ticketNotes = new Table<TicketNote>(90_000);
  readonly callbacks = new Table<Callback>(10);
  readonly keys = new Map<string, ApiKey>();
  readonly quota = new SlidingQuota([{ count: REQUESTS_PER_MINUTE, windowMs: MINUTE }]);
  readonly #access = new Map<number, RoleAccess>();
  readonly #identifiers = new Map<string, ApiMember>();

  constructor(companyId: string, name: string, codebase: string, options: Partial<CompanyOptions>) {
    this.companyId = companyId;
    this.name = name;
    this.codebase = codebase;
    this.options = { ...DEFAULT_OPTIONS, ...options };
  }

  /** A role's levels and allow list; a new role's are all None and empty (domain.md §2). */
  access(roleId: number): RoleAccess {
    let access = this.#access.get(roleId);
    if (access === undefined)
      this.#access.set(roleId, (access = { levels: new Map(), allowList: [], revision: 0 }));
    return access;
  }

  /** Adds a role, all levels None. Names are not unique in ConnectWise. */
  addRole(
    name: string,
    now: Date,
    by: string,
    flags: { adminFlag?: boolean; inactiveFlag?: boolean } = {},
  ): SecurityRole {
    return this.roles.insert({
      name,
      adminFlag: flags.adminFlag ?? false,
      inactiveFlag: flags.inactiveFlag ?? false,
      _info: freshInfo(now, by),
    });
  }

  removeRole(roleId: number): void {
    this.roles.delete(roleId);
    this.#access.delete(roleId);
  }

  /** Changes the named cells of a role's matrix. */
  changeLevels(roleId: number, changes: LevelChanges): void {
    const access = this.access(roleId);
    access.revision += 1;
    for (const [key, change] of Object.entries(changes)) {
      access.levels.set(key, { ...(access.levels.get(key) ?? NO_LEVELS), ...change });
    }
  }

  /** Makes a role's matrix exactly these levels, all others None. */
  replaceLevels(roleId: number, levels: LevelChanges): void {
    this.access(roleId).levels.clear();
    this.changeLevels(roleId, levels);
  }

  /** The level of a role on one module function; an administrator's role has all. */
  level(roleId: number | undefined, key: string, kind: LevelKind): Level {
    if (roleId === undefined) return 'None';
    if (this.roles.get(roleId)?.adminFlag === true) return 'All';
    return this.#access.get(roleId)?.levels.get(key)?.[kind] ?? 'None';
  }

  addApiMember(fields: Omit<ApiMember, 'id'>): ApiMember {
    const member = this.apiMembers.insert(fields);
    this.#identifiers.set(member.identifier.toLowerCase(), member);
    return member;
  }

  /** An API member by identifier, without regard to case. */
  apiMember(identifier: string): ApiMember | undefined {
    return this.#identifiers.get(identifier.toLowerCase());
  }

  /** Gives an API member another identifier; the caller has checked that it is free. */
  reidentify(member: ApiMember, identifier: string): void {
    this.#identifiers.delete(member.identifier.toLowerCase());
    member.identifier = identifier;
    this.#identifiers.set(identifier.toLowerCase(), member);
  }

  /** Whether some member, a person or not, has this identifier. */
  identifierTaken(identifier: string): boolean {
    const wanted = identifier.toLowerCase();
    return (
      this.#identifiers.has(wanted) ||
      this.members.find((member) => member.identifier.toLowerCase() === wanted) !== undefined
    );
  }

  get boards(): readonly Board[] {
    return BOARDS;
  }

  get priorities(): readonly Priority[] {
    return PRIORITIES;
  }
}
