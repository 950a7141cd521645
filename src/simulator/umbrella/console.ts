import type { KeyPair } from '../secrets.ts';
import { SlidingQuota, type QuotaLimit } from '../quota.ts';
import { MINUTE, SECOND } from '../time.ts';

export type ConsoleKind = 'msp' | 'mssp';

/** The scopes that the contract's security blocks name (domain.md §5). */
export const READ_SCOPES: readonly string[] = ['admin.customers:read', 'reports.customers:read'];
export const KEY_ADMIN_SCOPES: readonly string[] = [
  'admin.apikeys:read',
  'admin.apikeys:create',
  'admin.apikeys:update',
  'admin.apikeys:delete',
  'admin.apikeys:refresh',
];

/** Limits per API key (domain.md §5); a request over a limit is discarded with 429, without Retry-After. */
const LIMITS = {
  token: [{ count: 20, windowMs: MINUTE }],
  apiKeys: [
    { count: 5, windowMs: SECOND },
    { count: 14, windowMs: MINUTE },
    { count: 350, windowMs: 30 * MINUTE },
  ],
  customers: [
    { count: 30, windowMs: SECOND },
    { count: 70, windowMs: MINUTE },
    { count: 1_000, windowMs: 30 * MINUTE },
  ],
  consoles: [
    { count: 5, windowMs: SECOND },
    { count: 14, windowMs: MINUTE },
    { count: 350, windowMs: 30 * MINUTE },
  ],
} satisfies Record<string, readonly QuotaLimit[]>;

export type QuotaGroup = keyof typeof LIMITS;

/** One API key of an Umbrella organisation. `expireAt` is ISO 8601, or empty: never. */
export interface UmbrellaKey {
  id: string;
  name: string;
  description: string;
  clientId: string;
  secret: string;
  creatorKeyId: string;
  createdAt: string;
  modifiedAt: string;
  lastUsedAt: string;
  lastRefreshedAt: string;
  expireAt: string;
  scopes: string[];
  allowedIPs: string[];
}

/** A customer of an MSP or MSSP console, with the mapping that no API tells (domain.md §2). */
export interface UmbrellaCustomer {
  customerId: number;
  customerName: string;
  seats: number;
  /** ConnectWise's company identifier, as typed into the console; null: not mapped. */
  mappedTo: string | null;
  /** Rises when the figures that Umbrella writes about this customer change. */
  revision: number;
}

/** What one run of the daily sync did. */
export interface SyncResult {
  at: string;
  outcome: 'succeeded' | 'failed' | 'not-installed';
  /** Configurations created and refreshed. */
  created: number;
  refreshed: number;
  /** Mapped customers whose ConnectWise company was not found or not visible. */
  skipped: number;
  /** The first refusal, e.g. `403 GET /company/configurations/types`; null when there was none. */
  error: string | null;
}

/** How one console behaves where nobody knows or consoles differ. */
export interface ConsoleOptions {
  /** What an expired bearer answers: 401, or 400 `{"error":"invalid_request"}` (domain.md §5). Default 401. */
  expiredTokenAnswer: 401 | 400;
  /** The name of the configuration type that Umbrella creates. Default `Cisco Umbrella`. */
  configurationType: string;
  packageName: string;
  /** The subscription's state in `/reports/v2/providers/consoles`. Default `active`. */
  status: string;
  /** When the subscription ends, ISO 8601. */
  expiresAt: string;
}

/** The state of one Umbrella MSP or MSSP console. */
export class UmbrellaConsole {
  readonly companyId: string;
  readonly organizationId: number;
  readonly kind: ConsoleKind;
  /** The organisation whose keys may ask for a token of this one. */
  readonly parentOrganizationId: number | null;
  options: ConsoleOptions;
  /** "PSA Integration Details": what a person typed; nothing reads it back by API (domain.md §2). */
  installed: KeyPair | null = null;
  readonly customers = new Map<number, UmbrellaCustomer>();
  readonly keys = new Map<string, UmbrellaKey>();
  readonly syncs: SyncResult[] = [];
  readonly #quotas = new Map<string, SlidingQuota>();
  #nextCustomerId: number;

  constructor(
    companyId: string,
    organizationId: number,
    kind: ConsoleKind,
    parentOrganizationId: number | null,
    options: ConsoleOptions,
  ) {
    this.companyId = companyId;
    this.organizationId = organizationId;
    this.kind = kind;
    this.parentOrganizationId = parentOrganizationId;
    this.options = options;
    this.#nextCustomerId = organizationId * 10 + 1;
  }

  addCustomer(customerName: string, seats: number, mappedTo: string | null): UmbrellaCustomer {
    const customer = { customerId: this.#nextCustomerId, customerName, seats, mappedTo, revision: 1 };
    this.#nextCustomerId += 1;
    this.customers.set(customer.customerId, customer);
    return customer;
  }

  /** The budget of one API key for one group of operations. */
  quota(clientId: string, group: QuotaGroup): SlidingQuota {
    const name = `${clientId} ${group}`;
    let quota = this.#quotas.get(name);
    if (quota === undefined) this.#quotas.set(name, (quota = new SlidingQuota(LIMITS[group])));
    return quota;
  }

  recordSync(result: SyncResult): void {
    this.syncs.push(result);
    if (this.syncs.length > 50) this.syncs.shift();
  }
}

/** A bearer token; it speaks for one organisation with the scopes of its key. */
export interface BearerToken {
  clientId: string;
  organizationId: number;
  /** Milliseconds since the epoch. */
  expiresAt: number;
}
