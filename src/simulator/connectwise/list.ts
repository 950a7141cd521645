import type { Reply } from '../wire.ts';
import type { Row } from './company.ts';
import { compileConditions, ConditionSyntaxError, valueAt } from './conditions.ts';
import { invalidParameter, notFound } from './errors.ts';
import type { Context } from './operation.ts';

const DEFAULT_PAGE_SIZE = 25;
const MAX_PAGE_SIZE = 1_000;

type FieldNames = ReadonlySet<string>;
type AnyRow = { id: number };

/** The JSON of lists that never change, once somebody asked for it. */
const keptText = new WeakMap<readonly AnyRow[], { text: string | null }>();

/** Says that these rows never change, so that a whole list of them is written as JSON only once. */
export function keepText<T extends readonly AnyRow[]>(rows: T): T {
  keptText.set(rows, { text: null });
  return rows;
}

/**
 * Answers a list as ConnectWise does (domain.md §4): `conditions`, `orderBy`, `fields`, `page`/`pageSize` with a
 * `Link` header, or forward-only pages by `pageId`. Objects hidden by a `staleReads` fault are left out.
 */
export function listReply(context: Context, rows: readonly AnyRow[], fields: FieldNames): Reply {
  const chosen = order(context, filter(context, rows, fields), fields);
  return page(context, chosen, (row) => project(context, row, fields));
}

/** Answers `{count}` of what `listReply` would list over all pages. */
export function countReply(context: Context, rows: readonly AnyRow[], fields: FieldNames): Reply {
  return { status: 200, body: { count: filter(context, rows, fields).length } };
}

/** Answers one object, or 404 when there is none or the member may not see it. */
export function itemReply(
  context: Context,
  row: AnyRow | undefined,
  resource: string,
  fields: FieldNames,
): Reply {
  if (row === undefined || !mine(context, row)) throw notFound(resource, context.parameters.at(-1) ?? '');
  return { status: 200, body: project(context, row, fields) };
}

/** False for what a member of level `My` did not enter itself. */
export function mine(context: Context, row: AnyRow): boolean {
  if (!context.onlyMine) return true;
  return (row as Partial<Row>)._info?.enteredBy === context.member.identifier;
}

function filter(context: Context, rows: readonly AnyRow[], fields: FieldNames): readonly AnyRow[] {
  let chosen = rows;
  if (context.onlyMine) chosen = chosen.filter((row) => mine(context, row));
  chosen = context.world.withoutStale(chosen);
  const conditions = context.query['conditions'];
  if (conditions === undefined || conditions.trim() === '') return chosen;
  if (
    context.company.options.refuseInfoMemberConditions &&
    /_info\/(updatedBy|enteredBy)/i.test(conditions)
  ) {
    throw invalidParameter('conditions: _info cannot be searched by member');
  }
  try {
    return chosen.filter(compileConditions(conditions, fields));
  } catch (error) {
    if (error instanceof ConditionSyntaxError) throw invalidParameter(`conditions: ${error.message}`);
    throw error;
  }
}

function order(context: Context, rows: readonly AnyRow[], fields: FieldNames): readonly AnyRow[] {
  const orderBy = context.query['orderBy'];
  if (orderBy === undefined || orderBy.trim() === '' || isForwardOnly(context)) return rows;
  const keys = orderBy.split(',').map((part) => {
    const match = /^\s*([A-Za-z_][\w/]*)(?:\s+(asc|desc))?\s*$/i.exec(part);
    const path = match?.[1]?.split('/') ?? [];
    if (!fields.has(path[0] ?? '')) throw invalidParameter(`orderBy: '${part.trim()}' is not valid`);
    if (path[0] === '_info' && context.company.options.refuseInfoOrdering) {
      throw invalidParameter('orderBy: _info cannot be ordered by');
    }
    return { path, sign: /desc/i.test(match?.[2] ?? '') ? -1 : 1 };
  });
  return [...rows].sort((left, right) => {
    for (const { path, sign } of keys) {
      const difference = compare(valueAt(left, path), valueAt(right, path));
      if (difference !== 0) return difference * sign;
    }
    return left.id - right.id;
  });
}

/** Absent values come first, as the database's nulls do. */
function compare(left: unknown, right: unknown): number {
  const absentLeft = left === undefined || left === null;
  const absentRight = right === undefined || right === null;
  if (absentLeft || absentRight) return Number(absentRight) - Number(absentLeft);
  if (typeof left === 'number' && typeof right === 'number') return left - right;
  const [a, b] = [asText(left), asText(right)];
  return a < b ? -1 : Number(a > b);
}

function asText(value: unknown): string {
  return typeof value === 'string' ? value.toLowerCase() : JSON.stringify(value);
}

function project(context: Context, row: AnyRow, names: FieldNames): unknown {
  const wanted = context.query['fields'];
  if (wanted === undefined || wanted.trim() === '') return row;
  const chosen: Record<string, unknown> = {};
  for (const field of wanted.split(',')) {
    const path = field.trim().split('/');
    if (!names.has(path[0] ?? '')) throw invalidParameter(`fields: '${field.trim()}' is not valid`);
    const value = valueAt(row, path);
    if (value === undefined) continue;
    let target = chosen;
    for (const part of path.slice(0, -1)) {
      target[part] ??= {};
      target = target[part] as Record<string, unknown>;
    }
    target[path.at(-1) ?? ''] = value;
  }
  return chosen;
}

function isForwardOnly(context: Context): boolean {
  return String(context.headers['pagination-type'] ?? '').toLowerCase() === 'forward-only';
}

function whole(context: Context, name: string, fallback: number, least: number): number {
  const text = context.query[name];
  if (text === undefined) return fallback;
  const value = Number(text);
  if (!Number.isInteger(value) || value < least) throw invalidParameter(`${name}: '${text}' is not valid`);
  return value;
}

function page(context: Context, rows: readonly AnyRow[], shape: (row: AnyRow) => unknown): Reply {
  const pageSize = whole(context, 'pageSize', DEFAULT_PAGE_SIZE, 1);
  if (pageSize > MAX_PAGE_SIZE) throw invalidParameter(`pageSize: at most ${MAX_PAGE_SIZE}`);
  if (isForwardOnly(context)) {
    const after = whole(context, 'pageId', 0, 0);
    const rest = rows.filter((row) => row.id > after).sort((left, right) => left.id - right.id);
    const shown = rest.slice(0, pageSize);
    const last = shown.at(-1);
    const links =
      rest.length > shown.length && last !== undefined ? [link(context, 'pageId', last.id, 'next')] : [];
    return linked(shown.map(shape), links);
  }
  const number = whole(context, 'page', 1, 1);
  const lastPage = Math.max(1, Math.ceil(rows.length / pageSize));
  const shown = rows.slice((number - 1) * pageSize, number * pageSize);
  const links: string[] = [];
  if (number < lastPage) {
    links.push(link(context, 'page', number + 1, 'next'), link(context, 'page', lastPage, 'last'));
  }
  if (number > 1) links.push(link(context, 'page', number - 1, 'prev'), link(context, 'page', 1, 'first'));
  const kept = keptText.get(rows);
  if (kept !== undefined && shown.length === rows.length && !context.query['fields']) {
    kept.text ??= JSON.stringify(rows);
    return { status: 200, body: rows, text: kept.text };
  }
  return linked(shown.map(shape), links);
}

function link(context: Context, parameter: 'page' | 'pageId', value: number, relation: string): string {
  const query = new URLSearchParams({ ...context.query, [parameter]: String(value) });
  const host = String(context.headers['host'] ?? 'localhost');
  return `<http://${host}${context.path}?${query.toString()}>; rel="${relation}"`;
}

function linked(body: unknown[], links: string[]): Reply {
  return links.length === 0
    ? { status: 200, body }
    : { status: 200, body, headers: { Link: links.join(', ') } };
}
