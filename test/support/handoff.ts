/** What a hand-off is that nobody has done anything about yet. */
export const UNTOUCHED = {
  state: 'open',
  overdueSince: null,
  claimedBy: null,
  claimedAt: null,
  submittedBy: null,
  submittedAt: null,
  attested: false,
  revealedAt: null,
  revealedTo: null,
  closedAt: null,
  automation: null,
  evidence: null,
} as const;
