import { wireTime } from '../time.ts';
import type { Reply } from '../wire.ts';
import {
  freshInfo,
  touch,
  type ApiMember,
  type ConnectWiseCompany,
  type Info,
  type Reference,
} from './company.ts';
import { invalidObject, notFound, type FieldError } from './errors.ts';
import { FIELDS } from './field-names.ts';
import { countReply, itemReply, listReply, mine } from './list.ts';
import type { Context, Need, Operation } from './operation.ts';
import { readObject, readPatch } from './patch.ts';
import { CORPORATE, DEPARTMENTS, LOCATIONS, STRUCTURE_LEVELS, TIME_ZONES } from './reference-data.ts';

const RESOURCE = 'apiMember';
const MAX_IDENTIFIER = 15;
const MAX_NAME = 30;

/** References of an API member, and the objects they may name. */
const REFERENCES: Record<string, (company: ConnectWiseCompany) => Iterable<Reference>> = {
  securityRole: (company) => company.roles.rows.values(),
  structureLevel: () => STRUCTURE_LEVELS,
  securityLocation: () => LOCATIONS,
  defaultLocation: () => LOCATIONS,
  salesDefaultLocation: () => LOCATIONS,
  defaultDepartment: () => DEPARTMENTS,
  timeZone: () => TIME_ZONES,
  serviceDefaultBoard: (company) => company.boards,
};

/** What the web client, and in practice the API, wants of a new member (domain.md §4). */
const REQUIRED_ON_CREATE = [
  'identifier',
  'name',
  'securityRole',
  'structureLevel',
  'securityLocation',
  'defaultLocation',
  'defaultDepartment',
  'timeZone',
];

const FLAGS = new Set(['inactiveFlag', 'blockPriceFlag', 'blockCostFlag']);

type Fields = Record<string, unknown>;

function need(kind: Need['kind']): Need {
  return { on: 'System/Members', kind };
}

function find(context: Context): ApiMember {
  const id = context.parameters[0] ?? '';
  const member = context.company.apiMembers.get(Number(id));
  if (member === undefined || !mine(context, member)) throw notFound(RESOURCE, id);
  return member;
}

/** Reads the fields of a member, resolving references by id or else by name; complains field by field. */
function readFields(company: ConnectWiseCompany, given: Iterable<readonly [string, unknown]>): Fields {
  const fields: Fields = {};
  const errors: FieldError[] = [];
  for (const [field, value] of given) {
    if (field === 'id' || field === '_info' || field === 'inactiveDate') continue;
    if (value === undefined || value === null) {
      fields[field] = undefined;
    } else if (REFERENCES[field] !== undefined) {
      const reference = resolve(REFERENCES[field](company), value);
      if (reference === null) errors.push(invalid(field, `${field} does not exist`));
      fields[field] = reference;
    } else if (!FIELDS.ApiMember.has(field)) {
      errors.push(invalid(field, `Could not find member '${field}'`));
    } else {
      const complaint = complaintAbout(field, value);
      if (complaint !== null) errors.push(complaint);
      fields[field] = value;
    }
  }
  if (errors.length > 0) throw invalidObject(RESOURCE, errors);
  return fields;
}

function invalid(field: string, message: string): FieldError {
  return { code: 'InvalidField', message, field };
}

function complaintAbout(field: string, value: unknown): FieldError | null {
  if (FLAGS.has(field)) {
    return typeof value === 'boolean' ? null : invalid(field, `${field} must be true or false`);
  }
  if (field === 'excludedServiceBoardIds')
    return Array.isArray(value) ? null : invalid(field, 'A list is expected');
  if (typeof value !== 'string') return invalid(field, `${field} must be a string`);
  const limit = { identifier: MAX_IDENTIFIER, name: MAX_NAME, emailAddress: 250 }[field];
  if (limit === undefined || value.length <= limit) return null;
  return { code: 'MaxLength', message: `${field} must be at most ${limit} characters`, field };
}

function resolve(candidates: Iterable<Reference>, value: unknown): Reference | null {
  if (typeof value !== 'object' || value === null) return null;
  const { id, name } = value as Partial<Reference>;
  for (const one of candidates) {
    if (id === undefined ? name !== undefined && one.name === name : one.id === id) {
      return { id: one.id, name: one.name };
    }
  }
  return null;
}

function requireFields(fields: Fields, required: readonly string[]): void {
  const missing = required.filter((field) => fields[field] === undefined || fields[field] === '');
  if (missing.length === 0) return;
  throw invalidObject(
    RESOURCE,
    missing.map((field) => ({ code: 'MissingRequired', message: `${field} is required`, field })),
  );
}

function requireFreeIdentifier(company: ConnectWiseCompany, identifier: unknown, self?: ApiMember): void {
  if (typeof identifier !== 'string') return;
  if (self !== undefined && self.identifier.toLowerCase() === identifier.toLowerCase()) return;
  if (!company.identifierTaken(identifier)) return;
  throw invalidObject(RESOURCE, [
    {
      code: 'AlreadyExists',
      message: `A member with identifier ${identifier} already exists`,
      field: 'identifier',
    },
  ]);
}

/** Writes fields onto the stored object: undefined removes; the inactive date follows the flag. */
function assign(context: Context, member: ApiMember, fields: Fields): void {
  const { identifier, ...rest } = fields;
  if (typeof identifier === 'string') context.company.reidentify(member, identifier);
  const target = member as unknown as Fields;
  for (const [field, value] of Object.entries(rest)) {
    if (value !== undefined) target[field] = value;
    else if (FLAGS.has(field)) target[field] = false;
    else delete target[field];
  }
  setInactive(member, member.inactiveFlag, context.now);
}

/** Switches an API member on or off, with the date that ConnectWise keeps beside the flag. */
export function setInactive(member: ApiMember, inactive: boolean, now: Date): void {
  member.inactiveFlag = inactive;
  if (!inactive) delete member.inactiveDate;
  else member.inactiveDate ??= wireTime(now);
}

function create(context: Context): Reply {
  const fields = readFields(context.company, Object.entries(readObject(RESOURCE, context.body)));
  requireFields(fields, REQUIRED_ON_CREATE);
  requireFreeIdentifier(context.company, fields['identifier']);
  const given = Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
  const member = context.company.addApiMember({
    inactiveFlag: false,
    ...(given as Omit<ApiMember, 'id' | '_info' | 'inactiveFlag'>),
    _info: freshInfo(context.now, context.member.identifier),
  });
  setInactive(member, member.inactiveFlag, context.now);
  context.onCreated(member);
  return { status: 201, body: member };
}

/** PUT nulls what it is not given (domain.md §4). */
function replace(context: Context): Reply {
  const member = find(context);
  const given = readFields(context.company, Object.entries(readObject(RESOURCE, context.body)));
  requireFields(given, ['identifier', 'name']);
  requireFreeIdentifier(context.company, given['identifier'], member);
  const absent = [...FIELDS.ApiMember].filter((field) => !['id', '_info', 'inactiveDate'].includes(field));
  assign(context, member, { ...Object.fromEntries(absent.map((field) => [field, undefined])), ...given });
  touch(member, context.now, context.member.identifier);
  return { status: 200, body: member };
}

function patch(context: Context): Reply {
  const member = find(context);
  const changes = readFields(context.company, readPatch(RESOURCE, context.body, FIELDS.ApiMember));
  requireFields({ ...member, ...changes }, ['identifier', 'name']);
  requireFreeIdentifier(context.company, changes['identifier'], member);
  assign(context, member, changes);
  touch(member, context.now, context.member.identifier);
  return { status: 200, body: member };
}

/** `/system/apiMembers/default` fills in places and time zone, and neither role nor names. */
function defaults(context: Context): Reply {
  const [location, ,] = LOCATIONS;
  const member = {
    id: 0,
    identifier: '',
    name: '',
    inactiveFlag: false,
    timeZone: pick(TIME_ZONES[0]),
    structureLevel: CORPORATE,
    securityLocation: pick(location),
    defaultLocation: pick(location),
    defaultDepartment: pick(DEPARTMENTS[0]),
    _info: {} as Partial<Info>,
  };
  return itemReply({ ...context, onlyMine: false }, member, RESOURCE, FIELDS.ApiMember);
}

function pick(row: Reference | undefined): Reference | undefined {
  return row === undefined ? undefined : { id: row.id, name: row.name };
}

/** `/system/apiMembers` and `/system/members`. */
export const memberOperations: readonly Operation[] = [
  {
    method: 'GET',
    template: '/system/apiMembers',
    need: need('inquire'),
    run: (context) => listReply(context, context.company.apiMembers.values(), FIELDS.ApiMember),
  },
  {
    method: 'GET',
    template: '/system/apiMembers/count',
    need: need('inquire'),
    run: (context) => countReply(context, context.company.apiMembers.values(), FIELDS.ApiMember),
  },
  { method: 'GET', template: '/system/apiMembers/default', need: need('inquire'), run: defaults },
  {
    method: 'GET',
    template: '/system/apiMembers/{id}',
    need: need('inquire'),
    run: (context) => itemReply(context, find(context), RESOURCE, FIELDS.ApiMember),
  },
  { method: 'POST', template: '/system/apiMembers', need: need('add'), run: create },
  { method: 'PUT', template: '/system/apiMembers/{id}', need: need('edit'), run: replace },
  { method: 'PATCH', template: '/system/apiMembers/{id}', need: need('edit'), run: patch },
  {
    method: 'GET',
    template: '/system/members',
    need: need('inquire'),
    run: (context) => listReply(context, context.company.members.values(), FIELDS.Member),
  },
  {
    method: 'GET',
    template: '/system/members/{id}',
    need: need('inquire'),
    run: (context) =>
      itemReply(context, context.company.members.get(Number(context.parameters[0])), 'member', FIELDS.Member),
  },
];
