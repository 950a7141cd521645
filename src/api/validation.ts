import type { FastifyInstance, FastifySchemaCompiler } from 'fastify';
import type { FastifySerializerCompiler } from 'fastify/types/schema.js';
import type { z } from 'zod';
import { Problem } from './problem.ts';

/**
 * Zod reads what comes in and what goes out. Answers pass through their schema too: what a schema does not
 * name never leaves, and a spec with a secret in it fails instead of being shown.
 */
export function validateWithZod(app: FastifyInstance): void {
  app.setValidatorCompiler(readWith as FastifySchemaCompiler<unknown>);
  app.setSerializerCompiler(writeWith as FastifySerializerCompiler<unknown>);
}

const readWith: FastifySchemaCompiler<z.ZodType> =
  ({ schema, url }) =>
  (data) => {
    const parsed = schema.safeParse(data);
    if (parsed.success) return { value: parsed.data };
    const isPair = PAIR_BODY.test(url ?? '');
    return { error: Problem.invalid(parsed.error.issues.map((issue) => fieldError(issue, isPair))) };
  };

const writeWith: FastifySerializerCompiler<z.ZodType> =
  ({ schema, method, url }) =>
  (data) => {
    const parsed = schema.safeParse(data);
    if (parsed.success) return JSON.stringify(parsed.data);
    const paths = parsed.error.issues.map((issue) => pathOf(issue.path)).join(', ');
    throw new Error(`the answer of ${method} ${url} is not as its schema says: ${paths}`);
  };

const pathOf = (path: readonly PropertyKey[]): string => path.map(String).join('.');

const PAIRS = new Set<PropertyKey>(['managementKey', 'integrationKey', 'apiKey', 'keyAdmin']);
/** Routes whose body is a key pair itself. */
const PAIR_BODY = /\/credentials\/|\/submit$/;

/** A field and what is wrong with it. Zod's words never quote a value, but they do quote unknown names. */
function fieldError(issue: z.core.$ZodIssue, isPair: boolean): { path: string; message: string } {
  const path = pathOf(issue.path);
  // Inside a key pair an unknown name may be a secret that slipped to the left of its colon.
  if (issue.code === 'unrecognized_keys' && (isPair || issue.path.some((name) => PAIRS.has(name)))) {
    return { path, message: 'has a name that is not known here' };
  }
  if (issue.code === 'invalid_union' && issue.errors.length > 0) {
    const messages = issue.errors.flatMap((branch) =>
      branch.map((inner) => {
        const at = pathOf(inner.path);
        return at === '' ? inner.message : `${at}: ${inner.message}`;
      }),
    );
    return { path, message: [...new Set(messages)].join('; or ') };
  }
  return { path, message: issue.message };
}
