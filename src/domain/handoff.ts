import type { Purpose } from './tenant.ts';

/**
 * Work that no API can do (domain.md §2): done by a person, or by the tenant's automation, durable, with a
 * deadline, closed by evidence. An automation has claimed its work from the start; where it fails, people have it.
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
  'renew-umbrella-key',
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
  input?: { purpose: Purpose; member: string | null };
  /** The matrix of a grant: each cell that differs. */
  cells?: { function: string; right: string; observed: string; desired: string }[];
}

/** The name that a tenant's automation claims and submits by; no person has it. */
export const AUTOMATION = 'automation';

/**
 * Work that is with the tenant's automation, or was.
 *
 *   delivering ──took it──▶ accepted ──answered──▶ answered
 *       └──────────── cannot or did not ──────────▶ failed: people have it
 */
export interface Automation {
  state: 'delivering' | 'accepted' | 'answered' | 'failed';
  webhook: string;
  /** Requests that left, or were about to. */
  attempts: number;
  /** Why the last request failed, or why people have it now. */
  error: string | null;
  since: string;
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
  /** When the pair that it is about was shown, once, and to whom (rulings 25). */
  revealedAt: string | null;
  revealedTo: string | null;
  closedAt: string | null;
  /** Null: it was never an automation's. */
  automation: Automation | null;
  /** What was observed: why the last submission did not do, what closed it, or why it is no longer needed. */
  evidence: string | null;
}

/** Waits for a person, or for the evidence of what the person did. */
export const isLive = (handoff: Pick<Handoff, 'state'>): boolean =>
  handoff.state !== 'closed' && handoff.state !== 'withdrawn';

/** The tenant's own names, as the click paths need them. */
export interface Names {
  tenantId: string;
  site: string;
  role: string;
  member: string;
  console: 'msp' | 'mssp';
}

/** Step 1 of Cisco's procedure, for the cells that differ (domain.md §1). */
export function grantRoleLevels(names: Names, cells: NonNullable<HandoffContent['cells']>): HandoffContent {
  return {
    title: `Set ${cells.length} level${cells.length === 1 ? '' : 's'} of the security role ${names.role}`,
    why: 'ConnectWise lets nobody edit a role’s levels by API.',
    steps: [
      `Open ${names.site} and go to System > Security Roles > ${names.role}.`,
      ...cells.map(
        (cell) =>
          `${cell.function.replace('/', ' > ')}: set ${cell.right} from ${cell.observed} to ${cell.desired}.`,
      ),
      'Save.',
    ],
    closedBy: 'Parasol reads the role’s levels and finds them exactly as specified.',
    cells,
  };
}

/** Step 2 of Cisco's procedure (domain.md §1). */
export function allowTableSetup(names: Names, allow: string[], remove: string[]): HandoffContent {
  return {
    title: `Set the Table Setup allow list of the security role ${names.role}`,
    why: 'ConnectWise lets nobody edit the allow list by API.',
    steps: [
      `Open ${names.site} and go to System > Security Roles > ${names.role}.`,
      'System > Table Setup: click "customize".',
      ...(allow.length > 0 ? [`Move to "Allow Access to these": ${allow.join('; ')}.`] : []),
      ...(remove.length > 0 ? [`Move out of "Allow Access to these": ${remove.join('; ')}.`] : []),
      'Save.',
    ],
    closedBy: 'Parasol reads the allow list with the integration key and finds it exactly as specified.',
  };
}

/** Step 4 of Cisco's procedure (domain.md §1); ConnectWise shows the private key once. */
export function issueIntegrationKey(names: Names, why: string): HandoffContent {
  return {
    title: `Make an API key on the member ${names.member}`,
    why: `${why} No API makes or lists an API member’s keys.`,
    steps: [
      `Open ${names.site} and go to System > Members > API Members > ${names.member} > API Keys.`,
      `Click "+", type the description "Umbrella, by Parasol", Save.`,
      'Leave that window open: the private key is shown only this once.',
      'Give both halves to Parasol: `parasol submit` with this hand-off’s id (it asks for them; they are never arguments).',
      'Keep the window open until Parasol says that the key is proved.',
    ],
    closedBy:
      'Parasol proves the pair with itself: it authenticates, is this member’s, and has exactly the levels and the allow list.',
    input: { purpose: 'integration', member: names.member },
  };
}

/** Step 5 of Cisco's procedure (domain.md §1): no API of Umbrella's reads or writes these fields. */
export function installIntegrationKey(
  names: Names,
  fingerprint: string,
  why: string,
  observable: boolean,
): HandoffContent {
  return {
    title: `Put the key ${fingerprint} of ${names.member} into Umbrella`,
    why: `${why} No API reads or writes Umbrella’s PSA Integration Details.`,
    steps: [
      'Claim this hand-off first: from then on Parasol takes the key for possibly in use, and cuts nothing.',
      `In Umbrella: ${names.console.toUpperCase()} Settings > PSA Integration Details > Credentials: switch to Enabled.`,
      'Paste "Public API Key" and "Private API Key" from ConnectWise’s window that is still open. Save.',
      'If that window is closed: whoever may read keys lets Parasol show the pair once, with `parasol reveal` and this hand-off’s id.',
    ],
    closedBy: observable
      ? `Parasol sees Umbrella write configurations in ConnectWise as ${names.member}, after this was opened.`
      : 'Nothing can show it: your word, by `parasol submit --attest`, which is recorded as that and not as evidence.',
  };
}

/** A pair that works and that nobody may use (rulings 16). */
export function deleteKey(names: Names, fingerprint: string, why: string): HandoffContent {
  return {
    title: `Delete the API key ${fingerprint}`,
    why: `${why} It still works, and no API revokes an API member’s key.`,
    steps: [
      `Open ${names.site} and go to System > Members > API Members > ${names.member} > API Keys.`,
      'Delete the key that was submitted.',
    ],
    closedBy: 'Parasol calls with that pair and is refused while the member is active.',
  };
}

/** Where no KeyAdmin key can make one (domain.md §2); Umbrella shows the secret once. */
export function renewUmbrellaKey(fingerprint: string, why: string): HandoffContent {
  return {
    title: `Make a new Umbrella API key in the place of ${fingerprint}`,
    why: `${why} Parasol holds no KeyAdmin key that could make another.`,
    steps: [
      'In Umbrella: Admin > API Keys > API Keys. Open the key that Parasol uses and note its scopes, its expiry and its allowed addresses.',
      'Add a key with the same scopes (Parasol needs admin.customers:read) and the same allowed addresses. Create.',
      'Leave that window open: the secret is shown only this once.',
      'Give both halves to Parasol: `parasol submit` with this hand-off’s id (it asks for them; they are never arguments).',
      'Once Parasol says that the key is proved: delete the old key there, if nothing else uses it.',
    ],
    closedBy: 'Parasol gets a token with the pair and lists customers, and uses it from then on.',
    input: { purpose: 'umbrella-api', member: null },
  };
}

/** Keys that Parasol was never given, on a member that it may not switch off (rulings 9). */
export function deleteUnknownKeys(names: Names): HandoffContent {
  return {
    title: `Delete the API keys of ${names.member}`,
    why: 'Umbrella uses another key now. Parasol was never given the one before, and may not switch its member off.',
    steps: [
      `Open ${names.site} and go to System > Members > API Members > ${names.member} > API Keys.`,
      'Delete the key that Umbrella used, and no key of anybody else.',
      'Say so with `parasol submit` and this hand-off’s id.',
    ],
    closedBy: 'Nothing can show it: your word, which is recorded as that and not as evidence.',
  };
}
