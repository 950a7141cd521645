import { z } from 'zod';
import { describeFailure } from '../../domain/outcome.ts';
import { expectedMembers, type TenantSpec } from '../../domain/tenant.ts';
import type { Sample } from '../../reconciler/ports.ts';
import { withoutSecrets } from '../http/redact.ts';
import type { ConnectWiseApi, Query } from './api.ts';
import { anyOf, contains, equals } from './conditions.ts';
import { settingSchema } from './schemas.ts';

/** Rows of an answer that are shown; the others are counted. */
const ROWS_SHOWN = 3;
/** Rows of a list inside a row: the questions of a configuration are wanted all. */
const INNER_ROWS_SHOWN = 30;
const MAX_STRING = 200;
/** Deeper than any row of ConnectWise's; what goes on is no row, and may go on without end. */
const MAX_DEPTH = 10;
const MAX_TEXT = 4_000;
/** One page tells how many there are; a longer list is told as that. */
const PAGE = 1_000;

/** Names of what nobody wants to paste into a report: secrets, and what people wrote for themselves. */
const PRIVATE = /passw|secret|token|credential|private|\bkey\b|apikey|\bpin\b|e-?mail|notes$/i;
/** An answer that may be a key of something: opaque, long, without a space. */
const OPAQUE = /^(?=.*\d)(?=.*[a-z])[^\s]{16,}$/i;
const REMOVED = '[removed]';

/**
 * What is not known of live tenants (domain.md §6), read with one key: rows as they came, without secrets and
 * headers. A read that is refused is a sample that says so, and ends nothing.
 */
export async function connectWiseSamples(spec: TenantSpec, api: ConnectWiseApi): Promise<Sample[]> {
  const { role } = spec.connectwise;
  const { configurationType } = spec.integration;
  const part = configurationType === '*' ? 'Umbrella' : configurationType;
  const samples: Sample[] = [];

  /** Reads, shows, and answers the rows. */
  const show = async (title: string, path: string, query: Query = {}): Promise<unknown[]> => {
    const answer = await api.read(path, z.unknown(), query);
    const text = answer.ok ? shown(answer.value, api.secrets) : describeFailure(answer.failure);
    samples.push({ title: `${title} (GET ${path})`, text });
    return answer.ok && Array.isArray(answer.value) ? answer.value : [];
  };
  const first = async (title: string, path: string, query: Query): Promise<number | null> => {
    const [row] = await show(title, path, query);
    return z.object({ id: z.int() }).safeParse(row).data?.id ?? null;
  };

  const levels = await show('Levels of this key', '/system/mySecurity', { pageSize: PAGE });
  const functions = levels.map((row) => settingSchema.safeParse(row).data?.function ?? '?');
  if (functions.length > 0) {
    samples.push({ title: 'Module functions of this server', text: cut(functions.join('\n'), api.secrets) });
  }
  await show('Dialog items of this key', '/system/mySecurity/customizeItems/', { pageSize: PAGE });
  const roleId = await first(`The role ${role.name}`, '/system/securityroles', {
    conditions: equals('name', role.name),
  });
  if (roleId !== null) {
    await show(`Levels of ${role.name}`, `/system/securityRoles/${roleId}/settings`, { pageSize: PAGE });
  }
  await show('API members', '/system/apiMembers', {
    conditions: anyOf('identifier', expectedMembers(spec)),
  });
  const typeId = await first(`Configuration types like ${part}`, '/company/configurations/types', {
    conditions: contains('name', part),
  });
  if (typeId === null) return samples;
  const configurations = await api.read('/company/configurations', z.array(z.object({ id: z.int() })), {
    conditions: equals('type/id', typeId),
    pageSize: 1,
  });
  const title = 'A configuration of that type';
  if (!configurations.ok) samples.push({ title, text: describeFailure(configurations.failure) });
  else if (configurations.value[0] === undefined) samples.push({ title, text: 'There is none.' });
  else await show(title, `/company/configurations/${configurations.value[0].id}`);
  return samples;
}

/** An answer as text: its rows counted, those that grant something first. */
function shown(value: unknown, secrets: readonly string[]): string {
  const text = JSON.stringify(trimmed(granting(value), secrets, ROWS_SHOWN), null, 2) ?? 'nothing';
  const counted = Array.isArray(value) ? `${rowCount(value.length)}\n${text}` : text;
  return cut(counted, secrets);
}

function cut(text: string, secrets: readonly string[]): string {
  const safe = withoutSecrets(text, secrets);
  return safe.length <= MAX_TEXT ? safe : `${safe.slice(0, safe.lastIndexOf('\n', MAX_TEXT))}\n…`;
}

function rowCount(length: number): string {
  return `${length === PAGE ? `${PAGE} or more` : length} ${length === 1 ? 'row' : 'rows'}`;
}

/** Rows of levels of which one is not None come first: of a hundred rows, they tell most. */
function granting(value: unknown): unknown {
  if (!Array.isArray(value)) return value;
  const grants = (row: unknown) =>
    Object.entries(Object(row) as object).some(
      ([field, level]) => field.endsWith('Level') && level !== null && level !== 'None',
    );
  return [...value.filter(grants), ...value.filter((row) => !grants(row))];
}

/** The value without secrets and private texts, long lists and strings cut. */
function trimmed(value: unknown, secrets: readonly string[], rows: number, depth = 0): unknown {
  if (typeof value === 'string') {
    // Secrets go first: half of one would not be found any more.
    const safe = withoutSecrets(value, secrets);
    return safe.length <= MAX_STRING ? safe : `${safe.slice(0, MAX_STRING)}…`;
  }
  if (depth >= MAX_DEPTH && typeof value === 'object' && value !== null) return '…';
  if (Array.isArray(value)) {
    const kept = value.slice(0, rows).map((one) => trimmed(one, secrets, INNER_ROWS_SHOWN, depth + 1));
    return value.length > rows ? [...kept, `… and ${value.length - rows} more`] : kept;
  }
  if (typeof value !== 'object' || value === null) return value;
  const row = value as Record<string, unknown>;
  return Object.fromEntries(
    Object.entries(row).map(([field, one]) => [
      field,
      isPrivate(row, field) ? REMOVED : trimmed(one, secrets, INNER_ROWS_SHOWN, depth + 1),
    ]),
  );
}

/** A field by its own name; an answer or a value by the question or caption beside it, and by what it looks like. */
function isPrivate(row: Record<string, unknown>, field: string): boolean {
  const value = row[field];
  if ((typeof value !== 'string' && typeof value !== 'number') || value === '') return false;
  if (PRIVATE.test(field)) return true;
  if (field !== 'answer' && field !== 'value') return false;
  const asked = row['question'] ?? row['caption'];
  return (typeof asked === 'string' && PRIVATE.test(asked)) || OPAQUE.test(String(value));
}
