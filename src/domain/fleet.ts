import type { ConditionType, Truth } from './condition.ts';
import type { HandoffKind } from './handoff.ts';
import type { RotationPhase } from './rotation.ts';
import type { Purpose } from './tenant.ts';
import type { UmbrellaPhase } from './umbrella-rotation.ts';

/** The morning's questions about a fleet, in numbers. */
export interface FleetCount {
  /** Of which moment, ISO 8601. */
  at: string;
  /** `unseen`: no run has seen anything of them yet; they are Unknown too. */
  tenants: { total: number; ready: Record<Truth, number>; unseen: number };
  modes: { observe: number; alert: number; repair: number };
  /** Every state of every condition that some tenant has, in the order of the conditions. */
  conditions: { type: ConditionType; status: Truth; reason: string; count: number }[];
  /** The tenant that was looked at the longest ago, and when; null: none was. */
  oldestEvidence: { tenant: string; at: string } | null;
  /** Keys in use by age: each is younger than so many days, and no class before it holds it; null: any age. */
  keys: { purpose: Purpose; youngerThanDays: number | null; count: number; pastMaxAge: number }[];
  /** Live ones by when they are due: `today` within 24 hours, `week` within 7 days. */
  handoffs: { kind: HandoffKind; overdue: number; today: number; week: number; later: number }[];
  /** Those that have not ended. */
  rotations: {
    integration: { phase: RotationPhase; count: number }[];
    umbrella: { phase: UmbrellaPhase; count: number }[];
  };
  braked: number;
  /** By their spec, or by a person. */
  paused: number;
  /** Due for more than a minute, and nobody runs them. */
  overdue: number;
  /** Their last run failed. */
  failing: number;
  /** How many tenants have some, and the paths that most have. */
  drift: { tenants: number; paths: { path: string; count: number }[] };
}

/** Bounds of the classes of age, in days; what is older is in the last one. */
export const KEY_AGES = [30, 60, 90, 180] as const;
/** Paths of drift that are told. */
export const DRIFT_PATHS = 10;
