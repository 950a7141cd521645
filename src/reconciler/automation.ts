import { createHash } from 'node:crypto';
import type { Logger } from 'pino';
import {
  automationAnswerSchema,
  publicKeyFor,
  requestOf,
  type AutomationAnswer,
} from '../domain/automation.ts';
import type { AutomationRequest } from '../domain/automation.ts';
import { toMs } from '../domain/duration.ts';
import { AUTOMATION, type Handoff } from '../domain/handoff.ts';
import type { KeyPair } from '../domain/secret.ts';
import { conflict, done, invalid, refused } from './answers.ts';
import type { ApplyDeps } from './apply.ts';
import type { Answer } from './commands.ts';
import type {
  AutomationCalls,
  Clock,
  Deliveries,
  DeliveryQueue,
  Departure,
  Envelopes,
  SealedCredential,
  SealedFor,
  Vault,
} from './ports.ts';
import { submitHandoff } from './submissions.ts';

/**
 * Work that a tenant's automation does in place of a person:
 *
 *   the run that opens the hand-off ─queues─▶ begin: committed that it leaves ─▶ signed request
 *                                                        ▲                            │
 *                                                        └─ later, again ─ no answer ─┤
 *                 answered at once, or later with a one-time token ◀─ 202, or 200 ────┘
 *                                  │
 *                                  ▼
 *            as a person's submission: the pair is sealed first, and evidence closes the hand-off
 *
 * Whatever fails for good goes to people.
 */
export interface AutomationDeps extends ApplyDeps {
  deliveries: Deliveries;
  envelopes: Envelopes;
  clock: Clock;
}

export interface DeliveryDeps extends AutomationDeps {
  calls: AutomationCalls;
  log: Logger;
  /** Where automations reach this service: `https://parasol.example`. */
  publicUrl: string;
}

type Handlers = Parameters<DeliveryQueue['work']>[0];
type Ended = Awaited<ReturnType<Handlers['deliver']>>;

/** Work that may not leave now is looked at again after this time. */
const HELD_MS = toMs('1m');

/** What the queue of deliveries is worked on with. */
export function deliveryHandlers(deps: DeliveryDeps): Handlers {
  const { deliveries } = deps;
  return {
    deliver: (handoffId) => deliver(deps, handoffId),
    async bury(handoffId) {
      const due = await deliveries.read(handoffId);
      if (!due) return;
      const { attempts, error } = due.handoff.automation!;
      const times = attempts === 1 ? 'after one attempt' : `after ${attempts} attempts`;
      await deliveries.toPeople(handoffId, `${error ?? 'it could not be reached'}, ${times}`);
    },
  };
}

async function deliver(deps: DeliveryDeps, handoffId: string): Promise<Ended> {
  const { deliveries, clock, log } = deps;
  const due = await deliveries.read(handoffId);
  // After the deadline the next run gives it to people.
  if (!due || Date.parse(due.handoff.deadline) < clock.now().getTime()) return 'done';
  const begun = await deliveries.begin(
    handoffId,
    due.hasAnswerKey ? null : await newAnswerKey(deps, due.handoff),
  );
  if (!begun.go) return begun.because === 'settled' ? 'done' : { laterMs: HELD_MS };
  const { handoff } = begun.departure;
  const { body, secrets } = await requestFor(deps, begun.departure);
  const { webhook } = handoff.automation!;
  const delivered = await deps.calls.post(webhook, { id: handoffId, at: clock.now(), body, secrets });
  const words = {
    handoff: handoffId,
    tenant: handoff.tenantId,
    kind: handoff.kind,
    outcome: delivered.outcome,
  };
  log.info(words, 'work was sent to an automation');
  switch (delivered.outcome) {
    case 'accepted':
      await deliveries.accepted(handoffId);
      return 'done';
    case 'answered': {
      const parsed = automationAnswerSchema.safeParse(delivered.body);
      if (parsed.success) await take(deps, handoff, begun.departure.answerKey, parsed.data);
      else await deliveries.toPeople(handoffId, 'its answer is not as it must be');
      return 'done';
    }
    case 'refused':
    case 'unavailable':
      await deliveries.attemptFailed(handoffId, delivered.why);
      return { failed: delivered.outcome === 'refused' ? 'for-good' : 'once' };
  }
}

/** What an answer's token and key are sealed for: this hand-off, and this address. */
const boundTo = ({ id, tenantId, automation }: Handoff): SealedFor => ({
  tenantId,
  credentialId: id,
  purpose: 'automation',
  origin: new URL(automation?.webhook ?? '').origin,
});

const hashOf = (token: string): string => createHash('sha256').update(token).digest('hex');

async function newAnswerKey(
  { vault, envelopes }: Pick<DeliveryDeps, 'vault' | 'envelopes'>,
  handoff: Handoff,
): Promise<{ tokenHash: string; sealed: string }> {
  const { token, key } = await envelopes.oneTime();
  const sealed = await vault.seal({ publicHalf: token, privateHalf: key }, boundTo(handoff));
  return { tokenHash: hashOf(token), sealed };
}

/** The body, and what signs it. Each of the pairs that it needs is opened for this alone (rulings 25). */
async function requestFor(
  { vault, envelopes, publicUrl }: DeliveryDeps,
  { handoff, spec, signing, answerKey, subject }: Departure,
) {
  const { kind, deadline, tenantId, content } = handoff;
  const { publicHalf: token, privateHalf: key } = await vault.open(answerKey, boundTo(handoff));
  const pem = publicKeyFor(spec, kind);
  const pair = subject && pem ? await opened(vault, tenantId, subject) : null;
  const secret =
    pair && pem && kind !== 'issue-integration-key'
      ? await envelopes.sealFor(pem, secretOf(kind, pair))
      : null;
  const request: AutomationRequest = {
    ...requestOf(handoff, spec, subject?.credential.member ?? null),
    respond: { url: `${publicUrl}/automation/answers`, token, expiresAt: deadline },
    ...(content.input ? { encryptTo: envelopes.publicHalfOf(key) } : {}),
    ...(secret === null ? {} : { secret }),
  };
  const secrets = await Promise.all(signing.map((one) => opened(vault, tenantId, one)));
  return { body: JSON.stringify(request), secrets: secrets.map(({ privateHalf }) => privateHalf) };
}

/** Who deletes a key finds it by its public half; only who puts one in needs both. */
const secretOf = (kind: Handoff['kind'], { publicHalf, privateHalf }: KeyPair) => ({
  publicKey: publicHalf,
  ...(kind === 'install-integration-key' ? { privateKey: privateHalf } : {}),
});

function opened(vault: Vault, tenantId: string, { credential, sealed }: SealedCredential): Promise<KeyPair> {
  const { id: credentialId, purpose, origin } = credential;
  return vault.open(sealed, { tenantId, credentialId, purpose, origin });
}

/**
 * An answer that comes later, with the token of its request. Who has no such token, an old one, or comes late, is
 * told no more than that.
 */
export async function answerAutomation(
  deps: AutomationDeps,
  token: string,
  answer: AutomationAnswer,
): Promise<Answer<{ taken: true }>> {
  const found = await deps.deliveries.answerable(hashOf(token), deps.clock.now());
  if (!found.ok) {
    switch (found.because) {
      case 'unknown':
        return refused({ kind: 'not-found', what: 'Nothing waits for this answer.' });
      case 'answered':
        return conflict('This was answered before.');
      case 'late':
        return refused({ kind: 'gone', message: 'This answer comes too late.' });
    }
  }
  return take(deps, found.handoff, found.answerKey, answer);
}

/** An answer goes exactly the way of a person's submission; one that cannot be used gives the work to people. */
async function take(
  deps: AutomationDeps,
  handoff: Handoff,
  answerKey: string,
  answer: AutomationAnswer,
): Promise<Answer<{ taken: true }>> {
  const { deliveries, vault, envelopes } = deps;
  const { id, content } = handoff;
  if (!answer.done) {
    await deliveries.toPeople(id, `it says: ${answer.reason}`);
    return done({ taken: true });
  }
  const unusable = async (why: string) => {
    await deliveries.toPeople(id, why);
    return invalid([{ path: 'pair', message: `${why}; people do the work now` }]);
  };
  if (content.input && answer.pair === undefined) return unusable('it answered without the pair');
  if (!content.input && answer.pair !== undefined) return unusable('it gave a pair that nobody asked for');
  const { privateHalf: key } = await vault.open(answerKey, boundTo(handoff));
  const pair = answer.pair === undefined ? null : await envelopes.open(answer.pair, key);
  if (answer.pair !== undefined && !pair) {
    return unusable('its pair is not encrypted to the key of the request');
  }
  const submitted = await submitHandoff(deps, id, { by: AUTOMATION, pair, attest: false });
  if (submitted.ok) return done({ taken: true });
  const { refusal } = submitted;
  if (refusal.kind !== 'invalid') return refused({ kind: 'gone', message: 'This answer comes too late.' });
  const [problem] = refusal.problems;
  return unusable(`its pair cannot be used: it ${problem?.message ?? 'was refused'}`);
}
