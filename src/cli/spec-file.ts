import { Document, isMap, type Pair, type Scalar, type YAMLMap } from 'yaml';
import { withoutDefaults } from '../domain/spec-defaults.ts';
import { expectedMembers, sameIdentifier, tenantSpecSchema, type Purpose } from '../domain/tenant.ts';
import type { KeyView, TenantView } from '../reconciler/commands.ts';

/** Tenants as the service has them, written as a file that `apply` reads. Pure. */

export interface SpecFileOptions {
  /** With every setting that is as it is by default. */
  full: boolean;
  /** The keys' references as settings; else as comments, since keys that are held need no file. */
  references: boolean;
}

type Group = Record<string, unknown>;

const HEAD = ` Written by \`parasol export spec\`. Keys that are held stay held: applied as it is, it changes nothing.`;

/** What a person looks for first comes first; what is not named here comes after it. */
const ORDER = ['id', 'name', 'labels', 'mode', 'paused', 'every', 'onDelete', 'connectwise', 'umbrella'];

/**
 * A file of these tenants. Read and applied to the same service, it changes nothing, whatever stands in the specs.
 *
 * ```ts
 * parseTenants(specFile([view], { full: false, references: false }), sources); // the tenant of the view
 * ```
 */
export function specFile(tenants: readonly TenantView[], options: SpecFileOptions): string {
  const document = new Document({ tenants: tenants.map((tenant) => specGroup(tenant, options)) });
  document.commentBefore = HEAD;
  for (const [index, tenant] of tenants.entries()) {
    const node = document.getIn(['tenants', index]) as YAMLMap;
    if (index > 0) node.spaceBefore = true;
    tellKeys(node, tenant);
  }
  return document.toString({ lineWidth: 0 });
}

/** The tenant as plain values: for machines, and for a file. */
export function specGroup({ spec, credentials }: TenantView, { full, references }: SpecFileOptions): Group {
  // In the order of the schema; the database keeps another.
  const ordered = tenantSpecSchema.parse(spec);
  const group = escaped(full ? ordered : withoutDefaults(ordered)) as Group;
  if (references) {
    for (const key of credentials) {
      const reference = referenceTo(spec.id, key);
      const place = reference && (group[reference.group] as Group | undefined);
      if (place && mayStand(key, expectedMembers(spec))) place[reference.name] = reference.value;
    }
  }
  const first = ORDER.filter((name) => name in group);
  const rest = Object.keys(group).filter((name) => !ORDER.includes(name));
  return Object.fromEntries([...first, ...rest].map((name) => [name, group[name]]));
}

/** In a file a text that has `${` in it would be a reference, and with that perhaps a command. */
function escaped(value: unknown): unknown {
  if (typeof value === 'string') return value.replaceAll('${', () => '$${');
  if (Array.isArray(value)) return value.map(escaped);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, escaped(inner)]));
}

/** A pair of a member that took a slot later is not the spec's to name. */
const mayStand = ({ member }: KeyView, members: string[]): boolean =>
  member === null || members.some((identifier) => sameIdentifier(identifier, member));

interface Reference {
  /** Where it stands: `connectwise`, `managementKey`. */
  group: 'connectwise' | 'umbrella' | 'handoffs';
  name: string;
  value: string | Group;
}

/** What a file would have for a key that is in use; null for one that is not. */
function referenceTo(id: string, { purpose, state, member }: KeyView): Reference | null {
  if (state !== 'active') return null;
  const env = (word: string) => `\${env:${variablePrefix(id)}_${word}}`;
  const references: Record<Purpose, Reference> = {
    management: {
      group: 'connectwise',
      name: 'managementKey',
      value: { publicKey: env('CW_PUBLIC'), privateKey: env('CW_PRIVATE') },
    },
    integration: {
      group: 'connectwise',
      name: 'integrationKey',
      value: {
        member: member ?? '',
        publicKey: env('INTEGRATION_PUBLIC'),
        privateKey: env('INTEGRATION_PRIVATE'),
      },
    },
    'umbrella-api': {
      group: 'umbrella',
      name: 'apiKey',
      value: { key: env('UMBRELLA_KEY'), secret: env('UMBRELLA_SECRET') },
    },
    'umbrella-key-admin': {
      group: 'umbrella',
      name: 'keyAdmin',
      value: { key: env('UMBRELLA_ADMIN_KEY'), secret: env('UMBRELLA_ADMIN_SECRET') },
    },
    automation: { group: 'handoffs', name: 'secret', value: env('AUTOMATION_SECRET') },
  };
  return references[purpose];
}

/** `acme-uk` is `ACME_UK`. A variable does not begin with a digit, and no id with a hyphen. */
const variablePrefix = (id: string): string =>
  id
    .toUpperCase()
    .replaceAll('-', '_')
    .replace(/^(?=\d)/, '_');

/** Beside each reference the fingerprint that is held; as a comment, too, where the reference is no setting. */
function tellKeys(tenant: YAMLMap, { id, spec, credentials }: TenantView): void {
  for (const key of credentials) {
    const reference = referenceTo(id, key);
    const group = reference && tenant.get(reference.group);
    if (!reference || !isMap(group)) continue;
    const held = ` held: ${key.fingerprint}`;
    const pair = group.items.find(({ key: name }) => (name as Scalar).value === reference.name) as
      Pair<Scalar, Scalar | YAMLMap> | undefined;
    if (pair) pair.key.commentBefore = held;
    else {
      const stranger = mayStand(key, expectedMembers(spec)) ? '' : `; ${key.member} took its slot later`;
      group.comment = [group.comment, held + stranger, ...asComment(reference)].filter(Boolean).join('\n');
    }
  }
}

function asComment({ name, value }: Reference): string[] {
  if (typeof value === 'string') return [` ${name}: ${value}`];
  return [
    ` ${name}:`,
    ...Object.entries(value).map(([part, reference]) => `   ${part}: ${String(reference)}`),
  ];
}
