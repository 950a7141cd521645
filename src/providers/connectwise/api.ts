import { z } from 'zod';
import { failed, ok, type Failure, type Outcome } from '../../domain/outcome.ts';
import type { KeyPair } from '../../domain/secret.ts';
import type { CallContext } from '../../reconciler/ports.ts';
import type { Answer } from '../http/answer.ts';
import { named, unusable, type HttpCall, type HttpClient } from '../http/client.ts';
import { redact } from '../http/redact.ts';
import { queryString } from './conditions.ts';
import { errorSchema } from './schemas.ts';
import { apiOrigin, type KnownCompany, type Site } from './site.ts';

const API = 'apis/3.0';
const MEDIA_TYPE = 'application/vnd.connectwise.com+json; version=2025.1';
/** ConnectWise refuses longer ones (domain.md §4). */
const MAX_URL = 2_000;
/** What origin, codebase and path of any call of ours stay below; the rest of `MAX_URL` is the query's. */
const BEFORE_QUERY = 300;
const PAGE_SIZE = 1_000;
/** A list that does not end by then does not end: a server that ignores `page`, say. */
const MAX_PAGES = 100;
/** Fields of a refusal that are told: enough for a person to see what is wrong. */
const MOST_FIELDS = 10;

export type Query = Readonly<Record<string, string | number | undefined>>;

interface Request {
  method: HttpCall['method'];
  path: string;
  query?: Query;
  headers?: Readonly<Record<string, string>>;
  body?: unknown;
}

interface Page<T> {
  rows: T[];
  answer: Answer;
}

/** How far a list is read. */
interface Extent {
  /** Rows that are enough. */
  limit?: number;
  /** Pages by id in ascending order, as ConnectWise has them for long lists; `orderBy` does nothing then. */
  forwardOnly?: boolean;
  maxPages?: number;
  /** What its pages were understood as is remembered by their bytes. */
  remembered?: boolean;
}

/** True when a query of these parameters leaves the URL within what ConnectWise takes. */
export function fitsUrl(query: Query): boolean {
  return queryString(query).length <= MAX_URL - BEFORE_QUERY;
}

/** Calls of one key to one company's API, paged and classified (domain.md §4). */
export class ConnectWiseApi {
  readonly #site: Site;
  readonly #http: HttpClient;
  readonly #key: KeyPair;
  readonly #context: CallContext;

  constructor(site: Site, http: HttpClient, key: KeyPair, context: CallContext) {
    this.#site = site;
    this.#http = http;
    this.#key = key;
    this.#context = context;
  }

  /** What must not be in anything that is told of these calls. */
  get secrets(): readonly string[] {
    return [this.#key.privateHalf.reveal(), this.#key.publicHalf, this.#credentials];
  }

  /** One object. */
  async read<T>(path: string, schema: z.ZodType<T>, query: Query = {}): Promise<Outcome<T>> {
    const sent = await this.#send({ method: 'GET', path, query });
    return sent.ok ? parse(sent.value.call, sent.value.answer, schema) : sent;
  }

  /** Every row of a list, page by page; `complete` is false where the limit or the last page allowed came first. */
  async list<T extends { id: number }>(
    path: string,
    schema: z.ZodType<T>,
    query: Query = {},
    extent: Extent = {},
  ): Promise<Outcome<{ rows: T[]; complete: boolean }>> {
    const seen = new Map<number, T>();
    const listed = await this.#pages(path, schema, query, extent, (rows) => {
      const before = seen.size;
      for (const row of rows) seen.set(row.id, row);
      return { news: seen.size - before, total: seen.size };
    });
    if (!listed.ok) return listed;
    const rows = [...seen.values()];
    const { limit = rows.length } = extent;
    return ok({ rows: rows.slice(0, limit), complete: listed.value.ended && rows.length <= limit });
  }

  /** Every row of a list, of which it is asked what it lacks: one that does not come to its end tells nothing of that. */
  async all<T extends { id: number }>(
    path: string,
    schema: z.ZodType<T>,
    query: Query,
  ): Promise<Outcome<T[]>> {
    const listed = await this.list(path, schema, query);
    if (!listed.ok) return listed;
    return listed.value.complete ? ok(listed.value.rows) : failed(endless(path));
  }

  /**
   * Every row of a list whose rows need no id. Such are the rows of a role, which come the same every time: as
   * long as they do, it is the very same list, frozen.
   */
  async rows<T>(path: string, schema: z.ZodType<T>): Promise<Outcome<T[]>> {
    let all: T[] = [];
    let first: T[] | null = null;
    const listed = await this.#pages(path, schema, {}, { remembered: true }, (rows) => {
      // Without ids only this tells that a server answers each page with the same rows.
      const again = first !== null && JSON.stringify(rows) === JSON.stringify(first);
      first ??= rows;
      if (!again) all = all.length === 0 ? rows : [...all, ...rows];
      return { news: again ? 0 : rows.length, total: all.length };
    });
    if (!listed.ok) return listed;
    return listed.value.ended ? ok(all) : failed(endless(path));
  }

  /**
   * A write; its answer's object. An answer that cannot be read leaves open what was done. `barrier` is asked
   * when nothing but the sending is left to do.
   */
  async write<T>(
    method: 'POST' | 'PATCH',
    path: string,
    body: unknown,
    schema: z.ZodType<T>,
    barrier: () => Promise<Failure | null>,
  ): Promise<Outcome<T>> {
    const sent = await this.#send({ method, path, body }, barrier);
    return sent.ok ? parse(sent.value.call, sent.value.answer, schema) : sent;
  }

  async #pages<T>(
    path: string,
    schema: z.ZodType<T>,
    query: Query,
    { limit = Infinity, forwardOnly = false, maxPages = MAX_PAGES, remembered = false }: Extent,
    take: (rows: T[]) => { news: number; total: number },
  ): Promise<Outcome<{ ended: boolean }>> {
    // One more than is wanted tells without a second call whether there is more.
    const pageSize = Math.min(PAGE_SIZE, limit + 1);
    let next: Query = forwardOnly ? {} : { page: 1 };
    for (let pages = 1; ; pages += 1) {
      const page = await this.#page(path, schema, { ...query, ...next, pageSize }, forwardOnly, remembered);
      if (!page.ok) return page;
      const { rows, answer } = page.value;
      const { news, total } = take(rows);
      const following = nextPage(answer, forwardOnly, pages, rows.length === pageSize);
      if (following === 'unreadable') return ok({ ended: false });
      if (following === null || news === 0) return ok({ ended: following === null });
      if (total >= limit || pages >= maxPages) return ok({ ended: false });
      next = following;
    }
  }

  async #page<T>(
    path: string,
    schema: z.ZodType<T>,
    query: Query,
    forwardOnly: boolean,
    remembered: boolean,
  ): Promise<Outcome<Page<T>>> {
    const headers = forwardOnly ? { 'pagination-type': 'forward-only' } : {};
    const sent = await this.#send({ method: 'GET', path, query, headers });
    if (!sent.ok) return sent;
    const { call, answer } = sent.value;
    const rows = remembered ? this.#parseOnce(call, answer, schema) : parse(call, answer, arrayOf(schema));
    return rows.ok ? ok({ rows: rows.value, answer }) : rows;
  }

  /** Rows of bytes that came before are what they were understood as then. */
  #parseOnce<T>(call: HttpCall, answer: Answer, schema: z.ZodType<T>): Outcome<T[]> {
    const { understood } = this.#http;
    const { name } = answer;
    const known = name === null ? undefined : understood.get(name, schema);
    // The schema is what these rows were read with.
    if (known !== undefined) return ok(known as T[]);
    const rows = parse(call, answer, arrayOf(schema));
    return rows.ok && name !== null ? ok(understood.keep(name, schema, rows.value)) : rows;
  }

  /**
   * Sends to the company's codebase. A 404 may mean that the codebase changed under us: then companyinfo is
   * asked again, and only if it tells another codebase a read is sent once more. A write is not, though what
   * was learned serves the next one.
   */
  async #send(
    request: Request,
    barrier?: () => Promise<Failure | null>,
  ): Promise<Outcome<{ call: HttpCall; answer: Answer }>> {
    const company = await this.#site.company(this.#context);
    if (!company.ok) return company;
    const objection = (await barrier?.()) ?? null;
    if (objection !== null) return failed(objection);
    const first = await this.#sendTo(company.value, request);
    if (first.ok || first.failure.kind !== 'NotFound') return first;
    const again = await this.#site.company(this.#context, company.value);
    const moved = again.ok && again.value.info?.codebase !== company.value.info?.codebase;
    return moved && request.method === 'GET' ? this.#sendTo(again.value, request) : first;
  }

  async #sendTo(
    { info }: KnownCompany,
    request: Request,
  ): Promise<Outcome<{ call: HttpCall; answer: Answer }>> {
    if (info === null) {
      return failed({ kind: 'NotFound', detail: `the site knows no company ${this.#site.companyId}` });
    }
    const call = this.#call(info.codebase, request);
    const sent = await this.#http.send(call, this.#context);
    if (!sent.ok) return sent;
    const failure = refusal(call, sent.value);
    return failure === null ? ok({ call, answer: sent.value }) : failed(failure);
  }

  #call(codebase: string, { method, path, query = {}, headers = {}, body }: Request): HttpCall {
    const { common, clientId } = this.#site;
    return {
      ...common,
      origin: apiOrigin(common.origin, codebase),
      method,
      path: `/${codebase}${API}${path}${queryString(query)}`,
      headers: {
        authorization: `Basic ${Buffer.from(this.#credentials).toString('base64')}`,
        clientId,
        accept: MEDIA_TYPE,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      effect: method === 'GET' ? 'read' : 'write',
      secrets: this.secrets,
    };
  }

  get #credentials(): string {
    const { publicHalf, privateHalf } = this.#key;
    return `${this.#site.companyId}+${publicHalf}:${privateHalf.reveal()}`;
  }
}

const endless = (path: string): Failure => ({
  kind: 'Unavailable',
  why: 'wrong-shape',
  detail: `GET ${path}: the list does not come to its end`,
});

/**
 * The parameters of the next page; null: this was the last; `unreadable`: there is one, and nobody knows where. Links
 * are read, never followed: they name hosts.
 */
function nextPage(
  answer: Answer,
  forwardOnly: boolean,
  page: number,
  full: boolean,
): Query | 'unreadable' | null {
  const header = answer.headers['link'];
  const goesOn = header === undefined ? full && !forwardOnly : NEXT.test(header);
  if (!goesOn) return null;
  if (!forwardOnly) return { page: page + 1 };
  const pageId = URL.parse(nextLink(header) ?? '', 'http://link')?.searchParams.get('pageId');
  return pageId ? { pageId } : 'unreadable';
}

/** Also where the target beside it cannot be read. */
const NEXT = /\brel\s*=\s*"?next\b/i;

/** The target of `rel="next"` in a `Link` header. */
function nextLink(header: string | undefined): string | null {
  for (const [, target, parameters] of (header ?? '').matchAll(/<([^>]*)>([^<]*)/g)) {
    if (/;\s*rel="?next"?/i.test(parameters ?? '')) return target ?? null;
  }
  return null;
}

const arrays = new WeakMap<z.ZodType, z.ZodType>();

/** Made once a schema: making one costs more than reading a short list with it. */
function arrayOf<T>(schema: z.ZodType<T>): z.ZodType<T[]> {
  let array = arrays.get(schema);
  if (array === undefined) arrays.set(schema, (array = z.array(schema)));
  return array as z.ZodType<T[]>;
}

function parse<T>(call: HttpCall, { body }: Answer, schema: z.ZodType<T>): Outcome<T> {
  const parsed = schema.safeParse(body.is === 'json' ? body.value : undefined);
  if (parsed.success) return ok(parsed.data);
  const [issue] = parsed.error.issues;
  // The place only: the value may be anything.
  return failed(unusable(call, 'wrong-shape', `unexpected at ${issue?.path.join('.') || 'the top'}`));
}

/**
 * What a refusal by ConnectWise means, by its status and never by its text; null: it is none. A page of HTML
 * is a proxy's or a web server's: it says nothing of key or object.
 */
function refusal(call: HttpCall, { status, body }: Answer): Failure | null {
  if (status >= 200 && status < 300) return null;
  if (body.is === 'html' || (body.is === 'text' && status !== 404)) {
    // A 4xx was given before anything was done, to a write as well.
    const detail = `${named(call)} answered ${status} with ${body.is}`;
    return { kind: 'Unavailable', why: 'not-json', detail };
  }
  const told = errorSchema.safeParse(body.is === 'json' ? body.value : {}).data;
  const words = [told?.code, told?.message].filter(Boolean).join(': ');
  const detail = redact(`${named(call)} answered ${status} ${words}`, call.secrets);
  switch (status) {
    case 401:
      return { kind: 'Unauthorized', detail };
    case 403:
      return { kind: 'Forbidden', detail };
    case 404:
      return { kind: 'NotFound', detail };
    default:
      return { kind: 'Invalid', fields: fieldsOf(told, call.secrets), detail };
  }
}

function fieldsOf(
  told: z.output<typeof errorSchema> | undefined,
  secrets: readonly string[],
): { field: string; message: string }[] {
  return (told?.errors ?? []).slice(0, MOST_FIELDS).map((error) => ({
    field: redact(error.field ?? error.resource ?? '', secrets),
    message: redact(error.message ?? error.code ?? '', secrets),
  }));
}
