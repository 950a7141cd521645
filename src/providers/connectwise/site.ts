import type { Budget } from '../../domain/budget.ts';
import { failed, ok, type Outcome } from '../../domain/outcome.ts';
import type { TenantSpec } from '../../domain/tenant.ts';
import type { CallContext, CompanyInfo } from '../../reconciler/ports.ts';
import { named, unusable, type HttpCall, type HttpClient } from '../http/client.ts';
import { encodePart } from '../http/encode.ts';
import type { Shared } from '../http/shared.ts';
import { companyInfoSchema } from './schemas.ts';

/** Long, since a codebase that changed is noticed by the 404 that it causes (domain.md §4). */
const CODEBASE_KEPT_MS = 24 * 60 * 60_000;
/** ConnectWise's own words of a 429 speak of 30 seconds. */
const UNNAMED_WAIT_MS = 30_000;
const ON_PREMISE = 'v4_6_release/';
const CLOUD_HOST = /^(na|eu|au|aus|za|staging)\.myconnectwise\.net$/;

/** Null: the site answers, and knows no such company. Wrapped, so that one answer is told from the next. */
export interface KnownCompany {
  info: CompanyInfo | null;
}

/** One ConnectWise company: where it is, what its calls have in common, and which codebase it runs. */
export class Site {
  readonly #spec: TenantSpec['connectwise'];
  readonly #http: HttpClient;
  readonly #companies: Shared<KnownCompany>;
  /** Names the company in what all tenants of a process share. */
  readonly name: string;
  readonly budget: Budget;

  constructor(spec: TenantSpec['connectwise'], http: HttpClient, companies: Shared<KnownCompany>) {
    this.#spec = spec;
    this.#http = http;
    this.#companies = companies;
    this.name = `${spec.site} ${spec.companyId.toLowerCase()}`;
    this.budget = { scope: `connectwise ${this.name}`, kind: 'connectwise' };
  }

  get clientId(): string {
    return this.#spec.clientId;
  }
  get companyId(): string {
    return this.#spec.companyId;
  }

  /** What every call to this site has: its origin and authority, and whose budget it uses. */
  get common(): Pick<HttpCall, 'origin' | 'ca' | 'budget' | 'unnamedWaitMs'> {
    return {
      origin: this.#spec.site,
      ca: this.#spec.ca,
      budget: this.budget,
      unnamedWaitMs: UNNAMED_WAIT_MS,
    };
  }

  /** The company as it was last told; asks where nothing is known, or where `distrusted` was. */
  company(context: CallContext, distrusted?: KnownCompany): Promise<Outcome<KnownCompany>> {
    return this.#companies.get(
      this.name,
      context,
      () => this.#ask(context),
      ({ info }) => (info === null ? 0 : CODEBASE_KEPT_MS),
      distrusted,
    );
  }

  /** Asks now, whatever was known: the independent second answer beside a refusal (domain.md §4). */
  async askCompany(context: CallContext): Promise<Outcome<CompanyInfo | null>> {
    const kept = await this.#companies.replace(
      this.name,
      () => this.#ask(context),
      ({ info }) => (info === null ? 0 : CODEBASE_KEPT_MS),
    );
    return kept.ok ? ok(kept.value.info) : kept;
  }

  async #ask(context: CallContext): Promise<Outcome<KnownCompany>> {
    const call: HttpCall = {
      ...this.common,
      method: 'GET',
      path: `/login/companyinfo/${encodePart(this.#spec.companyId)}`,
      headers: { accept: 'application/json' },
      effect: 'read',
      secrets: [],
    };
    const sent = await this.#http.send(call, context);
    if (!sent.ok) return sent;
    const { status, body } = sent.value;
    if (body.is === 'html' || body.is === 'text') {
      return failed(unusable(call, 'not-json', `answered ${status} with ${body.is}`));
    }
    if (status === 404) return ok({ info: null });
    if (status < 200 || status >= 300) return refusedUnasked(call, status);
    const parsed = companyInfoSchema.safeParse(body.is === 'json' ? body.value : undefined);
    if (!parsed.success) return failed(unusable(call, 'wrong-shape', 'not the answer of ConnectWise'));
    if (parsed.data === null) return ok({ info: null });
    const { CompanyName, Codebase } = parsed.data;
    const codebase = Codebase.endsWith('/') ? Codebase : `${Codebase}/`;
    return ok({ info: { companyName: CompanyName ?? '', codebase } });
  }
}

/** A refusal of a call that carries no credentials says nothing of any key. */
function refusedUnasked(call: HttpCall, status: number): Outcome<never> {
  const detail = `${named(call)} answered ${status}`;
  if (status === 401 || status === 403) return failed({ kind: 'Forbidden', detail });
  return failed({ kind: 'Invalid', fields: [], detail });
}

/**
 * Where the API of a codebase is: the site itself on premise; the `api-` twin of a known cloud host otherwise,
 * which is the same site, so that credentials bound to the one may go to the other (rulings 11).
 */
export function apiOrigin(site: string, codebase: string): string {
  const url = new URL(site);
  if (codebase === ON_PREMISE || !CLOUD_HOST.test(url.hostname)) return site;
  url.hostname = `api-${url.hostname}`;
  return url.origin;
}
