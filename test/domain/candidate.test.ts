import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { judgeCandidates, type CandidateGround } from '../../src/domain/candidate.ts';
import type { HeldCredential } from '../../src/domain/credential.ts';
import { remember, type Facts, type KeyProof } from '../../src/domain/observation.ts';
import {
  ago,
  alive,
  at,
  candidateWith,
  credential,
  credentialsOf,
  dead,
  factsOf,
  factsWith,
  failing,
  held,
  heldButIntegration,
  HOUR,
  memberWith,
  MINUTE,
  noMemory,
  observationOf,
  PARASOL,
  rowsWith,
  seen,
  specOf,
  specWith,
  timeout,
  weather,
} from './fixtures.ts';

const given = (parts: Partial<KeyProof & { authenticates: true }> = {}) =>
  alive({ credentialId: 'key-2', fingerprint: 'fp-2', ...parts });
const proved = (proof: KeyProof, when = at): Facts['candidates'] => ({ 'key-2': seen(proof, when, 'key-2') });

const ground = (candidates: Facts['candidates'], parts: Partial<CandidateGround> = {}): CandidateGround => ({
  rotation: null,
  mayRotate: true,
  accepted: [],
  memory: noMemory(),
  spec: specWith(),
  facts: { ...factsWith(), candidates },
  observedAt: at,
  credentials: [...heldButIntegration(), candidateWith()],
  ...parts,
});
const becoming = (seen: CandidateGround) =>
  judgeCandidates(seen).map(({ credential: { id }, becomes }) => `${id} ${becomes}`);
/** What becomes of the one pair that is judged, and why. */
const judged = (seen: CandidateGround): string => {
  const decisions = judgeCandidates(seen);
  expect(decisions).toHaveLength(1);
  return `${decisions[0]!.becomes}: ${decisions[0]!.because}`;
};
const offMember = { members: seen({ items: [PARASOL, memberWith({ inactive: true })], controlSeen: true }) };

describe('a pair that was given', () => {
  const withLevel = (name: string, right: 'edit' | 'inquire', to: 'None' | 'All') =>
    proved(given({ levels: rowsWith(name, right, to) }));

  test.each<[string, CandidateGround, RegExp]>([
    [
      'that is exactly as specified becomes the key in use',
      ground(proved(given())),
      /^active: it authenticates as umbrella-a/,
    ],
    ['is kept while it was not proved', ground({}), /^candidate: it could not be proved yet/],
    [
      'is kept in bad weather',
      ground({ 'key-2': failing(timeout, at, 'key-2') }),
      /^candidate: it could not/,
    ],
    [
      'is kept where its proof is of an hour ago',
      ground(proved(given(), ago(HOUR))),
      /^candidate: it could not/,
    ],
    ['that is refused is dead', ground(proved(dead('key-2'))), /^dead: ConnectWise refuses it/],
    [
      'that is refused is kept while its member is inactive',
      { ...ground({}), facts: { ...factsWith(), ...offMember, candidates: proved(dead('key-2')) } },
      /^candidate: .*while umbrella-a is not seen active/,
    ],
    [
      'that is refused is kept while its member was not seen',
      { ...ground({}), facts: { ...factsWith({ members: undefined }), candidates: proved(dead('key-2')) } },
      /^candidate: .*says nothing/,
    ],
    [
      'is kept where its member was not told',
      ground(proved(given({ member: null }))),
      /^candidate: .*whose key/,
    ],
    [
      'of a stranger is refused',
      ground(proved(given({ member: 'somebody' }))),
      /^refused: it belongs to somebody, not to umbrella-a/,
    ],
    [
      'of the other slot than it was given for is refused',
      ground(proved(given({ member: 'umbrella-b' }))),
      /^refused: it belongs to umbrella-b, not to umbrella-a/,
    ],
    [
      'of the other slot, given for that one, becomes the key in use',
      ground(proved(given({ member: 'umbrella-b' })), {
        credentials: [...heldButIntegration(), candidateWith({ member: 'UMBRELLA-B' })],
      }),
      /^active/,
    ],
    [
      'given for no member in particular, is for that of the slot in use',
      ground(proved(given({ member: 'umbrella-b' })), {
        credentials: [
          ...heldButIntegration(),
          credential({ member: 'umbrella-b' }),
          candidateWith({ member: null }),
        ],
      }),
      /^active/,
    ],
    [
      'of a member that the spec no longer names is refused',
      ground(proved(given({ member: 'old-a' })), {
        credentials: [...heldButIntegration(), candidateWith({ member: 'old-a' })],
      }),
      /^refused: .*old-a/,
    ],
    [
      'that is too weak is kept',
      ground(withLevel('Companies/Configurations', 'edit', 'None')),
      /^candidate: its levels are too weak/,
    ],
    [
      'that is too strong is kept',
      ground(withLevel('Finance/Invoicing', 'inquire', 'All')),
      /^candidate: its levels are too strong/,
    ],
    [
      'is kept while its allow list could not be read',
      ground(proved(given({ allowList: null }))),
      /^candidate: its allow list/,
    ],
    [
      'is kept while its allow list differs',
      ground(proved(given({ allowList: [] }))),
      /^candidate: the allow list is to be set/,
    ],
  ])('%s', (_, seen, expected) => {
    expect(judged(seen)).toMatch(expected);
  });
});

describe('a pair that was refused', () => {
  const refused = { credentials: [...held(), candidateWith({ state: 'refused' as const })] };

  test.each<[string, CandidateGround, string]>([
    ['stays so while it works, however well', ground(proved(given()), refused), 'refused'],
    ['stays so in bad weather', ground({ 'key-2': failing(timeout, at, 'key-2') }, refused), 'refused'],
    [
      'stays so where it was seen dead an hour ago',
      ground(proved(dead('key-2'), ago(HOUR)), refused),
      'refused',
    ],
    ['is dead once ConnectWise refuses it', ground(proved(dead('key-2')), refused), 'dead'],
    [
      'stays so while its member is inactive: that says nothing of the key',
      { ...ground({}, refused), facts: { ...factsWith(), ...offMember, candidates: proved(dead('key-2')) } },
      'refused',
    ],
  ])('%s', (_, seen, expected) => {
    expect(becoming(seen)).toEqual([`key-2 ${expected}`]);
  });
});

describe('of several pairs', () => {
  const older = candidateWith({ id: 'key-3', fingerprint: 'fp-3', createdAt: ago(HOUR) });
  const newer = candidateWith({ createdAt: ago(MINUTE) });
  const both = (first: KeyProof, second: KeyProof, credentials = [older, newer]) =>
    ground(
      { 'key-2': seen(first), 'key-3': seen(second) },
      { credentials: [...heldButIntegration(), ...credentials] },
    );
  const second = given({ credentialId: 'key-3' });

  it('the newest that qualifies becomes the key in use, and the others are refused', () => {
    expect(becoming(both(given(), second))).toEqual(['key-2 active', 'key-3 refused']);
  });

  it('an older one becomes it where the newer does not qualify', () => {
    expect(becoming(both(given({ allowList: [] }), second))).toEqual(['key-2 candidate', 'key-3 active']);
  });

  it('one that does not qualify is kept beside the one that does', () => {
    expect(becoming(both(given(), given({ credentialId: 'key-3', allowList: null })))).toEqual([
      'key-2 active',
      'key-3 candidate',
    ]);
  });

  it('given at the same moment, one is chosen, whatever their order', () => {
    const twin = { ...older, createdAt: newer.createdAt };
    const expected = ['key-3 active', 'key-2 refused'];
    expect(becoming(both(given(), second, [twin, newer]))).toEqual(expected);
    expect(becoming(both(given(), second, [newer, twin]))).toEqual(expected);
  });

  it('neither the key in use nor a pair of the past is judged, nor a key of another purpose', () => {
    const others: HeldCredential[] = [
      ...held(),
      candidateWith({ id: 'key-4', state: 'superseded' }),
      candidateWith({ id: 'key-5', state: 'dead' }),
      candidateWith({ id: 'key-6', purpose: 'umbrella-api' }),
    ];
    expect(becoming(ground({}, { credentials: others }))).toEqual([]);
  });
});

describe('whatever is known', () => {
  const seenOf = fc
    .record({ spec: specOf, facts: factsOf(), credentials: credentialsOf })
    .map((parts): CandidateGround => ({
      ...parts,
      observedAt: at,
      accepted: [],
      rotation: null,
      mayRotate: true,
      memory: noMemory(),
    }));

  it('weather neither promotes nor refuses a pair', () => {
    fc.assert(
      fc.property(seenOf, weather, (known, failure) => {
        const later = 'a later observation';
        const facts = remember(known.facts, {
          ...observationOf(known.facts, () => failure, at),
          at: later,
        });
        for (const { credential: before, becomes } of judgeCandidates({
          ...known,
          facts,
          observedAt: later,
        })) {
          expect(becomes).toBe(before.state);
        }
      }),
    );
  });

  it('a pair becomes the key in use only by a proof of this observation, as one of the tenant’s members', () => {
    fc.assert(
      fc.property(seenOf, (known) => {
        for (const {
          credential: { id },
          becomes,
        } of judgeCandidates(known)) {
          if (becomes !== 'active') continue;
          const proof = known.facts.candidates[id];
          expect([proof?.observedAt, proof?.failure]).toEqual([at, undefined]);
          expect(proof?.value).toMatchObject({
            authenticates: true,
            member: expect.stringMatching(/^umbrella-[ab]$/i),
          });
        }
      }),
      { numRuns: 500 },
    );
  });
});
