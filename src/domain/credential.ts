import type { Purpose } from './tenant.ts';

/**
 * A key pair that Parasol holds, sealed. `candidate`: received, not yet proved or not yet promoted;
 * `active`: in use; `superseded`: another took its place; `refused`: proved unusable and alive, so that a
 * person is asked to delete it; `dead`: refused by the vendor (rulings 16).
 */
export type CredentialState = 'candidate' | 'active' | 'superseded' | 'refused' | 'dead';

export interface HeldCredential {
  id: string;
  purpose: Purpose;
  state: CredentialState;
  fingerprint: string;
  /** The API member that it was given for; null for the other purposes. */
  member: string | null;
  origin: string;
  createdAt: string;
  lastProvedAt: string | null;
  /** The hand-off that it was submitted to. */
  handoffId: string | null;
}
