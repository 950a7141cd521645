import type { z } from 'zod';
import type { Want } from '../../domain/budget.ts';
import type { CustomerFact } from '../../domain/observation.ts';
import { failed, ok, type Failure, type Outcome } from '../../domain/outcome.ts';
import { Secret, type KeyPair } from '../../domain/secret.ts';
import type { TenantSpec } from '../../domain/tenant.ts';
import type {
  ApiKeyPass,
  CallContext,
  Clock,
  ExpectedLook,
  ListedApiKey,
  MadeApiKey,
  NewApiKey,
  Umbrella,
  UmbrellaWrites,
} from '../../reconciler/ports.ts';
import type { Answer } from '../http/answer.ts';
import { unusable, type HttpCall, type HttpClient } from '../http/client.ts';
import { Console, type UmbrellaBudget } from './console.ts';
import { objectionTo, type Leaving } from './door.ts';
import { isNameTaken, refusal, refusesBearer } from './refusal.ts';
import { apiKeysSchema, customersSchema, madeKeySchema } from './schemas.ts';
import { Tokens, type Token } from './tokens.ts';

const PAGE_SIZE = 100;
/** 10,000 customers or keys: far more than a console has. */
const MAX_PAGES = 100;
const API_KEYS = '/admin/v2/apiKeys';

/** A call of one key, without what its token adds. */
type Request = Pick<HttpCall, 'method' | 'path' | 'effect' | 'body' | 'continues'>;
type Barrier = () => Promise<Failure | null>;

/** Umbrella for all tenants; they share the tokens of the keys that they share. */
export class UmbrellaVendor {
  readonly #http: HttpClient;
  readonly #tokens: Tokens;
  /** Pages to expect of lists that the budget cut short, since nobody knows yet how long they are. */
  readonly #longLists = new Map<string, number>();

  constructor(http: HttpClient, clock: Clock) {
    this.#http = http;
    this.#tokens = new Tokens(http, clock);
  }

  of(spec: TenantSpec): Umbrella {
    const console = new Console(spec.umbrella);
    return {
      authenticate: async (key, context, { anew = false, asOwn = false } = {}) => {
        const at = asOwn ? console.own() : console;
        const token = await (anew
          ? this.#tokens.renew(at, key, context)
          : this.#tokens.get(at, key, context));
        return token.ok ? ok({ expiresAt: token.value.expiresAt }) : token;
      },
      customers: (key, context) => this.#customers(console, key, context),
      apiKeys: (keyAdmin, context) => this.#apiKeys(console.own(), keyAdmin, context),
      writes: (keyAdmin, context, pass) => this.#writes(spec, console.own(), keyAdmin, context, pass),
    };
  }

  /** What a look costs; a token only where none is kept. */
  wants({ spec, umbrellaApi, umbrellaKeyAdmin, customers, leaves }: ExpectedLook): Want[] {
    if (leaves.has('umbrella')) return [];
    const console = new Console(spec.umbrella);
    const known = Math.max(1, Math.ceil(customers / PAGE_SIZE));
    const pages = (umbrellaApi && this.#longLists.get(listName(console, umbrellaApi))) ?? known;
    const wants = [
      ...(umbrellaApi ? this.#wants(console, umbrellaApi, 'umbrella-customers', pages) : []),
      ...(umbrellaKeyAdmin ? this.#wants(console.own(), umbrellaKeyAdmin, 'umbrella-api-keys', 1) : []),
    ];
    // One key may be both, and then has one budget for its tokens.
    const byScope = new Map<string, Want>();
    for (const want of wants) {
      const calls = (byScope.get(want.scope)?.calls ?? 0) + (want.calls ?? 0);
      byScope.set(want.scope, { ...want, calls });
    }
    return [...byScope.values()];
  }

  #wants(console: Console, key: KeyPair, kind: UmbrellaBudget, calls: number): Want[] {
    const list = { ...console.budget(key, kind), calls };
    return this.#tokens.has(console, key)
      ? [list]
      : [list, { ...console.budget(key, 'umbrella-token'), calls: 1 }];
  }

  async #apiKeys(
    console: Console,
    keyAdmin: KeyPair,
    context: CallContext,
  ): Promise<Outcome<ListedApiKey[]>> {
    const keys: ListedApiKey[] = [];
    for (let pages = 0; pages < MAX_PAGES; pages += 1) {
      const path = `${API_KEYS}?offset=${keys.length}&limit=${PAGE_SIZE}`;
      const page = await this.#read(console, keyAdmin, context, path, apiKeysSchema, pages > 0);
      if (!page.ok) return page;
      keys.push(...page.value.keys);
      const { total } = page.value;
      const ended = typeof total === 'number' ? keys.length >= total : page.value.keys.length < PAGE_SIZE;
      if (ended || page.value.keys.length === 0) break;
    }
    return ok(keys);
  }

  /** Nothing is sent twice but what a refused bearer kept from being done, and nothing but through the door. */
  #writes(
    spec: TenantSpec,
    console: Console,
    keyAdmin: KeyPair,
    context: CallContext,
    pass: ApiKeyPass,
  ): UmbrellaWrites {
    const door = (leaving: Leaving): Barrier => {
      return () => objectionTo(leaving, spec, pass, () => this.#http.hasTimeFor(context));
    };
    return {
      createApiKey: async (key) => {
        const request: Request = { method: 'POST', path: API_KEYS, effect: 'write', body: bodyOf(key) };
        const sent = await this.#withToken(console, keyAdmin, context, request, door({ makes: key.name }));
        if (!sent.ok) return sent;
        const { call, answer } = sent.value;
        if (isNameTaken(answer)) return ok<MadeApiKey>({ made: false, because: 'name-taken' });
        const made = understood(call, answer, madeKeySchema);
        if (!made.ok) return made;
        const { id, clientId, clientSecret } = made.value.key;
        return ok({ made: true, id, pair: { publicHalf: clientId, privateHalf: new Secret(clientSecret) } });
      },
      deleteApiKey: async (id) => {
        const path = `${API_KEYS}/${encodeURIComponent(id)}`;
        const request: Request = { method: 'DELETE', path, effect: 'write' };
        const sent = await this.#withToken(console, keyAdmin, context, request, door({ deletes: id }));
        if (!sent.ok) return sent;
        const failure = refusal(sent.value.call, sent.value.answer);
        return failure === null ? ok(null) : failed(failure);
      },
    };
  }

  /** The list is a bare array: a page that is not full is the last (domain.md §5). */
  async #customers(console: Console, key: KeyPair, context: CallContext): Promise<Outcome<CustomerFact[]>> {
    const customers = new Map<number, CustomerFact>();
    for (let page = 1; page <= MAX_PAGES; page += 1) {
      const path = `${console.customersPath}?page=${page}&limit=${PAGE_SIZE}`;
      const rows = await this.#read(console, key, context, path, customersSchema, page > 1);
      if (!rows.ok) {
        const cut = rows.failure.kind === 'RateLimited' && page > 1;
        // What comes may be as much again as what came.
        if (cut) this.#longLists.set(listName(console, key), 2 * page);
        return rows;
      }
      const before = customers.size;
      for (const row of rows.value) customers.set(row.id, row);
      if (rows.value.length < PAGE_SIZE || customers.size === before) break;
    }
    this.#longLists.delete(listName(console, key));
    return ok([...customers.values()]);
  }

  async #read<T>(
    console: Console,
    key: KeyPair,
    context: CallContext,
    path: string,
    schema: z.ZodType<T>,
    continues: boolean,
  ): Promise<Outcome<T>> {
    const request: Request = { method: 'GET', path, effect: 'read', continues };
    const sent = await this.#withToken(console, key, context, request);
    return sent.ok ? understood(sent.value.call, sent.value.answer, schema) : sent;
  }

  /** A refused bearer may only be old, and did nothing: it is dropped, and the call made once more with a new one. */
  async #withToken(
    console: Console,
    key: KeyPair,
    context: CallContext,
    request: Request,
    barrier: Barrier = () => Promise.resolve(null),
  ): Promise<Outcome<{ call: HttpCall; answer: Answer }>> {
    for (let tries = 1; ; tries += 1) {
      const token = await this.#tokens.get(console, key, context);
      if (!token.ok) return token;
      const objection = await barrier();
      if (objection !== null) return failed(objection);
      const call = bearerCall(console, key, token.value, request);
      const sent = await this.#http.send(call, context);
      if (!sent.ok) return sent;
      if (refusesBearer(sent.value)) this.#tokens.drop(console, key, token.value);
      if (!refusesBearer(sent.value) || tries > 1) return ok({ call, answer: sent.value });
    }
  }
}

/** A list of customers is one organisation's, as one key sees it. */
const listName = (console: Console, key: KeyPair): string =>
  `${console.budget(key, 'umbrella-customers').scope} ${console.organizationId ?? ''}`;

function bearerCall(
  console: Console,
  key: KeyPair,
  { bearer }: Token,
  { body, ...request }: Request,
): HttpCall {
  const kind = request.path.startsWith(API_KEYS) ? 'umbrella-api-keys' : 'umbrella-customers';
  return {
    ...console.common(key, kind),
    ...request,
    headers: {
      authorization: `Bearer ${bearer}`,
      accept: 'application/json',
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(body === undefined ? {} : { body }),
    secrets: [bearer, key.privateHalf.reveal(), key.publicHalf],
  };
}

/** `KeyCreate` of the contract; an empty `expireAt` means never (domain.md §5). */
const bodyOf = ({ expiresAt, ...key }: NewApiKey): string =>
  JSON.stringify({ ...key, expireAt: expiresAt ?? '' });

/** An answer in the shape that it must have, or what it says instead. */
function understood<T>(call: HttpCall, answer: Answer, schema: z.ZodType<T>): Outcome<T> {
  const failure = refusal(call, answer);
  if (failure !== null) return failed(failure);
  const parsed = schema.safeParse(answer.body.is === 'json' ? answer.body.value : undefined);
  if (parsed.success) return ok(parsed.data);
  const place = parsed.error.issues[0]?.path.join('.') || 'the top';
  return failed(unusable(call, 'wrong-shape', `unexpected at ${place}`));
}
