import { z } from 'zod';
import type { MemberFact, Reference } from '../../domain/observation.ts';
import { failed, ok, saysNothing, type Failure, type Outcome } from '../../domain/outcome.ts';
import type { ConnectWiseWrites, MemberChange, NewMember } from '../../reconciler/ports.ts';
import type { ConnectWiseApi } from './api.ts';
import { equals } from './conditions.ts';
import type { Door } from './door.ts';
import { memberSchema, modelMemberSchema, namedSchema, roleSchema, type ModelMember } from './schemas.ts';

const MEMBERS = '/system/apiMembers';
const LEVELS = '/system/myCompany/corporateStructureLevels';
const LOCATIONS = '/system/locations';
const DEPARTMENTS = '/system/departments';
const TIME_ZONES = '/system/timeZoneSetups';

/**
 * ConnectWise, written with one key. Nothing is sent twice: an answer that was lost is `OutcomeUnknown`; and
 * nothing leaves but through the door, which sees what is sent.
 */
export function connectWiseWrites(api: ConnectWiseApi, door: Door): ConnectWiseWrites {
  return {
    createRole(name) {
      const barrier = () => door({ makes: 'role', name });
      return api.write('POST', '/system/securityroles', { name }, roleSchema, barrier);
    },

    async createMember(member) {
      const model = await modelFor(api, member);
      if (!model.ok) return model;
      const { identifier, name } = member;
      const role = { id: member.roleId, name: member.roleName };
      const body = { ...present(model.value), identifier, name, inactiveFlag: false, securityRole: role };
      const barrier = () => door({ makes: 'member', identifier, role });
      return api.write('POST', MEMBERS, body, memberSchema, barrier);
    },

    async changeMember(id, change) {
      const wanted = await resolve(api, change);
      if (!wanted.ok) return wanted;
      const path = `${MEMBERS}/${id}`;
      const before = await api.read(path, memberSchema);
      if (!before.ok || different(wanted.value, before.value).length === 0) return before;
      const { identifier } = before.value;
      const steps = Object.entries(wanted.value).map(([field, value]) => ({
        op: 'replace',
        path: field,
        value,
      }));
      const barrier = () => door({ changes: id, identifier, role: wanted.value.securityRole });
      const patched = await api.write('PATCH', path, steps, z.unknown(), barrier);
      if (!patched.ok) return patched;
      const seen = await api.read(path, memberSchema);
      if (!seen.ok) return failed(unseen(seen.failure));
      const unchanged = different(wanted.value, seen.value);
      if (unchanged.length === 0) return seen;
      const fields = unchanged.map((field) => ({
        field,
        message: 'ConnectWise accepted it and changed nothing',
      }));
      return failed({ kind: 'Invalid', fields, detail: `PATCH ${path} changed nothing of it` });
    },
  };
}

/** The PATCH was answered; whether it did what it should could not be seen. */
function unseen(failure: Failure): Failure {
  return { kind: 'OutcomeUnknown', detail: `changed, and could not be read back: ${failure.kind}` };
}

/** Fields of a PATCH, by ConnectWise's own names; whole references (domain.md §4). */
interface Patch {
  inactiveFlag?: boolean;
  securityRole?: Partial<Reference>;
  structureLevel?: Reference;
  securityLocation?: Reference;
}

async function resolve(api: ConnectWiseApi, change: MemberChange): Promise<Outcome<Patch>> {
  const patch: Patch = {};
  if (change.active !== undefined) patch.inactiveFlag = !change.active;
  if (change.roleId !== undefined || change.roleName !== undefined) {
    patch.securityRole = {
      ...(change.roleId === undefined ? {} : { id: change.roleId }),
      ...(change.roleName === undefined ? {} : { name: change.roleName }),
    };
  }
  if (change.level !== undefined) {
    const level = await find(api, LEVELS, 'structureLevel', change.level);
    if (!level.ok) return level;
    patch.structureLevel = level.value;
  }
  if (change.location !== undefined) {
    const location = await find(api, LOCATIONS, 'securityLocation', change.location);
    if (!location.ok) return location;
    patch.securityLocation = location.value;
  }
  return ok(patch);
}

/** Fields of which a member differs from what is asked for. */
function different(wanted: Patch, seen: MemberFact): string[] {
  const same = (asked: Partial<Reference> | undefined, has: Reference | null): boolean =>
    asked === undefined ||
    (has !== null && (asked.id === undefined ? asked.name === has.name : asked.id === has.id));
  return [
    ...(wanted.inactiveFlag === undefined || wanted.inactiveFlag === seen.inactive ? [] : ['inactiveFlag']),
    ...(same(wanted.securityRole, seen.role) ? [] : ['securityRole']),
    ...(same(wanted.structureLevel, seen.level) ? [] : ['structureLevel']),
    ...(same(wanted.securityLocation, seen.location) ? [] : ['securityLocation']),
  ];
}

/**
 * The references of a new member: what the spec names; else the model member's; else what
 * `/system/apiMembers/default` has; else the table's default row, or its first. What none of them tells is left
 * out, and ConnectWise then names it in its refusal.
 */
async function modelFor(api: ConnectWiseApi, member: NewMember): Promise<Outcome<ModelMember>> {
  const like = await modelMember(api, member.likeIdentifier);
  if (!like.ok) return like;
  const defaults = unlessSilent(await api.read(`${MEMBERS}/default`, modelMemberSchema));
  if (!defaults.ok) return defaults;
  const known = (name: keyof ModelMember) => like.value?.[name] ?? defaults.value?.[name] ?? null;

  const level = await named(api, LEVELS, 'structureLevel', member.level, known('structureLevel'));
  if (!level.ok) return level;
  const securityLocation =
    member.location === undefined
      ? await usual(api, LOCATIONS, known('securityLocation'))
      : await named(api, LOCATIONS, 'securityLocation', member.location, known('securityLocation'));
  if (!securityLocation.ok) return securityLocation;
  const defaultLocation = await usual(api, LOCATIONS, known('defaultLocation') ?? securityLocation.value);
  if (!defaultLocation.ok) return defaultLocation;
  const defaultDepartment = await usual(api, DEPARTMENTS, known('defaultDepartment'));
  if (!defaultDepartment.ok) return defaultDepartment;
  const timeZone = await usual(api, TIME_ZONES, known('timeZone'));
  if (!timeZone.ok) return timeZone;
  return ok({
    structureLevel: level.value,
    securityLocation: securityLocation.value,
    defaultLocation: defaultLocation.value,
    defaultDepartment: defaultDepartment.value,
    timeZone: timeZone.value,
  });
}

/** The member that serves as the model; null: none was named, or there is none of that identifier. */
async function modelMember(
  api: ConnectWiseApi,
  identifier: string | null,
): Promise<Outcome<ModelMember | null>> {
  if (identifier === null) return ok(null);
  const row = modelMemberSchema.and(z.object({ id: z.number().int() }));
  const found = await api.list(MEMBERS, row, { conditions: equals('identifier', identifier) });
  return found.ok ? ok(found.value.rows[0] ?? null) : found;
}

/** The reference of that name: the known one if it is that, else looked up. */
async function named(
  api: ConnectWiseApi,
  path: string,
  field: string,
  name: string,
  known: Reference | null,
): Promise<Outcome<Reference>> {
  return known !== null && sameName(known.name, name) ? ok(known) : find(api, path, field, name);
}

/** The row of that name in a table; `Invalid` naming the field when there is none. */
async function find(
  api: ConnectWiseApi,
  path: string,
  field: string,
  name: string,
): Promise<Outcome<Reference>> {
  const found = await api.list(path, namedSchema, { conditions: equals('name', name) });
  if (!found.ok) return found;
  const row = found.value.rows.find((one) => sameName(one.name, name));
  if (row !== undefined) return ok({ id: row.id, name: row.name });
  const fields = [{ field, message: `there is none named ${name}` }];
  return failed({ kind: 'Invalid', fields, detail: `${path} has no ${name}` });
}

/** The known reference, else a table's default row or its first; null where the table cannot be read. */
async function usual(
  api: ConnectWiseApi,
  path: string,
  known: Reference | null,
): Promise<Outcome<Reference | null>> {
  if (known !== null) return ok(known);
  const rows = unlessSilent(await api.list(path, namedSchema));
  if (!rows.ok) return rows;
  const table = rows.value?.rows ?? [];
  const row = table.find(({ isDefault }) => isDefault) ?? table[0];
  return ok(row === undefined ? null : { id: row.id, name: row.name });
}

/** A refusal is an answer, and means: not from here. A failure that says nothing stays one. */
function unlessSilent<T>(outcome: Outcome<T>): Outcome<T | null> {
  return outcome.ok || saysNothing(outcome.failure) ? outcome : ok(null);
}

function present(model: ModelMember): Partial<Record<keyof ModelMember, Reference>> {
  return Object.fromEntries(
    Object.entries(model).filter((entry): entry is [string, Reference] => entry[1] !== null),
  );
}

function sameName(a: string, b: string): boolean {
  return a.trim().toLowerCase() === b.trim().toLowerCase();
}
