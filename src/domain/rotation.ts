import { isDeepStrictEqual } from 'node:util';
import { toMs } from './duration.ts';

/**
 * A rotation replaces the integration key with overlap (design.md §6): the new key is made on the other member,
 * proved, put into Umbrella and seen in use before the old one goes.
 *
 *   Pending ─admitted─▶ PreparingMember ─member ready─▶ AwaitingKey ─pair given─▶ Verifying ─proved, in window─▶ AwaitingInstall
 *                                                           ▲─────── refused ────────┘                               │ revealed, or begun
 *     ┌─────────────────────────────────────────────────────────────────────────────────────────────────────────────┘
 *     ▼
 *   AwaitingAdoption ─Umbrella wrote as the new member─▶ Overlap ─old one quiet for long enough, in window─▶ RetiringOld
 *                                                                                                    │
 *   (the old one is used again: back to Overlap)                                                     │
 *        Completed ◀─ the old key was seen dead while its member was active; then that went off ─────┤
 *        RetirementUnproved ◀─ it is out of use, and its death cannot be shown ──────────────────────┘
 *
 *   rollback, before the key may be in Umbrella: the new member goes off, and it ends as RolledBack;
 *   afterwards the two keys change places, and the same way leads back: the new key is the last to go (rulings 18). A rollback
 *   may be taken back in the same way.
 *
 * Nothing here remembers a step that was sent: each phase is left by what is seen (`Sight`). A phase is
 * committed before its effects leave.
 */
export const ROTATION_PHASES = [
  'Pending',
  'PreparingMember',
  'AwaitingKey',
  'Verifying',
  'AwaitingInstall',
  'AwaitingAdoption',
  'Overlap',
  'RetiringOld',
  'Completed',
  'RetirementUnproved',
  'RolledBack',
  'Failed',
] as const;
export type RotationPhase = (typeof ROTATION_PHASES)[number];

const ENDED: readonly RotationPhase[] = ['Completed', 'RetirementUnproved', 'RolledBack', 'Failed'];

/**
 * Why it began: `first`, there is no key yet; `invalid`, ConnectWise refuses the key in use or it is another
 * member's; `age`; `given`, a person gave another pair beside one that works; `request`; `compromise`.
 */
export const ROTATION_CAUSES = ['first', 'invalid', 'age', 'given', 'request', 'compromise'] as const;
export type RotationCause = (typeof ROTATION_CAUSES)[number];

/** A pair by name; nulls where Parasol was never given the pair that Umbrella uses. */
export interface NamedKey {
  credentialId: string | null;
  fingerprint: string | null;
  /** The API member that it belongs to. */
  member: string | null;
}

/** The key that goes. */
export interface OldKey extends NamedKey {
  /** When ConnectWise was seen to refuse it while its member was active (rulings 19); null: not seen. */
  deadSince: string | null;
  /** The newest write by its member that was seen, and what it wrote; null: none was seen. */
  lastWrite: { at: string; configuration: string } | null;
}

/** What a person asks of a rotation that is under way. */
export interface Wish {
  /** `forward`: a rollback is taken back. */
  kind: 'rollback' | 'forward' | 'compromise';
  by: string;
  reason: string;
  at: string;
}

/** Something worth an event, told once. */
export interface Notice {
  kind: 'Late' | 'AdoptionOverdue' | 'OldKeyStillUsed' | 'OldKeyAlive' | 'SlotSpent' | 'RollbackRefused';
  at: string;
  message: string;
}

export interface Rotation {
  id: string;
  tenantId: string;
  phase: RotationPhase;
  /** When the phase began. */
  since: string;
  cause: RotationCause;
  /** Who asked for it, and why; null: Parasol began it. */
  by: string | null;
  reason: string | null;
  /** The old member goes off before there is a new key: an outage that a person confirmed. */
  cutNow: boolean;
  requestedAt: string;
  /** When the fleet's limit of rotations let it begin; null: it waits. */
  admittedAt: string | null;
  /** Null until it begins, and where there is nothing to retire. */
  old: OldKey | null;
  /** The member that the new key is made on; null until it begins. */
  target: string | null;
  /** The new key; null until a pair was given. */
  fresh: NamedKey | null;
  /** Whether a write of the target's tells that Umbrella uses the new key; else only a person can say so. */
  observable: boolean;
  /** From then on the new key may be in Umbrella (rulings 17). */
  installable: { at: string; how: 'revealed' | 'claimed' | 'submitted' | 'written' } | null;
  adopted: { at: string; how: 'observed' | 'attested'; evidence: string } | null;
  /** The keys changed places: what is retired at the end is what was new at the start (rulings 18). */
  reversed: boolean;
  /** They changed places at least once, so that either may be in Umbrella from then on. */
  turned: boolean;
  /** A person took it back before the key could be in Umbrella. */
  undoing: boolean;
  notices: Notice[];
  /** Each phase that it went through, with what was seen. */
  history: { phase: RotationPhase; at: string; evidence: string }[];
  /** Why it ended, and what a person should do. */
  outcome: string | null;
  endedAt: string | null;
  wish: Wish | null;
}

export const isOver = ({ phase }: Pick<Rotation, 'phase'>): boolean => ENDED.includes(phase);

/**
 * Whether one is as the other but for what the old member wrote last: Umbrella may write between any two looks, and no
 * effect rests on which write was the last.
 */
export function standsAs(one: Rotation | null, other: Rotation | null): boolean {
  const still = (rotation: Rotation | null) =>
    rotation?.old ? { ...rotation, old: { ...rotation.old, lastWrite: null } } : rotation;
  return one === other || isDeepStrictEqual(still(one), still(other));
}

/** True where a key that works, or may work, has to go on working until the new one was adopted. */
export const overlaps = ({ old }: Pick<Rotation, 'old'>): boolean => old !== null && old.deadSince === null;

/** All that a rotation looks at, drawn from facts, hand-offs and the spec by `sightOf`. */
export interface Sight {
  /** Now, ISO 8601. */
  at: string;
  /** Why nothing may be changed at present; null: it may. */
  held: string | null;
  /** May disturb now: inside the window, or none is set, or the key is compromised. */
  windowOpen: boolean;
  /** True once the old key is older than `rotation.maxAge`. */
  overAge: boolean;
  /** What it begins with; null: not enough is known to begin. */
  beginning: { old: OldKey | null; target: string; observable: boolean } | null;
  /** `spent`: it may hold keys that nobody saw die, so that it is never active again (rulings 19). */
  target: 'unseen' | 'absent' | 'inactive' | 'unfit' | 'ready' | 'spent';
  /** Nothing but Umbrella uses the target, so that it may be switched off (rulings 9). */
  mayStopTarget: boolean;
  /** An identifier that nobody used, in the place of the target's. */
  freshIdentifier: string;
  /** The newest pair that was given for the target; `waiting`: alive, and not yet as it must be. */
  given: { key: NamedKey; state: 'waiting' | 'proved' | 'lost'; because: string } | null;
  installable: Rotation['installable'];
  /** The first write as the target since then, or a person's word where nothing can show it. */
  adopted: Rotation['adopted'];
  oldKey: 'none' | 'unheld' | 'unseen' | 'works' | 'refused';
  /** `stranger`: none of this tenant's members, and not shown, so that nothing but its key tells of it. */
  oldMember: 'none' | 'unseen' | 'active' | 'inactive' | 'stranger';
  /** Nothing but Umbrella uses the old member, so that it may be switched off (rulings 9). */
  mayStopOld: boolean;
  oldWrite: OldKey['lastWrite'];
  /** What Umbrella writes was read just now, so that the old member's silence counts. */
  writesSeen: boolean;
  /** Ms that the old member must have been silent after the adoption. */
  quietMs: number;
  /** A person said that the keys of the old member are deleted, where nothing can show it. */
  deletionSaid: boolean;
  /** The spec still names the members of this rotation. */
  named: boolean;
  /** Ms from the key's being installable to when its adoption is overdue. */
  adoptionDeadlineMs: number;
}

/**
 * Advances a rotation as far as what is seen carries it; `see` is what one observation shows to a rotation that has
 * come so far. Pure; the same object where nothing changed.
 */
export function next(rotation: Rotation, see: (rotation: Rotation) => Sight): Rotation {
  const first = see(rotation);
  if (begun(rotation) && !isOver(rotation) && !first.named) return end(rotation, 'Failed', first, RENAMED);
  let current = heed(rotation, first);
  // Each round leaves a phase or ends; there are fewer phases than rounds.
  for (const _ of ROTATION_PHASES) {
    if (isOver(current)) return current;
    const sight = see(current);
    const noted = note(current, sight);
    const advanced = step(noted, sight);
    if (advanced === noted) return noted;
    current = advanced;
  }
  return current;
}

const RENAMED =
  'The spec names other members than this rotation began with. Nothing more is done, and both keys stay as they are: rotate again.';

/** When the phase's time is up, ISO 8601; null: it has no time of its own. */
export function deadlineOf(
  rotation: Rotation,
  { quietMs, adoptionDeadlineMs }: Pick<Sight, 'quietMs' | 'adoptionDeadlineMs'>,
): string | null {
  switch (rotation.phase) {
    case 'AwaitingAdoption':
      return later(rotation.installable?.at ?? rotation.since, adoptionDeadlineMs);
    case 'Overlap':
      return later(quietSince(rotation), quietMs);
    default:
      return null;
  }
}

const later = (at: string, ms: number): string => new Date(Date.parse(at) + ms).toISOString();

/** Since when only the new key is used. */
const quietSince = ({ adopted, old, since }: Rotation): string => {
  const from = adopted?.at ?? since;
  return old?.lastWrite && old.lastWrite.at > from ? old.lastWrite.at : from;
};

function heed(rotation: Rotation, sight: Sight): Rotation {
  const { wish } = rotation;
  if (!wish || isOver(rotation)) return rotation;
  const heeded = { ...rotation, wish: null };
  if (wish.kind === 'compromise') {
    return { ...heeded, cause: 'compromise', by: wish.by, reason: wish.reason };
  }
  // What is asked for twice, as its answer was lost, changes nothing.
  if (rotation.undoing || rotation.reversed !== (wish.kind === 'forward')) return heeded;
  const words = `${wish.by} ${rotation.reversed ? 'took the rollback back' : 'rolled it back'}: ${wish.reason}`;
  if (!mayBeInstalled(rotation, sight)) {
    return enter({ ...heeded, undoing: true }, rotation.phase, sight, words);
  }
  return turnBack(heeded, sight, words);
}

/** The two keys change places: the old one is to be used again, the new one is the last to go (rulings 18). */
function turnBack(rotation: Rotation, sight: Sight, words: string): Rotation {
  const { old, fresh, target } = rotation;
  if (!old?.credentialId || old.deadSince) {
    const why = old?.deadSince
      ? `the old key was seen dead at ${old.deadSince}`
      : 'Parasol never held the old key, so that it cannot be put back';
    const stays = { ...rotation, undoing: false };
    return tell(stays, 'RollbackRefused', sight, `Cannot be rolled back: ${why}. Rotate again instead.`);
  }
  const goes = { credentialId: fresh?.credentialId ?? null, fingerprint: fresh?.fingerprint ?? null };
  const reversed: Rotation = {
    ...rotation,
    undoing: false,
    reversed: !rotation.reversed,
    turned: true,
    old: { ...goes, member: target, deadSince: null, lastWrite: null },
    target: old.member,
    fresh: { credentialId: old.credentialId, fingerprint: old.fingerprint, member: old.member },
    installable: null,
    adopted: null,
  };
  return enter(reversed, 'PreparingMember', sight, words);
}

const mayBeInstalled = (rotation: Rotation, sight: Sight): boolean =>
  rotation.turned ||
  // What an older release turned says so by this alone.
  rotation.reversed ||
  rotation.installable !== null ||
  (rotation.phase === 'AwaitingInstall' && sight.installable !== null);

/** Keeps what was seen and does not show again. */
function note(rotation: Rotation, sight: Sight): Rotation {
  let noted = rotation;
  const { old } = rotation;
  if (old && begun(rotation)) {
    const newer = sight.oldWrite && sight.oldWrite.at > (old.lastWrite?.at ?? '') ? sight.oldWrite : null;
    const tells = sight.oldMember === 'active' || sight.oldMember === 'stranger';
    const died = !old.deadSince && sight.oldKey === 'refused' && tells;
    if (newer || died) {
      noted = {
        ...noted,
        old: { ...old, ...(newer ? { lastWrite: newer } : {}), ...(died ? { deadSince: sight.at } : {}) },
      };
    }
  }
  if (!noted.installable && noted.phase === 'AwaitingInstall' && sight.installable) {
    noted = { ...noted, installable: sight.installable };
  }
  if (!noted.adopted && noted.installable && sight.adopted) noted = { ...noted, adopted: sight.adopted };
  return noticed(noted, sight);
}

const begun = ({ phase }: Rotation): boolean => phase !== 'Pending';

function noticed(rotation: Rotation, sight: Sight): Rotation {
  const { phase, adopted, old } = rotation;
  const waits = phase === 'Verifying' || phase === 'Overlap';
  if (waits && !sight.windowOpen && sight.overAge) {
    return tell(
      rotation,
      'Late',
      sight,
      'The key is older than rotation.maxAge, and the window is not open yet.',
    );
  }
  const deadline = deadlineOf(rotation, sight);
  if (phase === 'AwaitingAdoption' && !adopted && deadline !== null && sight.at > deadline) {
    return tell(
      rotation,
      'AdoptionOverdue',
      sight,
      `Umbrella was not seen to use the new key by ${deadline}. Nothing is cut, and both keys work: put the new one into Umbrella, or roll back.`,
    );
  }
  if (phase === 'Overlap' && adopted && old?.lastWrite && old.lastWrite.at > adopted.at) {
    return tell(
      rotation,
      'OldKeyStillUsed',
      sight,
      `${old.member} wrote ${old.lastWrite.configuration} at ${old.lastWrite.at}, after Umbrella began to use the new key: the old key stays.`,
    );
  }
  if (phase === 'RetiringOld' && sight.oldKey === 'works' && sight.oldMember === 'inactive') {
    return tell(
      rotation,
      'OldKeyAlive',
      sight,
      `The key ${old?.fingerprint} works though its member ${old?.member} is inactive: it is to be deleted.`,
    );
  }
  return rotation;
}

function tell(rotation: Rotation, kind: Notice['kind'], { at }: Sight, message: string): Rotation {
  if (rotation.notices.some((one) => one.kind === kind)) return rotation;
  return { ...rotation, notices: [...rotation.notices, { kind, at, message }] };
}

const enter = (rotation: Rotation, phase: RotationPhase, { at }: Sight, evidence: string): Rotation => ({
  ...rotation,
  phase,
  since: at,
  history: [...rotation.history, { phase, at, evidence }],
});

const end = (rotation: Rotation, phase: RotationPhase, sight: Sight, outcome: string): Rotation => ({
  ...enter(rotation, phase, sight, outcome),
  outcome,
  endedAt: sight.at,
});

/** One phase further, or the same object. */
function step(rotation: Rotation, sight: Sight): Rotation {
  if (rotation.undoing) return undo(rotation, sight);
  switch (rotation.phase) {
    case 'Pending': {
      if (!rotation.admittedAt || !sight.beginning || sight.held !== null) return rotation;
      const { old, target } = sight.beginning;
      const goes =
        old?.fingerprint ?? (old ? `a key of ${old.member} that Parasol was not given` : 'nothing');
      return enter(
        { ...rotation, ...sight.beginning },
        'PreparingMember',
        sight,
        `A new key for ${target}; ${goes} is to be retired.`,
      );
    }
    case 'PreparingMember':
      if (sight.target === 'spent' && !rotation.reversed) {
        const spent = `${rotation.target} may hold keys that were not seen dead, and is never active again: ${sight.freshIdentifier} takes its place.`;
        return tell({ ...rotation, target: sight.freshIdentifier, fresh: null }, 'SlotSpent', sight, spent);
      }
      return sight.target === 'ready'
        ? enter(rotation, 'AwaitingKey', sight, `${rotation.target} is active, with role and levels.`)
        : rotation;
    case 'AwaitingKey':
      if (rotation.reversed && (!sight.given || sight.given.state === 'lost')) return again(rotation, sight);
      return sight.given && sight.given.state !== 'lost'
        ? enter(
            { ...rotation, fresh: sight.given.key },
            'Verifying',
            sight,
            `${sight.given.key.fingerprint} was given.`,
          )
        : rotation;
    case 'Verifying':
      return verify(rotation, sight);
    case 'AwaitingInstall':
      if (sight.given?.state === 'lost') return again(rotation, sight);
      return rotation.installable
        ? enter(rotation, 'AwaitingAdoption', sight, INSTALLABLE[rotation.installable.how])
        : rotation;
    case 'AwaitingAdoption':
      return rotation.adopted ? enter(rotation, 'Overlap', sight, rotation.adopted.evidence) : rotation;
    case 'Overlap':
      return overlap(rotation, sight);
    case 'RetiringOld':
      return retire(rotation, sight);
    default:
      return rotation;
  }
}

const INSTALLABLE = {
  revealed: 'The new pair was revealed, so that it may be in Umbrella.',
  claimed: 'A person began to put the new key into Umbrella.',
  submitted: 'A person says that the new key is in Umbrella.',
  written: 'Umbrella wrote with the new key.',
} as const;

function verify(rotation: Rotation, sight: Sight): Rotation {
  const { given } = sight;
  if (!given || given.state === 'lost') return again(rotation, sight);
  if (given.key.credentialId !== rotation.fresh?.credentialId) return { ...rotation, fresh: given.key };
  if (given.state !== 'proved' || !sight.windowOpen) return rotation;
  return enter(rotation, 'AwaitingInstall', sight, `The key ${given.key.fingerprint}: ${given.because}.`);
}

/** The pair that was given is of no use: another is asked for. Of a reversed one there is no other. */
function again(rotation: Rotation, sight: Sight): Rotation {
  const because = sight.given?.because ?? 'it is no longer held';
  if (rotation.reversed) {
    return end(
      rotation,
      'Failed',
      sight,
      `The key ${rotation.fresh?.fingerprint} cannot be put back: ${because}. Rotate again.`,
    );
  }
  return enter({ ...rotation, fresh: null }, 'AwaitingKey', sight, `Another pair is needed: ${because}.`);
}

function overlap(rotation: Rotation, sight: Sight): Rotation {
  const { old, adopted } = rotation;
  if (!old) return end(rotation, 'Completed', sight, `${adopted?.evidence} There was nothing to retire.`);
  const quiet = deadlineOf(rotation, sight)!;
  const compromised = rotation.cause === 'compromise';
  if (!compromised && !old.deadSince && (!sight.writesSeen || sight.at < quiet || !sight.windowOpen))
    return rotation;
  const why = compromised
    ? 'The old key is compromised: it goes at once.'
    : old.deadSince
      ? `The old key was seen dead at ${old.deadSince}.`
      : `The old key was not seen in use since ${quietSince(rotation)}.`;
  return enter(rotation, 'RetiringOld', sight, why);
}

function retire(rotation: Rotation, sight: Sight): Rotation {
  const { old } = rotation;
  const off = sight.oldMember === 'inactive' || sight.oldMember === 'none';
  const done = rotation.reversed ? 'RolledBack' : 'Completed';
  if (!old || old.deadSince) {
    if (!off && sight.mayStopOld) return rotation;
    const how = off ? `; ${old?.member ?? 'its member'} is inactive` : '';
    return end(rotation, done, sight, `The old key was seen dead at ${old?.deadSince}${how}.`);
  }
  if (!off && isUsedAgain(rotation, sight)) {
    const { at, configuration } = old.lastWrite!;
    const again = `${old.member} wrote ${configuration} at ${at}: the old key is in use, and stays.`;
    return tell(enter(rotation, 'Overlap', sight, again), 'OldKeyStillUsed', sight, again);
  }
  const gone = sight.oldKey === 'refused' || sight.oldKey === 'unheld' || sight.oldKey === 'none';
  const said = !sight.mayStopOld && sight.oldKey === 'unheld' && sight.deletionSaid;
  return (off && gone) || said ? end(rotation, 'RetirementUnproved', sight, unproved(rotation)) : rotation;
}

/** Somebody put the old key into Umbrella again while its deletion was waited for. */
function isUsedAgain({ cause, old, adopted }: Rotation, { at, quietMs }: Sight): boolean {
  const last = old?.lastWrite?.at;
  if (cause === 'compromise' || !last || !adopted || last <= adopted.at) return false;
  return at < later(last, quietMs);
}

function unproved({ old }: Rotation): string {
  const which = old?.fingerprint ?? `that Parasol was not given`;
  return `The old key ${which} is out of use, and was not seen dead while ${old?.member} was active: that member is never used again. Delete the key in ConnectWise if it is still there.`;
}

/** Before the new key could be in Umbrella: its member goes off, and all is as it was. */
function undo(rotation: Rotation, sight: Sight): Rotation {
  const { target, mayStopTarget } = sight;
  if (mayBeInstalled(rotation, sight)) {
    return turnBack(
      rotation,
      sight,
      'A person began to put the new key into Umbrella before it was taken back.',
    );
  }
  const off = target === 'absent' || target === 'inactive' || target === 'spent';
  if (rotation.target !== null && mayStopTarget && !off) return rotation;
  const outcome = 'Taken back before the new key could be in Umbrella; the old key was in use throughout.';
  return end(rotation, 'RolledBack', sight, outcome);
}

/** The moment from which a key of that age is rotated: spread over a fifth of its life, by tenant. */
export function dueAt(createdAt: string, maxAge: string, spread: number): string {
  return new Date(Date.parse(createdAt) + toMs(maxAge) * (0.7 + 0.2 * spread)).toISOString();
}

/** A rotation that waits to be admitted. */
export function requested(
  asked: Pick<Rotation, 'id' | 'tenantId' | 'cause' | 'by' | 'reason' | 'cutNow'> & { at: string },
): Rotation {
  const { at, ...rest } = asked;
  return {
    ...rest,
    phase: 'Pending',
    since: at,
    requestedAt: at,
    admittedAt: null,
    old: null,
    target: null,
    fresh: null,
    observable: false,
    installable: null,
    adopted: null,
    reversed: false,
    turned: false,
    undoing: false,
    notices: [],
    history: [{ phase: 'Pending', at, evidence: rest.reason ?? rest.cause }],
    outcome: null,
    endedAt: null,
    wish: null,
  };
}

/** What a rotation waits for, in words; `held` is why nothing may be changed at present. */
export function waitsFor(rotation: Rotation, held: string | null): string {
  const { phase, target, old, fresh, admittedAt, outcome, observable } = rotation;
  if (isOver(rotation)) return outcome ?? phase;
  if (held) return `Held: ${held}. Both keys stay as they are.`;
  if (rotation.undoing) return `${target ?? 'The new member'} is switched off; the old key stays in use.`;
  switch (phase) {
    case 'Pending':
      return admittedAt ? 'It begins with the next look.' : 'It waits for its turn in the fleet.';
    case 'PreparingMember':
      return `The member ${target} is made or mended.`;
    case 'AwaitingKey':
      return `A person makes a key on ${target} and gives it.`;
    case 'Verifying':
      return `The pair ${fresh?.fingerprint} is to prove itself.`;
    case 'AwaitingInstall':
      return `A person puts the key ${fresh?.fingerprint} into Umbrella.`;
    case 'AwaitingAdoption':
      return observable
        ? `Umbrella is to write as ${target}.`
        : `A person is to attest that Umbrella uses ${fresh?.fingerprint}: nothing shows it.`;
    case 'Overlap':
      return `Both keys work until ${old?.member ?? 'the old one'} was silent for long enough.`;
    default:
      return old?.deadSince
        ? `${old.member} is switched off.`
        : `The old key ${old?.fingerprint ?? `of ${old?.member}`} is to be deleted and seen dead.`;
  }
}
