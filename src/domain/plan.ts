import type { HandoffContent, HandoffKind } from './handoff.ts';

/** Something outside that Parasol may write (rulings 8), and how it came to be Parasol's. */
export interface OwnedObject {
  kind: 'role' | 'member';
  name: string;
  externalId: number;
  how: 'created' | 'conforming' | 'adopted';
  since: string;
}

/** What would remove one or more drifts. The executor is `api`, or a person by hand-off. */
export type Action =
  | { kind: 'create-role'; name: string }
  | {
      kind: 'create-member';
      identifier: string;
      roleId: number;
      roleName: string;
      level: string;
      location: string | null;
    }
  | {
      kind: 'change-member';
      id: number;
      identifier: string;
      set: { active?: boolean; roleId?: number; roleName?: string; level?: string; location?: string };
    }
  | { kind: 'open-handoff'; handoff: HandoffKind; subject: string; content: HandoffContent };

export interface Step {
  action: Action;
  /** `now`: the next repair does it; `later`: it waits for another step; `held`: something forbids it. */
  state: 'now' | 'later' | 'held';
  /** Why it waits or is held; one sentence for what it does, where it is `now`. */
  because: string;
  /** The drift paths that it would remove. */
  removes: string[];
}

/** What mode `repair` would do next, worked out in every mode. */
export interface Plan {
  steps: Step[];
}
