import { existsSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type { ValidateFunction } from 'ajv';
import { Ajv } from 'ajv';
import formats from 'ajv-formats';
import type { JournalEntry } from '../../src/simulator/index.ts';

/**
 * Holds calls and answers against the vendors' published contracts. The files are not part of this
 * repository: they are looked for in `../shared/contracts` beside the checkout, or where PARASOL_CONTRACTS says.
 */
const FOLDER = process.env['PARASOL_CONTRACTS'] ?? resolve(import.meta.dirname, '../../../shared/contracts');
const FILES = {
  connectwise: resolve(FOLDER, 'connectwise-psa-2025.1.subset.json'),
  umbrella: resolve(FOLDER, 'umbrella-v2.subset.json'),
};

/** Whether both contracts were found; without them the checks below cannot be used. */
export const contractsAvailable = existsSync(FILES.connectwise) && existsSync(FILES.umbrella);

type Json = Record<string, unknown>;

interface Body {
  required?: boolean;
  content: Record<string, { schema: Json }>;
}

interface Operation {
  parameters?: Array<{ name: string; in: string; required?: boolean }>;
  requestBody?: Body;
  responses: Record<string, { content?: Body['content'] }>;
}

interface Contract {
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, Json> };
}

interface Checker {
  contract: Contract;
  ajv: Ajv;
  validators: Map<string, ValidateFunction>;
}

const checkers = new Map<JournalEntry['vendor'], Checker>();

function checkerOf(vendor: JournalEntry['vendor']): Checker {
  let checker = checkers.get(vendor);
  if (checker === undefined) {
    const contract = JSON.parse(readFileSync(FILES[vendor], 'utf8')) as Contract;
    const ajv = new Ajv({ allErrors: true, strict: false });
    formats.default(ajv);
    ajv.addSchema({ $id: 'contract', components: converted(contract.components) as Json });
    checkers.set(vendor, (checker = { contract, ajv, validators: new Map() }));
  }
  return checker;
}

/**
 * Turns OpenAPI 3.0 schemas into JSON Schema: `nullable` becomes a type, references point into the one
 * document, `{type: object, additionalProperties: true}` means "anything" (.NET's `object`), and objects
 * with named properties allow no others, so that invented and misspelled fields are seen.
 */
function converted(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(converted);
  if (schema === null || typeof schema !== 'object') return schema;
  const { nullable, ...rest } = schema as Json;
  if (rest['type'] === 'object' && rest['additionalProperties'] === true) return {};
  const result: Json = {};
  for (const [name, value] of Object.entries(rest)) result[name] = converted(value);
  if (typeof rest['$ref'] === 'string') result['$ref'] = `contract${rest['$ref']}`;
  if (nullable === true) result['type'] = [rest['type'], 'null'];
  if (rest['type'] === 'object' && rest['properties'] !== undefined) result['additionalProperties'] ??= false;
  return result;
}

function operationOf(entry: JournalEntry): Operation | undefined {
  return checkerOf(entry.vendor).contract.paths[entry.operation ?? '']?.[entry.method.toLowerCase()];
}

/** Whether the contract has this operation at all; companyinfo, for one, is in none. */
export function underContract(entry: JournalEntry): boolean {
  return operationOf(entry) !== undefined;
}

/** The schema of an answer of 200 or 201, and those that it refers to by name; null: the contract has none. */
export function answerSchema(entry: JournalEntry): { schema: Json; components: Record<string, Json> } | null {
  const responses = operationOf(entry)?.responses ?? {};
  const [media] = Object.values((responses['200'] ?? responses['201'])?.content ?? {});
  const { components } = checkerOf(entry.vendor).contract;
  return media === undefined ? null : { schema: media.schema, components: components.schemas };
}

function violations(vendor: JournalEntry['vendor'], schema: Json, value: unknown): string[] {
  const checker = checkerOf(vendor);
  const name = JSON.stringify(schema);
  let validate = checker.validators.get(name);
  if (validate === undefined) {
    validate = checker.ajv.compile(converted(schema) as Json);
    checker.validators.set(name, validate);
  }
  if (validate(value)) return [];
  return (validate.errors ?? []).map((error) => {
    const extra =
      error.keyword === 'additionalProperties' ? ` (${String(error.params['additionalProperty'])})` : '';
    return `${error.instancePath || '/'} ${error.message ?? ''}${extra}`;
  });
}

/** What the contract has against a request: unknown query parameters, a wrong body. Empty: nothing. */
export function checkRequest(entry: JournalEntry): string[] {
  const told = `${entry.method} ${entry.operation ?? entry.path}`;
  const operation = operationOf(entry);
  if (operation === undefined) return [`${told}: the contract has no such operation`];
  const allowed = (operation.parameters ?? []).filter((parameter) => parameter.in === 'query');
  const unknown = Object.keys(entry.query).filter((name) => !allowed.some((one) => one.name === name));
  const missing = allowed.filter((one) => one.required === true && entry.query[one.name] === undefined);
  return [
    ...unknown.map((name) => `${told}: no query parameter ${name}`),
    ...missing.map((one) => `${told}: the query parameter ${one.name} is required`),
    ...checkBody(entry, operation.requestBody).map((problem) => `${told}: body ${problem}`),
  ];
}

function checkBody(entry: JournalEntry, body: Body | undefined): string[] {
  const given = entry.requestBody;
  if (body === undefined) return given === null ? [] : ['is not expected'];
  if (given === null) return body.required === true ? ['is required'] : [];
  const [type, media] = Object.entries(body.content)[0] ?? [];
  if (media === undefined) return [];
  const isForm = type === 'application/x-www-form-urlencoded' && typeof given === 'string';
  const value = isForm ? Object.fromEntries(new URLSearchParams(given)) : given;
  const updates = entry.method === 'PUT' ? missingOnUpdate(entry.vendor, media.schema, value) : [];
  return [...violations(entry.vendor, media.schema, value), ...updates];
}

/** Fields that the vendor marks `x-required-on-updates`: a PUT without them nulls what must not be null. */
function missingOnUpdate(vendor: JournalEntry['vendor'], schema: Json, value: unknown): string[] {
  const reference = typeof schema['$ref'] === 'string' ? schema['$ref'] : '';
  const name = reference.replace('#/components/schemas/', '');
  const properties = checkerOf(vendor).contract.components.schemas[name]?.['properties'] as
    Record<string, Json> | undefined;
  return Object.entries(properties ?? {})
    .filter(([field, one]) => one['x-required-on-updates'] === true && Object(value)[field] === undefined)
    .map(([field]) => `/${field} is required on updates`);
}

/**
 * What the contract has against an answer: a success status it does not know, a body that is not of its schema.
 * Errors that the contract does not describe (all of ConnectWise's) are not checked. Empty: nothing.
 */
export function checkAnswer(entry: JournalEntry): string[] {
  const told = `${entry.method} ${entry.operation ?? entry.path} ${entry.status ?? 'without an answer'}`;
  const operation = operationOf(entry);
  if (operation === undefined) return [`${told}: the contract has no such operation`];
  if (entry.status === null) return [`${told}: nothing to check`];
  const response = operation.responses[String(entry.status)];
  if (response === undefined) return entry.status < 400 ? [`${told}: the contract has no such status`] : [];
  const [media] = Object.values(response.content ?? {});
  if (media === undefined) return entry.responseBody === null ? [] : [`${told}: no body is expected`];
  return violations(entry.vendor, media.schema, entry.responseBody).map((problem) => `${told}: ${problem}`);
}
