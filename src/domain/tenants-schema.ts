import { z } from 'zod';
import { tenantInputSchema } from './tenant.ts';

/** The JSON Schema of tenants.yaml, for editors and other checkers: from the schemas that `apply` checks with. */

export type JsonSchema = z.core.JSONSchema.BaseSchema;

const REFERENCE: JsonSchema = {
  type: 'string',
  pattern: '^\\$\\{(env|file|command):[^{}]+\\}$',
  description: '${env:NAME}, ${file:PATH} or ${command:WORDS}, as the whole value.',
};
const REFERENCE_REF: JsonSchema = { $ref: '#/definitions/reference' };

/** What editors know, and tell in better words than a pattern; zod has names of its own besides. */
const FORMATS = new Set(['uri', 'uuid', 'date', 'date-time']);

/** In draft 7, which every editor's YAML support knows. */
export function tenantsSchema(): JsonSchema {
  const { $schema, ...tenant } = z.toJSONSchema(tenantInputSchema, { io: 'input', target: 'draft-7' });
  return {
    ...($schema === undefined ? {} : { $schema }),
    title: 'Parasol: tenants.yaml',
    type: 'object',
    properties: { tenants: { type: 'array', minItems: 1, items: inFile(tenant) } },
    required: ['tenants'],
    additionalProperties: false,
    definitions: { reference: REFERENCE },
  };
}

/** A value of the API as a file may have it: a reference wherever there is a value, and nothing else for a secret. */
function inFile(schema: JsonSchema): JsonSchema {
  const { properties, additionalProperties, items, anyOf, format, pattern, ...rest } = schema;
  const known = format !== undefined && FORMATS.has(format);
  const inner: JsonSchema = {
    ...rest,
    ...(known ? { format } : pattern === undefined ? {} : { pattern }),
    ...(properties === undefined ? {} : { properties: each(properties) }),
    ...(typeof additionalProperties === 'object'
      ? { additionalProperties: inFile(additionalProperties) }
      : additionalProperties === undefined
        ? {}
        : { additionalProperties }),
    ...(items === undefined ? {} : { items: inFile(items as JsonSchema) }),
    ...(anyOf === undefined ? {} : { anyOf: anyOf.map(inFile) }),
  };
  return isScalar(inner) ? orReference(inner) : inner;
}

const each = (properties: NonNullable<JsonSchema['properties']>): Record<string, JsonSchema> =>
  Object.fromEntries(
    Object.entries(properties).map(([name, property]) => [name, inFile(property as JsonSchema)]),
  );

const isScalar = ({ type }: JsonSchema): boolean =>
  type !== undefined && type !== 'object' && type !== 'array';

function orReference({ description, default: usual, writeOnly, ...value }: JsonSchema): JsonSchema {
  const words = {
    ...(description === undefined ? {} : { description }),
    ...(usual === undefined ? {} : { default: usual }),
  };
  if (writeOnly === true) return { ...words, allOf: [REFERENCE_REF] };
  // A text that may be anything may be a reference, too.
  if (Object.keys(value).length === 1 && value.type === 'string') return { ...words, ...value };
  return { ...words, anyOf: [value, REFERENCE_REF] };
}
