import { z } from 'zod';
import type {
  ConfigurationFact,
  LevelRow,
  MemberFact,
  Reference,
  RoleFact,
} from '../../domain/observation.ts';
import type { Level } from '../../domain/tenant.ts';
import { LONGEST_TEXT } from '../http/understood.ts';

/**
 * What is read of ConnectWise's objects, and how they become facts. Unknown fields are ignored and anything
 * that nothing rests on may be absent; what a fact needs must be there, since a row that was dropped silently
 * would look like an absence (rulings 1).
 */

const told = z.string().max(LONGEST_TEXT);
const text = told.nullish();
const flag = z.boolean().nullish();

const reference = z
  .object({ id: z.number().int().nullish(), name: text, identifier: text })
  .nullish()
  .transform((given): Reference | null =>
    given?.id === undefined || given.id === null
      ? null
      : { id: given.id, name: given.name ?? given.identifier ?? '' },
  );

/** Answered by `/login/companyinfo/{companyId}`, without credentials; `null`: no such company. */
export const companyInfoSchema = z
  .object({
    CompanyName: text,
    /** One path segment: what comes in here becomes part of every URL that carries credentials. */
    Codebase: told.regex(/^[A-Za-z0-9._-]*[A-Za-z0-9_-]\/?$/),
  })
  .nullable();

/** None, My and All are ConnectWise's; null and absent mean None; a level of another name is kept as told. */
const level = text
  // The type names the levels that are known. An unknown one is no reason to lose the row: it equals no
  // wanted level, and so the domain shows it as a difference with its own name.
  .transform((told) => (told ?? 'None') as Level);

const levelFields = {
  addLevel: level,
  editLevel: level,
  deleteLevel: level,
  inquireLevel: level,
  moduleName: text,
  moduleDescription: text,
  moduleIdentifier: text,
  moduleFunctionName: text,
  moduleFunctionDescription: text,
  moduleFunctionIdentifier: text,
};
const levelObject = z.object(levelFields);

/** A row of `/system/securityRoles/{id}/settings`. */
export const settingSchema = levelObject.transform(levelRow);

/** A row of `/system/mySecurity`: a setting, and usually the member whose it is. */
export const mySecuritySchema = z
  .object({ ...levelFields, member: z.object({ identifier: text }).nullish() })
  .transform((row) => ({ member: row.member?.identifier ?? null, row: levelRow(row) }));

/** The names are matched as shown on the screen; identifiers vary between servers (domain.md §4). */
function levelRow(row: z.output<typeof levelObject>): LevelRow {
  const module = row.moduleName || row.moduleDescription || row.moduleIdentifier || '?';
  const name = row.moduleFunctionName || row.moduleFunctionDescription || row.moduleFunctionIdentifier || '?';
  return {
    function: `${module.trim()}/${name.trim()}`,
    add: row.addLevel,
    edit: row.editLevel,
    delete: row.deleteLevel,
    inquire: row.inquireLevel,
  };
}

/** A row of `/system/mySecurity/customizeItems/`, which lists the items of several dialogs. */
export const customizeItemSchema = z.object({ customizeIdentifier: text, itemIdentifier: told });

export const roleSchema = z
  .object({ id: z.number().int(), name: told, inactiveFlag: flag })
  .transform((row): RoleFact => ({ id: row.id, name: row.name, inactive: row.inactiveFlag === true }));

const memberObject = z.object({
  id: z.number().int(),
  identifier: told,
  name: text,
  inactiveFlag: flag,
  securityRole: reference,
  structureLevel: reference,
  securityLocation: reference,
});

export const memberSchema = memberObject.transform((row): MemberFact => ({
  id: row.id,
  identifier: row.identifier,
  name: row.name ?? '',
  inactive: row.inactiveFlag === true,
  role: row.securityRole,
  level: row.structureLevel,
  location: row.securityLocation,
}));

/** What a new member takes over from another one, or from `/system/apiMembers/default`. */
export const modelMemberSchema = z.object({
  structureLevel: reference,
  securityLocation: reference,
  defaultLocation: reference,
  defaultDepartment: reference,
  timeZone: reference,
});
export type ModelMember = z.output<typeof modelMemberSchema>;

/** A row of a table whose rows are named: locations, departments, structure levels, configuration types. */
export const namedSchema = z
  .object({ id: z.number().int(), name: text, identifier: text, defaultFlag: flag })
  .transform((row) => ({
    id: row.id,
    name: row.name ?? row.identifier ?? '',
    isDefault: row.defaultFlag === true,
  }));

/** A row of which nothing but its being there is asked. */
export const idSchema = z.object({ id: z.number().int() });

const company = z.object({ id: z.number().int(), identifier: text, name: text }).nullish();

export const configurationSchema = z
  .object({
    id: z.number().int(),
    name: text,
    type: reference,
    company,
    _info: z.object({ lastUpdated: text, updatedBy: text }).nullish(),
  })
  .transform((row): ConfigurationFact => ({
    id: row.id,
    name: row.name ?? '',
    company: row.company
      ? { id: row.company.id, identifier: row.company.identifier ?? '', name: row.company.name ?? '' }
      : null,
    typeId: row.type?.id ?? null,
    updatedBy: row._info?.updatedBy ?? null,
    lastUpdated: utc(row._info?.lastUpdated),
  }));

/** ISO 8601 in UTC; ConnectWise's times are UTC, also where they do not say so. Null: no time. */
function utc(told: string | null | undefined): string | null {
  if (told === null || told === undefined) return null;
  const zoned = /(?:[zZ]|[+-]\d\d:?\d\d)$/.test(told) || !told.includes('T') ? told : `${told}Z`;
  const at = Date.parse(zoned);
  return Number.isNaN(at) ? null : new Date(at).toISOString();
}

const words = z.string().nullish();

/** ConnectWise's error body: `{code, message, errors: [{code, message, resource, field}]}`; not always whole. */
export const errorSchema = z.object({
  code: words,
  message: words,
  errors: z.array(z.object({ code: words, message: words, resource: words, field: words })).nullish(),
});
