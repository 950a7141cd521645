import { conflict, done, noTenant, refused } from './answers.ts';
import type { Answer } from './commands.ts';

/** What people see of the fleet's brake, and what they ask of it (design.md §7). Times are ISO 8601 in UTC. */

export interface BrakeView {
  id: string;
  /** `ended`: no tenant differed so any more. */
  state: 'on' | 'released' | 'ended';
  signatures: string[];
  /** The same in words: `role.levels.Companies/Configurations.edit is missing`. */
  what: string[];
  setAt: string;
  /** Tenants that had come to differ so, and tenants of the fleet, when it was set. */
  counted: number;
  fleet: number;
  /** Tenants that it holds now. */
  held: string[];
  /** Tenants that were released first, and what came of it. */
  canaries: {
    tenant: string;
    at: string;
    by: string;
    reason: string;
    /** It no longer differs as the brake says. */
    conforms: boolean;
    /** The first run since; null: it has not ended yet. */
    run: {
      id: string;
      outcome: string;
      summary: string;
      actions: { action: string; outcome: string }[];
    } | null;
  }[];
  /** For all; null: it was not. */
  released: { at: string; by: string; reason: string; withoutCanary: boolean } | null;
  endedAt: string | null;
}

export interface BrakeRelease {
  by: string;
  reason: string;
  /** For all, though nobody saw how one tenant took it. */
  withoutCanary: boolean;
}

export type Released =
  | { ok: true; triggered: { tenant: string; trigger: number }[] }
  | { ok: false; because: 'no-brake' | 'released' | 'ended' | 'no-tenant' | 'not-held' | 'no-canary' }
  /** Of no tenant that was released first has a run gone well since. */
  | { ok: false; because: 'canary-open'; tenants: string[] };

/** What the commands need of the store for it. */
export interface BrakeDesk {
  /** Those that are on first, then the newest first. */
  brakes(limit: number): Promise<BrakeView[]>;
  /** For one tenant, or for all (null), and triggers their runs. */
  releaseBrake(id: string, tenant: string | null, release: BrakeRelease): Promise<Released>;
}

/** Releases a tenant, or all, from a brake; or says what is to be done first. */
export async function releaseBrake(
  desk: Pick<BrakeDesk, 'releaseBrake'>,
  id: string,
  tenant: string | null,
  release: BrakeRelease,
): Promise<Answer<{ triggered: { tenant: string; trigger: number }[] }>> {
  const released = await desk.releaseBrake(id, tenant, release);
  if (released.ok) return done({ triggered: released.triggered });
  switch (released.because) {
    case 'no-brake':
      return refused({ kind: 'not-found', what: `There is no brake ${id}.` });
    case 'no-tenant':
      return noTenant(tenant ?? '');
    case 'released':
      return conflict('This brake was released for all already.');
    case 'ended':
      return conflict('This brake has ended: no tenant differs any more as it said.');
    case 'not-held':
      return conflict(`This brake does not hold ${tenant}: it does not differ so, or was released already.`);
    case 'no-canary':
      return conflict(
        'Release one tenant first (tenant) and look at what comes of it, or say withoutCanary: true.',
      );
    case 'canary-open':
      return conflict(
        `No run of ${released.tenants.join(', ')} has gone well since the release: look at it first, or say withoutCanary: true.`,
      );
  }
}
