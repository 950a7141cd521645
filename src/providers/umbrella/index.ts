import type { z } from 'zod';
import type { CustomerFact } from '../../domain/observation.ts';
import { failed, ok, type Outcome } from '../../domain/outcome.ts';
import type { KeyPair } from '../../domain/secret.ts';
import type { TenantSpec } from '../../domain/tenant.ts';
import type { CallContext, Clock, Umbrella } from '../../reconciler/ports.ts';
import type { Answer } from '../http/answer.ts';
import { unusable, type HttpCall, type HttpClient } from '../http/client.ts';
import { Console } from './console.ts';
import { refusal, refusesBearer } from './refusal.ts';
import { apiKeysSchema, customersSchema } from './schemas.ts';
import { Tokens, type Token } from './tokens.ts';

const PAGE_SIZE = 100;
/** 10,000 customers or keys: far more than a console has. */
const MAX_PAGES = 100;
const API_KEYS = '/admin/v2/apiKeys';

/** Umbrella for all tenants; they share the tokens of the keys that they share. */
export class UmbrellaVendor {
  readonly #http: HttpClient;
  readonly #tokens: Tokens;

  constructor(http: HttpClient, clock: Clock) {
    this.#http = http;
    this.#tokens = new Tokens(http, clock);
  }

  of(spec: TenantSpec): Umbrella {
    const console = new Console(spec.umbrella);
    return {
      authenticate: async (key, context) => {
        const token = await this.#tokens.get(console, key, context);
        return token.ok ? ok({ expiresAt: token.value.expiresAt }) : token;
      },
      customers: (key, context) => this.#customers(console, key, context),
      apiKeys: async (keyAdmin, context) => {
        const keys: z.output<typeof apiKeysSchema>['keys'] = [];
        for (let pages = 0; pages < MAX_PAGES; pages += 1) {
          const path = `${API_KEYS}?offset=${keys.length}&limit=${PAGE_SIZE}`;
          const page = await this.#read(console, keyAdmin, context, path, apiKeysSchema);
          if (!page.ok) return page;
          keys.push(...page.value.keys);
          const { total } = page.value;
          const ended = typeof total === 'number' ? keys.length >= total : page.value.keys.length < PAGE_SIZE;
          if (ended || page.value.keys.length === 0) break;
        }
        return ok(keys);
      },
    };
  }

  /** The list is a bare array: a page that is not full is the last (domain.md §5). */
  async #customers(console: Console, key: KeyPair, context: CallContext): Promise<Outcome<CustomerFact[]>> {
    const customers = new Map<number, CustomerFact>();
    for (let page = 1; page <= MAX_PAGES; page += 1) {
      const path = `${console.customersPath}?page=${page}&limit=${PAGE_SIZE}`;
      const rows = await this.#read(console, key, context, path, customersSchema);
      if (!rows.ok) return rows;
      const before = customers.size;
      for (const row of rows.value) customers.set(row.id, row);
      if (rows.value.length < PAGE_SIZE || customers.size === before) break;
    }
    return ok([...customers.values()]);
  }

  async #read<T>(
    console: Console,
    key: KeyPair,
    context: CallContext,
    path: string,
    schema: z.ZodType<T>,
  ): Promise<Outcome<T>> {
    const sent = await this.#withToken(console, key, context, path);
    if (!sent.ok) return sent;
    const { call, answer } = sent.value;
    const failure = refusal(call, answer);
    if (failure !== null) return failed(failure);
    const parsed = schema.safeParse(answer.body.is === 'json' ? answer.body.value : undefined);
    if (parsed.success) return ok(parsed.data);
    const place = parsed.error.issues[0]?.path.join('.') || 'the top';
    return failed(unusable(call, 'wrong-shape', `unexpected at ${place}`));
  }

  /** A refused bearer may only be old: it is dropped, and the call made once more with a new one. */
  async #withToken(
    console: Console,
    key: KeyPair,
    context: CallContext,
    path: string,
  ): Promise<Outcome<{ call: HttpCall; answer: Answer }>> {
    for (let tries = 1; ; tries += 1) {
      const token = await this.#tokens.get(console, key, context);
      if (!token.ok) return token;
      const call = bearerCall(console, key, token.value, path);
      const sent = await this.#http.send(call, context);
      if (!sent.ok) return sent;
      if (refusesBearer(sent.value)) this.#tokens.drop(console, key, token.value);
      if (!refusesBearer(sent.value) || tries > 1) return ok({ call, answer: sent.value });
    }
  }
}

function bearerCall(console: Console, key: KeyPair, { bearer }: Token, path: string): HttpCall {
  return {
    ...console.common(key),
    method: 'GET',
    path,
    headers: { authorization: `Bearer ${bearer}`, accept: 'application/json' },
    effect: 'read',
    secrets: [bearer, key.privateHalf.reveal(), key.publicHalf],
  };
}
