import type { Verdict } from './condition.ts';
import type { HeldCredential } from './credential.ts';
import { activeKey } from './drift.ts';
import { formatSpan, toMs } from './duration.ts';
import { allWrites, expectedWrites, newestWrite, provedCadence, type Write } from './evidence.ts';
import { whyNoWrite } from './ground.ts';
import { expectedMembers, sameIdentifier, slotOf, type Purpose } from './tenant.ts';
import { ago, remaining } from './told.ts';
import { ageOf, isAhead, metLately, no, pairInUse, standing, unknown, yes, type Look } from './verdict.ts';

/** What Umbrella shows of its keys, and what ConnectWise shows of Umbrella's work. */

const give = ({ spec }: Look, purpose: Purpose): string =>
  `give it with \`parasol credential ${spec.id} ${purpose}\``;

/** A token that Umbrella refuses flips it at once (rulings 2). */
export function umbrellaKeyValid(look: Look): Verdict {
  const { facts } = look;
  const key = pairInUse(look, 'umbrella-api');
  if (!key) return no('NoKey', `Parasol holds no Umbrella key: ${give(look, 'umbrella-api')}.`);
  const access = standing(look, facts.umbrellaAccess, { of: 'umbrella', what: 'The Umbrella key', key });
  if (access.verdict) return access.verdict;
  const { seen } = access;
  if (!access.value.accepted) {
    return no(
      'Refused',
      `Umbrella refuses the key ${key.fingerprint} (${seen}): make a new one in Admin > API Keys and ${give(look, 'umbrella-api')}.`,
    );
  }
  if (metLately(look, facts.customers, 'Forbidden', { key, of: 'umbrella' })) {
    return no(
      'MissingScope',
      `The Umbrella key ${key.fingerprint} may not list customers: give it the scope for that in Admin > API Keys.`,
    );
  }
  const what = "The Umbrella key's list of customers";
  const customers = standing(look, facts.customers, { of: 'umbrella', what, key });
  if (customers.verdict) return customers.verdict;
  return expiryVerdict(look, key, seen);
}

function expiryVerdict(look: Look, key: HeldCredential, seen: string): Verdict {
  const expiry = expiryOf(look, key);
  if ('verdict' in expiry) return expiry.verdict;
  const own = ownExpiryVerdict(look, key, seen, expiry);
  return own.status === 'True' ? (adminExpiring(look) ?? own) : own;
}

/** What rotates the Umbrella key must not expire first; it lists itself (rulings 22). */
function adminExpiring(look: Look): Verdict | null {
  const admin = pairInUse(look, 'umbrella-key-admin');
  const { umbrellaAdminKey: listed } = look.facts;
  const at = listed?.value?.expiresAt;
  if (!admin || !at || listed.credentialId !== admin.id) return null;
  const left = -ageOf(look, at);
  if (left > toMs(look.spec.umbrella.expiryWarning)) return null;
  return no(
    'KeyAdminExpiring',
    `The KeyAdmin key ${admin.fingerprint} ${left <= 0 ? `expired on ${at}` : `expires in ${remaining(at)}`}, and nobody but a person can make another: make it in Admin > API Keys and ${give(look, 'umbrella-key-admin')}.`,
  );
}

function ownExpiryVerdict(
  look: Look,
  key: HeldCredential,
  seen: string,
  expiry: { at: string | null; told: string },
): Verdict {
  const { spec } = look;
  const works = `Gets a token and lists customers, seen ${seen}`;
  if (expiry.at === null) return yes('Valid', `${works}; never expires (${expiry.told}).`);
  const left = -ageOf(look, expiry.at);
  const byItself = pairInUse(look, 'umbrella-key-admin') !== null && whyNoWrite(look) === null && left > 0;
  const anew = byItself
    ? 'it is rotated before that, once every tenant that shares it is in mode repair'
    : `make a new one in Admin > API Keys and ${give(look, 'umbrella-api')}`;
  if (left <= 0) {
    return no('Expired', `The Umbrella key expired on ${expiry.at} (${expiry.told}): ${anew}.`);
  }
  if (left <= toMs(spec.umbrella.expiryWarning)) {
    return no('Expiring', `The Umbrella key expires in ${remaining(expiry.at)} (${expiry.told}): ${anew}.`);
  }
  return yes('Valid', `${works}; expires in ${remaining(expiry.at)} (${expiry.told}).`);
}

/** When the key expires (null: never) and who told; or why that is not known. */
function expiryOf(
  look: Look,
  key: HeldCredential,
): { at: string | null; told: string } | { verdict: Verdict } {
  const { spec, facts } = look;
  const admin = pairInUse(look, 'umbrella-key-admin');
  const declared = spec.umbrella.apiKeyExpires;
  if (!admin) {
    if (declared !== undefined) {
      return {
        at: declared === 'never' ? null : declared,
        told: 'declared as umbrella.apiKeyExpires, not seen',
      };
    }
    return {
      verdict: unknown(
        'ExpiryNotVisible',
        'Only a KeyAdmin key shows when the key expires: give umbrella.keyAdmin, or declare umbrella.apiKeyExpires.',
      ),
    };
  }
  const what = 'The KeyAdmin key';
  const access = standing(look, facts.umbrellaKeyAdmin, { of: 'umbrella', what, key: admin });
  if (access.verdict) return access;
  if (!access.value.accepted) {
    return {
      verdict: no(
        'KeyAdminRefused',
        `Umbrella refuses the KeyAdmin key ${admin.fingerprint} (${access.seen}): make a new one in Admin > API Keys and ${give(look, 'umbrella-key-admin')}.`,
      ),
    };
  }
  const listed = standing(look, facts.umbrellaKey, {
    of: 'umbrella',
    what: 'The expiry of the Umbrella key',
    key,
  });
  if (listed.verdict) return listed;
  if (listed.value === null) {
    return {
      verdict: unknown(
        'KeyNotListed',
        `The KeyAdmin key does not list the key ${key.fingerprint} in use (${listed.seen}): give a KeyAdmin key of the same organisation.`,
      ),
    };
  }
  return { at: listed.value.expiresAt, told: `told by the KeyAdmin key, ${listed.seen}` };
}

/**
 * Umbrella's own writes are dated, so that each is evidence of its own age: True while the newest is younger
 * than `staleAfter`, whenever it was read. False needs a complete look, and a cadence that was proved (rulings 3).
 */
export function umbrellaIntegrated(look: Look): Verdict {
  const { spec, facts, memory } = look;
  const staleAfter = toMs(spec.integration.staleAfter);
  const seen = facts.writes?.value ? expectedWrites(spec, facts.writes.value) : [];
  const newest = newestWrite(
    spec,
    memory,
    seen.filter(({ at }) => !isAhead(look, at)),
  );
  if (newest && ageOf(look, newest.at) <= staleAfter) {
    return yes('Writing', `${wrote(newest)}${withOldKey(look, newest)}; ${coverage(look)}.`);
  }
  if (spec.integration.nothingMapped) {
    return unknown(
      'NothingMapped',
      'Declared as integration.nothingMapped: no customer is mapped, so that nothing is to be seen.',
    );
  }
  const ahead = seen.find(({ at }) => isAhead(look, at));
  if (ahead) {
    return unknown(
      'ClockSkew',
      `A write by ${ahead.by} is dated ${ahead.at}, which is ahead of this clock: check the clocks.`,
    );
  }
  const last = newest ? ` ${wrote(newest)}.` : '';
  const what = 'What Umbrella writes in ConnectWise';
  const { verdict, value: writes } = standing(look, facts.writes, { of: 'settings', what });
  if (verdict) return { ...verdict, message: `${verdict.message}${last}` };

  const members = expectedMembers(spec).join(' or ');
  const stranger = strangerWriting(look, newest);
  if (stranger) {
    return no(
      'WrongMember',
      `${stranger.count} of ${stranger.of} configurations were last written by ${stranger.by}, ${ago(stranger.at)}, not by ${members}.${last} Put this integration's key into Umbrella's PSA Integration Details.`,
    );
  }
  const { configurationType } = spec.integration;
  if (configurationType !== '*' && writes.type === null) {
    return unknown(
      'TypeNotFound',
      `ConnectWise shows no configuration type ${configurationType}: check integration.configurationType.${last}`,
    );
  }
  if (!newest) {
    const part = writes.complete
      ? ''
      : ' Not all configurations were looked at: name integration.configurationType.';
    return unknown(
      'NeverSeen',
      `No write by ${members} was ever seen: check Umbrella's PSA Integration Details, map a customer, or declare integration.nothingMapped.${part}`,
    );
  }
  const cadence = provedCadence(memory.bursts);
  if (cadence === null) {
    return unknown(
      'CadenceUnproved',
      `${wrote(newest)}, longer ago than ${spec.integration.staleAfter}; how often it writes is not known yet.`,
    );
  }
  if (ageOf(look, newest.at) <= cadence * 1.5) {
    return unknown(
      'WithinCadence',
      `${wrote(newest)}; pauses of ${formatSpan(cadence)} were seen before. If that is usual, raise integration.staleAfter.`,
    );
  }
  if (!writes.complete || seen.length === 0) {
    return unknown(
      'AbsenceNotBelieved',
      `${wrote(newest)}, and what was looked at since does not show its earlier writes either: let the management key read all configurations.`,
    );
  }
  return no(
    'Silent',
    `${wrote(newest)}; it used to write at least every ${formatSpan(cadence)}. Look at Umbrella's PSA Integration Details, and put the key in use there again.`,
  );
}

const wrote = ({ by, at }: Write): string => `${by} last wrote ${ago(at)}`;

/** Umbrella may go on with the key before the one in use; that is evidence, and is told. */
function withOldKey({ credentials }: Look, { by }: Write): string {
  const member = activeKey(credentials)?.member;
  return member && !sameIdentifier(member, by) ? `, though the key in use is of ${member}` : '';
}

/**
 * Somebody else who wrote most of the configurations since the newest write of our members: a technician's
 * edit of some rows says nothing (rulings 3).
 */
function strangerWriting(
  look: Look,
  newest: Write | null,
): { by: string; at: string; count: number; of: number } | null {
  const { spec, facts } = look;
  const staleAfter = toMs(spec.integration.staleAfter);
  const writes = facts.writes?.value;
  if (!writes?.type) return null;
  const recent = allWrites(writes).filter(
    ({ at, by }) =>
      slotOf(spec, by) === null &&
      !isAhead(look, at) &&
      ageOf(look, at) <= staleAfter &&
      (!newest || at > newest.at),
  );
  const of = writes.configurations.length;
  for (const { by, at } of recent) {
    const count = recent.filter((other) => sameIdentifier(other.by, by)).length;
    if (count >= 2 && count * 2 > of) return { by, at, count, of };
  }
  return null;
}

function coverage(look: Look): string {
  const { spec, facts } = look;
  const configurations = facts.writes?.value ? expectedWrites(spec, facts.writes.value).length : 0;
  const customers = facts.customers?.value?.length;
  return `${configurations} configurations${customers === undefined ? '' : ` for ${customers} customers`}`;
}
