import { acceptedWords, unaccepted } from './acceptance.ts';
import type { CandidateDecision } from './candidate.ts';
import type { Install } from './condition.ts';
import { activeKey, compareAllowList, rolesNamed, telling, type Difference } from './drift.ts';
import { expectedWrites } from './evidence.ts';
import { isLive, type Handoff, type HandoffContent, type HandoffKind } from './handoff.ts';
import { isFresh } from './observation.ts';
import type { Plan } from './action.ts';
import {
  canOnlyBeAttested,
  differingCells,
  drivingRotation,
  freshCells,
  whyNewKey,
  type PlanningGround,
} from './ground.ts';
import { isOver, type Rotation } from './rotation.ts';
import { umbrellaKeyInUse, umbrellaKeyWorks, whyRenew } from './umbrella-renewal.ts';
import { sameIdentifier } from './tenant.ts';
import { told } from './told.ts';

/** What a look at the vendors does to the hand-offs of a tenant. */
export type HandoffDecision =
  | { change: 'open'; kind: HandoffKind; subject: string; content: HandoffContent }
  | { change: 'refresh'; id: string; content: HandoffContent }
  | { change: 'overdue'; id: string }
  | { change: 'reopen'; id: string; because: string }
  | { change: 'close'; id: string; evidence: string }
  /** Of work that nobody began since it was looked at: `claimedAt` as it was then. */
  | { change: 'withdraw'; id: string; evidence: string; claimedAt?: string | null };

/**
 * Hand-offs are closed by what was observed (rulings 17), withdrawn where the work is no longer needed, given
 * back where what was submitted did not do, and opened where the plan asks for one that is not live. Only
 * `mayOpen` (mode `repair`, not paused) opens one or changes its text.
 */
export function progress(
  ground: PlanningGround,
  handoffs: Handoff[],
  planned: Plan,
  candidates: CandidateDecision[],
  mayOpen: boolean,
): HandoffDecision[] {
  const live = handoffs.filter(isLive);
  const decided = live.flatMap((handoff) => {
    const end = endOf(ground, handoff);
    if (!end) return [...stillOpen(ground, handoff, candidates), ...overdue(ground, handoff)];
    return [end.change === 'withdraw' ? { ...end, claimedAt: handoff.claimedAt } : end];
  });
  if (!mayOpen) return decided;
  for (const { action, state } of planned.steps) {
    if (action.kind !== 'open-handoff' || state !== 'now') continue;
    const { handoff: kind, subject, content } = action;
    const known = live.find((handoff) => handoff.kind === kind && handoff.subject === subject);
    const ends = decided.some(
      (one) => 'id' in one && one.id === known?.id && (one.change === 'close' || one.change === 'withdraw'),
    );
    if (!known || ends) decided.push({ change: 'open', kind, subject, content });
    else if (inOneOrder(known.content) !== inOneOrder(content)) {
      decided.push({ change: 'refresh', id: known.id, content });
    }
  }
  return decided;
}

/** A store gives the names of a group back in an order of its own. */
const inOneOrder = (content: HandoffContent): string =>
  JSON.stringify(content, (_, part: unknown) =>
    typeof part === 'object' && part !== null && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  );

type End = Extract<HandoffDecision, { evidence: string }>;

const ENDS: Record<HandoffKind, (ground: PlanningGround, handoff: Handoff) => End | null> = {
  'grant-role-levels': levelsEnd,
  'allow-table-setup': allowListEnd,
  'issue-integration-key': issueEnd,
  'install-integration-key': installEnd,
  'delete-key': deletionEnd,
  'renew-umbrella-key': renewalEnd,
};

const endOf = (ground: PlanningGround, handoff: Handoff): End | null => ENDS[handoff.kind](ground, handoff);

const close = ({ id }: Handoff, evidence: string): End => ({ change: 'close', id, evidence });

/**
 * Work that somebody has begun is not taken out of their hands before its deadline (rulings 27). An automation has
 * claimed its work from the start, and begins with the first request.
 */
function withdraw(ground: PlanningGround, handoff: Handoff, evidence: string): End | null {
  const unsent = handoff.automation?.state === 'delivering' && handoff.automation.attempts === 0;
  const begun = handoff.state === 'claimed' && !unsent && Date.parse(handoff.deadline) > ground.now.getTime();
  return begun ? null : { change: 'withdraw', id: handoff.id, evidence };
}

function levelsEnd(ground: PlanningGround, handoff: Handoff): End | null {
  const { spec, facts, observedAt } = ground;
  const { name } = spec.connectwise.role;
  if (!sameIdentifier(name, handoff.subject)) {
    return withdraw(ground, handoff, `The spec names the role ${name} now.`);
  }
  const differing = freshCells(ground);
  if (differing?.length === 0) {
    return close(handoff, `The levels of ${name} were read at ${observedAt}, and are exactly as specified.`);
  }
  if (differing && unaccepted(differing, ground.accepted).length === 0) {
    return leave(ground, handoff, differing);
  }
  const gone =
    isFresh(facts.roles, observedAt) &&
    facts.roles.value.controlSeen &&
    rolesNamed(spec, facts.roles.value.items).length === 0;
  return gone ? withdraw(ground, handoff, `The role ${name} is gone.`) : null;
}

function allowListEnd(ground: PlanningGround, handoff: Handoff): End | null {
  const { spec, observedAt } = ground;
  const { name } = spec.connectwise.role;
  if (!sameIdentifier(name, handoff.subject)) {
    return withdraw(ground, handoff, `The spec names the role ${name} now.`);
  }
  const differing = allowListDifferences(ground);
  if (differing?.length === 0) {
    return close(handoff, `The allow list was read at ${observedAt}, and is exactly as specified.`);
  }
  return differing && unaccepted(differing, ground.accepted).length === 0
    ? leave(ground, handoff, differing)
    : null;
}

/** What was to be changed was accepted since: whoever began is told so too. */
const leave = ({ accepted }: PlanningGround, { id }: Handoff, differing: readonly Difference[]): End => ({
  change: 'withdraw',
  id,
  evidence: `Leave it as it is. ${acceptedWords(differing, accepted)}`,
});

/** Null: it was not read in this observation. */
function allowListDifferences(ground: PlanningGround): readonly Difference[] | null {
  const { spec, facts, credentials, observedAt } = ground;
  const proof = telling(spec, facts, credentials);
  if (!proof?.value.allowList || !isFresh(proof, observedAt)) return null;
  return compareAllowList(spec.connectwise.role.tableSetup, proof.value.allowList);
}

function issueEnd(ground: PlanningGround, handoff: Handoff): End | null {
  const { credentials, facts, observedAt } = ground;
  const key = activeKey(credentials);
  const proved = credentials.find(
    ({ handoffId, state }) => handoffId === handoff.id && (state === 'active' || state === 'proved'),
  );
  if (proved) {
    return close(
      handoff,
      `The key ${proved.fingerprint} proved itself as ${proved.member ?? handoff.subject}.`,
    );
  }
  const rotation = drivingRotation(ground);
  if (rotation) return issueEndOfRotation(ground, handoff, rotation);
  if (whyNewKey(ground) !== null) return null;
  const proof = facts.integrationKey;
  const works = key !== null && isFresh(proof, observedAt) && proof.value.authenticates;
  if (works) return withdraw(ground, handoff, `The key in use, ${key.fingerprint}, works.`);
  return ground.integrated.status === 'True' && key === null
    ? withdraw(
        ground,
        handoff,
        `Umbrella writes with a key that Parasol was not given: ${told(ground.integrated.message, ground.now)}`,
      )
    : null;
}

function issueEndOfRotation(ground: PlanningGround, handoff: Handoff, rotation: Rotation): End | null {
  const { target, fresh, undoing } = rotation;
  if (undoing) return { change: 'withdraw', id: handoff.id, evidence: 'The rotation was taken back.' };
  if (target === null || !sameIdentifier(target, handoff.subject)) {
    return withdraw(ground, handoff, `A rotation makes the new key on ${target}.`);
  }
  return fresh && rotation.phase !== 'Verifying'
    ? withdraw(ground, handoff, `The key ${fresh.fingerprint} was given.`)
    : null;
}

function installEnd(ground: PlanningGround, handoff: Handoff): End | null {
  const { credentials, memory, rotation } = ground;
  if (rotation?.fresh?.fingerprint === handoff.subject) {
    if (rotation.undoing || rotation.phase === 'Failed') {
      return {
        change: 'withdraw',
        id: handoff.id,
        evidence: 'The rotation was taken back: put no new key in.',
      };
    }
    return rotation.adopted ? close(handoff, rotation.adopted.evidence) : null;
  }
  if (rotation && !isOver(rotation) && rotation.old?.fingerprint === handoff.subject) {
    const evidence = rotation.reversed
      ? 'The rotation is rolled back: the key before it is to be put back.'
      : 'Another key is to take its place: do not put this one in.';
    return { change: 'withdraw', id: handoff.id, evidence };
  }
  const key = activeKey(credentials);
  if (key?.fingerprint !== handoff.subject) {
    return withdraw(ground, handoff, `The key ${handoff.subject} is no longer the one in use.`);
  }
  const { install } = memory;
  if (install?.fingerprint === key.fingerprint && install.adopted) {
    return install.adopted.how === 'attested'
      ? close(handoff, `Attested by ${handoff.submittedBy ?? 'a person'}; nothing showed it.`)
      : close(handoff, `${key.member ?? 'Umbrella'} wrote at ${install.adopted.at}.`);
  }
  const write = firstWriteAfter(ground, key.member, handoff.openedAt);
  return write && install?.adopted !== null
    ? close(handoff, `${write.by} wrote ${write.configuration} at ${write.at}.`)
    : null;
}

/**
 * How it is known by now that Umbrella uses the key that Parasol promoted: by a write of its member after the
 * promotion, where that tells anything, else by a person's word. Null: it is not known.
 */
export function adoption(
  ground: Pick<PlanningGround, 'spec' | 'facts' | 'memory'>,
  install: Install,
  handoffs: Handoff[],
): Install['adopted'] {
  const write = install.observable ? firstWriteAfter(ground, install.member, install.promotedAt) : null;
  if (write) return { at: write.at, how: 'observed' };
  const word = handoffs.find(
    ({ kind, subject, attested }) =>
      kind === 'install-integration-key' && subject === install.fingerprint && attested,
  );
  return word?.submittedAt && canOnlyBeAttested(ground.spec, ground.memory, null)
    ? { at: word.submittedAt, how: 'attested' }
    : null;
}

/** A write of Umbrella's by that member, later than a moment; null: none was seen. */
function firstWriteAfter(
  { spec, facts }: Pick<PlanningGround, 'spec' | 'facts'>,
  member: string | null,
  after: string,
) {
  const writes = facts.writes?.value ? expectedWrites(spec, facts.writes.value) : [];
  return writes.find(({ by, at }) => (member === null || sameIdentifier(by, member)) && at > after) ?? null;
}

function deletionEnd({ credentials, rotation }: PlanningGround, handoff: Handoff): End | null {
  const waits = rotation?.phase === 'Overlap' ? rotation.old : null;
  if (waits && [waits.fingerprint, waits.member].includes(handoff.subject)) {
    const evidence = 'That key is in use. Do not delete it.';
    return { change: 'withdraw', id: handoff.id, evidence };
  }
  const key = credentials.find(({ fingerprint }) => fingerprint === handoff.subject);
  if (!key) {
    if (rotation?.old && !rotation.old.fingerprint && rotation.old.member === handoff.subject) {
      return handoff.submittedAt === null
        ? null
        : close(handoff, `${handoff.submittedBy ?? 'A person'} said so; nothing showed it.`);
    }
    return { change: 'withdraw', id: handoff.id, evidence: 'Parasol no longer holds that pair.' };
  }
  if (key.state === 'dead') return close(handoff, 'ConnectWise refuses that pair now.');
  if ((rotation?.reversed || rotation?.turned) && rotation.fresh?.fingerprint === handoff.subject) {
    const evidence = rotation.reversed
      ? 'The rotation is rolled back: that key is to be used again. Do not delete it.'
      : 'The rollback was taken back: that key is to be used again. Do not delete it.';
    return { change: 'withdraw', id: handoff.id, evidence };
  }
  const given = rotation && !isOver(rotation);
  return key.state === 'superseded' && key.purpose === 'integration' && !given
    ? {
        change: 'withdraw',
        id: handoff.id,
        evidence: 'Its member is off: whether it was deleted cannot be shown.',
      }
    : null;
}

function renewalEnd(ground: PlanningGround, handoff: Handoff): End | null {
  const key = umbrellaKeyInUse(ground);
  if (key?.handoffId === handoff.id) {
    return close(handoff, `The key ${key.fingerprint} got a token and listed customers.`);
  }
  if (key?.fingerprint !== handoff.subject) {
    return withdraw(ground, handoff, `The key ${handoff.subject} is no longer the one in use.`);
  }
  return umbrellaKeyWorks(ground) && whyRenew(ground) === null
    ? withdraw(ground, handoff, `The key in use, ${key.fingerprint}, works, and is neither old nor expiring.`)
    : null;
}

/** What was submitted, and did not do what was asked. */
function stillOpen(
  ground: PlanningGround,
  handoff: Handoff,
  candidates: CandidateDecision[],
): HandoffDecision[] {
  if (handoff.state !== 'submitted' || (handoff.submittedAt ?? '') > ground.observedAt) return [];
  const because = shortfall(ground, handoff, candidates);
  return because === null ? [] : [{ change: 'reopen', id: handoff.id, because }];
}

function shortfall(ground: PlanningGround, handoff: Handoff, candidates: CandidateDecision[]): string | null {
  switch (handoff.kind) {
    case 'grant-role-levels': {
      const cells = differingCells(ground) ?? [];
      return cells.length > 0 ? `${cells.length} of its levels still differ.` : null;
    }
    case 'allow-table-setup':
      return unaccepted(allowListDifferences(ground) ?? [], ground.accepted).length > 0
        ? 'The allow list still differs.'
        : null;
    case 'delete-key': {
      const key = ground.credentials.find(({ fingerprint }) => fingerprint === handoff.subject);
      const proof = key && ground.facts.candidates[key.id];
      return isFresh(proof, ground.observedAt) && proof.value.authenticates ? 'That pair still works.' : null;
    }
    case 'issue-integration-key': {
      const given = candidates.filter(({ credential }) => credential.handoffId === handoff.id);
      const lives = given.some(({ becomes }) => becomes === 'candidate' || becomes === 'active');
      const [last] = given;
      return last && !lives ? `The pair ${last.credential.fingerprint} was refused: ${last.because}.` : null;
    }
    case 'install-integration-key':
      return null;
    case 'renew-umbrella-key': {
      const given = ground.credentials.filter(({ handoffId }) => handoffId === handoff.id);
      const lives = given.some(({ state }) => state === 'candidate' || state === 'active');
      const last = given.at(-1);
      return last && !lives ? `The pair ${last.fingerprint} did not work: make another.` : null;
    }
  }
}

/** A deadline that passes is told once; the work is still needed. */
function overdue({ now }: PlanningGround, handoff: Handoff): HandoffDecision[] {
  const passed = !handoff.overdueSince && Date.parse(handoff.deadline) < now.getTime();
  return passed ? [{ change: 'overdue', id: handoff.id }] : [];
}
