import { encodePart } from '../http/encode.ts';

/**
 * A small builder of ConnectWise's `conditions` (domain.md §4). Whatever comes from outside enters through
 * `quote`, so that no value can end its string and begin an expression.
 */

/** A string in double quotes; quotes and backslashes inside are escaped. */
function quote(text: string): string {
  return `"${text.replace(/["\\]/g, String.raw`\$&`)}"`;
}

/** `name = "Umbrella"`, `type/id = 7`. */
export function equals(field: string, value: string | number): string {
  return `${field} = ${literal(value)}`;
}

/** `name contains "Umbrella"`. */
export function contains(field: string, part: string): string {
  return `${field} contains ${quote(part)}`;
}

/** `identifier in ("a","b")`; needs at least one value. */
export function anyOf(field: string, values: readonly (string | number)[]): string {
  return `${field} in (${values.map(literal).join(',')})`;
}

function literal(value: string | number): string {
  return typeof value === 'number' ? String(value) : quote(value);
}

/**
 * Splits values into as few lists as there must be for `fits` to hold of each; a value that does not fit alone
 * is a list of its own. `[]` stays no list at all.
 */
export function split<T>(values: readonly T[], fits: (some: readonly T[]) => boolean): T[][] {
  const lists: T[][] = [];
  for (const value of values) {
    const last = lists.at(-1);
    if (last !== undefined && fits([...last, value])) last.push(value);
    else lists.push([value]);
  }
  return lists;
}

/** A query string of parameters in their order, every part percent-encoded (a space is `%20`). */
export function queryString(parameters: Readonly<Record<string, string | number | undefined>>): string {
  const parts = Object.entries(parameters)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}=${encodePart(String(value))}`);
  return parts.length === 0 ? '' : `?${parts.join('&')}`;
}
