import type { HandoffContent, HandoffKind } from './handoff.ts';

/** The steps of a plan, in values and in words. */

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
      set: MemberSet;
    }
  | { kind: 'open-handoff'; handoff: HandoffKind; subject: string; content: HandoffContent };

export interface MemberSet {
  active?: boolean;
  roleId?: number;
  roleName?: string;
  level?: string;
  location?: string;
}

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

export const changeOfMember = (identifier: string): string => `member:${identifier}:change`;

/** Names the effect of an action, so that it can be looked up outside after a crash; null: it has none there. */
export function intentKey(action: Action): string | null {
  switch (action.kind) {
    case 'create-role':
      return `role:${action.name}`;
    case 'create-member':
      return `member:${action.identifier}`;
    case 'change-member':
      return changeOfMember(action.identifier);
    case 'open-handoff':
      return null;
  }
}

/** Whether it takes something away that works: a member goes off, or gets another role. */
export const takesAway = (action: Action): boolean =>
  action.kind === 'change-member' && (action.set.active === false || action.set.roleId !== undefined);

/** An action in words: `create the role Umbrella`. */
export function describeAction(action: Action): string {
  switch (action.kind) {
    case 'create-role':
      return `create the role ${action.name}`;
    case 'create-member':
      return `create the member ${action.identifier}`;
    case 'change-member':
      return `change ${Object.keys(action.set)
        .filter((name) => name !== 'roleName')
        .map((name) => name.replace(/Id$/, ''))
        .join(', ')} of the member ${action.identifier}`;
    case 'open-handoff':
      return `open the hand-off ${action.handoff} for ${action.subject}`;
  }
}
