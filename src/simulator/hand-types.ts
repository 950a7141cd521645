import type { ApiMember, CompanyOptions, Configuration } from './connectwise/company.ts';
import type { Levels } from './connectwise/catalogue.ts';
import type { ConsoleKind, ConsoleOptions, SyncResult, UmbrellaCustomer } from './umbrella/console.ts';

export interface NewCompany {
  name?: string;
  /** Default `v2025_1/`. */
  codebase?: string;
  options?: Partial<CompanyOptions>;
}

export interface NewConsole {
  organizationId: number;
  kind?: ConsoleKind;
  /** The organisation whose keys may ask for tokens of this one. */
  parentOrganizationId?: number;
  options?: Partial<ConsoleOptions>;
}

export interface NewMember {
  identifier: string;
  /** A role's name, or its id where names are not unique. */
  role: string | number;
  name?: string;
  inactive?: boolean;
  /** The name of a structure level: Corporate (default), Location or Department. */
  structureLevel?: string;
  /** The name of a location: Corporate (default), Main Office or North Office. */
  securityLocation?: string;
}

export interface NewUmbrellaKey {
  name: string;
  scopes?: readonly string[];
  /** ISO 8601; empty (default): never. */
  expireAt?: string;
  description?: string;
  allowedIPs?: string[];
  /** Default: random. */
  clientId?: string;
  secret?: string;
}

/** A ConnectWise key as tests and the technician's page see it: never the private part. */
export interface KeyView {
  publicKey: string;
  member: string;
  description: string;
  createdAt: string;
  lastUsedAt: string | null;
  fingerprint: string;
}

export interface UmbrellaKeyView {
  id: string;
  name: string;
  clientId: string;
  scopes: string[];
  createdAt: string;
  expireAt: string;
  lastUsedAt: string;
}

export interface RoleView {
  id: number;
  name: string;
  adminFlag: boolean;
  inactiveFlag: boolean;
  /** Only rows that are not all None. */
  levels: Record<string, Levels>;
  allowList: string[];
}

/** One company and its console, as a person sees them who may look everywhere. */
export interface CompanyView {
  companyId: string;
  name: string;
  codebase: string;
  options: CompanyOptions;
  roles: RoleView[];
  members: ApiMember[];
  keys: KeyView[];
  customers: Array<{ id: number; identifier: string; name: string }>;
  configurations: Configuration[];
  console: {
    organizationId: number;
    kind: ConsoleKind;
    options: ConsoleOptions;
    /** The public part of the installed pair; null: nothing is installed. */
    installedPublicKey: string | null;
    customers: UmbrellaCustomer[];
    keys: UmbrellaKeyView[];
    syncs: SyncResult[];
  } | null;
}
