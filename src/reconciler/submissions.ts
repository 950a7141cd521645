import type { HeldCredential } from '../domain/credential.ts';
import { AUTOMATION, isLive, type Handoff } from '../domain/handoff.ts';
import { canOnlyBeAttested } from '../domain/ground.ts';
import type { KeyPair } from '../domain/secret.ts';
import { automationOrigin, inSlots, originFor, type Purpose, type TenantSpec } from '../domain/tenant.ts';
import { conflict, done, invalid, noHandoff, noTenant, type Problem } from './answers.ts';
import { clashWords, type ApplyDeps } from './apply.ts';
import type { Answer, Commands } from './commands.ts';
import {
  activeOf,
  consoleIdentity,
  credentialCommand,
  expectedMember,
  isOtherKeyOfCompany,
  memberProblem,
  receivedEvent,
  seal,
  waitingOf,
  whySpent,
} from './given-keys.ts';
import { whyNotBeside } from './rotations.ts';
import type { HandoffRefusal, NewCredential, NewEvent, TenantRecord } from './ports.ts';

/** Pairs that come one by one, and the word that work was done: sealed first, then proved by a run. */

type KeyDeps = ApplyDeps;

/** Replacing is explicit: it wins over whatever was in use, and over what was taken out of use (rulings 15). */
export async function replaceCredential(
  deps: KeyDeps,
  id: string,
  purpose: Purpose,
  pair: KeyPair,
  member: string | null,
): ReturnType<Commands['replaceCredential']> {
  const { desk, vault } = deps;
  const record = await desk.tenant(id);
  if (!record) return noTenant(id);
  const { tenant, credentials } = record;
  const spec = inSlots(tenant.spec, record.status?.memory.slots);
  if (tenant.deleting) return conflict(beingDeleted(id));
  const beside = purpose === 'integration' ? whyNotBeside(record, member) : null;
  if (beside) return conflict(beside);
  const named = member === null ? null : expectedMember(spec, member);
  const fingerprint = vault.fingerprint(pair);
  const problems = replacementProblems(spec, credentials, { purpose, member, named, fingerprint });
  if (problems.length > 0) return invalid(problems);

  const cause = `credential given: ${purpose}`;
  const active = activeOf(credentials, purpose);
  const waiting = waitingOf(spec, credentials, purpose, fingerprint);
  if (waiting && waiting.member !== named) {
    return conflict(`That pair was given for ${waiting.member} and is to be proved first.`);
  }
  const inUse =
    active?.fingerprint === fingerprint &&
    active.member === named &&
    active.origin === originFor(spec, purpose);
  if (inUse || waiting) {
    const trigger = await desk.trigger(id, cause);
    return trigger === null ? noTenant(id) : done({ fingerprint, trigger });
  }
  const credential = await seal(
    deps,
    spec,
    { purpose, pair, member: named },
    {
      state: isProvedFirst(purpose, active?.origin === originFor(spec, purpose)) ? 'candidate' : 'active',
      handoffId: null,
    },
  );
  const console = purpose === 'umbrella-api' ? consoleIdentity(spec, pair.publicHalf) : undefined;
  const added = await desk.addCredential(id, credential, {
    ...(console === undefined ? {} : { consoleIdentity: console }),
    events: [receivedEvent(credential)],
    cause,
  });
  if (added.ok) return done({ fingerprint, trigger: added.trigger });
  switch (added.because) {
    case 'not-found':
      return noTenant(id);
    case 'deleting':
      return conflict(beingDeleted(id));
    case 'console-taken':
      return conflict(`${clashWords('console', id, added.by ?? 'another tenant')}. The pair was not kept.`);
  }
}

/** A key that replaces Parasol's own does the same reads before it takes over (rulings 23). */
const isProvedFirst = (purpose: Purpose, replaces: boolean): boolean =>
  purpose === 'integration' || (purpose === 'management' && replaces);

const beingDeleted = (id: string): string => `${id} is being deleted: it takes no more keys.`;

function replacementProblems(
  spec: TenantSpec,
  held: HeldCredential[],
  given: { purpose: Purpose; member: string | null; named: string | null; fingerprint: string },
): Problem[] {
  const { purpose, member, named, fingerprint } = given;
  const inUse = held.filter(isUsed);
  const problems: Problem[] = [];
  if (purpose === 'integration' && named === null) {
    problems.push({ path: 'member', message: memberProblem(spec) });
  }
  if (purpose !== 'integration' && member !== null) {
    problems.push({ path: 'member', message: 'goes with an integration key only' });
  }
  if (isOtherKeyOfCompany(inUse, purpose, fingerprint)) {
    problems.push({ path: 'publicKey', message: SAME_KEY });
  }
  if (purpose === 'automation' && automationOrigin(spec) === null) {
    problems.push({ path: 'secret', message: 'goes with a webhook, and the spec names none' });
  }
  return problems;
}

const isUsed = ({ state }: HeldCredential): boolean =>
  state === 'active' || state === 'proved' || state === 'candidate';

const SAME_KEY = 'is in use already: Parasol’s management key and Umbrella’s key are two keys of two members';

/**
 * Says that the work of a hand-off was done, with the pair that came of it where one is asked for. The pair is
 * sealed as a candidate before anything else; the same pair again is accepted once.
 */
export async function submitHandoff(
  deps: KeyDeps,
  id: string,
  submission: Parameters<Commands['submitHandoff']>[1],
): ReturnType<Commands['submitHandoff']> {
  const { desk, vault } = deps;
  const { by, pair, attest } = submission;
  const handoff = await desk.handoff(id);
  if (!handoff) return noHandoff(id);
  const record = await desk.tenant(handoff.tenantId);
  if (!record) return noHandoff(id);
  const { triggerSeq } = record.tenant;
  const spec = inSlots(record.tenant.spec, record.status?.memory.slots);
  const fingerprint = pair && vault.fingerprint(pair);
  // An automation's token is used once, whatever comes with it.
  if (by !== AUTOMATION && fingerprint !== null && wasAccepted(record, handoff, fingerprint)) {
    return done({ handoff, trigger: triggerSeq });
  }
  if (!isLive(handoff)) return ended(spec, handoff, pair !== null);
  if (record.tenant.deleting) {
    return conflict(`${spec.id} is being deleted.${pair ? ` ${notKept(spec, handoff)}` : ''}`);
  }
  const problems = submissionProblems(record, handoff, { fingerprint, attest });
  if (problems.length > 0) return invalid(problems);

  const candidate = await candidateOf(deps, record, handoff, pair);
  const submitted = await desk.submitHandoff(id, {
    by,
    attested: attest,
    candidate,
    events: [submittedEvent(handoff, by, attest, fingerprint)],
    cause: `hand-off submitted: ${handoff.kind}`,
  });
  if (submitted.ok) return done({ handoff: submitted.handoff, trigger: submitted.trigger });
  const { refusal } = submitted;
  if (refusal.because === 'state') return ended(spec, refusal.handoff, pair !== null);
  if (refusal.because === 'not-found') return noHandoff(id);
  return conflict(`${claimedWords(refusal.handoff)}${pair ? ` ${notKept(spec, handoff)}` : ''}`);
}

/** A lost answer makes a person submit again: the pair is there already. */
function wasAccepted({ credentials }: TenantRecord, handoff: Handoff, fingerprint: string): boolean {
  return credentials.some(
    (held) =>
      held.handoffId === handoff.id &&
      held.fingerprint === fingerprint &&
      (held.state === 'candidate' || held.state === 'proved' || held.state === 'active'),
  );
}

async function candidateOf(
  deps: KeyDeps,
  { tenant: { spec }, credentials }: TenantRecord,
  { id: handoffId, content }: Handoff,
  pair: KeyPair | null,
): Promise<NewCredential | null> {
  const { input } = content;
  if (!pair || !input) return null;
  const { purpose, member } = input;
  // Given by another way in the meantime: one proof of it is enough.
  if (waitingOf(spec, credentials, purpose, deps.vault.fingerprint(pair))) return null;
  return seal(deps, spec, { purpose, pair, member }, { state: 'candidate', handoffId });
}

function submissionProblems(
  { tenant: { spec }, credentials, status, rotation }: TenantRecord,
  { kind, content: { input } }: Handoff,
  { fingerprint, attest }: { fingerprint: string | null; attest: boolean },
): Problem[] {
  if (attest) {
    if (kind !== 'install-integration-key') {
      return [{ path: 'attest', message: `evidence shows ${kind}: no word can stand for it` }];
    }
    if (!canOnlyBeAttested(spec, status?.memory ?? { type: null, bursts: [] }, rotation)) {
      const message = 'Umbrella’s own writes will show it: say that it is done without attesting it';
      return [{ path: 'attest', message }];
    }
  }
  if (fingerprint === null) {
    return input ? [{ path: 'publicKey', message: `is asked for: the pair made ${madeWhere(input)}` }] : [];
  }
  if (!input) return [{ path: 'publicKey', message: 'no pair is asked for here, and it was not kept' }];
  const message = pairProblem(spec, credentials, input, fingerprint);
  return message === null ? [] : [{ path: 'publicKey', message }];
}

function pairProblem(
  spec: TenantSpec,
  held: HeldCredential[],
  { purpose, member }: { purpose: Purpose; member: string | null },
  fingerprint: string,
): string | null {
  const inUse = held.filter(isUsed);
  if (isOtherKeyOfCompany(inUse, purpose, fingerprint)) return SAME_KEY;
  const active = activeOf(held, purpose);
  if (active?.fingerprint === fingerprint) {
    return active.origin === originFor(spec, purpose)
      ? `is the pair in use already: make a new key ${madeWhere({ member })}`
      : null;
  }
  const spent = whySpent(held, purpose, fingerprint);
  return spent && `was given before, and ${spent}: make a new key ${madeWhere({ member })}`;
}

function submittedEvent(
  handoff: Handoff,
  by: string,
  attested: boolean,
  fingerprint: string | null,
): NewEvent {
  const { id, content, kind } = handoff;
  const message = attested
    ? `${by} vouches for it, and nothing shows it: ${content.title}`
    : fingerprint === null
      ? `${by} says that it is done: ${content.title}`
      : `${by} gave the pair ${fingerprint} for: ${content.title}`;
  return {
    type: 'HandoffSubmitted',
    message,
    data: { handoff: id, kind, by, attested, ...(fingerprint === null ? {} : { fingerprint }) },
  };
}

/** A late submission has a defined end: a person is told what to do with the key that was made (rulings 27). */
function ended(spec: TenantSpec, handoff: Handoff, withPair: boolean): Answer<never> {
  const { state, evidence } = handoff;
  const words = `This hand-off was ${state}${evidence === null ? '' : `: ${evidence}`}`.replace(
    /[^.]$/,
    '$&.',
  );
  return conflict(withPair ? `${words} ${notKept(spec, handoff)}` : words);
}

/** Where a pair that is asked for is made. */
const madeWhere = ({ member }: { member: string | null }): string =>
  member === null ? 'in Umbrella (Admin > API Keys)' : `on ${member}`;

function notKept(spec: TenantSpec, { content: { input }, subject }: Handoff): string {
  if (input?.purpose === 'umbrella-api') {
    return `The pair was not kept. Delete that key in Umbrella (Admin > API Keys), or, if it is to be used, give it with ${credentialCommand(spec, 'umbrella-api', null)}.`;
  }
  const member = input?.member ?? subject;
  return (
    `The pair was not kept. Delete that key in ConnectWise (System > Members > API Members > ${member} > ` +
    `API Keys), or, if it is to be used, give it with ${credentialCommand(spec, 'integration', member)}.`
  );
}

const claimedWords = ({ claimedBy, claimedAt }: Handoff): string =>
  `${claimedBy} claimed this hand-off${claimedAt === null ? '' : ` at ${claimedAt}`}: one person does it.`;

/** Why a hand-off could not be claimed or given back. */
export function handoffRefusal(id: string, refusal: HandoffRefusal): Answer<never> {
  switch (refusal.because) {
    case 'not-found':
      return noHandoff(id);
    case 'claimed-by-other':
      return conflict(claimedWords(refusal.handoff));
    case 'state': {
      const { state, submittedBy, evidence } = refusal.handoff;
      if (state === 'open') return conflict('Nobody claimed this hand-off.');
      if (state === 'submitted') return conflict(`${submittedBy} did it: Parasol looks for the evidence.`);
      return conflict(`This hand-off was ${state}: ${evidence ?? 'its work is no longer needed.'}`);
    }
  }
}
