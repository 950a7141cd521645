import type { Purpose } from './tenant.ts';

/**
 * Work that no API can do (domain.md §2): done by a person, durable, with a deadline, closed by evidence.
 *
 *   open ──claim──▶ claimed ──submit──▶ submitted ──evidence──▶ closed
 *     └───────────────────────── no longer needed ───────────▶ withdrawn
 *
 * A deadline that passes is told (`overdueSince`) and changes nothing else: the work is still needed.
 */
export const HANDOFF_KINDS = [
  'grant-role-levels',
  'allow-table-setup',
  'issue-integration-key',
  'install-integration-key',
  'delete-key',
] as const;
export type HandoffKind = (typeof HANDOFF_KINDS)[number];

export type HandoffState = 'open' | 'claimed' | 'submitted' | 'closed' | 'withdrawn';

/** What is to be done, filled in with the tenant's own names. Safe to show: fingerprints, never values. */
export interface HandoffContent {
  title: string;
  why: string;
  /** The click path, one line a step. */
  steps: string[];
  /** What closes it. */
  closedBy: string;
  /** The pair that is asked for by `submit`; absent where nothing is to be typed into Parasol. */
  input?: { purpose: Purpose; member: string };
  /** The matrix of a grant: each cell that differs. */
  cells?: { function: string; right: string; observed: string; desired: string }[];
}

export interface Handoff {
  id: string;
  tenantId: string;
  kind: HandoffKind;
  /** What it is about (a role, a member, a fingerprint): one live hand-off per tenant, kind and subject. */
  subject: string;
  state: HandoffState;
  content: HandoffContent;
  openedAt: string;
  deadline: string;
  overdueSince: string | null;
  claimedBy: string | null;
  claimedAt: string | null;
  submittedBy: string | null;
  submittedAt: string | null;
  /** Named as that wherever it is shown (rulings 17). */
  attested: boolean;
  closedAt: string | null;
  /** What was observed that closed it, or why it is no longer needed. */
  evidence: string | null;
}

/** Waits for a person, or for the evidence of what the person did. */
export const isLive = (handoff: Pick<Handoff, 'state'>): boolean =>
  handoff.state !== 'closed' && handoff.state !== 'withdrawn';
