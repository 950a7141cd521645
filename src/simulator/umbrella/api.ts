import { Routes, type Route } from '../routes.ts';
import { fingerprint, random } from '../secrets.ts';
import { HOUR, wireTime } from '../time.ts';
import {
  basicCredentials,
  type Call,
  type Identity,
  type Prepared,
  type Reply,
  type Vendor,
} from '../wire.ts';
import type { World } from '../world.ts';
import { apiKeyOperations } from './api-keys.ts';
import type { BearerToken, UmbrellaConsole, UmbrellaKey } from './console.ts';
import { customerOperations } from './customers.ts';
import { refusal, type ErrorShape } from './errors.ts';
import type { UmbrellaOperation } from './operation.ts';

const TOKEN_PATH = '/auth/v2/token';
const TOKEN_SECONDS = 3_600;

const routes = new Routes<UmbrellaOperation>([...apiKeyOperations, ...customerOperations]);

interface Owner {
  console: UmbrellaConsole;
  key: UmbrellaKey;
}

/** Umbrella API v2 on the wire (domain.md §5), for all consoles of a world. */
export class Umbrella implements Vendor {
  readonly name = 'umbrella';
  readonly #world: World;

  constructor(world: World) {
    this.#world = world;
  }

  prepare(call: Call): Prepared {
    return call.path === TOKEN_PATH ? this.#token(call) : this.#operation(call);
  }

  rateLimited(retryAfterSeconds: number | null): Reply {
    const reply = refusal('auth', 429, 'API rate limit exceeded');
    if (retryAfterSeconds === null) return reply;
    return { ...reply, headers: { 'Retry-After': String(retryAfterSeconds) } };
  }

  #token(call: Call): Prepared {
    const credentials = basicCredentials(call.headers.authorization);
    const owner = credentials === null ? undefined : this.#world.umbrellaKeyOwner(credentials.user);
    const identity: Identity = {
      company: owner?.console.companyId ?? null,
      actor: owner?.key.clientId ?? null,
      keyFingerprint:
        credentials === null ? null : fingerprint(`${credentials.user}:${credentials.password}`),
      operation: TOKEN_PATH,
    };
    return { identity, run: () => this.#issueToken(call, owner, credentials?.password) };
  }

  #issueToken(call: Call, owner: Owner | undefined, secret: string | undefined): Reply {
    if (call.method !== 'POST') return refusal('auth', 405, 'Method not allowed');
    const now = this.#world.now();
    if (owner === undefined || owner.key.secret !== secret || isExpired(owner.key, now)) {
      return refusal('auth', 401, 'Invalid credentials');
    }
    if (this.#overQuota(owner, 'token', now)) return this.rateLimited(null);
    if (new URLSearchParams(call.body).get('grant_type') !== 'client_credentials') {
      return { status: 400, body: { error: 'invalid_request' } };
    }
    const organizationId = this.#organization(call, owner.console);
    if (organizationId === null)
      return refusal('auth', 403, 'The organization is not accessible with this key');
    owner.key.lastUsedAt = wireTime(now);
    const token: BearerToken = {
      clientId: owner.key.clientId,
      organizationId,
      expiresAt: now.getTime() + TOKEN_SECONDS * 1_000,
    };
    const access_token = `sim.${random(48)}`;
    this.#world.tokens.set(access_token, token);
    this.#dropOldTokens(now);
    return { status: 200, body: { token_type: 'bearer', access_token, expires_in: TOKEN_SECONDS } };
  }

  /** The organisation a token is asked for: the key's own, or one of its children by `X-Umbrella-OrgId`. */
  #organization(call: Call, own: UmbrellaConsole): number | null {
    const asked = call.headers['x-umbrella-orgid'];
    if (asked === undefined || Number(asked) === own.organizationId) return own.organizationId;
    const child = this.#world.consoleOf(Number(asked));
    return child?.parentOrganizationId === own.organizationId ? child.organizationId : null;
  }

  /** Tokens are in order of issue; those long expired need no answer of their own any more. */
  #dropOldTokens(now: Date): void {
    for (const [text, token] of this.#world.tokens) {
      if (token.expiresAt > now.getTime() - 24 * HOUR) return;
      this.#world.tokens.delete(text);
    }
  }

  #operation(call: Call): Prepared {
    const route = routes.find(call.path);
    const header = call.headers.authorization ?? '';
    const bearer = /^bearer /i.test(header) ? header.slice(7).trim() : null;
    const token = bearer === null ? undefined : this.#world.tokens.get(bearer);
    const owner = token === undefined ? undefined : this.#world.umbrellaKeyOwner(token.clientId);
    const console = token === undefined ? undefined : this.#world.consoleOf(token.organizationId);
    const identity: Identity = {
      company: console?.companyId ?? null,
      actor: token?.clientId ?? null,
      keyFingerprint: bearer === null ? null : fingerprint(bearer),
      operation: route?.template ?? null,
    };
    return {
      identity,
      run: (onCreated) => this.#run(call, route, token, owner, console, onCreated ?? (() => undefined)),
    };
  }

  #run(
    call: Call,
    route: Route<UmbrellaOperation> | null,
    token: BearerToken | undefined,
    owner: Owner | undefined,
    console: UmbrellaConsole | undefined,
    onCreated: (row: object) => void,
  ): Reply {
    const operation = route?.methods.get(call.method);
    const shape: ErrorShape = operation?.shape ?? shapeOf(call.path);
    if (token === undefined || owner === undefined || console === undefined) {
      return refusal(shape, 401, 'Unauthorized');
    }
    const now = this.#world.now();
    if (now.getTime() >= token.expiresAt || isExpired(owner.key, now)) {
      if (console.options.expiredTokenAnswer === 400)
        return { status: 400, body: { error: 'invalid_request' } };
      return refusal(shape, 401, 'Unauthorized');
    }
    if (route === null) return refusal(shape, 404, 'Not Found');
    if (operation === undefined) return refusal(shape, 405, 'Method not allowed');
    if (this.#overQuota(owner, operation.quota, now)) return refusal(shape, 429, 'API rate limit exceeded');
    owner.key.lastUsedAt = wireTime(now);
    if (!owner.key.scopes.includes(operation.scope)) return refusal(shape, 403, 'Forbidden');
    return operation.run({
      world: this.#world,
      console,
      key: owner.key,
      call,
      now,
      parameters: route.parameters,
      onCreated,
    });
  }

  #overQuota({ console, key }: Owner, group: UmbrellaOperation['quota'], now: Date): boolean {
    return this.#world.quotas && console.quota(key.clientId, group).take(now.getTime()) > 0;
  }
}

function isExpired(key: UmbrellaKey, now: Date): boolean {
  return key.expireAt !== '' && Date.parse(key.expireAt) <= now.getTime();
}

function shapeOf(path: string): ErrorShape {
  if (path.startsWith('/admin/v2/apiKeys')) return 'keys';
  return path.startsWith('/admin/') ? 'customers' : 'auth';
}
