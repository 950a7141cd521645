import { hash, randomBytes } from 'node:crypto';
import { failed, ok, type Outcome } from '../../domain/outcome.ts';
import type { KeyPair } from '../../domain/secret.ts';
import type { CallContext, Clock } from '../../reconciler/ports.ts';
import { unusable, type HttpCall, type HttpClient } from '../http/client.ts';
import { Shared } from '../http/shared.ts';
import type { Console } from './console.ts';
import { refusal } from './refusal.ts';
import { tokenSchema } from './schemas.ts';

/** A token is given up before it expires, so that none expires on its way. */
const EXPIRES_EARLY_MS = 60_000;

/** A bearer token, in memory only. */
export interface Token {
  bearer: string;
  /** ISO 8601. */
  expiresAt: string;
}

/**
 * Tokens of the client-credentials grant, shared by all tenants of a key and organisation (their budget is
 * shared too: domain.md §5), fetched once however many ask.
 *
 * Not by oauth4webapi: its Basic authentication encodes both halves as RFC 6749 asks, while Cisco's guide sends
 * them as they are, and its transport and thrown errors would have to be undone again; what it would have
 * added is the three fields of `tokenSchema`.
 */
export class Tokens {
  readonly #http: HttpClient;
  readonly #clock: Clock;
  readonly #tokens: Shared<Token>;
  /** Names of kept tokens are made of secrets; nobody can turn them back without this. */
  readonly #salt = randomBytes(32).toString('hex');

  constructor(http: HttpClient, clock: Clock) {
    this.#http = http;
    this.#clock = clock;
    this.#tokens = new Shared(clock);
  }

  /** The token that the key still has, or a new one. `Unauthorized`: the key is refused. */
  get(console: Console, key: KeyPair, context: CallContext): Promise<Outcome<Token>> {
    return this.#tokens.get(
      this.#name(console, key),
      context,
      () => this.#fetch(console, key, context),
      (token) => this.#keepMs(token),
    );
  }

  /** A new token, whatever is kept: a kept one says nothing of the key as it is now. */
  renew(console: Console, key: KeyPair, context: CallContext): Promise<Outcome<Token>> {
    return this.#tokens.replace(
      this.#name(console, key),
      () => this.#fetch(console, key, context),
      (token) => this.#keepMs(token),
    );
  }

  /** Whether the key still has one. */
  has(console: Console, key: KeyPair): boolean {
    return this.#tokens.has(this.#name(console, key));
  }

  #keepMs({ expiresAt }: Token): number {
    return Date.parse(expiresAt) - this.#clock.now().getTime() - EXPIRES_EARLY_MS;
  }

  /** Forgets a token that Umbrella refused, unless a newer one has taken its place. */
  drop(console: Console, key: KeyPair, token: Token): void {
    this.#tokens.drop(this.#name(console, key), token);
  }

  /** The secret is part of it: a wrong secret must not be proved by the right one's token. */
  #name({ url, organizationId }: Console, { publicHalf, privateHalf }: KeyPair): string {
    return hash(
      'sha256',
      JSON.stringify([this.#salt, url, organizationId ?? null, publicHalf, privateHalf.reveal()]),
    );
  }

  async #fetch(console: Console, key: KeyPair, context: CallContext): Promise<Outcome<Token>> {
    const credentials = `${key.publicHalf}:${key.privateHalf.reveal()}`;
    const call: HttpCall = {
      ...console.common(key, 'umbrella-token'),
      method: 'POST',
      path: '/auth/v2/token',
      headers: {
        authorization: `Basic ${Buffer.from(credentials).toString('base64')}`,
        accept: 'application/json',
        'content-type': 'application/x-www-form-urlencoded',
        ...(console.organizationId === undefined ? {} : { 'x-umbrella-orgid': console.organizationId }),
      },
      body: 'grant_type=client_credentials',
      // One token more changes nothing outside.
      effect: 'read',
      secrets: [key.privateHalf.reveal(), key.publicHalf, credentials],
    };
    const asked = this.#clock.now().getTime();
    const sent = await this.#http.send(call, context);
    if (!sent.ok) return sent;
    const failure = refusal(call, sent.value);
    if (failure !== null) return failed(failure);
    const { body } = sent.value;
    const parsed = tokenSchema.safeParse(body.is === 'json' ? body.value : undefined);
    if (!parsed.success) return failed(unusable(call, 'wrong-shape', 'not the answer of a token'));
    const { access_token, expires_in } = parsed.data;
    return ok({ bearer: access_token, expiresAt: new Date(asked + expires_in * 1_000).toISOString() });
  }
}
