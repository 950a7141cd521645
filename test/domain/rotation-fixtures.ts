import {
  requested,
  type NamedKey,
  type OldKey,
  type Rotation,
  type Sight,
} from '../../src/domain/rotation.ts';
import { ago, at, DAY, HOUR } from './fixtures.ts';

/** Rotations in every phase, and what they see, where all goes well. */

export const OLD: OldKey = {
  credentialId: 'key-1',
  fingerprint: 'fp-1',
  member: 'umbrella-a',
  deadSince: null,
  lastWrite: null,
};
export const FRESH: NamedKey = { credentialId: 'key-2', fingerprint: 'fp-2', member: 'umbrella-b' };

/** What each phase has come to; the later ones have all of the earlier. */
const REACHED: Partial<Record<Rotation['phase'], Partial<Rotation>>> = {
  Pending: {},
  PreparingMember: { admittedAt: ago(3 * DAY), old: OLD, target: 'umbrella-b', observable: true },
  AwaitingKey: {},
  Verifying: { fresh: FRESH },
  AwaitingInstall: {},
  AwaitingAdoption: { installable: { at: ago(DAY), how: 'revealed' } },
  Overlap: { adopted: { at: ago(12 * HOUR), how: 'observed', evidence: 'umbrella-b wrote.' } },
  RetiringOld: {},
};
export const LIVE_PHASES = Object.keys(REACHED) as (keyof typeof REACHED)[];

/** A rotation that has come so far, in an ordinary way; it began three days ago, its phase an hour ago. */
export function rotationIn(phase: Rotation['phase'], parts: Partial<Rotation> = {}): Rotation {
  const asked = {
    id: 'rotation-1',
    tenantId: 'acme',
    cause: 'request' as const,
    by: 'ann',
    reason: 'a drill',
    cutNow: false,
    at: ago(3 * DAY),
  };
  const reached = LIVE_PHASES.slice(0, LIVE_PHASES.indexOf(phase) + 1).map((one) => REACHED[one]);
  return Object.assign(requested(asked), ...reached, { phase, since: ago(HOUR) }, parts) as Rotation;
}

/** One that ended. */
export const endedAs = (phase: Rotation['phase'], outcome: string): Rotation => ({
  ...rotationIn('RetiringOld'),
  phase,
  outcome,
  endedAt: ago(HOUR),
});

/** What is seen while nothing has come yet. */
export const sightWith = (parts: Partial<Sight> = {}): Sight => ({
  at,
  held: null,
  windowOpen: true,
  overAge: false,
  beginning: null,
  target: 'inactive',
  mayStopTarget: true,
  freshIdentifier: 'umbrella-b2',
  given: null,
  installable: null,
  adopted: null,
  oldKey: 'works',
  oldMember: 'active',
  mayStopOld: true,
  oldWrite: null,
  writesSeen: true,
  quietMs: 2 * DAY,
  deletionSaid: false,
  adoptionDeadlineMs: 3 * DAY,
  named: true,
  ...parts,
});

export const given = (
  state: 'waiting' | 'proved' | 'lost',
  parts: Partial<NamedKey> = {},
): Sight['given'] => ({
  key: { ...FRESH, ...parts },
  state,
  because: `it is ${state}`,
});
