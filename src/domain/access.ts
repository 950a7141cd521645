import { selects, type Labels, type LabelSelector } from './labels.ts';

/** Who asks, and for which tenants: what needs neither HTTP nor a database of who may do what. */

/** What a token is for, each role more than the one before it; what each permits is said in `src/api/auth.ts`. */
export const ROLES = ['viewer', 'operator', 'rotator', 'admin'] as const;
/** `revealer` is the role of the configuration's `PARASOL_REVEAL_TOKEN` alone: no token can be made with it. */
export type Role = (typeof ROLES)[number] | 'revealer';

/**
 * The tenants that a token is bound to: those named, and those that all of the selectors select. No selectors name
 * nobody.
 */
export interface Scope {
  tenants: string[];
  labels: LabelSelector[];
}

/** Whether a token may see a tenant; `null` is a token that is bound to none, and sees all. */
export function inScope(scope: Scope | null, tenant: { id: string; labels: Labels }): boolean {
  if (scope === null || scope.tenants.includes(tenant.id)) return true;
  return scope.labels.length > 0 && selects(scope.labels, tenant.labels);
}

/** Who asks for something, by which token, and from where: the commands of a caller write it into the audit. */
export interface Caller {
  /** Of the token; what people call themselves in `by` stands beside it. */
  name: string;
  /** Null: no token was shown. */
  tokenId: string | null;
  role: Role | null;
  /** The tenants that exist for this caller; null: all of them. */
  scope: Scope | null;
  /** The address that the request came from; null: it came from no request. */
  from: string | null;
  /** Names the request in the answer and in the log. */
  requestId: string | null;
  /** The request's `Idempotency-Key`; null: it had none. */
  idempotencyKey: string | null;
}

/** Parasol itself, where nobody asked. */
export const PARASOL: Caller = {
  name: 'parasol',
  tokenId: null,
  role: null,
  scope: null,
  from: null,
  requestId: null,
  idempotencyKey: null,
};

/** How a tenant is told that the caller may not see. */
export const HIDDEN_TENANT = 'another tenant';

/** What a token lets its bearer do, and for how long. */
export interface Grant {
  role: Role;
  scope: Scope | null;
  /** Whether it may read a pair, once, where a hand-off asks for it to be put into Umbrella. */
  mayReveal: boolean;
  /** Null: for ever. */
  expiresAt: string | null;
}

/**
 * Whether everything that the one scope shows, the other shows too, whatever labels tenants will carry: by names
 * among its own names, or by labels that ask for at least as much.
 */
export function covers(wide: Scope | null, narrow: Scope | null): boolean {
  if (wide === null) return true;
  if (narrow === null || !narrow.tenants.every((id) => wide.tenants.includes(id))) return false;
  if (narrow.labels.length === 0) return true;
  return (
    wide.labels.length > 0 &&
    wide.labels.every(({ key, value }) =>
      narrow.labels.some((label) => label.key === key && (value === null || label.value === value)),
    )
  );
}

/** In what a wanted token would be stronger than the one that asks for it, by the field; empty: in nothing. */
export function whyStronger(own: Grant, wanted: Grant): { path: string; message: string }[] {
  const stronger: { path: string; message: string }[] = [];
  const rank = (role: Role) => ROLES.indexOf(role as (typeof ROLES)[number]);
  if (rank(wanted.role) > rank(own.role)) {
    stronger.push({ path: 'role', message: `is more than this token’s own, which is ${own.role}` });
  }
  if (!covers(own.scope, wanted.scope)) {
    const message = 'must be among the tenants that this token is bound to: it makes none that sees more';
    stronger.push({ path: 'tenants', message });
  }
  if (wanted.mayReveal && !own.mayReveal) {
    const message = 'is granted by a token that has it: send PARASOL_REVEAL_TOKEN or the like besides';
    stronger.push({ path: 'mayReveal', message });
  }
  if (own.expiresAt !== null && (wanted.expiresAt === null || wanted.expiresAt > own.expiresAt)) {
    stronger.push({ path: 'expires', message: `is after this token’s own end, ${own.expiresAt}` });
  }
  return stronger;
}
