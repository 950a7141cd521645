import { createHash } from 'node:crypto';
import type { HeldCredential } from '../domain/credential.ts';
import { Secret, secretPair, type KeyPair } from '../domain/secret.ts';
import {
  automationOrigin,
  expectedMembers,
  originFor,
  PURPOSES,
  sameIdentifier,
  type Purpose,
  type TenantInput,
  type TenantSpec,
} from '../domain/tenant.ts';
import type { Ids, NewCredential, NewEvent, Vault } from './ports.ts';

/** Key pairs that a person gives: what becomes of each, and how it is sealed. */

export interface GivenPair {
  purpose: Purpose;
  /** Where it stands in the input. */
  path: string;
  pair: KeyPair;
  member: string | null;
}

const PATHS: Record<Purpose, string> = {
  management: 'connectwise.managementKey',
  integration: 'connectwise.integrationKey',
  'umbrella-api': 'umbrella.apiKey',
  'umbrella-key-admin': 'umbrella.keyAdmin',
  automation: 'handoffs.secret',
};

/** What a purpose's pair is called in a sentence. */
export const KEY_WORDS: Record<Purpose, string> = {
  management: 'management key',
  integration: 'integration key',
  'umbrella-api': 'Umbrella API key',
  'umbrella-key-admin': 'Umbrella KeyAdmin key',
  automation: 'secret of the automation',
};

/** The pairs of an input and the spec without them: what is stored and shown holds no secret. */
export function takeApart(input: TenantInput): { spec: TenantSpec; pairs: GivenPair[] } {
  const { managementKey, integrationKey, ...connectwise } = input.connectwise;
  const { apiKey, keyAdmin, ...umbrella } = input.umbrella;
  const { secret, ...handoffs } = input.handoffs;
  const pairs: GivenPair[] = [];
  const take = (purpose: Purpose, first: string, second: string, member: string | null = null) =>
    pairs.push({
      purpose,
      path: PATHS[purpose],
      pair: { publicHalf: first, privateHalf: new Secret(second) },
      member,
    });
  if (managementKey) take('management', managementKey.publicKey, managementKey.privateKey);
  if (integrationKey) {
    take('integration', integrationKey.publicKey, integrationKey.privateKey, integrationKey.member);
  }
  if (apiKey) take('umbrella-api', apiKey.key, apiKey.secret);
  if (keyAdmin) take('umbrella-key-admin', keyAdmin.key, keyAdmin.secret);
  if (secret !== undefined) {
    pairs.push({ purpose: 'automation', path: PATHS.automation, pair: secretPair(secret), member: null });
  }
  return { spec: { ...input, connectwise, umbrella, handoffs }, pairs };
}

/** What becomes of a pair in an input: a bootstrap value, which never replaces what came later (rulings 15). */
export type BootstrapVerdict =
  | { becomes: 'in-use-already' }
  | { becomes: 'active' }
  /** `told`: somebody took it out of use before, so that its return is worth an event. */
  | { becomes: 'ignored'; because: string; told: boolean };

type Spent = 'superseded' | 'refused' | 'dead';
const SPENT: Record<Spent, string> = {
  superseded: 'a newer one took its place',
  refused: 'it was proved before, and refused',
  dead: 'the vendor refused it before',
};
const isSpent = (state: HeldCredential['state']): state is Spent => state in SPENT;

/** Why a pair of this fingerprint is not to be used again; null where nothing is held against it. */
export function whySpent(held: HeldCredential[], purpose: Purpose, fingerprint: string): string | null {
  const last = held.findLast(
    (one) => one.purpose === purpose && one.fingerprint === fingerprint && isSpent(one.state),
  );
  return last && isSpent(last.state) ? SPENT[last.state] : null;
}

/**
 * A pair is used where it was sealed for: another site or another `umbrella.url` has none in use, so that the
 * pair of the input becomes active there at once (rulings 11).
 */
export function judgeBootstrap(
  spec: TenantSpec,
  held: HeldCredential[],
  { purpose, fingerprint }: { purpose: Purpose; fingerprint: string },
): BootstrapVerdict {
  const active = activeOf(held, purpose);
  const usable = active?.origin === originFor(spec, purpose);
  if (active?.fingerprint === fingerprint) return { becomes: usable ? 'in-use-already' : 'active' };
  if (waitingOf(spec, held, purpose, fingerprint)) {
    return { becomes: 'ignored', because: 'it was given before, and is to be proved', told: false };
  }
  const spent = whySpent(held, purpose, fingerprint);
  if (spent) return { becomes: 'ignored', because: spent, told: true };
  return usable
    ? { becomes: 'ignored', because: 'another one is in use', told: false }
    : { becomes: 'active' };
}

export const activeOf = (held: HeldCredential[], purpose: Purpose): HeldCredential | undefined =>
  held.find((one) => one.purpose === purpose && one.state === 'active');

/** The same pair, received before for the same origin, and not proved yet. */
export function waitingOf(
  spec: TenantSpec,
  held: HeldCredential[],
  purpose: Purpose,
  fingerprint: string,
): HeldCredential | undefined {
  return held.find(
    (one) =>
      one.purpose === purpose &&
      one.state === 'candidate' &&
      one.fingerprint === fingerprint &&
      one.origin === originFor(spec, purpose),
  );
}

/** Pairs that are in use and were given for another origin: they are asked for again (rulings 11). */
export function boundElsewhere(spec: TenantSpec, held: HeldCredential[]): HeldCredential[] {
  return PURPOSES.flatMap((purpose) => {
    const active = activeOf(held, purpose);
    const unused = purpose === 'automation' && automationOrigin(spec) === null;
    return active && !unused && active.origin !== originFor(spec, purpose) ? [active] : [];
  });
}

/** Parasol calls with the one and Umbrella with the other: one pair for both would be told to delete itself. */
export function isOtherKeyOfCompany(
  held: { purpose: Purpose; fingerprint: string }[],
  purpose: Purpose,
  fingerprint: string,
): boolean {
  const other = purpose === 'management' ? 'integration' : purpose === 'integration' ? 'management' : null;
  return held.some((one) => one.purpose === other && one.fingerprint === fingerprint);
}

/** The member of the spec that is meant, as the spec writes it; null where it is none of this tenant's. */
export const expectedMember = (spec: TenantSpec, member: string): string | null =>
  expectedMembers(spec).find((identifier) => sameIdentifier(identifier, member)) ?? null;

export const memberProblem = (spec: TenantSpec): string =>
  `must be one of the members of the spec: ${expectedMembers(spec).join(', ')}`;

/** How a person replaces a pair, word by word. */
export function credentialCommand(spec: TenantSpec, purpose: Purpose, member: string | null): string {
  const of = purpose === 'integration' ? ` --member ${member ?? expectedMembers(spec)[0]}` : '';
  return `\`parasol credential ${spec.id} ${purpose}${of}\``;
}

/**
 * Names the Umbrella console that a tenant speaks for; equal for equal consoles (rulings 26). A client id is
 * half of a pair, so that no column holds it: its SHA-256 stands for it. Undefined: nothing that was given
 * tells the console.
 */
export function consoleIdentity({ umbrella }: TenantSpec, clientId: string | null): string | undefined {
  const { url, organizationId } = umbrella;
  if (organizationId !== undefined) return `${url} organization ${organizationId}`;
  if (clientId === null) return undefined;
  return `${url} key ${createHash('sha256').update(clientId).digest('hex')}`;
}

/** A pair sealed for this tenant, this purpose and the origin that it may be sent to (rulings 11). */
export async function seal(
  { vault, ids }: { vault: Vault; ids: Ids },
  spec: TenantSpec,
  given: Pick<GivenPair, 'purpose' | 'pair' | 'member'>,
  as: Pick<NewCredential, 'state' | 'handoffId'>,
): Promise<NewCredential> {
  const { purpose, pair, member } = given;
  const id = ids.next();
  const origin = originFor(spec, purpose);
  const sealed = await vault.seal(pair, { tenantId: spec.id, credentialId: id, purpose, origin });
  return { id, purpose, ...as, fingerprint: vault.fingerprint(pair), member, origin, sealed };
}

export function receivedEvent({ purpose, state, fingerprint, member }: NewCredential): NewEvent {
  const next = state === 'active' ? 'it is in use from now on' : 'it is proved with itself next';
  return {
    type: 'CredentialReceived',
    message: `The ${KEY_WORDS[purpose]} ${fingerprint} was given: ${next}`,
    data: { purpose, fingerprint, state, member },
  };
}
