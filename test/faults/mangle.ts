import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { randomOf, type JournalEntry } from '../../src/simulator/index.ts';
import { answerSchema, checkAnswer, contractsAvailable, underContract } from '../support/contracts.ts';
import { WIRES, type Served } from './served.ts';

/** How an answer is mangled, and what the mangled one says. */

/** Draws that depend on a seed alone, so that what was found is found again. */
export class Draw {
  readonly #next: () => number;
  constructor(seed: number) {
    this.#next = randomOf(seed);
  }
  /** 0 ≤ n < below. */
  nat(below: number): number {
    return Math.floor(this.#next() * below);
  }
  pick<T>(from: readonly T[]): T {
    return from[this.nat(from.length)]!;
  }
  of<T>(arbitrary: fc.Arbitrary<T>): T {
    return fc.sample(arbitrary, { seed: this.nat(2 ** 31), numRuns: 1 })[0]!;
  }
}

/** What an answer may be mangled with. */
export interface Around {
  entry: JournalEntry;
  /** Honest answers to other questions. */
  others: readonly Served[];
  /** What was sent with the question, and whatever else must not be told. */
  secrets: readonly string[];
  /** What the honest answers speak of. */
  words: Words;
}

export interface Words {
  strings: readonly string[];
  numbers: readonly number[];
}

type Json = null | boolean | number | string | Json[] | { [name: string]: Json };
type Mangle = (honest: Served, draw: Draw, around: Around) => Served;

/** Stands for a text that JSON.stringify would not write. */
const RAW = '@raw@';

const ODD_NUMBERS: readonly number[] = [
  0,
  -0,
  -1,
  0.5,
  1e308,
  -1e308,
  5e-324,
  2 ** 31,
  -(2 ** 31) - 1,
  2 ** 53,
  2 ** 53 - 1,
  -(2 ** 53),
  1e21,
];
const RAW_NUMBERS: readonly string[] = ['1e999', '-1e999', '9'.repeat(400), '1E400', '0.1e-999', '-0.0'];
const ODD_STRINGS: readonly string[] = [
  '',
  ' ',
  '\0',
  '\ud800',
  '\udc00x',
  '\u202Eabc',
  '\u{1F511}',
  '__proto__',
  'constructor',
  'toString',
  'null',
  'true',
  '0',
  'NaN',
  '-1',
  '{}',
  '[]',
  '<script>alert(1)</script>',
  '%00',
  '%E0%A4%A',
  '../../..',
  '$&$1',
  '"',
  '\\',
  '\r\nSet-Cookie: a=b',
  'umbrella-a ',
  'UMBRELLA-A',
  'ümbrella-a',
  'İ',
  'x'.repeat(300),
  'x'.repeat(5_000),
  '🔑'.repeat(3_000),
];
const ODD_DATES: readonly string[] = [
  '0000-00-00T00:00:00Z',
  '2026-13-45T99:99:99Z',
  '2026-02-30T00:00:00Z',
  '2026-11-24',
  '2026-11-24T08:00:00',
  '2026-11-24T08:00:00+25:00',
  '2026-11-24T08:00:60Z',
  '2026-11-24T24:00:00Z',
  '24/11/2026',
  'Tue, 24 Nov 2026 08:00:00 GMT',
  'now',
  '1764000000',
  '+275760-09-13T00:00:00Z',
  '+275760-09-13T00:00:00.001Z',
  '-271821-04-20T00:00:00Z',
  '9999-12-31T23:59:59Z',
  '0001-01-01T00:00:00Z',
  '1970-01-01T00:00:00Z',
  '2038-01-19T03:14:08Z',
  '+010000-01-01T00:00:00Z',
];
const KEYS: readonly string[] = [
  '__proto__',
  'constructor',
  'toJSON',
  'then',
  'length',
  '',
  'ID',
  'unknown',
  '0',
];

/** A random place of a value: where it stands, and in what. */
interface Place {
  holder: Json[] | { [name: string]: Json };
  key: string | number;
}

function placeIn(root: { top: Json }, draw: Draw): Place {
  let place: Place = { holder: root, key: 'top' };
  for (;;) {
    const value = valueAt(place);
    if (typeof value !== 'object' || value === null) return place;
    const keys = Array.isArray(value) ? value.length : Object.keys(value);
    const many = typeof keys === 'number' ? keys : keys.length;
    // A third of those that get so far stay at an object or a list.
    if (many === 0 || (place.holder !== root && draw.nat(4) === 0)) return place;
    place = { holder: value, key: typeof keys === 'number' ? draw.nat(many) : keys[draw.nat(many)]! };
  }
}

const valueAt = ({ holder, key }: Place): Json => (holder as Record<string | number, Json>)[key]!;
function put({ holder, key }: Place, value: Json): void {
  Object.defineProperty(holder, key, { value, enumerable: true, configurable: true, writable: true });
}
function take({ holder, key }: Place): void {
  if (Array.isArray(holder)) holder.splice(Number(key), 1);
  else delete holder[key];
}

/** Changes the value of an answer; `raw`: what `RAW` stands for. */
function edited(
  honest: Served,
  edit: (root: { top: Json }) => void,
  raw: string | null = null,
  retext: (text: string) => string = (text) => text,
): Served {
  if (isDeep(honest.body)) return honest;
  const root = { top: parsed(honest.body) ?? null };
  edit(root);
  const text = JSON.stringify(root.top) ?? '';
  const written = raw === null ? text : text.replaceAll(JSON.stringify(RAW), () => raw);
  return { ...honest, body: Buffer.from(retext(written)) };
}

const atPlace =
  (change: (place: Place, draw: Draw, around: Around) => void): Mangle =>
  (honest, draw, around) =>
    edited(honest, (root) => change(placeIn(root, draw), draw, around));

/** Changes the list that an answer is or holds. */
const ofRows =
  (change: (rows: Json[], draw: Draw, around: Around) => void): Mangle =>
  (honest, draw, around) =>
    edited(honest, (root) => {
      const rows = rowsOf(root.top);
      if (rows === null) root.top = [root.top, root.top];
      else change(rows, draw, around);
    });

function rowsOf(value: Json): Json[] | null {
  if (Array.isArray(value)) return value;
  if (typeof value !== 'object' || value === null) return null;
  return Object.values(value).find((one): one is Json[] => Array.isArray(one)) ?? null;
}

const withText =
  (change: (text: string, draw: Draw, around: Around) => string | Buffer): Mangle =>
  (honest, draw, around) => {
    const text = change(honest.body.toString(), draw, around);
    return { ...honest, body: Buffer.isBuffer(text) ? text : Buffer.from(text) };
  };

const withHeader =
  (name: string, values: readonly string[]): Mangle =>
  (honest, draw) => ({
    ...honest,
    headers: [...honest.headers.filter(([one]) => one !== name), [name, draw.pick(values)]],
  });

const typed = (type: string, served: Served): Served => ({ ...served, headers: [['content-type', type]] });

const another = (value: Json, draw: Draw): Json => {
  const all: Json[] = [0, 1, '1', 'text', true, false, [], {}, [value], { value }, null];
  return draw.pick(all.filter((one) => kindOfValue(one) !== kindOfValue(value)));
};
const kindOfValue = (value: Json): string =>
  value === null ? 'null' : Array.isArray(value) ? 'list' : typeof value;

const recased = (text: string, draw: Draw): string =>
  draw.pick([
    text.toUpperCase(),
    text.toLowerCase(),
    text.charAt(0).toUpperCase() + text.slice(1),
    text.replaceAll(/[a-z]/g, (letter) => (draw.nat(2) === 0 ? letter : letter.toUpperCase())),
  ]);

const PAGES = [
  '<!DOCTYPE html><html><body>Sign in</body></html>',
  '<html><h1>502 Bad Gateway</h1></html>',
  '<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>',
  'Cannot route. Codebase/company is invalid',
  'upstream connect error or disconnect/reset before headers',
  'Unauthorized',
];
const SCALARS = [
  'null',
  'true',
  'false',
  '0',
  '""',
  '[]',
  '{}',
  '[[]]',
  '[null]',
  '[{}]',
  '[0]',
  '{"0":{}}',
  '-',
];
const STATUSES = [
  201, 202, 203, 204, 205, 206, 207, 226, 300, 301, 302, 303, 304, 307, 308, 400, 401, 402, 403, 404, 405,
  406, 407, 408, 409, 410, 411, 412, 413, 414, 415, 416, 417, 418, 421, 422, 423, 424, 425, 426, 428, 429,
  431, 451, 499, 500, 501, 502, 503, 504, 505, 507, 508, 511, 520, 522, 524, 530, 599, 600, 799, 999,
] as const;
const REFUSALS: readonly ((draw: Draw, around: Around) => Json)[] = [
  () => ({ code: 'Unauthorized', message: 'No.' }),
  () => ({
    code: 'Security',
    message: 'No.',
    errors: [{ code: 'x', message: 'y', resource: 'z', field: 'f' }],
  }),
  () => ({ error: 'invalid_request' }),
  () => ({ error: 'invalid_client' }),
  () => ({ error: 'ConnectWiseAPI', message: 'Too many requests. Please try again in 30 seconds.' }),
  () => ({ code: null, message: null, errors: null }),
  () => ({ code: 5, message: {}, errors: 'x' }),
  () => ({ errors: [null] }),
  () => ({ errors: Array.from({ length: 500 }, () => ({ message: 'm'.repeat(300) })) }),
  () => ({ message: 'm'.repeat(200_000) }),
  () => null,
  () => [],
  () => 'text',
  (draw, { secrets }) => ({ code: draw.pick(secrets), message: `You sent ${secrets.join(' ')}` }),
  (draw, { secrets }) => ({
    message: Buffer.from(draw.pick(secrets)).toString('base64'),
    description: encodeURIComponent(draw.pick(secrets)),
    errors: secrets.map((secret) => ({ field: secret, message: secret.toUpperCase() })),
  }),
];
const NEXT = 'rel="next"';
const LINKS = [
  `<?page=2>; ${NEXT}`,
  `</v2025_1/apis/3.0/system/apiMembers?page=2>; ${NEXT}`,
  `<http://[>; ${NEXT}`,
  `<>; ${NEXT}`,
  `<javascript:alert(1)>; ${NEXT}`,
  `<?pageId=>; ${NEXT}`,
  `<?pageId=1&pageId=2>; ${NEXT}`,
  `<?pageId=${'9'.repeat(3_000)}>; ${NEXT}`,
  `<?page=2>; rel=next, <?page=9>; rel="last"`,
  `<?page=9>; rel="last"`,
  `<?page=2; ${NEXT}`,
  `?page=2>; ${NEXT}`,
  '<'.repeat(4_000),
  '<>'.repeat(2_000),
  `<https://example.com/?page=2>; REL=NEXT`,
  '',
];
const WAITS = [
  '0',
  '-1',
  '1',
  '30',
  '3600',
  '1e9',
  '99999999999999999999',
  'Infinity',
  'NaN',
  '',
  ' 5 ',
  '0.5',
  'soon',
];
const DATES = ['Tue, 24 Nov 2026 09:00:00 GMT', 'Thu, 01 Jan 1970 00:00:00 GMT', '+275760-09-13T00:00:00Z'];
const LOCATIONS = [
  '/',
  '?again',
  '//',
  '//example.com/',
  'https://example.com/',
  'http://[',
  'file:///etc/passwd',
  '',
  '/login/companyinfo/acme',
  '#',
];

/** By name; the name is what is told of a finding. */
export const MANGLES: Readonly<Record<string, Mangle>> = {
  'a field or a row removed': atPlace(take),
  null: atPlace((place) => put(place, null)),
  'another type': atPlace((place, draw) => put(place, another(valueAt(place), draw))),
  'an odd number': atPlace((place, draw) => put(place, draw.pick(ODD_NUMBERS))),
  'a number that is none': (honest, draw) =>
    edited(honest, (root) => put(placeIn(root, draw), RAW), draw.pick(RAW_NUMBERS)),
  'an odd string': atPlace((place, draw) => put(place, draw.pick(ODD_STRINGS))),
  'an odd date': atPlace((place, draw) => put(place, draw.pick(ODD_DATES))),
  'any value': atPlace((place, draw) => put(place, draw.of(ANYTHING) as Json)),
  'a word of another place': atPlace((place, draw, { words }) =>
    put(place, typeof valueAt(place) === 'number' ? draw.pick(words.numbers) : draw.pick(words.strings)),
  ),
  'another casing of a value': atPlace((place, draw) => {
    const value = valueAt(place);
    put(place, typeof value === 'string' ? recased(value, draw) : value);
  }),
  'another casing of a name': atPlace((place, draw) => {
    const value = valueAt(place);
    if (typeof place.key === 'number') return;
    take(place);
    put({ ...place, key: recased(place.key, draw) }, value);
  }),
  'a field more': atPlace((place, draw) => {
    const value = valueAt(place);
    const holder = typeof value === 'object' && value !== null ? value : place.holder;
    if (Array.isArray(holder)) holder.push(draw.of(ANYTHING) as Json);
    else put({ holder, key: draw.pick(KEYS) }, draw.of(ANYTHING) as Json);
  }),
  'a list for an object': atPlace((place) => {
    const value = valueAt(place);
    if (Array.isArray(value)) put(place, { ...(value as unknown as { [name: string]: Json }) });
    else put(place, typeof value === 'object' && value !== null ? Object.values(value) : [value]);
  }),
  'a wrapper': (honest, draw) =>
    edited(honest, (root) => {
      const name = draw.pick(['data', 'value', 'items', 'results', 'd', 'keys']);
      root.top = draw.nat(3) === 0 ? [root.top] : { [name]: root.top };
    }),
  'the first row alone': (honest) =>
    edited(honest, (root) => {
      root.top = rowsOf(root.top)?.[0] ?? null;
    }),
  'rows twice': ofRows((rows) => void rows.push(...structuredClone(rows))),
  'rows in another order': ofRows((rows) => void rows.reverse()),
  'a row twice, the second another': ofRows((rows, draw) => {
    const copy = structuredClone(draw.pick(rows.length > 0 ? rows : [null]));
    const root = { top: copy };
    put(placeIn(root, draw), draw.of(ANYTHING) as Json);
    rows.push(root.top);
  }),
  'no rows': ofRows((rows) => void rows.splice(0)),
  'rows that are missing': ofRows((rows, draw) => void rows.splice(draw.nat(rows.length + 1))),
  'a row of another list': ofRows((rows, draw, { others }) => {
    const stranger = parsed(draw.pick(others).body) ?? null;
    rows.splice(draw.nat(rows.length + 1), 0, rowsOf(stranger)?.[0] ?? stranger);
  }),
  'rows without end': ofRows((rows, draw) => {
    const row = draw.pick(rows.length > 0 ? rows : [{ id: 1 }]);
    const many = draw.pick([120, 120, 120, 1_500]);
    for (let more = 0; more < many; more += 1) {
      const own = typeof row === 'object' && row !== null && !Array.isArray(row) ? { ...row, id: more } : row;
      rows.push(own);
    }
  }),
  'ids exchanged': ofRows((rows, draw) => {
    const withIds = rows.filter(
      (row): row is { id: Json } => typeof row === 'object' && row !== null && 'id' in row,
    );
    for (const row of withIds) row.id = draw.pick(withIds).id;
  }),
  'the same id everywhere': ofRows((rows) => {
    for (const row of rows) if (typeof row === 'object' && row !== null) put({ holder: row, key: 'id' }, 1);
  }),
  'nesting without end': (honest, draw) => {
    const deep = draw.pick([100, 100, 5_000, 20_000]);
    const [open, close] = draw.pick([
      ['[', ']'],
      ['{"id":', '}'],
    ] as const);
    const raw = `${open.repeat(deep)}1${close.repeat(deep)}`;
    return edited(honest, (root) => put(placeIn(root, draw), RAW), raw);
  },
  'a name twice': withText((text, draw) => {
    const value = draw.pick(['null', '0', '""', '-5', 'true', '"Other"']);
    return text.replace(/"(\w+)":/, (found, name: string) => `"${name}":${value},${found}`);
  }),
  'the end cut off': withText((text, draw) => text.slice(0, draw.nat(text.length))),
  'something more': withText((text, draw) =>
    draw.pick([`${text}x`, text + text, `${text},`, `)]}',\n${text}`]),
  ),
  'a byte order mark and spaces': withText((text) => `\uFEFF \r\n${text}\n\n`),
  'another encoding': withText((text, draw) =>
    Buffer.from(text, draw.pick(['utf16le', 'latin1', 'base64'] as const)),
  ),
  'bytes turned over': withText((text, draw) => {
    const bytes = Buffer.from(text);
    for (let times = 0; times <= draw.nat(4) && bytes.length > 0; times += 1) {
      bytes[draw.nat(bytes.length)] = draw.nat(256);
    }
    return bytes;
  }),
  'any bytes': withText((_, draw) => Buffer.from(draw.of(fc.uint8Array({ maxLength: 200 })))),
  'a value alone': withText((_, draw) => draw.pick(SCALARS)),
  nothing: withText((_, draw) => draw.pick(['', ' ', '\n'])),
  'more than anybody reads': withText((text, draw) => {
    const spaces = ' '.repeat(draw.pick([10_000, 10_000, 100_000, 1_100_000]));
    return draw.nat(2) === 0 ? text + spaces : text.replace(/"name":"/, `"name":"${spaces}`);
  }),
  'a page': (honest, draw) =>
    typed(draw.pick(['text/html', 'text/plain']), withBody(honest, draw.pick(PAGES))),
  'a page and a status': (honest, draw) => ({
    ...typed('text/html', withBody(honest, draw.pick(PAGES))),
    status: draw.pick(STATUSES),
  }),
  'a status': (honest, draw) => ({ ...honest, status: draw.pick(STATUSES) }),
  'a refusal': (honest, draw, around) => ({
    ...typed('application/json', withBody(honest, JSON.stringify(draw.pick(REFUSALS)(draw, around)))),
    status: draw.pick(STATUSES.filter((status) => status >= 400)),
  }),
  'a refusal without a word': (honest, draw) => ({ ...withBody(honest, ''), status: draw.pick(STATUSES) }),
  'a refusal for success': (honest, draw, around) =>
    withBody(honest, JSON.stringify(draw.pick(REFUSALS)(draw, around))),
  'a wait': (honest, draw) => ({
    ...honest,
    headers: [...honest.headers, ['retry-after', draw.pick([...WAITS, ...DATES])]],
    status: draw.pick([200, 429, 429, 503, 408, 301]),
  }),
  'a redirect': (honest, draw) => ({
    ...honest,
    headers: [['location', draw.pick(LOCATIONS)]],
    status: draw.pick([301, 302, 303, 307, 308]),
  }),
  'a link': withHeader('link', LINKS),
  'another content type': withHeader('content-type', [
    '',
    'text/html',
    'image/png',
    'application/json;;;',
    '*/*',
  ]),
  'an encoding that is none': withHeader('content-encoding', ['gzip', 'br', 'deflate', 'x', '']),
  'odd headers': (honest, draw) => ({
    ...honest,
    headers: [
      ...honest.headers,
      ...draw.of(fc.array(fc.tuple(fc.constantFrom(...HEADERS), HEADER_VALUE), { maxLength: 6 })),
    ],
  }),
  'another answer': (honest, draw, { others }) => ({ ...honest, body: draw.pick(others).body }),
  'an answer by the contract': (honest, draw, around) => byContract(honest, draw, around),
  'an answer by the contract, mangled': (honest, draw, around) => {
    const value = draw.pick(VALUE_MANGLES);
    return MANGLES[value]!(byContract(honest, draw, around), draw, around);
  },
  'a broken connection': (honest, draw) => ({ ...honest, wire: draw.pick(WIRES) }),
};

const VALUE_MANGLES = Object.keys(MANGLES).slice(0, 12);
export const KINDS = Object.keys(MANGLES);

const HEADERS = ['x-a', 'set-cookie', 'age', 'date', 'etag', 'vary', 'warning', 'allow', 'trailer', 'server'];
const HEADER_VALUE = fc.oneof(
  fc.string({ unit: fc.constantFrom(...'abc ,;="<>()/%\u00e9\u00ff'.split('')), maxLength: 40 }),
  fc.constant('x'.repeat(9_000)),
);
const ANYTHING = fc.oneof(
  { weight: 3, arbitrary: fc.jsonValue({ maxDepth: 2 }) },
  fc.constantFrom<unknown>(...ODD_NUMBERS, ...ODD_STRINGS, ...ODD_DATES),
);

function withBody(honest: Served, text: string): Served {
  return { ...honest, body: Buffer.from(text) };
}

function parsed(body: Buffer): Json | undefined {
  try {
    return JSON.parse(body.toString().replace(/^\uFEFF/, '')) as Json;
  } catch {
    return undefined;
  }
}

/** Deeper than what reads it here goes without a fall. */
const isDeep = (body: Buffer): boolean =>
  body.includes('[[[[[[[[[[[[[[[[') || body.includes('{"id":{"id":{"id":{"id":');

/** The same two deep; what opens or closes around it stays. */
function shallow(body: Buffer): Buffer {
  const shorten = (text: string, pattern: RegExp, open: string, close: string): string =>
    text.replaceAll(pattern, (_, opens: string, closes: string) => {
      const [opened, closed] = [opens.length / open.length, closes.length];
      const deep = Math.min(opened, closed);
      const two = `${open}${open}1${close}${close}`;
      return open.repeat(opened - deep) + two + close.repeat(closed - deep);
    });
  const lists = shorten(body.toString(), /(\[{16,})1(\]+)/g, '[', ']');
  return Buffer.from(shorten(lists, /((?:\{"id":){16,})1(\}+)/g, '{"id":', '}'));
}

type Schema = Record<string, unknown>;

/** Fields that anybody reads; of the hundred others of some objects a few do. */
const READ = new Set(
  (
    'id name identifier inactiveFlag securityRole structureLevel securityLocation defaultLocation defaultDepartment ' +
    'timeZone addLevel editLevel deleteLevel inquireLevel moduleName moduleDescription moduleIdentifier ' +
    'moduleFunctionName moduleFunctionDescription moduleFunctionIdentifier member customizeIdentifier itemIdentifier ' +
    'defaultFlag type company _info lastUpdated updatedBy customerId customerName total keys clientId scopes ' +
    'allowedIPs expireAt createdAt lastRefreshedAt lastUsedAt token_type access_token expires_in key clientSecret'
  ).split(' '),
);
const MOST_DEEP = 5;
const arbitraries = new Map<string, fc.Arbitrary<unknown>>();

/** An answer that the contract allows, of the words that the honest ones have. */
function byContract(honest: Served, draw: Draw, { entry, words }: Around): Served {
  if (!contractsAvailable || !underContract(entry))
    return withBody(honest, JSON.stringify(draw.of(ANYTHING)));
  const name = `${entry.method} ${entry.operation}`;
  let arbitrary = arbitraries.get(name);
  if (arbitrary === undefined) {
    const told = answerSchema(entry);
    arbitrary = told === null ? fc.constant(null) : arbitraryOf(told.schema, told.components, words, 0);
    arbitraries.set(name, arbitrary);
  }
  return withBody(honest, JSON.stringify(draw.of(arbitrary)));
}

function arbitraryOf(
  schema: Schema,
  components: Record<string, Schema>,
  words: Words,
  depth: number,
): fc.Arbitrary<unknown> {
  const inner = (one: unknown) => arbitraryOf(one as Schema, components, words, depth + 1);
  if (schema['nullable'] === true)
    return fc.option(arbitraryOf({ ...schema, nullable: false }, components, words, depth));
  if (typeof schema['$ref'] === 'string') return inner(components[schema['$ref'].split('/').at(-1)!]!);
  if (Array.isArray(schema['enum'])) return fc.constantFrom<unknown>(...(schema['enum'] as unknown[]));
  switch (schema['type']) {
    case 'array':
      return fc.array(inner(schema['items']), { maxLength: 6 });
    case 'integer':
    case 'number':
      return fc.oneof(fc.constantFrom(...words.numbers), fc.integer());
    case 'boolean':
      return fc.boolean();
    case 'string': {
      const dates = fc.constantFrom('2026-11-24T04:48:00Z', '2026-11-23T04:48:00Z', ...ODD_DATES.slice(-6));
      if (schema['format'] === 'date-time') return dates;
      const maxLength = Math.min(Number(schema['maxLength'] ?? 40), 300);
      return fc.oneof(
        { weight: 4, arbitrary: fc.constantFrom(...words.strings) },
        fc.string({ maxLength }),
        dates,
      );
    }
    case 'object': {
      const properties = Object.entries((schema['properties'] ?? {}) as Record<string, Schema>);
      const required = (schema['required'] ?? []) as string[];
      if (properties.length === 0 || depth >= MOST_DEEP) {
        const info = {
          lastUpdated: inner({ type: 'string', format: 'date-time' }),
          updatedBy: inner({ type: 'string' }),
        };
        return fc.record(info, { requiredKeys: [] });
      }
      const kept = properties.filter(([name]) => READ.has(name) || required.includes(name));
      return fc.record(Object.fromEntries(kept.map(([name, one]) => [name, inner(one)])), {
        requiredKeys: required,
      });
    }
    default:
      return ANYTHING;
  }
}

/** What is read of each answer, at any depth; what is wrong beside it does not matter. */
const LEVELS = `addLevel editLevel deleteLevel inquireLevel moduleName moduleDescription moduleIdentifier
  moduleFunctionName moduleFunctionDescription moduleFunctionIdentifier`;
const NAMED = 'id name identifier defaultFlag';
const FIELDS: readonly (readonly [operation: RegExp, fields: string])[] = [
  [/mySecurity$/, `${LEVELS} member identifier`],
  [/settings$/, LEVELS],
  [/customizeItems/, 'customizeIdentifier itemIdentifier'],
  [/apiMembers.\{id\}$/, 'id identifier name inactiveFlag securityRole structureLevel securityLocation'],
  [
    /apiMembers/,
    `id identifier name inactiveFlag securityRole structureLevel securityLocation defaultLocation
     defaultDepartment timeZone`,
  ],
  [/securityroles$/, 'id name inactiveFlag'],
  [/configurations$/, 'id name type company identifier _info lastUpdated updatedBy'],
  [/configurations.types$|locations$|departments$|timeZoneSetups$|StructureLevels$/, NAMED],
  [/customers$/, 'customerId customerName'],
  [/apiKeys$/, 'total keys id name clientId scopes allowedIPs expireAt createdAt lastRefreshedAt lastUsedAt'],
  [/token$/, 'token_type access_token expires_in'],
  [/^/, 'id'],
];

const fieldsOf = ({ operation }: JournalEntry): ReadonlySet<string> => {
  const [, fields = ''] = FIELDS.find(([pattern]) => pattern.test(operation ?? '')) ?? [];
  return new Set(fields.split(/\s+/));
};

/** Texts may be longer and numbers greater than the contract has it, and a level of any name is one. */
const HARMLESS = /\(\S*\)$|characters$|int32"$|one of the allowed values$/;

/** Whether what the contract has against an answer is at something that is read. */
function matters(problem: string, fields: ReadonlySet<string>): boolean {
  const [, path = '', words = ''] = /: (\/\S*) (.*)$/s.exec(problem) ?? [];
  if (HARMLESS.test(words)) return false;
  const [, missing] = /required property '(.*)'$/.exec(words) ?? [];
  const names = [...path.split('/'), missing ?? ''].filter((name) => name !== '' && !/^\d+$/.test(name));
  return names.every((name) => fields.has(name));
}

/** More bytes than a body or the headers of an answer may have. */
export const MOST_BYTES = 1_000_000;
const MOST_HEADER_BYTES = 16_000;

/**
 * What a mangled answer says: `kept`: what the honest one says; `changed`: something else, which the contract allows;
 * `refused`: that it refuses; `lost`: nothing that anybody may understand.
 */
export type Meaning = 'kept' | 'changed' | 'refused' | 'lost';

export function meaningOf(entry: JournalEntry, honest: Served, mangled: Served): Meaning {
  const { wire, status, headers, body } = mangled;
  if (wire !== undefined && wire !== 'unframed') return 'lost';
  if (status < 200 || (status >= 300 && status < 400) || status >= 500) return 'lost';
  if (status === 429 || status === 408) return 'lost';
  const headerBytes = headers.reduce((sum, [name, value]) => sum + name.length + value.length + 4, 200);
  if (body.length > MOST_BYTES || headerBytes > MOST_HEADER_BYTES) return 'lost';
  if (status >= 400) return 'refused';
  // What lies deeper than anybody looks is of the same type as what lies two deep.
  const value = parsed(isDeep(body) ? shallow(body) : body);
  if (value === undefined || status === 204) return 'lost';
  const goesOn = mangled.headers.some(([name, value]) => name === 'link' && /rel="?next/i.test(value));
  const given = parsed(honest.body) ?? null;
  // A refusal's body under a success says something else than it did.
  const wasRefused = honest.status >= 400;
  const same = !wasRefused && isDeepStrictEqual(canonical(value), canonical(given));
  if (same) return goesOn && Array.isArray(given) ? 'lost' : 'kept';
  if (!contractsAvailable) return 'changed';
  if (!underContract(entry)) return typeof value === 'object' ? 'changed' : 'lost';
  const responseBody = withoutNulls(value);
  const problems = checkAnswer({ ...entry, status: wasRefused ? status : honest.status, responseBody });
  const fields = fieldsOf(entry);
  return problems.some((problem) => matters(problem, fields)) ? 'lost' : 'changed';
}

/** A field that is null is one that is absent. */
function withoutNulls(value: Json): Json {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(withoutNulls);
  const told = Object.entries(value).filter(([, one]) => one !== null);
  return Object.fromEntries(told.map(([name, one]) => [name, withoutNulls(one)]));
}

/** Lists of rows say the same in any order, and each of them once. */
function canonical(value: Json): Json {
  if (!Array.isArray(value) || value.some((row) => typeof row !== 'object')) return value;
  const rows = new Map(value.map((row) => [JSON.stringify(row), row]));
  return [...rows].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, row]) => row);
}

/** The words of honest answers, each once. */
export function wordsOf(answers: readonly Served[]): Words {
  const strings = new Set<string>();
  const numbers = new Set<number>();
  const visit = (value: Json): void => {
    if (typeof value === 'string') strings.add(value);
    else if (typeof value === 'number') numbers.add(value);
    else if (typeof value === 'object' && value !== null) Object.values(value).forEach(visit);
  };
  for (const { body } of answers) visit(parsed(body) ?? null);
  return { strings: [...strings], numbers: [...numbers] };
}

/** One thing that is done to a look's answers: to which of its questions, and how. */
export interface Plan {
  kind: string;
  /** Chooses the question, of those that the honest look asks. */
  question: number;
  /** Only the first time that it is asked, or whenever it is. */
  once: boolean;
  seed: number;
}

const PLAN: fc.Arbitrary<Plan> = fc.record({
  kind: fc.constantFrom(...KINDS),
  question: fc.nat({ max: 10_000 }),
  once: fc.boolean(),
  seed: fc.nat({ max: 2 ** 31 - 1 }),
});

/** What is done to so many looks: half of them have one mangled answer, the others several or many. */
export function plansFor(looks: number, seed: number): Plan[][] {
  const some = (minLength: number, maxLength: number) =>
    fc.array(PLAN, { minLength, maxLength, size: 'max' });
  return fc.sample(
    fc.oneof(
      { weight: 3, arbitrary: some(1, 1) },
      { weight: 4, arbitrary: some(2, 6) },
      { weight: 3, arbitrary: some(16, 40) },
    ),
    { numRuns: looks, seed },
  );
}
