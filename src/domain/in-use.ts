import type { HeldCredential } from './credential.ts';
import { activeKey, activeMember, findMember } from './drift.ts';
import { expectedWrites } from './evidence.ts';
import { isFresh, type Facts } from './observation.ts';
import { expectedMembers, sameIdentifier, type TenantSpec } from './tenant.ts';

interface Seen {
  spec: TenantSpec;
  facts: Facts;
  credentials: HeldCredential[];
  /** When it was looked at, ISO 8601. */
  observedAt: string;
}

/**
 * Whether this look shows that the active slot is the one that Umbrella uses, by nothing that was known before: its
 * member is active, its key authenticates, and no other member of the slots wrote after it. Where another one is active
 * too, or where there is no active key, silence tells nothing: then a write by the active slot's member after `since`
 * (ISO 8601) must be seen, and without a key nothing may be in use at all.
 */
export function isInUse({ spec, facts, credentials, observedAt }: Seen, since: string): boolean {
  const { members, writes, integrationKey } = facts;
  if (!isFresh(members, observedAt) || !members.value.controlSeen || !isFresh(writes, observedAt))
    return false;
  const active = expectedMembers(spec).filter(
    (identifier) => findMember(members.value.items, identifier)?.inactive === false,
  );
  const [newest] = expectedWrites(spec, writes.value);
  const key = activeKey(credentials);
  if (!key) return active.length === 0 && newest === undefined;
  const own = activeMember(spec, credentials);
  const isOwn = (identifier: string) => sameIdentifier(identifier, own);
  const authenticates =
    isFresh(integrationKey, observedAt) &&
    integrationKey.value.credentialId === key.id &&
    integrationKey.value.authenticates;
  if (!authenticates || !active.some(isOwn)) return false;
  if (newest && !isOwn(newest.by)) return false;
  return active.every(isOwn) || (newest !== undefined && newest.at > since);
}
