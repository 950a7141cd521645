import { createHash, timingSafeEqual } from 'node:crypto';
import type { FastifyInstance } from 'fastify';
import { Problem } from './problem.ts';

/**
 * The door in the wall: every route declares what one must be allowed to do to use it, and a route that
 * declares nothing cannot be registered. The administrator may do everything but read a key; who may read one
 * may see and do hand-offs besides, and nothing else. Roles are decided here and nowhere else.
 */
export const PERMISSIONS = [
  'public',
  'tenants:read',
  'tenants:write',
  'tenants:reconcile',
  'credentials:write',
  'handoffs:read',
  'handoffs:work',
  'rotations:write',
  'secrets:reveal',
  'metrics:read',
  'docs:read',
] as const;
export type Permission = (typeof PERMISSIONS)[number];

/** Who is calling. */
export interface Identity {
  name: string;
  /** Reads keys, once, where a hand-off asks for one to be put into Umbrella; an administrator's does not. */
  mayReveal: boolean;
}

const REVEALERS: readonly Permission[] = [
  'secrets:reveal',
  'handoffs:read',
  'handoffs:work',
  'tenants:read',
  'docs:read',
];

const may = ({ mayReveal }: Identity, permission: Permission): boolean =>
  mayReveal ? REVEALERS.includes(permission) : permission !== 'secrets:reveal';

/** Finds the identity of a token by the token's SHA-256 (hex); null: nobody's. */
export type Authenticate = (tokenHash: string) => Promise<Identity | null>;

declare module 'fastify' {
  interface FastifyContextConfig {
    permission?: Permission;
  }
  interface FastifyRequest {
    /** Null on public routes only. */
    identity: Identity | null;
  }
}

/** What the API compares and what may be stored: SHA-256 of a token, hex. */
export function hashToken(token: string): string {
  return createHash('sha256').update(token).digest('hex');
}

/** Knows one token, the administrator's, by its hash; compares in constant time. */
export function oneToken(
  adminTokenHash: string,
  identity: Identity = { name: 'admin', mayReveal: false },
): Authenticate {
  const expected = Buffer.from(adminTokenHash, 'hex');
  if (expected.length !== 32) throw new Error('an administrator’s token is known by a SHA-256 in hex');
  return async (tokenHash) => {
    const given = Buffer.from(tokenHash, 'hex');
    return given.length === expected.length && timingSafeEqual(given, expected) ? identity : null;
  };
}

/** Hangs the door: no route without a permission, no call beyond the public ones without an identity. */
export function guard(app: FastifyInstance, authenticate: Authenticate): void {
  app.decorateRequest('identity', null);

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
    if (permission !== undefined && !may(request.identity, permission)) throw Problem.forbidden(permission);
  });
}

/** The token of `Authorization: Bearer …`; null where the header is anything else. */
export function bearerOf(header: string | undefined): string | null {
  return /^Bearer ([A-Za-z0-9._~+/-]{1,512}=*)$/i.exec(header ?? '')?.[1] ?? null;
}
