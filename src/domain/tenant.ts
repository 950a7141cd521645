import { createPublicKey } from 'node:crypto';
import { Cron } from 'croner';
import { z } from 'zod';
import { DURATION, parseDuration, toMs } from './duration.ts';
import { HANDOFF_KINDS, type HandoffKind } from './handoff.ts';
import { labelsSchema } from './labels.ts';
import { parseWindow } from './window.ts';

/**
 * A tenant: one ConnectWise company, one Umbrella console, and how they should be.
 * The zod schemas here are the one source of validation, types and the API's description.
 * `TenantInput` is what a person gives (with key pairs); `TenantSpec` is what is stored (without).
 */

const text = (max: number) => z.string().trim().min(1).max(max);

export const tenantIdSchema = z
  .string()
  .regex(/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/, 'must be a slug: a-z, 0-9 and inner hyphens, at most 63')
  .describe('The tenant’s slug; names it in URLs and on the command line.');

export const durationSchema = z
  .string()
  .refine((value) => parseDuration(value) !== null, 'must be a duration such as 90d, 36h, 15m or 5s')
  .meta({ description: 'A duration: 90d, 36h, 15m, 5s.', pattern: DURATION.source });

const scheduleSchema = z
  .string()
  .refine(
    (value) => parseDuration(value) !== null || isCron(value),
    'must be a duration such as 15m, or a cron expression of five fields such as "0 6 * * *" (UTC)',
  )
  .refine((value) => parseDuration(value) !== 0, 'must be longer than nothing')
  .describe('How often the tenant is reconciled: a duration, or a cron expression of five fields (UTC).');

function isCron(value: string): boolean {
  if (value.trim().split(/\s+/).length !== 5) return false;
  try {
    return new Cron(value, { timezone: 'UTC', paused: true }).nextRun() !== null;
  } catch {
    return false;
  }
}

const windowSchema = z
  .string()
  .refine(
    (value) => parseWindow(value) !== null,
    'must be days, hours and a time zone, such as "Sat 02:00-06:00 Europe/Madrid"',
  )
  .describe('When a rotation may disturb: "Sat 02:00-06:00 Europe/Madrid".');

/** `https` anywhere; `http` only to loopback, so that a rehearsal needs no certificates (design.md §8). */
const originSchema = z
  .string()
  .refine((value) => {
    if (!URL.canParse(value)) return false;
    const url = new URL(value);
    if (url.username || url.password || url.search || url.hash || url.pathname !== '/') return false;
    return url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback(url.hostname));
  }, 'must be an https:// address without a path (plain http only to loopback)')
  .meta({ pattern: '^https?://[^/?#@]+/?$' })
  .transform((value) => new URL(value).origin);

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '[::1]' || /^127(?:\.\d{1,3}){3}$/.test(host);
}

const levelSchema = z.enum(['None', 'My', 'All']);
/** A level of a role's function, ConnectWise's own words (domain.md §4). */
export type Level = z.infer<typeof levelSchema>;

/** The four rights of a module function, in the order of ConnectWise's screen. */
export const RIGHTS = ['add', 'edit', 'delete', 'inquire'] as const;
export type Right = (typeof RIGHTS)[number];

const functionLevels = z
  .strictObject({
    add: levelSchema.default('None'),
    edit: levelSchema.default('None'),
    delete: levelSchema.default('None'),
    inquire: levelSchema.default('None'),
  })
  .describe('What is not named is None.');
export type FunctionLevels = z.infer<typeof functionLevels>;

/** Cisco's published procedure, step 1 (domain.md §1). Everything else is None. */
export const PROCEDURE_LEVELS: Readonly<Record<string, FunctionLevels>> = {
  'Companies/Company Maintenance': { add: 'None', edit: 'None', delete: 'None', inquire: 'All' },
  'Companies/Configurations': { add: 'All', edit: 'All', delete: 'None', inquire: 'All' },
  'Service Desk/Service Tickets': { add: 'All', edit: 'All', delete: 'None', inquire: 'All' },
  'System/Table Setup': { add: 'All', edit: 'All', delete: 'None', inquire: 'All' },
};

/** Cisco's published procedure, step 2: Table Setup / customize / "Allow Access to these" (domain.md §1). */
export const PROCEDURE_ALLOW_LIST = [
  'Company / Configuration',
  'Service / Priority',
  'Service / Service Board',
];

const roleSchema = z.strictObject({
  name: text(30).default('Umbrella').describe('ConnectWise allows 30 characters.'),
  levels: z
    .record(
      z.string().regex(/^[^/]+\/[^/]+$/, 'must be "Module/Function", such as "Companies/Configurations"'),
      functionLevels,
    )
    .default(() => structuredClone({ ...PROCEDURE_LEVELS }))
    .describe('Exact levels by "Module/Function"; every function not named is None.'),
  tableSetup: z
    .array(text(100))
    .default(() => [...PROCEDURE_ALLOW_LIST])
    .describe('Table Setup / customize: exactly these are allowed.'),
});

const memberIdentifier = text(15)
  .regex(/^[A-Za-z0-9._-]+$/, 'must be letters, digits, dot, hyphen or underscore')
  .describe('An API member’s identifier: ConnectWise allows 15 characters.');

const membersSchema = z
  .strictObject({
    strategy: z.enum(['alternating', 'same-member']).default('alternating'),
    identifiers: z.array(memberIdentifier).min(1).max(2).default(['umbrella-a', 'umbrella-b']),
    level: text(50).default('Corporate').describe('Structure level: limits the companies that it sees.'),
    location: text(50).optional().describe('Security location; absent: whatever it is.'),
    adopt: z
      .boolean()
      .default(false)
      .describe('Members that exist already, of these identifiers, are Parasol’s to repair (rulings 8).'),
    dedicated: z
      .boolean()
      .default(false)
      .describe('Nothing but Umbrella uses these members, so they may be deactivated (rulings 9).'),
  })
  .superRefine((members, context) => {
    const want = members.strategy === 'alternating' ? 2 : 1;
    const [first, second] = members.identifiers.map((identifier) => identifier.toLowerCase());
    const distinct = new Set([first, second].filter((identifier) => identifier !== undefined));
    // The paths of drift name a member's fields after a dot.
    if (first && second && (first.startsWith(`${second}.`) || second.startsWith(`${first}.`))) {
      context.addIssue({
        code: 'custom',
        path: ['identifiers'],
        message: 'one must not be the other and a dot with more',
      });
    }
    if (members.identifiers.length !== want || distinct.size !== want) {
      context.addIssue({
        code: 'custom',
        path: ['identifiers'],
        message:
          want === 2
            ? 'alternating needs two different identifiers'
            : 'same-member needs exactly one identifier',
      });
    }
  });

/** A tenant's automation: where work for people is sent, and the key that secrets are encrypted to on their way. */
const automationSchema = z.strictObject({
  webhook: z
    .string()
    .refine((value) => {
      if (!URL.canParse(value)) return false;
      const url = new URL(value);
      // A secret in an address would be stored and shown; who calls is proved by the signature.
      if (url.username || url.password || url.search || url.hash) return false;
      return url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback(url.hostname));
    }, 'must be an https:// address without user, query or fragment (plain http only to loopback)')
    .transform((value) => new URL(value).href),
  publicKey: z
    .string()
    .refine(encrypts, 'must be a public key in PEM (SPKI): RSA of 2048 bits or more, P-256, P-384, P-521')
    .optional()
    .describe('What the automation is given in secret is encrypted to it; it alone has the private key.'),
});
export type AutomationSpec = z.infer<typeof automationSchema>;

function encrypts(pem: string): boolean {
  if (!pem.startsWith('-----BEGIN PUBLIC KEY-----')) return false;
  try {
    const { asymmetricKeyType: type, asymmetricKeyDetails: details } = createPublicKey(pem);
    if (type === 'rsa') return (details?.modulusLength ?? 0) >= 2048;
    return type === 'ec' && ['prime256v1', 'secp384r1', 'secp521r1'].includes(details?.namedCurve ?? '');
  } catch {
    return false;
  }
}

const executor = z.union([z.literal('manual'), automationSchema]).default('manual');

const handoffShape = {
  deadline: durationSchema.default('72h'),
  'grant-role-levels': executor,
  'allow-table-setup': executor,
  'issue-integration-key': executor,
  'install-integration-key': executor,
  'delete-key': executor,
  'renew-umbrella-key': executor,
};

/** Standard Webhooks' form of a secret: 24 to 64 random bytes. */
export const signingSecretSchema = z
  .string()
  .trim()
  .refine(
    isSigningSecret,
    'must be whsec_ and 24 to 64 random bytes in base64: echo "whsec_$(openssl rand -base64 32)"',
  )
  .meta({ description: 'What requests to the tenant’s automation are signed with.', writeOnly: true });

function isSigningSecret(text: string): boolean {
  const encoded = /^whsec_([A-Za-z0-9+/]+={0,2})$/.exec(text)?.[1];
  if (encoded === undefined || encoded.length % 4 !== 0) return false;
  const bytes = Buffer.from(encoded, 'base64').length;
  return bytes >= 24 && bytes <= 64;
}

type HandoffSpec = z.infer<z.ZodObject<typeof handoffShape>>;

/** One secret signs for one origin (rulings 11); a pair leaves only encrypted (rulings 25). */
function checkAutomations(
  spec: HandoffSpec & { secret?: string | undefined },
  context: z.RefinementCtx,
): void {
  const named = HANDOFF_KINDS.flatMap((kind) => {
    const executor = spec[kind];
    return typeof executor === 'object' ? [{ kind, ...executor }] : [];
  });
  const [first] = named;
  for (const { kind, webhook, publicKey } of named) {
    if (first && new URL(webhook).origin !== new URL(first.webhook).origin) {
      context.addIssue({
        code: 'custom',
        path: [kind, 'webhook'],
        message: `must be at ${new URL(first.webhook).origin} as the others are: one secret signs for one origin`,
      });
    }
    if (kind === 'install-integration-key' && publicKey === undefined) {
      context.addIssue({
        code: 'custom',
        path: [kind, 'publicKey'],
        message: 'is needed: the pair is sent encrypted to it (the automation’s public key in PEM)',
      });
    }
  }
  if (spec.secret !== undefined && !first) {
    context.addIssue({ code: 'custom', path: ['secret'], message: 'goes with a webhook, and none is named' });
  }
}

const rotationSchema = z.strictObject({
  maxAge: durationSchema.default('90d'),
  overlap: durationSchema.default('48h'),
  adoptionDeadline: durationSchema.default('72h'),
  window: windowSchema.optional(),
});

const secretText = z.string().min(1).max(4096).meta({ writeOnly: true });
const connectWisePair = z.strictObject({ publicKey: secretText, privateKey: secretText });
const umbrellaPair = z.strictObject({ key: secretText, secret: secretText });

const integrationSchema = z.strictObject({
  configurationType: text(50)
    .default('*')
    .describe('The configuration type that Umbrella writes; "*": learn it from what our members wrote.'),
  staleAfter: durationSchema.default('36h'),
  nothingMapped: z
    .boolean()
    .default(false)
    .describe('Declared by a person: no customer is mapped, so that no write is to be expected (rulings 4).'),
});

const caSchema = z
  .string()
  .startsWith('-----BEGIN CERTIFICATE-----', 'must be a PEM certificate')
  .describe('A certificate authority of the tenant’s own, in PEM; TLS is always verified.');

const connectwiseBase = {
  site: originSchema.describe('https://na.myconnectwise.net, or the address of an on-premise server.'),
  companyId: text(50).describe('The company that one types at ConnectWise’s login.'),
  clientId: z.guid().describe('ConnectWise’s client id of the integration (a GUID).'),
  ca: caSchema.optional(),
  role: roleSchema.prefault({}),
  members: membersSchema.prefault({}),
};

const umbrellaBase = {
  console: z.enum(['msp', 'mssp']),
  url: originSchema.prefault('https://api.umbrella.com'),
  organizationId: z.coerce
    .string()
    .regex(/^\d{1,12}$/, 'must be a number')
    .meta({ type: ['string', 'integer'] })
    .optional(),
  ca: caSchema.optional(),
  expiryWarning: durationSchema.default('14d'),
  apiKeyExpires: z
    .union([z.literal('never'), z.iso.datetime(), z.iso.date()])
    .optional()
    .describe('Declared by a person where no KeyAdmin key can show it: a date, or never.'),
};

const base = {
  id: tenantIdSchema,
  name: text(100),
  labels: labelsSchema.default(() => ({})),
  mode: z.enum(['observe', 'alert', 'repair']).default('observe'),
  paused: z.boolean().default(false).describe('Goes on observing, changes nothing.'),
  every: scheduleSchema.default('15m'),
  onDelete: z.enum(['orphan', 'deactivate-members']).default('orphan'),
  integration: integrationSchema.prefault({}),
  rotation: rotationSchema.prefault({}),
  notify: z
    .strictObject({
      webhook: z.url({ protocol: /^https$/ }).optional(),
      connectwiseTicket: z.strictObject({ board: text(50) }).optional(),
    })
    .prefault({}),
};

/** What a person gives: the spec with the key pairs in it. Values never leave towards a log or an answer. */
export const tenantInputSchema = z.strictObject({
  ...base,
  connectwise: z.strictObject({
    ...connectwiseBase,
    managementKey: connectWisePair.optional(),
    integrationKey: z
      .strictObject({ member: memberIdentifier, ...connectWisePair.shape })
      .optional()
      .describe('The key in use today; absent: what only that key can read stays Unknown.'),
  }),
  umbrella: z.strictObject({
    ...umbrellaBase,
    apiKey: umbrellaPair.optional(),
    keyAdmin: umbrellaPair.optional(),
  }),
  handoffs: z
    .strictObject({ ...handoffShape, secret: signingSecretSchema.optional() })
    .superRefine(checkAutomations)
    .prefault({}),
});
export type TenantInput = z.infer<typeof tenantInputSchema>;

/** What is stored and shown: no secret, and nothing that could be one. */
export const tenantSpecSchema = z.strictObject({
  ...base,
  connectwise: z.strictObject(connectwiseBase),
  umbrella: z.strictObject(umbrellaBase),
  handoffs: z.strictObject(handoffShape).superRefine(checkAutomations).prefault({}),
});
export type TenantSpec = z.infer<typeof tenantSpecSchema>;

/**
 * What each credential is for; at most one of each is active for a tenant. `automation` is one secret, which signs
 * what the tenant's automation is sent; its public half only names it.
 */
export const PURPOSES = [
  'management',
  'integration',
  'umbrella-api',
  'umbrella-key-admin',
  'automation',
] as const;
export const purposeSchema = z.enum(PURPOSES);
export type Purpose = z.infer<typeof purposeSchema>;

/** The origin that a credential is bound to (rulings 11). */
export function originFor(spec: TenantSpec, purpose: Purpose): string {
  switch (purpose) {
    case 'management':
    case 'integration':
      return spec.connectwise.site;
    case 'umbrella-api':
    case 'umbrella-key-admin':
      return spec.umbrella.url;
    case 'automation':
      return automationOrigin(spec) ?? NOWHERE;
  }
}

/** The origin of a secret that is sent nowhere. */
const NOWHERE = 'nowhere';

/** Where the tenant's automation is; null: people do all of its work. */
export function automationOrigin(spec: TenantSpec): string | null {
  const first = HANDOFF_KINDS.map((kind) => automationFor(spec, kind)).find((found) => found !== null);
  return first ? new URL(first.webhook).origin : null;
}

/** The automation that does this kind of work; null: a person does. */
export function automationFor(spec: TenantSpec, kind: HandoffKind): AutomationSpec | null {
  const executor = spec.handoffs[kind];
  return typeof executor === 'object' ? executor : null;
}

/** One ConnectWise company is one tenant: the identity that must be unique among tenants. */
export function companyIdentity(spec: TenantSpec): string {
  return `${spec.connectwise.site}/${spec.connectwise.companyId.toLowerCase()}`;
}

/**
 * What facts are facts of: a spec that names another company, console, role, member or configuration type asks
 * the vendors something else, so that earlier answers, absences above all, say nothing of it.
 */
export function subjectOf({ connectwise, umbrella, integration }: TenantSpec): string {
  const { site, companyId, role, members } = connectwise;
  const { url, console, organizationId } = umbrella;
  const identifiers = members.identifiers.map((identifier) => identifier.toLowerCase()).toSorted();
  return JSON.stringify([
    site,
    companyId,
    role.name,
    identifiers,
    integration.configurationType,
    url,
    console,
    organizationId ?? null,
  ]);
}

/** Time to the reconcile after this one, in ms: a cron expression is asked, a duration is itself. */
export function periodMs(every: string, now: Date): number {
  const duration = parseDuration(every);
  if (duration !== null) return duration;
  const next = new Cron(every, { timezone: 'UTC', paused: true }).nextRun(now);
  return next === null ? toMs('1d') : Math.max(1_000, next.getTime() - now.getTime());
}

/**
 * The longest pause between two reconciles, in ms: of a cron expression, between its next eight, which are a
 * week of a daily one. Time to the next one says nothing of that: just before it is due, it is nearly none.
 */
export function cycleMs(every: string, now: Date): number {
  const duration = parseDuration(every);
  if (duration !== null) return duration;
  const runs = new Cron(every, { timezone: 'UTC', paused: true }).nextRuns(8, now);
  const pauses = runs.slice(1).map((run, index) => run.getTime() - runs[index]!.getTime());
  return Math.max(toMs('1m'), ...pauses);
}

/** Every member that this tenant's integration may write as, in the order of the slots. */
export function expectedMembers(spec: TenantSpec): string[] {
  return spec.connectwise.members.identifiers;
}

/**
 * The spec with the members that its slots have by now (`IntegrationMemory.slots`); of a spec that names others
 * than those that were replaced, nothing is replaced.
 */
export function inSlots(spec: TenantSpec, slots: { of: string[]; now: string[] } | undefined): TenantSpec {
  const { members } = spec.connectwise;
  if (!slots || slots.of.join('\n') !== members.identifiers.join('\n')) return spec;
  return {
    ...spec,
    connectwise: { ...spec.connectwise, members: { ...members, identifiers: slots.now } },
  };
}

/** ConnectWise compares identifiers without case. */
export const sameIdentifier = (a: string, b: string): boolean => a.toLowerCase() === b.toLowerCase();

/** The slot's letter of a member: `a`, `b`, or null when the member is none of this tenant's. */
export function slotOf(spec: TenantSpec, member: string): 'a' | 'b' | null {
  const index = expectedMembers(spec).findIndex((identifier) => sameIdentifier(identifier, member));
  return index === 0 ? 'a' : index === 1 ? 'b' : null;
}

/** 0 ≤ x < 1, the same for a tenant on every replica (FNV-1a). */
export function spreadOf(id: string): number {
  let value = 0x81_1c_9d_c5;
  for (const character of id) value = Math.imul(value ^ character.codePointAt(0)!, 0x01_00_01_93);
  return (value >>> 0) / 2 ** 32;
}
