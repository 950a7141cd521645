import {
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  parseDocument,
  visit,
  type Alias,
  type Node,
} from 'yaml';
import type { z } from 'zod';
import type { CommandOutput } from './command-references.ts';
import { companyIdentity, tenantInputSchema, type TenantInput, type TenantSpec } from '../domain/tenant.ts';

/**
 * tenants.yaml, read with the eyes of a person who has to mend it: every problem at once, each with its line,
 * its column and its path, and never a secret in any of them (rulings 15).
 */

export interface FileProblem {
  /** From 1, as editors count. */
  line: number;
  column: number;
  /** `tenants[0].connectwise.site`; empty where the whole file is meant. */
  path: string;
  message: string;
}

interface FileSight {
  /** Where a path of the service's answer stands in the file (`tenants.0.connectwise.site`). */
  locate(path: string): FilePosition | null;
  /** The text with every secret of the file taken out of it. */
  conceal(text: string): string;
}

export type TenantsFile = FileSight &
  (
    | { ok: true; tenants: TenantInput[] }
    /** `sound`: the tenants with which nothing is wrong, each with its place in the list. */
    | { ok: false; problems: FileProblem[]; sound: { index: number; tenant: TenantInput }[] }
  );

export type FilePosition = Pick<FileProblem, 'line' | 'column'>;

/** Where `${env:NAME}`, `${file:PATH}` and `${command:WORDS}` are looked up. */
export interface ReferenceSources {
  env: Readonly<Record<string, string | undefined>>;
  /** Throws what `node:fs` throws. */
  readFile(path: string): string;
  /** What a command gave. Absent: none is run, and a reference to one is told as a problem. */
  output?(command: string): CommandOutput;
  /** Leaves every key pair and secret out, and looks none of them up. */
  withoutSecrets?: boolean;
}

type Path = (string | number)[];

const REFERENCE = /^\$\{(env|file|command):([^{}]+)\}$/;
const REFERENCES = '${env:NAME}, ${file:PATH} or ${command:WORDS}';
const PAIRS: ReadonlySet<string> = new Set(['managementKey', 'integrationKey', 'apiKey', 'keyAdmin']);
const SECRET_KEYS: ReadonlySet<string> = new Set(['publicKey', 'privateKey', 'key', 'secret']);
const PAIR_KEYS: ReadonlySet<string> = new Set([...SECRET_KEYS, 'member']);
/** More than 10,000 tenants have: aliases of aliases make a short file endless. */
const MOST_NODES = 1_000_000;

/** The library's own words quote the file, secrets included; these do not. */
const YAML_PROBLEMS: Readonly<Record<string, string>> = {
  BAD_ALIAS: 'no anchor of this name stands before this alias',
  BAD_DQ_ESCAPE: 'has an escape sequence that YAML does not know',
  BAD_INDENT: 'is not indented like its neighbours',
  BAD_SCALAR_START: 'starts with a character that YAML reserves: put the value in quotes',
  BLOCK_AS_IMPLICIT_KEY: 'two "name: value" on one line: put the value in quotes',
  DUPLICATE_KEY: 'the same key stands twice',
  MISSING_CHAR: 'a colon, comma, quote or bracket is missing',
  MULTILINE_IMPLICIT_KEY: 'a colon is missing after the key',
  MULTIPLE_DOCS: 'a second document starts: one file is one document',
  RESOURCE_EXHAUSTION: 'is nested too deeply',
  TAB_AS_INDENT: 'is indented with a tab: YAML takes spaces only',
  TAG_RESOLVE_FAILED: 'has a tag that nobody knows',
  UNEXPECTED_TOKEN: 'is not expected here',
};

/**
 * Tenants out of the text of a file, validated, with the references resolved; or everything that is wrong.
 *
 * ```ts
 * const file = parseTenants(text, { env: process.env, readFile: (path) => readFileSync(path, 'utf8') });
 * if (!file.ok) for (const { line, message } of file.problems) console.error(line, message);
 * ```
 */
export function parseTenants(text: string, sources: ReferenceSources): TenantsFile {
  const reader = new FileReader(text, sources);
  const root = reader.read();
  const checked = reader.unreadable ? [] : checkTenants(root, reader);
  const problems = reader.problems();
  const sight: FileSight = {
    locate: (path) => reader.positionOf(path.split(/[./[\]]+/).filter((part) => part !== '')),
    conceal: (words) => reader.conceal(words),
  };
  const tenants = sources.withoutSecrets === true ? checked.map(withoutPairs) : checked;
  if (problems.length === 0) return { ok: true, tenants: tenants.map(({ tenant }) => tenant), ...sight };
  const sound = tenants.filter(({ index }) => !reader.unsoundAt(index));
  return { ok: false, problems, sound, ...sight };
}

/** The commands that a file's references name, each once; what is only a comment is none. */
export function commandsOf(text: string, sources: ReferenceSources): string[] {
  const commands = new Set<string>();
  const output = (command: string): CommandOutput => {
    commands.add(command);
    return { ok: false, why: 'was not run yet' };
  };
  const reader = new FileReader(text, { ...sources, output });
  reader.read();
  return reader.unreadable ? [] : [...commands];
}

function withoutPairs<T extends { tenant: TenantInput }>(one: T): T {
  const { managementKey: _management, integrationKey: _integration, ...connectwise } = one.tenant.connectwise;
  const { apiKey: _api, keyAdmin: _admin, ...umbrella } = one.tenant.umbrella;
  const { secret: _secret, ...handoffs } = one.tenant.handoffs;
  return { ...one, tenant: { ...one.tenant, connectwise, umbrella, handoffs } };
}

/** The file as plain values, with the place of each, and the problems found so far. */
class FileReader {
  readonly #lines = new LineCounter();
  readonly #sources: ReferenceSources;
  readonly #document;
  /** What each alias stands for; one without an anchor before it is not here. */
  readonly #targets: ReadonlyMap<Alias, Node>;
  readonly #problems: FileProblem[] = [];
  /** Paths of which a problem was said. */
  readonly #said = new Set<string>();
  readonly #secrets = new Set<string>();
  /** Places in the list of which a problem was said. */
  readonly #unsound = new Set<number>();
  #allUnsound = false;
  /** Lists and groups that are being read. */
  readonly #open = new Set<unknown>();
  #nodes = 0;
  /** Not YAML, so that nothing in it can be judged. */
  unreadable = false;

  constructor(text: string, sources: ReferenceSources) {
    this.#sources = sources;
    this.#document = parseDocument(veil(text), { lineCounter: this.#lines, prettyErrors: false });
    this.#targets = targetsOf(this.#document);
  }

  read(): unknown {
    const lines = new Set<number>();
    for (const { code, pos } of [...this.#document.errors, ...this.#document.warnings]) {
      if (code !== 'DUPLICATE_KEY') this.unreadable = true;
      const position = this.#position(pos[0]);
      this.#allUnsound = true;
      // What follows on the same line follows from the first.
      if (lines.has(position.line)) continue;
      lines.add(position.line);
      const message = YAML_PROBLEMS[code] ?? `is not YAML (${code.toLowerCase().replaceAll('_', ' ')})`;
      this.#problems.push({ ...position, path: '', message });
    }
    return this.unreadable ? null : this.#value(this.#document.contents, [], false);
  }

  /** Says a problem at a path; what is wrong is said once for each place. */
  say(path: Path, message: string, at: 'key' | 'value' = 'value'): void {
    const key = JSON.stringify(path);
    if (this.#said.has(key)) return;
    this.#said.add(key);
    if (path[0] === 'tenants' && typeof path[1] === 'number') this.#unsound.add(path[1]);
    else this.#allUnsound = true;
    this.#problems.push({ ...this.#find(path, at).position, path: showPath(path), message });
  }

  problems(): FileProblem[] {
    return this.#problems.toSorted((a, b) => a.line - b.line || a.column - b.column);
  }

  /** False: nothing is wrong with the tenant at this place of the list, nor with the file around it. */
  unsoundAt(index: number): boolean {
    return this.#allUnsound || this.#unsound.has(index);
  }

  /** Null where the path leaves the file at once. */
  positionOf(path: Path): FilePosition | null {
    const { position, depth } = this.#find(path, 'value');
    return depth === 0 ? null : position;
  }

  lineOf(path: Path): number {
    return this.#find(path, 'value').position.line;
  }

  conceal(text: string): string {
    let concealed = text;
    for (const secret of this.#secrets) concealed = concealed.replaceAll(secret, '[secret]');
    return concealed;
  }

  /**
   * Where a value or its key stands. What is missing has no place of its own: the nearest thing around it has,
   * `depth` steps of the path from the root.
   */
  #find(path: Path, wanted: 'key' | 'value'): { position: FilePosition; depth: number } {
    let node: unknown = this.#document.contents;
    let key = node;
    let depth = 0;
    for (; depth < path.length; depth += 1) {
      const inner = childOf(this.#target(node), path[depth] ?? '');
      if (inner === null) break;
      ({ key, node } = inner);
    }
    const place = (wanted === 'value' && depth === path.length && hasRange(node) ? node : key) as Node | null;
    return { position: this.#position(place?.range?.[0] ?? 0), depth };
  }

  #position(offset: number): FilePosition {
    const { line, col } = this.#lines.linePos(offset);
    return { line: Math.max(line, 1), column: Math.max(col, 1) };
  }

  #target(node: unknown): unknown {
    return isAlias(node) ? this.#targets.get(node) : node;
  }

  #value(node: unknown, path: Path, secret: boolean): unknown {
    if (this.unreadable) return null;
    const place = this.#target(node);
    this.#nodes += 1;
    if (this.#nodes > MOST_NODES) return this.#giveUp(path, 'makes the file far too large');
    if (this.#open.has(place)) return this.#giveUp(path, 'is an alias of something that contains it');
    if (isAlias(node) && place === undefined) {
      this.say(path, 'is an alias, and no anchor of its name stands before it');
      return UNREAD;
    }
    if (secret) return this.#secret(isScalar(place) ? unveil(place.value) : place, path);
    if (isScalar(place)) {
      const value = unveil(place.value);
      return typeof value === 'string' ? this.#text(value, path) : value;
    }
    if (!isMap(place) && !isSeq(place)) return null;
    this.#open.add(place);
    const value = isMap(place)
      ? this.#map(place.items, path)
      : place.items.map((item, index) => this.#value(item, [...path, index], false));
    this.#open.delete(place);
    return value;
  }

  #giveUp(path: Path, message: string): null {
    this.say(path, message);
    this.unreadable = true;
    return null;
  }

  #map(items: readonly { key: unknown; value: unknown }[], path: Path): Record<string, unknown> {
    const entries = items.flatMap(({ key, value }): [string, unknown][] => {
      if (!isScalar(key)) {
        this.say(path, 'has a key that is not a plain word');
        return [];
      }
      const name = nameOf(key.value);
      const inner = [...path, name];
      // What an automation's secrets are encrypted to is no secret, nor is a label of that name.
      const isPublic = path.at(-1) === 'labels' || (path.includes('handoffs') && name === 'publicKey');
      const read = this.#value(value, inner, SECRET_KEYS.has(name) && path.length > 1 && !isPublic);
      // A key without a value is as good as absent, so that its default holds; a label has none.
      return read === null && path.at(-1) !== 'labels' ? [] : [[name, read]];
    });
    return Object.fromEntries(entries);
  }

  #secret(value: unknown, path: Path): string {
    if (typeof value !== 'string' || !REFERENCE.test(value)) {
      this.say(path, `is a secret, which never stands in a file: write ${REFERENCES}`);
      return UNREAD;
    }
    if (this.#sources.withoutSecrets === true) return LEFT_OUT;
    const resolved = this.#resolve(value, path);
    if (resolved !== UNREAD && resolved.length >= 4) this.#secrets.add(resolved);
    return resolved;
  }

  #text(value: string, path: Path): string | boolean {
    if (REFERENCE.test(value)) {
      const resolved = this.#resolve(value, path);
      return resolved === 'true' ? true : resolved === 'false' ? false : resolved;
    }
    if (/(?<!\$)\$\{/.test(value)) {
      const plain = 'a text with ${ in it is written with $${';
      this.say(path, `has a reference that is none: it must be the whole value, ${REFERENCES}; ${plain}`);
    }
    return value.replaceAll('$${', '${');
  }

  #resolve(reference: string, path: Path): string {
    const [, kind = '', name = ''] = REFERENCE.exec(reference) ?? [];
    if (kind === 'env') {
      const value = this.#sources.env[name];
      if (value !== undefined && value !== '') return value;
      this.say(
        path,
        `needs the environment variable ${name}, which is ${value === '' ? 'empty' : 'not set'}`,
      );
      return UNREAD;
    }
    if (kind === 'command') return this.#outputOf(name, path);
    try {
      // Editors and `echo` end a file with a line break that is no part of the value.
      const value = this.#sources.readFile(name).replace(/\r?\n$/, '');
      if (value !== '') return value;
      this.say(path, `needs the file ${name}, which is empty`);
    } catch (error) {
      this.say(path, `needs the file ${name}, which cannot be read (${codeOf(error)})`);
    }
    return UNREAD;
  }

  #outputOf(command: string, path: Path): string {
    const output = this.#sources.output?.(command) ?? { ok: false, why: 'is not run here' };
    if (output.ok) return output.value;
    // Its words may be mistyped secrets; its name is what stands before the first blank.
    const [name = ''] = command.trim().split(/\s/);
    this.say(path, `needs the command ${NAME_OF_PROGRAM.test(name) ? name : '…'}, which ${output.why}`);
    return UNREAD;
  }
}

const NAME_OF_PROGRAM = /^[\w./-]{1,60}$/;

/**
 * `{ publicKey: ${env:NAME} }` is what people write, and no YAML: a brace ends a plain value inside of braces.
 * So the braces of references are hidden from the parser, by characters of the same length.
 */
const veil = (text: string): string =>
  text.replace(/(?<!\$)\$\{((?:env|file|command):[^{}\n]*)\}/g, '$\u{e000}$1\u{e001}');

const unveil = (value: unknown): unknown =>
  typeof value === 'string' ? value.replace(/\$\u{e000}([^\u{e001}]*)\u{e001}/gu, '${$1}') : value;

const nameOf = (key: unknown): string => String(unveil(key));

/** Stands in for a value that was refused, so that the rest can still be judged. */
const UNREAD = 'unread';

/** Stands in for a secret that is left out; every secret may look like this one. */
const LEFT_OUT = `whsec_${'A'.repeat(32)}`;

function codeOf(error: unknown): string {
  const code = (error as NodeJS.ErrnoException | null)?.code;
  return (
    { ENOENT: 'there is none', EACCES: 'no permission', EISDIR: 'it is a folder' }[code ?? ''] ??
    code ??
    'error'
  );
}

/** An alias stands for the last anchor of its name before it. */
function targetsOf(document: ReturnType<typeof parseDocument>): Map<Alias, Node> {
  const anchors = new Map<string, Node>();
  const targets = new Map<Alias, Node>();
  visit(document, {
    Alias(_, alias) {
      const target = anchors.get(alias.source);
      if (target !== undefined) targets.set(alias, target);
    },
    Value(_, node) {
      if (node.anchor !== undefined) anchors.set(node.anchor, node);
    },
  });
  return targets;
}

/** One step of a path inside a list or a group, with what names it: its key, or the entry itself. */
function childOf(node: unknown, part: string | number): { key: unknown; node: unknown } | null {
  if (isSeq(node)) {
    const item = node.items[Number(part)];
    return item === undefined ? null : { key: item, node: item };
  }
  const pair = isMap(node)
    ? node.items.find(({ key }) => isScalar(key) && nameOf(key.value) === String(part))
    : undefined;
  return pair === undefined ? null : { key: pair.key, node: pair.value };
}

const hasRange = (node: unknown): boolean => (node as Node | null)?.range != null;

/**
 * A name that looks like none may be half of a broken line, and inside a pair any unknown one may be a secret
 * that slipped to the left of its colon: neither is shown.
 */
function showPath(path: Path): string {
  let inPair = false;
  return path
    .map((part, index) => {
      if (typeof part === 'number') return `[${part}]`;
      const shown = inPair ? PAIR_KEYS.has(part) : (OWN_NAMES[path[index - 1] ?? ''] ?? NAME).test(part);
      inPair ||= PAIRS.has(part);
      return `${index === 0 ? '' : '.'}${shown ? part : '…'}`;
    })
    .join('');
}

const NAME = /^[\w<-]{1,40}$/;
/** What stands under these has names of its own: `Service Desk/Service Tickets`, `example.com/team`. */
const OWN_NAMES: Readonly<Record<string, RegExp>> = {
  levels: /^[\w &(),./-]{1,100}$/,
  labels: /^[\w./-]{1,63}$/,
};

function checkTenants(root: unknown, reader: FileReader): { index: number; tenant: TenantInput }[] {
  if (!isRecord(root) || !('tenants' in root)) {
    reader.say([], 'has no tenants: the file starts with "tenants:" and a list');
    return [];
  }
  for (const name of Object.keys(root)) {
    if (name !== 'tenants') reader.say([name], 'is not a known setting', 'key');
  }
  if (!Array.isArray(root['tenants']) || root['tenants'].length === 0) {
    reader.say(['tenants'], 'must be a list of at least one tenant');
    return [];
  }
  const raw: unknown[] = root['tenants'];
  const tenants = raw.flatMap((tenant, index) => {
    const result = tenantInputSchema.safeParse(tenant);
    if (result.success) return [{ index, tenant: result.data }];
    for (const issue of result.error.issues) sayIssue(reader, tenant, ['tenants', index], issue);
    return [];
  });
  checkUnique(raw, reader);
  return tenants;
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

type Issue = z.core.$ZodIssue;

/** One problem for each thing that a person has to mend, in words that need no knowledge of the checker. */
function sayIssue(reader: FileReader, tenant: unknown, prefix: Path, issue: Issue): void {
  const path = [...prefix, ...(issue.path as Path)];
  if (issue.code === 'unrecognized_keys') {
    for (const key of issue.keys) reader.say([...path, key], 'is not a known setting', 'key');
    return;
  }
  if (issue.code === 'invalid_union') {
    // The one alternative that has the right shape tells best what is wrong.
    const near = issue.errors.filter(
      (issues) => !issues.some(({ path, code }) => path.length === 0 && isShape(code)),
    );
    const [only] = near;
    if (near.length === 1 && only !== undefined) {
      for (const inner of only) sayIssue(reader, valueAt(tenant, issue.path as Path), path, inner);
      return;
    }
    const words = issue.errors.map(([first]) => first && wordsFor(first, null)).filter(Boolean);
    reader.say(path, [...new Set(words)].join(', or '));
    return;
  }
  reader.say(path, wordsFor(issue, valueAt(tenant, issue.path as Path)));
}

const isShape = (code: Issue['code']): boolean => code === 'invalid_type' || code === 'invalid_value';

function wordsFor(issue: Issue, value: unknown): string {
  if (value === undefined) return 'is missing';
  switch (issue.code) {
    case 'invalid_type':
      if (issue.expected === 'string' && (typeof value === 'number' || typeof value === 'boolean')) {
        return 'must be text: put it in quotes';
      }
      return `must be ${{ string: 'text', object: 'a group of settings', array: 'a list', boolean: 'true or false', record: 'a group of settings' }[issue.expected as string] ?? issue.expected}`;
    case 'invalid_value':
      return `must be ${issue.values.map(String).join(' or ')}`;
    case 'invalid_format':
      if (issue.format === 'guid') return 'must be a GUID such as 7d2b5a0e-8d3c-4f0e-9a51-1f2e3d4c5b6a';
      if (issue.format === 'url') return 'must be an https:// address';
      if (issue.format === 'date' || issue.format === 'datetime')
        return `must be a ${issue.format} in ISO 8601`;
      return own(issue.message);
    case 'too_big':
      return `must have at most ${issue.maximum} ${issue.origin === 'string' ? 'characters' : 'entries'}`;
    case 'too_small':
      return issue.minimum === 1 ? 'must not be empty' : `must have at least ${issue.minimum}`;
    case 'invalid_key':
      return issue.issues.map(({ message }) => own(message)).join('; ');
    default:
      return own(issue.message);
  }
}

/** Our schemas' own messages start small; the library's do not. */
const own = (message: string): string =>
  message.replace(/^Invalid \w+: /, '').replace(/^[A-Z]/, (c) => c.toLowerCase());

function valueAt(value: unknown, path: Path): unknown {
  return path.reduce<unknown>((at, part) => (at as Record<string, unknown> | undefined)?.[part], value);
}

/** No two tenants of one id, one ConnectWise company or one Umbrella console (rulings 26), valid or not. */
function checkUnique(tenants: readonly unknown[], reader: FileReader): void {
  const first = {
    id: new Map<string, number>(),
    company: new Map<string, number>(),
    console: new Map<string, number>(),
  };
  const check = (
    what: keyof typeof first,
    identity: string | null,
    index: number,
    path: string,
    words: string,
  ) => {
    if (identity === null) return;
    const other = first[what].get(identity);
    if (other === undefined) first[what].set(identity, index);
    else {
      const at = reader.lineOf(['tenants', other]);
      reader.say(['tenants', index, ...path.split('.')], `${words} as the tenant on line ${at}`);
    }
  };
  for (const [index, tenant] of tenants.entries()) {
    const id = valueAt(tenant, ['id']);
    check('id', typeof id === 'string' ? id : null, index, 'id', 'has the same id');
    check('company', companyOf(tenant), index, 'connectwise.companyId', 'is the same ConnectWise company');
    const console = consoleOf(tenant);
    const path = console?.by === 'organization' ? 'umbrella.organizationId' : 'umbrella.apiKey.key';
    check('console', console?.identity ?? null, index, path, 'is the same Umbrella console');
  }
}

const { connectwise, umbrella } = tenantInputSchema.shape;

function companyOf(tenant: unknown): string | null {
  const site = connectwise.shape.site.safeParse(valueAt(tenant, ['connectwise', 'site']));
  const companyId = connectwise.shape.companyId.safeParse(valueAt(tenant, ['connectwise', 'companyId']));
  if (!site.success || !companyId.success || companyId.data === UNREAD) return null;
  return companyIdentity({ connectwise: { site: site.data, companyId: companyId.data } } as TenantSpec);
}

/** `organizationId`, else the client id of Umbrella's key; each at its origin. */
function consoleOf(tenant: unknown): { identity: string; by: 'organization' | 'key' } | null {
  const url = umbrella.shape.url.safeParse(valueAt(tenant, ['umbrella', 'url']));
  if (!url.success) return null;
  const organization = valueAt(tenant, ['umbrella', 'organizationId']);
  if (typeof organization === 'string' || typeof organization === 'number') {
    if (organization === UNREAD) return null;
    return { identity: `${url.data} organization ${organization}`, by: 'organization' };
  }
  const key = valueAt(tenant, ['umbrella', 'apiKey', 'key']);
  if (typeof key !== 'string' || key === UNREAD || key === LEFT_OUT) return null;
  return { identity: `${url.data} key ${key}`, by: 'key' };
}
