import { hash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { Caller, Role } from '../domain/access.ts';
import { z } from 'zod';
import { tenantIdSchema } from '../domain/tenant.ts';
import type { Commands } from '../reconciler/commands.ts';
import { Problem } from './problem.ts';

/**
 * The door in the wall: every route declares what one must be allowed to do to use it, and a route that
 * declares nothing cannot be registered. What each role may do is said here and nowhere else.
 */
const VIEWER = ['tenants:read', 'handoffs:read', 'brake:read', 'metrics:read', 'docs:read'] as const;
const OPERATOR = [...VIEWER, 'tenants:reconcile', 'tenants:hold', 'handoffs:work'] as const;
const ROTATOR = [...OPERATOR, 'rotations:write', 'credentials:write'] as const;
const ADMIN = [
  ...ROTATOR,
  'tenants:write',
  'fleet:change',
  'tokens:read',
  'tokens:write',
  'audit:read',
  'brake:release',
] as const;

/** `public` needs no token; `secrets:reveal` comes with no role: it is granted to a token besides. */
export type Permission = 'public' | 'secrets:reveal' | (typeof ADMIN)[number];

const PERMITTED: Readonly<Record<Role, readonly Permission[]>> = {
  viewer: VIEWER,
  operator: OPERATOR,
  rotator: ROTATOR,
  admin: ADMIN,
  revealer: ['tenants:read', 'handoffs:read', 'handoffs:work', 'docs:read'],
};

/** What tells of the fleet as a whole, or changes it: not for a token that is bound to some tenants. */
const OF_THE_FLEET: readonly Permission[] = ['metrics:read', 'brake:read', 'brake:release'];

/** Who is calling. */
export interface Identity extends Pick<Caller, 'name' | 'tokenId' | 'scope'> {
  role: Role;
  /** Reads keys, once, where a hand-off asks for one to be put into Umbrella. */
  mayReveal: boolean;
}

/** Whether somebody may do what a route declares; whether a tenant exists for them, the commands say. */
function may({ role, scope, mayReveal }: Identity, permission: Permission): boolean {
  if (permission === 'public') return true;
  if (permission === 'secrets:reveal') return mayReveal;
  if (scope !== null && OF_THE_FLEET.includes(permission)) return false;
  return PERMITTED[role].includes(permission);
}

/** Finds the identity of a token by the token's SHA-256 (hex); null: nobody's. */
export type Authenticate = (tokenHash: string) => Promise<Identity | null>;

declare module 'fastify' {
  interface FastifyContextConfig {
    permission?: Permission;
  }
  interface FastifyRequest {
    /** Null on public routes only. */
    identity: Identity | null;
    /** The use cases of who is calling. */
    readonly commands: Commands;
  }
}

/** What the API compares and what may be stored: SHA-256 of a token, hex. */
export function hashToken(token: string): string {
  return hash('sha256', token, 'hex');
}

/** A token that nobody can guess; its beginning lets scanners of secrets find one that got out. */
export const newToken = (): string => `parasol_${randomBytes(32).toString('base64url')}`;

/** Knows one token, the administrator's, by its hash; compares in constant time. */
export function oneToken(
  adminTokenHash: string,
  identity: Identity = { name: 'admin', tokenId: null, role: 'admin', scope: null, mayReveal: false },
): Authenticate {
  const expected = Buffer.from(adminTokenHash, 'hex');
  if (expected.length !== 32) throw new Error('an administrator’s token is known by a SHA-256 in hex');
  return async (tokenHash) => {
    const given = Buffer.from(tokenHash, 'hex');
    return given.length === expected.length && timingSafeEqual(given, expected) ? identity : null;
  };
}

/** Hangs the door: no route without a permission, no call beyond the public ones without an identity. */
export function guard(
  app: FastifyInstance,
  { authenticate, commands }: { authenticate: Authenticate; commands: Pick<Commands, 'as'> },
): void {
  app.decorateRequest('identity', null);
  app.decorateRequest('commands', {
    getter() {
      return commands.as(callerOf(this));
    },
  });

  app.addHook('onRoute', (route) => {
    // The documentation's routes come from a plugin that knows no permissions.
    if (route.url === '/docs' || route.url.startsWith('/docs/')) {
      route.config = { ...route.config, permission: 'docs:read' };
    }
    if (route.config?.permission === undefined) {
      throw new Error(`${String(route.method)} ${route.url} declares no permission`);
    }
  });

  // A route that does not exist has no permission either: strangers learn nothing of what exists.
  app.addHook('onRequest', async (request) => {
    const { permission } = request.routeOptions.config;
    if (permission === 'public') return;
    const token = bearerOf(request.headers.authorization);
    request.identity = token === null ? null : await authenticate(hashToken(token));
    if (request.identity === null) throw Problem.unauthorized(token !== null);
  });

  // After the limit on requests, which also limits how often a refusal is written down.
  app.addHook('preParsing', async (request) => {
    const { identity, routeOptions } = request;
    const { permission } = routeOptions.config;
    if (!identity || permission === undefined || may(identity, permission)) return;
    const about = subjectOf(request);
    if (about) await request.commands.noteRefusal(about, permission);
    throw Problem.forbidden(permission);
  });
}

/** The tenant or the hand-off that an address names; null: neither, or none that could be one. */
function subjectOf({
  params,
  routeOptions,
}: FastifyRequest): { tenant: string } | { handoff: string } | null {
  const { id } = params as { id?: string };
  if (id === undefined) return null;
  if (routeOptions.url?.startsWith('/handoffs/')) {
    return z.guid().safeParse(id).success ? { handoff: id } : null;
  }
  const named = routeOptions.url?.startsWith('/tenants/') === true && tenantIdSchema.safeParse(id).success;
  return named ? { tenant: id } : null;
}

/** Who asks, as the audit names it. */
function callerOf({ identity, ip, id, keyed }: FastifyRequest): Caller {
  const { name = 'nobody', tokenId = null, role = null, scope = null } = identity ?? {};
  return { name, tokenId, role, scope, from: ip, requestId: id, idempotencyKey: keyed?.key ?? null };
}

/** The token of `Authorization: Bearer …`; null where the header is anything else. */
export function bearerOf(header: string | undefined): string | null {
  return /^Bearer ([A-Za-z0-9._~+/-]{1,512}=*)$/i.exec(header ?? '')?.[1] ?? null;
}
