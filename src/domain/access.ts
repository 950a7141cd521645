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
