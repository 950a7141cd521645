import { unaccepted } from './acceptance.ts';
import { assess, type CandidateDecision } from './candidate.ts';
import type { Install, IntegrationMemory } from './condition.ts';
import type { HeldCredential } from './credential.ts';
import { activeKey, activeMember, diff, findMember } from './drift.ts';
import { toMs } from './duration.ts';
import { allWrites, expectedWrites, newestWrite, provedCadence } from './evidence.ts';
import { AUTOMATION, type Handoff } from './handoff.ts';
import { isFresh, type Facts, type KeyProof, type Remembered } from './observation.ts';
import {
  differingCells,
  isActiveAndSeen,
  isClean,
  isOwned,
  mayStop,
  whyHeld,
  whyNewKey,
  type PlanningGround,
} from './ground.ts';
import { dueAt, overlaps, type NamedKey, type OldKey, type Rotation, type Sight } from './rotation.ts';
import { expectedMembers, sameIdentifier, slotOf, spreadOf, type TenantSpec } from './tenant.ts';
import { isOpen, opensAt } from './window.ts';

/** What a rotation looks at, drawn from one observation. Nothing that is older than it counts for an effect. */

/** The ground of a plan, with what people did and what the pairs showed. */
export interface RotationGround extends PlanningGround {
  handoffs: Handoff[];
  candidates: CandidateDecision[];
}

export function sightOf(ground: RotationGround, rotation: Rotation): Sight {
  const { spec, facts, observedAt, now, memory } = ground;
  const { old, target } = rotation;
  const compromised = rotation.cause === 'compromise';
  const key = activeKey(ground.credentials);
  const cadence = provedCadence(memory.bursts) ?? 0;
  return {
    at: now.toISOString(),
    held: whyHeld(ground),
    windowOpen:
      compromised || !overlaps(rotation) || !spec.rotation.window || isOpen(spec.rotation.window, now),
    overAge: key !== null && now.getTime() - Date.parse(key.createdAt) > toMs(spec.rotation.maxAge),
    beginning: rotation.phase === 'Pending' ? beginning(ground, rotation) : null,
    target: target === null ? 'unseen' : targetState(ground, rotation, target),
    // The member that Umbrella is to write as may hold the key that it uses, whoever knows that key.
    mayStopTarget:
      target !== null &&
      !sameIdentifier(target, activeMember(spec, ground.credentials)) &&
      !(old?.member && sameIdentifier(old.member, target)) &&
      mayStopNamed(ground, target),
    freshIdentifier: freshIdentifier(ground, target ?? activeMember(spec, ground.credentials)),
    given: givenPair(ground, rotation),
    installable: installable(ground, rotation),
    adopted: adoptionSeen(ground, rotation),
    oldKey: oldKeyState(ground, old),
    oldMember: memberState(ground, old?.member ?? null),
    mayStopOld:
      old?.member != null &&
      !(target && sameIdentifier(old.member, target)) &&
      mayStopNamed(ground, old.member),
    // Of one member for both keys, a write does not tell which of them it was made with.
    oldWrite:
      old?.member && !(target && sameIdentifier(old.member, target))
        ? newestWriteBy(ground, old.member)
        : null,
    writesSeen: isFresh(facts.writes, observedAt),
    quietMs: compromised ? 0 : Math.max(toMs(spec.rotation.overlap), 2 * cadence),
    deletionSaid: ground.handoffs.some(
      ({ kind, subject, submittedAt }) =>
        kind === 'delete-key' && subject === old?.member && submittedAt !== null,
    ),
    named: target === null || slotOf(spec, target) !== null,
    adoptionDeadlineMs: toMs(spec.rotation.adoptionDeadline),
  };
}

/** What would begin a rotation by itself now; null: nothing does. */
export function whyRotate(ground: RotationGround): Pick<Rotation, 'cause' | 'reason'> | null {
  const { spec, credentials, now, candidates } = ground;
  if (whyHeld(ground) !== null) return null;
  const need = whyNewKey(ground);
  const key = activeKey(credentials);
  if (need) return { cause: key ? 'invalid' : 'first', reason: need.why };
  const given = candidates.find(({ becomes }) => becomes === 'proved');
  if (given) {
    const { fingerprint, member } = given.credential;
    return {
      cause: 'given',
      reason: `The pair ${fingerprint} of ${member} was given beside one that works.`,
    };
  }
  if (!key) return null;
  const due = dueAt(key.createdAt, spec.rotation.maxAge, spreadOf(spec.id));
  return now.toISOString() >= due && !isLeftAlone(ground)
    ? { cause: 'age', reason: `Held since ${key.createdAt}; rotation.maxAge is ${spec.rotation.maxAge}.` }
    : null;
}

/** What was taken back, or failed, is not begun again by age at once: a person looks into it first. */
function isLeftAlone({ spec, memory, now }: RotationGround): boolean {
  const { lastRotation } = memory;
  if (lastRotation?.phase !== 'RolledBack' && lastRotation?.phase !== 'Failed') return false;
  return now.getTime() - Date.parse(lastRotation.endedAt) < toMs(spec.rotation.maxAge) / 10;
}

/** When a rotation has something to do by itself, ISO 8601; null: it waits for a person, or for what is seen. */
export function wakesAt(
  rotation: Rotation,
  sight: Sight,
  deadline: string | null,
  spec: TenantSpec,
): string | null {
  const { window } = spec.rotation;
  const waits = rotation.phase === 'Verifying' || rotation.phase === 'Overlap';
  const opens =
    waits && window && !sight.windowOpen ? opensAt(window, new Date(sight.at)).toISOString() : null;
  const times = [deadline, opens].flatMap((at) => (at !== null && at > sight.at ? [at] : []));
  return times.toSorted((a, b) => a.localeCompare(b))[0] ?? null;
}

function beginning(ground: RotationGround, rotation: Rotation): Sight['beginning'] {
  const { spec, facts, observedAt, credentials, memory } = ground;
  const key = activeKey(credentials);
  const alternating = spec.connectwise.members.strategy === 'alternating';
  if (!key) {
    if (!isFresh(facts.writes, observedAt)) return null;
    const writer = newestWrite(spec, memory, expectedWrites(spec, facts.writes.value));
    if (!writer) return { old: null, target: activeMember(spec, credentials), observable: alternating };
    const old = oldKey(null, writer.by);
    return { old, target: otherMember(spec, writer.by), observable: alternating };
  }
  const proof = facts.integrationKey;
  if (!isFresh(proof, observedAt) || proof.value.credentialId !== key.id) return null;
  const mended = (rotation.cause === 'first' || rotation.cause === 'invalid') && !whyNewKey(ground);
  // A pair came while it waited, and serves: what is left is to see it in use.
  if (mended) return { old: null, target: activeMember(spec, credentials), observable: alternating };
  const member = activeMember(spec, credentials);
  if (!proof.value.authenticates) {
    if (!isActiveAndSeen(ground)) return null;
    const dead = { ...oldKey(key, member), deadSince: observedAt };
    return { old: dead, target: member, observable: alternating };
  }
  const whose = proof.value.member ?? member;
  const old = oldKey(key, whose);
  // A key of the target that nobody gave may write too, so that its writes tell nothing of the new one.
  const wrote = newestWriteBy(ground, member) !== null;
  if (!slotOf(spec, whose)) return { old, target: member, observable: alternating && !wrote };
  const given = ground.candidates.find(({ becomes }) => becomes === 'proved')?.credential.member;
  const target = (rotation.cause === 'given' ? given : null) ?? otherMember(spec, whose);
  return { old, target, observable: alternating && !sameIdentifier(target, whose) };
}

const oldKey = (key: HeldCredential | null, member: string): OldKey => ({
  credentialId: key?.id ?? null,
  fingerprint: key?.fingerprint ?? null,
  member,
  deadSince: null,
  lastWrite: null,
});

const otherMember = (spec: TenantSpec, member: string): string =>
  expectedMembers(spec).find((identifier) => !sameIdentifier(identifier, member)) ?? member;

function targetState(ground: RotationGround, rotation: Rotation, target: string): Sight['target'] {
  const { facts, observedAt } = ground;
  if (!isFresh(facts.members, observedAt)) return 'unseen';
  const member = findMember(facts.members.value.items, target);
  if (!member) return facts.members.value.controlSeen ? 'absent' : 'unseen';
  const fits = isFit(ground, target);
  const ours = isOwned(ground, member);
  // The member in use is mended, whatever it holds; another one is only taken where that is known.
  const inUse = sameIdentifier(target, activeMember(ground.spec, ground.credentials));
  if (!inUse && !rotation.reversed) {
    if (member.inactive && !isClean(ground, member)) return 'spent';
    if (!ours && !fits) return 'spent';
  }
  if (member.inactive) return 'inactive';
  return fits && !revived(ground, target) ? 'ready' : 'unfit';
}

/** A key of that member that was retired works again: it is to be deleted before another one is made (rulings 19). */
const revived = ({ candidates }: RotationGround, target: string): boolean =>
  candidates.some(
    ({ credential, becomes }) =>
      becomes === 'refused' &&
      credential.lastProvedAt !== null &&
      credential.member !== null &&
      sameIdentifier(credential.member, target),
  );

/** Active, with the role, level and location of the spec, and that role's levels not seen to differ. */
function isFit(ground: RotationGround, target: string): boolean {
  const { spec, facts, credentials, observedAt, accepted } = ground;
  const members: Facts = { members: facts.members!, candidates: {} };
  const differences = diff(spec, members, credentials, { observedAt, serving: [target] });
  const differs = unaccepted(differences, accepted).some(
    ({ path }) => path === `members.${target}` || path.startsWith(`members.${target}.`),
  );
  return !differs && (differingCells(ground)?.length ?? 0) === 0;
}

function mayStopNamed(ground: RotationGround, identifier: string): boolean {
  const member = findMember(ground.facts.members?.value?.items ?? [], identifier);
  return member !== null && mayStop(ground, member);
}

/** ConnectWise's identifiers have at most 15 characters (domain.md §4). */
const LONGEST = 15;

/** `umbrella-a`, `umbrella-a2`, `umbrella-a3`: the next one that nobody uses. */
export function freshIdentifier(
  { spec, facts }: Pick<PlanningGround, 'spec' | 'facts'>,
  identifier: string,
): string {
  const [, stem = identifier, number] = /^(.*\D)(\d+)$/.exec(identifier) ?? [];
  const base = number === undefined ? identifier : stem;
  const taken = [
    ...expectedMembers(spec),
    ...(facts.members?.value?.items ?? []).map((member) => member.identifier),
  ];
  for (let next = number === undefined ? 2 : Number(number) + 1; ; next += 1) {
    const fresh = `${base.slice(0, LONGEST - String(next).length)}${next}`;
    if (!taken.some((other) => sameIdentifier(other, fresh))) return fresh;
  }
}

const named = ({ id, fingerprint, member }: HeldCredential): NamedKey => ({
  credentialId: id,
  fingerprint,
  member,
});

function givenPair(ground: RotationGround, rotation: Rotation): Sight['given'] {
  const { credentials, candidates } = ground;
  const { old, fresh, target } = rotation;
  const known = credentials.find(({ id }) => id === fresh?.credentialId) ?? mendedBy(ground, rotation);
  if (known && (known.state === 'active' || known.state === 'superseded')) {
    const { becomes, because } = assess(ground, known, proofOf(ground, known));
    const state = becomes === 'active' ? 'proved' : becomes === 'candidate' ? 'waiting' : 'lost';
    return { key: named(known), state, because };
  }
  const own = candidates.find(({ credential }) => credential.id === fresh?.credentialId);
  const alive = candidates.find(
    ({ credential, becomes }) =>
      credential.id !== old?.credentialId &&
      credential.member !== null &&
      target !== null &&
      sameIdentifier(credential.member, target) &&
      (becomes === 'candidate' || becomes === 'proved' || becomes === 'active') &&
      (credential.state === 'candidate' || credential.state === 'proved'),
  );
  if (alive) {
    const state = alive.becomes === 'candidate' ? 'waiting' : 'proved';
    return { key: named(alive.credential), state, because: alive.because };
  }
  return own ? { key: named(own.credential), state: 'lost', because: own.because } : null;
}

/** The key that came into use while a rotation waited that has nothing to retire. */
function mendedBy({ credentials }: RotationGround, { old, fresh }: Rotation): HeldCredential | undefined {
  const key = activeKey(credentials);
  return !fresh && !old && key ? key : undefined;
}

/** What a pair showed of itself, whatever it is used for. */
function proofOf(
  { facts }: Pick<PlanningGround, 'facts'>,
  { id }: Pick<HeldCredential, 'id'>,
): Remembered<KeyProof> | undefined {
  return facts.integrationKey?.value?.credentialId === id ? facts.integrationKey : facts.candidates[id];
}

/** From the reveal on, or from when a person began, or from Umbrella's own first write with it (rulings 17). */
function installable(
  { handoffs, spec, facts, memory }: RotationGround,
  rotation: Rotation,
): Rotation['installable'] {
  const { fresh, target, observable, phase, since } = rotation;
  if (!fresh) return null;
  const install = installOf(memory, rotation);
  if (install?.adopted) {
    return { at: install.adopted.at, how: install.adopted.how === 'attested' ? 'submitted' : 'written' };
  }
  const handoff = handoffs.find(
    ({ kind, subject }) => kind === 'install-integration-key' && subject === fresh.fingerprint,
  );
  const times = [
    { at: handoff?.revealedAt, how: 'revealed' as const },
    // An automation has claimed it before it has the pair.
    { at: handoff?.claimedBy === AUTOMATION ? null : handoff?.claimedAt, how: 'claimed' as const },
    { at: handoff?.submittedAt, how: 'submitted' as const },
  ].flatMap(({ at, how }) => (at ? [{ at, how }] : []));
  const first = times.toSorted((a, b) => a.at.localeCompare(b.at))[0];
  if (first) return first;
  const write =
    observable && phase === 'AwaitingInstall' && !rotation.reversed && target !== null
      ? firstWriteBy({ spec, facts }, target, since)
      : null;
  return write && { at: write.at, how: 'written' };
}

/**
 * What was shown of the fresh key since it was promoted; null once the keys changed places: of a key that is put back,
 * what was shown before it was replaced tells nothing of now.
 */
function installOf(memory: IntegrationMemory, { fresh, reversed, turned }: Rotation): Install | null {
  if (reversed || turned || memory.install?.fingerprint !== fresh?.fingerprint) return null;
  return memory.install ?? null;
}

function adoptionSeen(ground: RotationGround, rotation: Rotation): Rotation['adopted'] {
  const { handoffs, spec, memory } = ground;
  const { fresh, target, observable } = rotation;
  const from = rotation.installable ?? installable(ground, rotation);
  if (!fresh || target === null || !from) return null;
  const install = installOf(memory, rotation);
  if (install) return install.adopted && { ...install.adopted, evidence: words(target, install.adopted) };
  const write = observable ? firstWriteBy(ground, target, from.at, from.how === 'written') : null;
  if (write) {
    const evidence = `${write.by} wrote ${write.configuration} at ${write.at}.`;
    return { at: write.at, how: 'observed', evidence };
  }
  const word = handoffs.find(
    ({ kind, subject, attested }) =>
      kind === 'install-integration-key' && subject === fresh.fingerprint && attested,
  );
  if (!word?.submittedAt || (observable && !spec.integration.nothingMapped)) return null;
  const adopted = { at: word.submittedAt, how: 'attested' as const };
  return { ...adopted, evidence: words(word.submittedBy ?? 'a person', adopted) };
}

const words = (who: string, { at, how }: { at: string; how: 'observed' | 'attested' }): string =>
  how === 'observed' ? `${who} wrote at ${at}.` : `Attested by ${who} at ${at}; nothing showed it.`;

/** The oldest write by that member that was made after a moment, of those that show. */
function firstWriteBy(
  { spec, facts }: Pick<PlanningGround, 'spec' | 'facts'>,
  member: string,
  after: string,
  orAt = false,
) {
  const writes = facts.writes?.value ? expectedWrites(spec, facts.writes.value) : [];
  return (
    writes.findLast(({ by, at }) => sameIdentifier(by, member) && (at > after || (orAt && at === after))) ??
    null
  );
}

/** By whoever: the old key may be of a member that is none of this tenant's. */
function newestWriteBy({ facts }: RotationGround, member: string): OldKey['lastWrite'] {
  const writes = facts.writes?.value ? allWrites(facts.writes.value) : [];
  const found = writes.find(({ by }) => sameIdentifier(by, member));
  return found ? { at: found.at, configuration: found.configuration } : null;
}

function oldKeyState(ground: RotationGround, old: OldKey | null): Sight['oldKey'] {
  if (!old) return 'none';
  const held = ground.credentials.find(({ id }) => id === old.credentialId);
  if (!held) return 'unheld';
  const proof = proofOf(ground, held);
  if (!isFresh(proof, ground.observedAt)) return 'unseen';
  return proof.value.authenticates ? 'works' : 'refused';
}

function memberState(
  { spec, facts, observedAt }: RotationGround,
  identifier: string | null,
): Sight['oldMember'] {
  if (identifier === null) return 'none';
  if (!isFresh(facts.members, observedAt)) return 'unseen';
  const member = findMember(facts.members.value.items, identifier);
  if (member) return member.inactive ? 'inactive' : 'active';
  if (!facts.members.value.controlSeen) return 'unseen';
  return slotOf(spec, identifier) === null ? 'stranger' : 'none';
}
