import { invalidObject } from './errors.ts';

/** One step of a ConnectWise PATCH; a leading slash of `path` is tolerated. */
interface PatchStep {
  op: 'add' | 'replace' | 'remove';
  path: string;
  value?: unknown;
}

/** Reads a JSON object from a request body, or refuses as ConnectWise does. */
export function readObject(resource: string, body: string): Record<string, unknown> {
  const value = readJson(resource, body);
  if (value === null || typeof value !== 'object' || Array.isArray(value)) {
    throw invalidObject(resource, [{ code: 'InvalidField', message: 'An object is expected' }]);
  }
  return value as Record<string, unknown>;
}

function readJson(resource: string, body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    throw invalidObject(resource, [{ code: 'InvalidField', message: 'The body is not JSON' }]);
  }
}

/**
 * Reads PATCH steps and reduces them to whole-field changes (domain.md §4): a value of undefined removes the
 * field; a path inside a reference (`securityRole/id`) is accepted and changes nothing; a path that is not
 * exactly a field's name, letter by letter, is refused.
 */
export function readPatch(resource: string, body: string, fields: ReadonlySet<string>): Map<string, unknown> {
  const steps = readJson(resource, body);
  if (!Array.isArray(steps)) {
    throw invalidObject(resource, [{ code: 'InvalidField', message: 'A list of operations is expected' }]);
  }
  const changes = new Map<string, unknown>();
  for (const step of steps as Array<Partial<PatchStep> | null>) {
    const path = typeof step?.path === 'string' ? step.path.replace(/^\//, '') : '';
    const [field = '', ...inside] = path.split('/');
    if (!['add', 'replace', 'remove'].includes(step?.op ?? '') || !fields.has(field) || field === 'id') {
      throw invalidObject(resource, [
        { code: 'InvalidField', message: `'${step?.op ?? ''} ${path}' cannot be applied`, field: path },
      ]);
    }
    if (inside.length > 0) continue;
    changes.set(field, step?.op === 'remove' ? undefined : step?.value);
  }
  return changes;
}
