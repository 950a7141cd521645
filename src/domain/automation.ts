import { z } from 'zod';
import type { Handoff, HandoffContent, HandoffKind } from './handoff.ts';
import { automationFor, type TenantSpec } from './tenant.ts';

/** The contract with a tenant's automation, as README describes it: what it is sent, and what it answers. */

/** One hand-off, with all that is needed to do it. Safe to log but for `respond.token`. */
export interface AutomationRequest {
  /** The hand-off's: the same for every attempt, so that work is begun once. */
  id: string;
  tenant: string;
  kind: HandoffKind;
  subject: string;
  title: string;
  why: string;
  steps: string[];
  closedBy: string;
  deadline: string;
  connectwise: { site: string; companyId: string; role: string };
  umbrella: { console: 'msp' | 'mssp'; organizationId: string | null };
  /** The API member that the key is made on, or is of. */
  member?: string;
  /** Names the key that is to be put into Umbrella, or to be deleted. */
  fingerprint?: string;
  /** The levels of the role that differ. */
  cells?: NonNullable<HandoffContent['cells']>;
  /** All that "Allow Access to these" is to hold. */
  allowList?: string[];
  respond: { url: string; token: string; expiresAt: string };
  /** The public JWK that the new pair is to be encrypted to. */
  encryptTo?: Record<string, string>;
  /** JWE to the automation's public key: the pair to be put in, or the public half of the one to be deleted. */
  secret?: string;
}

/** What a request says of a hand-off, without what is secret in it; `member` is whose the key is. */
export function requestOf(
  handoff: Handoff,
  spec: TenantSpec,
  member: string | null,
): Omit<AutomationRequest, 'respond' | 'encryptTo' | 'secret'> {
  const { id, tenantId, kind, subject, content, deadline } = handoff;
  const { title, why, steps, closedBy, input, cells } = content;
  const { site, companyId, role } = spec.connectwise;
  const { console, organizationId = null } = spec.umbrella;
  const ofKey = kind === 'install-integration-key' || kind === 'delete-key';
  const whose = input?.member ?? member ?? (kind === 'delete-key' ? subject : null);
  return {
    id,
    tenant: tenantId,
    kind,
    subject,
    title,
    why,
    steps,
    closedBy,
    deadline,
    connectwise: { site, companyId, role: role.name },
    umbrella: { console, organizationId },
    ...(whose === null ? {} : { member: whose }),
    ...(ofKey && subject !== whose ? { fingerprint: subject } : {}),
    ...(cells ? { cells } : {}),
    ...(kind === 'allow-table-setup' ? { allowList: role.tableSetup } : {}),
  };
}

/** The key that secrets for this kind of work are encrypted to; null: none was given. */
export const publicKeyFor = (spec: TenantSpec, kind: HandoffKind): string | null =>
  automationFor(spec, kind)?.publicKey ?? null;

/** An answer, at once or by the callback. */
export const automationAnswerSchema = z
  .discriminatedUnion('done', [
    z.strictObject({
      done: z.literal(true),
      pair: z
        .string()
        .max(16_384)
        .regex(/^[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]*){4}$/, 'must be a compact JWE')
        .optional()
        .describe('The new pair as {"publicKey", "privateKey"}, encrypted to the request’s encryptTo.'),
    }),
    z.strictObject({
      done: z.literal(false),
      reason: z
        .string()
        .trim()
        .min(1)
        .max(200)
        .describe('Why people are to do it instead; shown to them, so without any secret.'),
    }),
  ])
  .meta({ id: 'AutomationAnswer' });
export type AutomationAnswer = z.infer<typeof automationAnswerSchema>;
