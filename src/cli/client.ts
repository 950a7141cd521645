import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { request } from 'undici';
import type { FleetCount } from '../domain/fleet.ts';
import type { Handoff } from '../domain/handoff.ts';
import type { Labels } from '../domain/labels.ts';
import type { Purpose, TenantInput } from '../domain/tenant.ts';
import type { BulkAnswer } from '../reconciler/commands.ts';
import type {
  AuditRecord,
  AcceptanceView,
  Applied,
  AdoptionView,
  CredentialView,
  CustomerView,
  EventView,
  BrakeView,
  KeyAudit,
  Page,
  PlanView,
  RotationRecordView,
  RotationRequest,
  RunDetail,
  RunView,
  StatusView,
  TenantSummary,
  TenantView,
  TokenView,
} from '../reconciler/commands.ts';
import { readEvents, type Streamed } from './event-source.ts';

/** The service answered that it will not (an RFC 9457 problem), or something that is no answer of Parasol's. */
export class ServiceRefused extends Error {
  readonly status: number;
  readonly problems: { path: string; message: string }[];
  constructor(status: number, message: string, problems: { path: string; message: string }[] = []) {
    super(message);
    this.status = status;
    this.problems = problems;
  }

  /** True where the service is too busy just now. */
  get isWeather(): boolean {
    return this.status === 429 || this.status === 503;
  }

  /** True where it was the input that was refused, and trying again is useless. */
  get isInput(): boolean {
    return [400, 404, 409, 412, 413, 415, 422, 428].includes(this.status);
  }
}

/** Nothing that talks answers at the address. */
export class ServiceUnreachable extends Error {
  /** True where the request may have come to the service all the same. */
  get isLost(): boolean {
    const { code, name } = (this.cause ?? {}) as { code?: string; name?: string };
    return name === 'TimeoutError' || (code !== undefined && LOST.includes(code));
  }
}

const LOST = ['ECONNRESET', 'EPIPE', 'UND_ERR_SOCKET', 'UND_ERR_HEADERS_TIMEOUT', 'UND_ERR_BODY_TIMEOUT'];

export type PairBody = { publicKey: string; privateKey: string } | { key: string; secret: string };

export interface ApplyRequest {
  /** Tenants that are refused do not hinder the others. */
  continue?: boolean;
  /** Deletes those with all of the labels that are not given; `count` confirms how many. */
  prune?: { labels: Labels; count?: number; by?: string };
}

export type AppliedSet = Applied & { dryRun: boolean };

export interface TokenBody {
  name: string;
  role: string;
  tenants: string[];
  labels: string[];
  expires?: string;
  mayReveal: boolean;
  reason?: string;
}

/** Who asks, and why. */
export interface Asked {
  by: string;
  reason: string;
}

export interface BulkBody {
  selector: Record<string, unknown>;
  reason: string;
  by?: string;
  dryRun?: boolean;
  confirmation?: string;
}

export interface Revealed {
  handoff: Handoff;
  fingerprint: string;
  member: string | null;
  publicKey: string;
  privateKey: string;
}

const MOST_OF_A_PAGE = 200;
const ANSWER_WITHIN_MS = 30_000;
/** A stream that says nothing for that long is dead: a living one moves its id several times a minute. */
const SILENT_FOR_MS = 60_000;

/** Which events are asked for. */
export interface EventQuery {
  tenant: string | undefined;
  type: readonly string[];
  label: readonly string[];
}

function searchOf({ tenant, type, label }: EventQuery, more: Record<string, string>): string {
  const search = new URLSearchParams(tenant === undefined ? {} : { tenant });
  for (const one of type) search.append('type', one);
  for (const one of label) search.append('label', one);
  for (const [name, value] of Object.entries(more)) search.append(name, value);
  return search.toString();
}

/** Longer than a service waits for an attempt that ended without an answer. */
const TRIES = 25;
const TRY_AGAIN_MS = 2_000;

interface SendOptions {
  headers?: Record<string, string>;
  withinMs?: number;
}

interface Sent {
  statusCode: number;
  text: string;
  headers: Record<string, string | string[] | undefined>;
}

type Sleep = (ms: number) => Promise<unknown>;

interface ClientOptions {
  /** How long an answer is waited for. */
  answerWithinMs?: number;
  /** Waits before a request is sent again. */
  sleep?: Sleep;
}

const isUnderWay = ({ statusCode, text }: { statusCode: number; text: string }): boolean =>
  statusCode === 409 && (parsed(text) as { type?: unknown })?.type === 'urn:parasol:problem:under-way';

/** Parasol's HTTP face, as far as the command line needs it. */
export class Client {
  readonly #url: string;
  readonly #token: string | null;
  readonly #sleep: Sleep;

  readonly #answerWithinMs: number;

  constructor(url: string, token: string | null, { answerWithinMs, sleep }: ClientOptions = {}) {
    this.#url = url.replace(/\/+$/, '');
    this.#token = token;
    this.#answerWithinMs = answerWithinMs ?? ANSWER_WITHIN_MS;
    this.#sleep = sleep ?? ((ms) => setTimeout(ms));
  }

  /** Every tenant, all pages. */
  async tenants(): Promise<TenantSummary[]> {
    return (await this.listTenants([], Infinity)).tenants;
  }

  /** Those that the query means, all pages or so many; `more`: there are others. */
  async listTenants(
    query: readonly [string, string][],
    most: number,
  ): Promise<{ tenants: TenantSummary[]; more: boolean }> {
    const tenants: TenantSummary[] = [];
    let after: string | null = null;
    do {
      const limit = String(Math.min(MOST_OF_A_PAGE, most - tenants.length));
      const asked = new URLSearchParams([...query, ['limit', limit]]);
      if (after !== null) asked.set('after', after);
      const page: Page<TenantSummary> = await this.#call('GET', `/tenants?${asked.toString()}`);
      tenants.push(...page.items);
      after = page.next;
    } while (after !== null && tenants.length < most);
    return { tenants, more: after !== null };
  }

  /** Of the tenants with all of these labels. */
  fleet(labels: readonly string[]): Promise<FleetCount> {
    const query = new URLSearchParams(labels.map((label): [string, string] => ['label', label]));
    return this.#call('GET', `/fleet?${query.toString()}`);
  }

  /** A look at who is meant, or, with its confirmation, the command itself. */
  many(path: 'reconcile' | 'rotations', body: BulkBody): Promise<BulkAnswer> {
    return this.#call('POST', `/fleet/${path}`, body);
  }

  status(tenant: string): Promise<StatusView> {
    return this.#call('GET', `/tenants/${encodeURIComponent(tenant)}/status`);
  }

  adoption(tenant: string): Promise<AdoptionView> {
    return this.#call('GET', `/tenants/${encodeURIComponent(tenant)}/adoption`);
  }

  tenant(tenant: string): Promise<TenantView> {
    return this.#call('GET', `/tenants/${encodeURIComponent(tenant)}`);
  }

  remove(
    tenant: string,
    { by, reason, force, unseen }: Asked & { force: boolean; unseen: boolean },
  ): Promise<{ trigger: number }> {
    const query = new URLSearchParams({ by, reason, force: String(force), unseen: String(unseen) });
    return this.#call('DELETE', `/tenants/${encodeURIComponent(tenant)}?${query.toString()}`);
  }

  undelete(tenant: string, asked: Asked): Promise<{ trigger: number }> {
    return this.#call('POST', `/tenants/${encodeURIComponent(tenant)}/undelete`, asked);
  }

  /**
   * The status; where one is known, by its tag, once it is another one or the time is up: `status` is null then.
   * `end` says how a wait ended; null: the service did not wait.
   */
  async statusAfter(
    tenant: string,
    known: { tag: string; ms: number } | null,
  ): Promise<{ status: StatusView | null; tag: string | null; end: string | null }> {
    const path = `/tenants/${encodeURIComponent(tenant)}/status`;
    const query = known === null ? '' : `?wait=${known.ms}ms&for=change`;
    const { statusCode, text, headers } = await this.#send('GET', path + query, undefined, {
      headers: known === null ? {} : { 'if-none-match': known.tag },
      withinMs: ANSWER_WITHIN_MS + (known?.ms ?? 0),
    });
    const told = { tag: textOf(headers['etag']) || null, end: textOf(headers['parasol-wait']) || null };
    if (statusCode === 304) return { status: null, ...told };
    return { status: this.#answer(statusCode, text) as StatusView, ...told };
  }

  /** A page of events, newest first. */
  events(query: EventQuery, before: string | null, limit: number): Promise<Page<EventView>> {
    const page = { limit: String(limit), ...(before === null ? {} : { before }) };
    return this.#call('GET', `/events?${searchOf(query, page)}`);
  }

  /** Events as they happen, after one of that id or from now on; ends, or throws, where the connection does. */
  async *follow(query: EventQuery, after: string | null, signal: AbortSignal): AsyncGenerator<Streamed> {
    const response = await this.#reach(() =>
      request(`${this.#url}/events?${searchOf(query, {})}`, {
        headers: {
          ...this.#authorization,
          accept: 'text/event-stream',
          ...(after === null ? {} : { 'last-event-id': after }),
        },
        signal,
        headersTimeout: ANSWER_WITHIN_MS,
        bodyTimeout: SILENT_FOR_MS,
      }),
    );
    if (response.statusCode !== 200) throw this.#refusal(response.statusCode, await response.body.text());
    const events = readEvents(response.body)[Symbol.asyncIterator]();
    for (;;) {
      const next = await this.#reach(() => events.next());
      if (next.done === true) return;
      yield next.value;
    }
  }

  /** Newest first. */
  runs(tenant: string, before: string | null, limit: number): Promise<Page<RunView>> {
    const page = new URLSearchParams({ limit: String(limit), ...(before === null ? {} : { before }) });
    return this.#call('GET', `/tenants/${encodeURIComponent(tenant)}/runs?${page.toString()}`);
  }

  run(tenant: string, id: string): Promise<RunDetail> {
    return this.#call('GET', `/tenants/${encodeURIComponent(tenant)}/runs/${encodeURIComponent(id)}`);
  }

  plan(tenant: string): Promise<PlanView> {
    return this.#call('GET', `/tenants/${encodeURIComponent(tenant)}/plan`);
  }

  async customers(tenant: string): Promise<CustomerView[]> {
    const path = `/tenants/${encodeURIComponent(tenant)}/customers`;
    return (await this.#call<{ items: CustomerView[] }>('GET', path)).items;
  }

  async credentials(tenant: string): Promise<CredentialView[]> {
    const path = `/tenants/${encodeURIComponent(tenant)}/credentials`;
    return (await this.#call<{ items: CredentialView[] }>('GET', path)).items;
  }

  reconcile(tenant: string, reason: string | null): Promise<{ trigger: number }> {
    const body = reason === null ? {} : { reason };
    return this.#call('POST', `/tenants/${encodeURIComponent(tenant)}/reconcile`, body);
  }

  /** How the tenants of these labels should be, all pages; by id. */
  async specs(labels: readonly string[]): Promise<TenantView[]> {
    const tenants: TenantView[] = [];
    let after: string | null = null;
    do {
      const query = new URLSearchParams({ limit: '200', ...(after === null ? {} : { after }) });
      for (const label of labels) query.append('label', label);
      const page: Page<TenantView> = await this.#call('GET', `/fleet/specs?${query.toString()}`);
      tenants.push(...page.items);
      after = page.next;
    } while (after !== null);
    return tenants;
  }

  apply(tenants: TenantInput[], dryRun: boolean, more: ApplyRequest = {}): Promise<AppliedSet> {
    return this.#call('POST', '/fleet/apply', { tenants, dryRun, ...more });
  }

  async handoffs(filter: { tenant?: string | undefined; live: boolean }): Promise<Handoff[]> {
    const query = new URLSearchParams({
      live: String(filter.live),
      ...(filter.tenant === undefined ? {} : { tenant: filter.tenant }),
    });
    return (await this.#call<{ items: Handoff[] }>('GET', `/handoffs?${query.toString()}`)).items;
  }

  handoff(id: string): Promise<Handoff> {
    return this.#call('GET', `/handoffs/${encodeURIComponent(id)}`);
  }

  claim(id: string, by: string): Promise<Handoff> {
    return this.#call('POST', `/handoffs/${encodeURIComponent(id)}/claim`, { by });
  }

  release(id: string, by: string): Promise<Handoff> {
    return this.#call('POST', `/handoffs/${encodeURIComponent(id)}/release`, { by });
  }

  submit(
    id: string,
    submission: { by: string; publicKey?: string; privateKey?: string; attest?: boolean },
  ): Promise<{ handoff: Handoff; trigger: number }> {
    return this.#call('POST', `/handoffs/${encodeURIComponent(id)}/submit`, submission);
  }

  rotate(tenant: string, request: RotationRequest): Promise<{ rotation: string; trigger: number }> {
    return this.#call('POST', `/tenants/${encodeURIComponent(tenant)}/rotations`, request);
  }

  rollback(tenant: string, asked: Asked): Promise<{ rotation: string; trigger: number }> {
    return this.#call('POST', `/tenants/${encodeURIComponent(tenant)}/rollback`, asked);
  }

  pause(
    tenant: string,
    asked: Asked & { until?: string },
  ): Promise<{ trigger: number; until: string | null }> {
    return this.#call('POST', `/tenants/${encodeURIComponent(tenant)}/pause`, asked);
  }

  resume(tenant: string, asked: Asked): Promise<{ trigger: number }> {
    return this.#call('POST', `/tenants/${encodeURIComponent(tenant)}/resume`, asked);
  }

  accept(
    tenant: string,
    asked: Asked & { path: string; expires: string; observed?: string },
  ): Promise<{ trigger: number; until: string }> {
    return this.#call('POST', `/tenants/${encodeURIComponent(tenant)}/accept`, asked);
  }

  withdrawAcceptance(tenant: string, asked: Asked & { path: string }): Promise<{ trigger: number }> {
    return this.#call('POST', `/tenants/${encodeURIComponent(tenant)}/accept/withdraw`, asked);
  }

  /** Newest first; those that have ended too. */
  async acceptances(tenant: string): Promise<AcceptanceView[]> {
    const path = `/tenants/${encodeURIComponent(tenant)}/acceptances`;
    return (await this.#call<{ items: AcceptanceView[] }>('GET', path)).items;
  }

  /** Newest first. */
  async rotations(tenant: string): Promise<RotationRecordView[]> {
    const path = `/tenants/${encodeURIComponent(tenant)}/rotations`;
    return (await this.#call<{ items: RotationRecordView[] }>('GET', path)).items;
  }

  async brakes(): Promise<BrakeView[]> {
    return (await this.#call<{ items: BrakeView[] }>('GET', '/brakes')).items;
  }

  releaseBrake(
    id: string,
    asked: Asked & { tenant?: string; withoutCanary?: boolean },
  ): Promise<{ triggered: { tenant: string; trigger: number }[] }> {
    return this.#call('POST', `/brakes/${encodeURIComponent(id)}/release`, asked);
  }

  audit(tenant: string): Promise<KeyAudit> {
    return this.#call('GET', `/tenants/${encodeURIComponent(tenant)}/export`);
  }

  /** The same as a page, a whole HTML document. */
  async auditPage(tenant: string): Promise<string> {
    const path = `/tenants/${encodeURIComponent(tenant)}/export?format=html`;
    const { statusCode, text } = await this.#send('GET', path, undefined);
    if (statusCode === 200 && text.startsWith('<!doctype html>')) return text;
    throw this.#refusal(statusCode, text);
  }

  /** The one answer with a key in it. */
  reveal(id: string, asked: Asked): Promise<Revealed> {
    return this.#call('POST', `/handoffs/${encodeURIComponent(id)}/reveal`, asked);
  }

  replaceCredential(
    tenant: string,
    purpose: Purpose,
    pair: (PairBody | { secret: string }) & { member?: string },
  ): Promise<{ fingerprint: string; trigger: number }> {
    return this.#call('PUT', `/tenants/${encodeURIComponent(tenant)}/credentials/${purpose}`, pair);
  }

  /** One page, newest first. */
  auditLog(query: Record<string, string>): Promise<Page<AuditRecord>> {
    return this.#call('GET', `/audit?${new URLSearchParams(query).toString()}`);
  }

  async tokens(): Promise<TokenView[]> {
    return (await this.#call<{ items: TokenView[] }>('GET', '/tokens')).items;
  }

  /** The one answer with a token in it. `second`: another token, which may reveal, where one is granted that. */
  createToken(request: TokenBody, second: string | null): Promise<TokenView & { token: string }> {
    return this.#call('POST', '/tokens', request, second === null ? {} : { 'parasol-reveal-token': second });
  }

  revokeToken(id: string, reason: string | null): Promise<TokenView> {
    const query = reason === null ? '' : `?${new URLSearchParams({ reason }).toString()}`;
    return this.#call('DELETE', `/tokens/${encodeURIComponent(id)}${query}`);
  }

  async #call<T>(
    method: 'GET' | 'POST' | 'PUT' | 'DELETE',
    path: string,
    body?: unknown,
    headers: Record<string, string> = {},
  ): Promise<T> {
    const { statusCode, text } = await this.#send(method, path, body, { headers });
    return this.#answer(statusCode, text) as T;
  }

  #answer(statusCode: number, text: string): unknown {
    if (statusCode < 200 || statusCode >= 300) throw this.#refusal(statusCode, text);
    const answer = parsed(text);
    if (answer === undefined) throw this.#notParasol(statusCode);
    return answer;
  }

  #refusal(statusCode: number, text: string): ServiceRefused {
    const answer = parsed(text);
    return answer === undefined ? this.#notParasol(statusCode) : refusal(statusCode, answer);
  }

  #notParasol(statusCode: number): ServiceRefused {
    return new ServiceRefused(statusCode, `${this.#url} answered ${statusCode}, and not as Parasol does.`);
  }

  /** A POST whose answer was lost is sent again: by its key the service does it once. */
  async #send(method: string, path: string, body: unknown, options: SendOptions = {}): Promise<Sent> {
    if (method !== 'POST') return this.#once(method, path, body, options);
    const keyed = { ...options, headers: { ...options.headers, 'idempotency-key': randomUUID() } };
    let lost = false;
    for (let left = TRIES; ; left -= 1) {
      try {
        const answer = await this.#once(method, path, body, keyed);
        if (!lost || left <= 1 || !isUnderWay(answer)) return answer;
      } catch (error) {
        if (!(error instanceof ServiceUnreachable)) throw error;
        lost ||= error.isLost;
        if (!lost) throw error;
        if (left <= 1) {
          const words = 'What was asked may have been done: look before you ask again.';
          throw new ServiceUnreachable(`${error.message} ${words}`, { cause: error.cause });
        }
      }
      await this.#sleep(TRY_AGAIN_MS);
    }
  }

  async #once(
    method: string,
    path: string,
    body: unknown,
    { headers = {}, withinMs = this.#answerWithinMs }: SendOptions,
  ): Promise<Sent> {
    return this.#reach(async () => {
      const response = await request(this.#url + path, {
        method: method as 'GET',
        headers: {
          ...headers,
          accept: 'application/json, application/problem+json',
          ...this.#authorization,
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        body: body === undefined ? null : JSON.stringify(body),
        signal: AbortSignal.timeout(withinMs),
      });
      return {
        statusCode: response.statusCode,
        text: await response.body.text(),
        headers: response.headers,
      };
    });
  }

  get #authorization(): Record<string, string> {
    return this.#token === null ? {} : { authorization: `Bearer ${this.#token}` };
  }

  /** What goes wrong on the way is told as that. */
  async #reach<T>(call: () => Promise<T>): Promise<T> {
    try {
      return await call();
    } catch (error) {
      const { code, name } = error as { code?: string; name?: string };
      const why =
        code === 'ECONNREFUSED'
          ? 'nothing listens there'
          : name === 'TimeoutError'
            ? 'no answer in time'
            : (code ?? name ?? 'no reason given');
      throw new ServiceUnreachable(
        `No answer from the service at ${this.#url}: ${why}. ` +
          'Is it running (npm start)? PARASOL_URL says where it is.',
        { cause: error },
      );
    }
  }
}

/** Undefined where it is no JSON. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const textOf = (value: unknown): string => (typeof value === 'string' ? value : '');

function refusal(status: number, answer: unknown): ServiceRefused {
  const { title, detail, errors } = (answer ?? {}) as { title?: unknown; detail?: unknown; errors?: unknown };
  const problems = (Array.isArray(errors) ? (errors as { path?: unknown; message?: unknown }[]) : []).map(
    ({ path, message }) => ({ path: textOf(path), message: textOf(message) }),
  );
  const words = textOf(detail) || textOf(title) || `The service answered ${status}.`;
  return new ServiceRefused(status, words, problems);
}

/** The configured address and token cannot be used; says why. */
export class BadConnection extends Error {}

/**
 * The client for what the environment says: `PARASOL_URL`, and `PARASOL_TOKEN`, `PARASOL_TOKEN_FILE` or, for a
 * service on this machine, the token that it made for itself under `PARASOL_DATA`.
 */
export function clientFor(env: Environment, options?: ClientOptions): Client {
  const url = urlOf(env);
  return new Client(url.href, given(env, 'PARASOL_TOKEN') ?? localToken(url, env), options);
}

/** The client that may read a key: by `PARASOL_REVEAL_TOKEN` or `PARASOL_REVEAL_TOKEN_FILE`, and by nothing else. */
export function revealClientFor(env: Environment, options?: ClientOptions): Client {
  const token = revealToken(env);
  if (token !== null) return new Client(urlOf(env).href, token, options);
  throw new BadConnection(
    'Reading a key needs a token of its own: PARASOL_REVEAL_TOKEN, or PARASOL_REVEAL_TOKEN_FILE, as the service has it.',
  );
}

/** The token of `PARASOL_REVEAL_TOKEN` or its file; null: there is none. */
export const revealToken = (env: Environment): string | null => given(env, 'PARASOL_REVEAL_TOKEN');

type Environment = Readonly<Record<string, string | undefined>>;

function urlOf(env: Environment): URL {
  const url = env['PARASOL_URL'] || 'http://127.0.0.1:8080';
  if (URL.canParse(url) && /^https?:$/.test(new URL(url).protocol)) return new URL(url);
  throw new BadConnection(`PARASOL_URL must be an http:// or https:// address.`);
}

/** A variable's value, or that of the file that `…_FILE` names; null: neither is set. */
function given(env: Environment, name: string): string | null {
  if (env[name]) return env[name];
  const file = env[`${name}_FILE`];
  if (!file) return null;
  try {
    return readFileSync(file, 'utf8').trim();
  } catch (error) {
    throw new BadConnection(`${name}_FILE ${file} cannot be read.`, { cause: error });
  }
}

function localToken(url: URL, env: Environment): string | null {
  // The token of the service here is nobody's business on another machine.
  if (!/^(localhost|127(\.\d{1,3}){3}|\[::1\])$/.test(url.hostname)) return null;
  try {
    return readFileSync(join(env['PARASOL_DATA'] || '.parasol', 'admin-token'), 'utf8').trim();
  } catch {
    return null;
  }
}
