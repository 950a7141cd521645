import { isDeepStrictEqual } from 'node:util';
import type { Reply } from '../wire.ts';
import {
  freshInfo,
  touch,
  type Configuration,
  type ConfigurationType,
  type CustomerCompany,
  type Reference,
  type TypeQuestion,
} from './company.ts';
import { invalidObject, notFound } from './errors.ts';
import { FIELDS } from './field-names.ts';
import { countReply, itemReply, listReply, mine } from './list.ts';
import type { Context, Need, Operation } from './operation.ts';
import { readObject, readPatch } from './patch.ts';
import { CORPORATE } from './reference-data.ts';

const COMPANIES: Need = { on: 'Companies/Company Maintenance', kind: 'inquire' };
const ACTIVE: Reference = { id: 1, name: 'Active' };
/** Corporate is also the name of the location that sees everything. */
const CORPORATE_LOCATION_ID = 1;

function configurations(kind: Need['kind']): Need {
  return { on: 'Companies/Configurations', kind };
}

function types(kind: Need['kind']): Need {
  return { on: 'System/Table Setup', kind, item: 'Company / Configuration' };
}

/**
 * Whether the caller's level and location let it see a customer: Corporate at the Corporate location sees all,
 * anything narrower only the customers of its own location's territory (domain.md §3).
 */
function seesCompany(context: Context, customer: CustomerCompany | undefined): boolean {
  const { structureLevel, securityLocation } = context.member;
  if (structureLevel?.id === CORPORATE.id && securityLocation?.id === CORPORATE_LOCATION_ID) return true;
  return customer !== undefined && customer.territory.id === securityLocation?.id;
}

function visibleCompanies(context: Context): CustomerCompany[] {
  return context.company.companies.values().filter((customer) => seesCompany(context, customer));
}

function seesConfiguration(context: Context, configuration: Configuration): boolean {
  return seesCompany(context, context.company.companies.get(configuration.company.id));
}

function visibleConfigurations(context: Context): Configuration[] {
  return context.company.configurations.values().filter((one) => seesConfiguration(context, one));
}

function configuration(context: Context): Configuration {
  const id = context.parameters[0] ?? '';
  const found = context.company.configurations.get(Number(id));
  if (found === undefined || !mine(context, found) || !seesConfiguration(context, found))
    throw notFound('configuration', id);
  return found;
}

function type(context: Context): ConfigurationType {
  const id = context.parameters[0] ?? '';
  const found = context.company.configurationTypes.get(Number(id));
  if (found === undefined) throw notFound('configurationType', id);
  return found;
}

function referenceTo(value: unknown): number {
  if (value === null || typeof value !== 'object') return Number.NaN;
  return Number((value as { id?: unknown }).id);
}

function createConfiguration(context: Context): Reply {
  const { name, type, company, questions, ...rest } = readObject('configuration', context.body);
  const customer = context.company.companies.get(referenceTo(company));
  const kind = context.company.configurationTypes.get(referenceTo(type));
  const missing = [
    ...(typeof name === 'string' && name !== '' ? [] : ['name']),
    ...(kind === undefined ? ['type'] : []),
    ...(customer === undefined ? ['company'] : []),
  ];
  if (typeof name !== 'string' || kind === undefined || customer === undefined || missing.length > 0) {
    throw invalidObject(
      'configuration',
      missing.map((field) => ({ code: 'MissingRequired', message: `${field} is required`, field })),
    );
  }
  const created = context.company.configurations.insert({
    status: ACTIVE,
    activeFlag: true,
    ...rest,
    name,
    type: { id: kind.id, name: kind.name },
    company: { id: customer.id, identifier: customer.identifier, name: customer.name },
    questions: (questions ?? []) as Configuration['questions'],
    _info: freshInfo(context.now, context.member.identifier),
  });
  context.onCreated(created);
  return { status: 201, body: created };
}

function patchConfiguration(context: Context): Reply {
  const found = configuration(context);
  const changes = readPatch('configuration', context.body, FIELDS.CompanyConfiguration);
  const target = found as unknown as Record<string, unknown>;
  let changed = false;
  for (const [field, value] of changes) {
    if (isDeepStrictEqual(target[field], value)) continue;
    changed = true;
    target[field] = value;
  }
  if (changed || !context.company.options.unchangedPatchKeepsLastUpdated) {
    touch(found, context.now, context.member.identifier);
  }
  return { status: 200, body: found };
}

function createType(context: Context): Reply {
  const { name } = readObject('configurationType', context.body);
  if (typeof name !== 'string' || name === '' || name.length > 50) {
    throw invalidObject('configurationType', [
      { code: 'InvalidField', message: 'name is required', field: 'name' },
    ]);
  }
  const created = context.company.configurationTypes.insert({
    name,
    inactiveFlag: false,
    systemFlag: false,
    _info: freshInfo(context.now, context.member.identifier),
  });
  context.onCreated(created);
  return { status: 201, body: created };
}

function questionsOf(context: Context): TypeQuestion[] {
  const { id } = type(context);
  return context.company.typeQuestions.values().filter((one) => one.configurationType.id === id);
}

function createQuestion(context: Context): Reply {
  const parent = type(context);
  const given = readObject('configurationTypeQuestion', context.body);
  const created = context.company.typeQuestions.insert({
    ...(given as Pick<TypeQuestion, 'fieldType' | 'entryType' | 'sequenceNumber' | 'question'>),
    requiredFlag: given['requiredFlag'] === true,
    inactiveFlag: false,
    configurationType: { id: parent.id, name: parent.name },
    _info: freshInfo(context.now, context.member.identifier),
  });
  context.onCreated(created);
  return { status: 201, body: created };
}

/** Everything below `/company`. */
export const customerOperations: readonly Operation[] = [
  {
    method: 'GET',
    template: '/company/companies',
    need: COMPANIES,
    run: (context) => listReply(context, visibleCompanies(context), FIELDS.Company),
  },
  {
    method: 'GET',
    template: '/company/companies/count',
    need: COMPANIES,
    run: (context) => countReply(context, visibleCompanies(context), FIELDS.Company),
  },
  {
    method: 'GET',
    template: '/company/companies/{id}',
    need: COMPANIES,
    run: (context) => {
      const found = context.company.companies.get(Number(context.parameters[0]));
      return itemReply(context, seesCompany(context, found) ? found : undefined, 'company', FIELDS.Company);
    },
  },
  {
    method: 'GET',
    template: '/company/configurations',
    need: configurations('inquire'),
    run: (context) => listReply(context, visibleConfigurations(context), FIELDS.CompanyConfiguration),
  },
  {
    method: 'GET',
    template: '/company/configurations/count',
    need: configurations('inquire'),
    run: (context) => countReply(context, visibleConfigurations(context), FIELDS.CompanyConfiguration),
  },
  {
    method: 'GET',
    template: '/company/configurations/{id}',
    need: configurations('inquire'),
    run: (context) =>
      itemReply(context, configuration(context), 'configuration', FIELDS.CompanyConfiguration),
  },
  {
    method: 'POST',
    template: '/company/configurations',
    need: configurations('add'),
    run: createConfiguration,
  },
  {
    method: 'PATCH',
    template: '/company/configurations/{id}',
    need: configurations('edit'),
    run: patchConfiguration,
  },
  {
    method: 'GET',
    template: '/company/configurations/types',
    need: types('inquire'),
    run: (context) =>
      listReply(context, context.company.configurationTypes.values(), FIELDS.ConfigurationType),
  },
  // The two POSTs below are Umbrella's, not Parasol's; real ConnectWise has them outside our contract subset.
  { method: 'POST', template: '/company/configurations/types', need: types('add'), run: createType },
  {
    method: 'GET',
    template: '/company/configurations/types/{id}',
    need: types('inquire'),
    run: (context) => itemReply(context, type(context), 'configurationType', FIELDS.ConfigurationType),
  },
  {
    method: 'GET',
    template: '/company/configurations/types/{parentId}/questions',
    need: types('inquire'),
    run: (context) => listReply(context, questionsOf(context), FIELDS.ConfigurationTypeQuestion),
  },
  {
    method: 'POST',
    template: '/company/configurations/types/{parentId}/questions',
    need: types('add'),
    run: createQuestion,
  },
];
