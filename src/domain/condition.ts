import type { Acceptance } from './acceptance.ts';
import {
  connectWiseReachable,
  integrationKeyValid,
  managementKeyValid,
  membersReady,
  roleReady,
  tableSetupReady,
} from './checks-connectwise.ts';
import { umbrellaIntegrated, umbrellaKeyValid } from './checks-umbrella.ts';
import { whyBraked, type Hold } from './brake.ts';
import type { HeldCredential } from './credential.ts';
import type { Write } from './evidence.ts';
import type { Handoff } from './handoff.ts';
import { rotationHealthy } from './checks-rotation.ts';
import type { Facts, Reference, Switched } from './observation.ts';
import { isOn, pauseWords, type Pause } from './pause.ts';
import type { Rotation, RotationPhase } from './rotation.ts';
import type { TenantSpec } from './tenant.ts';
import type { UmbrellaRotation } from './umbrella-rotation.ts';
import { horizonsOf, no, yes, type Look } from './verdict.ts';

export const CONDITION_TYPES = [
  'ConnectWiseReachable',
  'ManagementKeyValid',
  'RoleReady',
  'TableSetupReady',
  'MembersReady',
  'IntegrationKeyValid',
  'UmbrellaKeyValid',
  'UmbrellaIntegrated',
  'RotationHealthy',
  'Braked',
  'Paused',
] as const;
export type ConditionType = (typeof CONDITION_TYPES)[number];
export type Truth = 'True' | 'False' | 'Unknown';

export interface Condition {
  type: ConditionType;
  status: Truth;
  reason: string;
  /** As it is kept: with times in place of ages (`told`). */
  message: string;
  observedGeneration: number;
  /** When `status` last changed, ISO 8601. */
  lastTransitionTime: string;
}

/** What a check says; times and generation are added where all are summed up. */
export type Verdict = Pick<Condition, 'status' | 'reason' | 'message'>;

/** All that the checks look at. */
export interface Circumstances {
  spec: TenantSpec;
  facts: Facts;
  memory: IntegrationMemory;
  credentials: HeldCredential[];
  now: Date;
  /** The rotation of the integration key that is under way, or that ended just now; null: none is. */
  rotation: Rotation | null;
  /** The rotation of the Umbrella key in use that is under way, or the last one; null: none yet. */
  umbrellaRotation: UmbrellaRotation | null;
  /** The live ones. */
  handoffs: Handoff[];
  /** A person's, apart from the spec's; null: none. */
  pause: Pause | null;
  /** Acceptances in force. */
  accepted: Acceptance[];
  /** The fleet's cap held a repair of this tenant back (rulings 12). */
  capReached: boolean;
  /** The fleet's brake that holds this tenant; null: none does. */
  brake: Hold | null;
}

/** What was learned of a tenant's integration and outlives every run (rulings 3). */
export interface IntegrationMemory {
  /** The configuration type that Umbrella writes. */
  type: Reference | null;
  /** Times of distinct bursts of Umbrella's writes, oldest first, ISO 8601; at most 12. */
  bursts: string[];
  /** The newest write by a member of the spec that was ever seen; a technician's edit hides it in ConnectWise. */
  lastWrite?: Write;
  /** The integration key that Parasol promoted last, and how it was shown that Umbrella uses it. */
  install?: Install;
  /**
   * Which members the slots have now, in the order of the spec's: a member that may hold keys that nobody saw die
   * was replaced (rulings 19). It holds for a spec that names the members `of`.
   */
  slots?: { of: string[]; now: string[] };
  /** How the last rotation of the integration key ended. */
  lastRotation?: { id: string; phase: RotationPhase; endedAt: string; outcome: string };
  /** Members that Parasol switched on or off just now (`believed`). */
  switched?: Switched[];
  /** When pairs that were taken out of use were called with last, to see whether they are dead. */
  retiredCheckedAt?: string;
  /** What the facts and this memory speak of (`subjectOf`); another site or console is another subject. */
  subject?: string;
}

/** From the promotion on the key may be in Umbrella; only writes after it speak of it (rulings 3, 17). */
export interface Install {
  fingerprint: string;
  member: string | null;
  promotedAt: string;
  /** False: an earlier key of that member may write too, so that its writes do not tell the new one (rulings 17). */
  observable: boolean;
  /** `attested`: a person said so, nothing showed it. Null: not known yet. */
  adopted: { at: string; how: 'observed' | 'attested' } | null;
}

const CHECKS: Record<ConditionType, (look: Look) => Verdict> = {
  ConnectWiseReachable: connectWiseReachable,
  ManagementKeyValid: managementKeyValid,
  RoleReady: roleReady,
  TableSetupReady: tableSetupReady,
  MembersReady: membersReady,
  IntegrationKeyValid: integrationKeyValid,
  UmbrellaKeyValid: umbrellaKeyValid,
  UmbrellaIntegrated: umbrellaIntegrated,
  RotationHealthy: rotationHealthy,
  Braked: ({ capReached, brake }) => {
    if (brake) {
      const look = `look at \`parasol brake\`, then release it for one tenant first`;
      return yes('FleetBraked', `Since ${brake.setAt} ${whyBraked(brake)}. Nothing is changed: ${look}.`);
    }
    return capReached
      ? yes('RepairCapReached', 'The fleet made as many repairs in this hour as it may; this one waits.')
      : no('NotBraked', 'Nothing holds repairs back.');
  },
  Paused: paused,
};

function paused({ spec, pause }: Look): Verdict {
  if (isOn(pause)) {
    const also = spec.paused ? ' The spec says paused too.' : '';
    return yes('PausedByOperator', `${pauseWords(pause)}: Parasol observes and changes nothing.${also}`);
  }
  return spec.paused
    ? yes('PausedBySpec', 'The spec says paused: Parasol observes and changes nothing.')
    : no('NotPaused', 'Not paused.');
}

/** Every condition of the tenant now; a status that stays keeps the time at which it became so. */
export function evaluate(at: Circumstances, generation: number, before: Condition[]): Condition[] {
  const now = at.now.toISOString();
  const look: Look = { ...at, horizons: horizonsOf(at.spec, at.now) };
  return CONDITION_TYPES.map((type) => {
    const verdict = CHECKS[type](look);
    const earlier = before.find((condition) => condition.type === type);
    const lastTransitionTime =
      earlier && earlier.status === verdict.status ? earlier.lastTransitionTime : now;
    return { type, ...verdict, observedGeneration: generation, lastTransitionTime };
  });
}

const SUMMED: ConditionType[] = CONDITION_TYPES.filter((type) => type !== 'Braked' && type !== 'Paused');

/**
 * `Ready`, summed up (rulings 6): False if any condition is False; else Unknown if any that the spec needs
 * is Unknown; else True. `Braked` and `Paused` say why nothing is changed, not that something is wrong.
 */
export function ready(conditions: Condition[]): Truth {
  const summed = conditions.filter(({ type }) => SUMMED.includes(type));
  if (summed.some(({ status }) => status === 'False')) return 'False';
  const needed = summed.filter(({ reason }) => reason !== 'NothingMapped');
  return summed.length === SUMMED.length && needed.every(({ status }) => status === 'True')
    ? 'True'
    : 'Unknown';
}
