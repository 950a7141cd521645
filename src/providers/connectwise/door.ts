import { whyNoWrite } from '../../domain/ground.ts';
import type { Reference } from '../../domain/observation.ts';
import type { Failure } from '../../domain/outcome.ts';
import { expectedMembers, sameIdentifier, type TenantSpec } from '../../domain/tenant.ts';
import type { WritePass } from '../../reconciler/ports.ts';

/** A write as it would leave. A reference without an id could be any role of that name. */
type Leaving =
  | { makes: 'role'; name: string }
  | { makes: 'member'; identifier: string; role: Partial<Reference> }
  | { changes: number; identifier: string; role: Partial<Reference> | undefined };

/** Asked directly before a write is sent. Null: it may leave; else it stays, and nothing was sent. */
export type Door = (leaving: Leaving) => Promise<Failure | null>;

/**
 * The last door (design.md §3; rulings 8): whatever was planned, a write leaves only in mode `repair`, only to
 * what the spec names and Parasol owns, only with time enough to hear its answer, and only while the claim
 * holds that it was decided under. The management key itself could change any member and assign any role.
 */
export function lastDoor(spec: TenantSpec, pass: WritePass, hasTime: () => boolean): Door {
  return async (leaving) => {
    const objection = objectionTo(leaving, spec, pass);
    if (objection !== null) return barred(objection);
    if (!(await pass.confirm())) return barred('the claim or the spec is no longer what it was decided on');
    // Looked at after the question, which takes time itself.
    return hasTime() ? null : barred('too little time is left to hear the answer');
  };
}

function objectionTo(leaving: Leaving, spec: TenantSpec, pass: WritePass): string | null {
  // Whether the fleet's brake holds it is asked of the database, by `confirm`.
  const held = whyNoWrite({ spec, pause: pass.pause, brake: null });
  if (held !== null) return held;
  if ('name' in leaving) {
    const { name } = spec.connectwise.role;
    return leaving.name === name ? null : `the spec names the role ${name}, not ${leaving.name}`;
  }
  const { identifier, role } = leaving;
  if (!expectedMembers(spec).some((expected) => sameIdentifier(expected, identifier))) {
    return `the spec names no member ${identifier}`;
  }
  if ('changes' in leaving && !pass.ownedMembers.has(leaving.changes)) {
    return `the member ${identifier} is not Parasol's`;
  }
  if (role !== undefined && role.id !== pass.roleId) {
    return `${identifier} would get another role than ${spec.connectwise.role.name}`;
  }
  return null;
}

const barred = (detail: string): Failure => ({ kind: 'Barred', detail });
