import { describe, expect, test } from 'vitest';
import { judgeSuccessors } from '../../src/domain/successor.ts';
import type { KeyProof } from '../../src/domain/observation.ts';
import { alive, at, credential, dead, factsWith, seen, specWith, timeout } from './fixtures.ts';

const inUse = credential({ id: 'm-1', purpose: 'management', fingerprint: 'fp-m1', member: null });
const next = credential({
  id: 'm-2',
  purpose: 'management',
  state: 'candidate',
  fingerprint: 'fp-m2',
  member: null,
});
const own = (parts: Partial<KeyProof & { authenticates: true }> = {}) =>
  alive({
    credentialId: 'm-2',
    fingerprint: 'fp-m2',
    member: 'parasol',
    missing: [],
    unreadable: [],
    ...parts,
  });

const judged = (proof: KeyProof | null, facts = factsWith(), held = [inUse, next]) =>
  judgeSuccessors({
    spec: specWith(),
    facts: { ...facts, candidates: proof ? { 'm-2': seen(proof, at, 'm-2') } : {} },
    observedAt: at,
    credentials: held,
  }).map(({ credential: { id }, becomes, because }) => `${id} ${becomes}: ${because}`);

describe('the next one of Parasol’s own keys', () => {
  test.each<[string, KeyProof | null, RegExp]>([
    ['that did the same reads takes over', own(), /^m-2 active: it did the same reads/],
    ['that was not called yet waits', null, /^m-2 candidate: it could not be proved yet/],
    ['that ConnectWise refuses is dead', dead('m-2'), /^m-2 dead/],
    [
      'whose reads were not all answered waits',
      own({ unreadable: undefined as never }),
      /^m-2 candidate: what Parasol reads/,
    ],
    [
      'that may not read a list waits',
      own({ unreadable: ['API members'] }),
      /lacks what the key in use may: read API members/,
    ],
    [
      'that lacks a right waits',
      own({ missing: ['System/Members edit'] }),
      /lacks what the key in use may: System\/Members edit/,
    ],
    [
      'of the integration’s own member is refused',
      own({ member: 'umbrella-b' }),
      /^m-2 refused: it belongs to umbrella-b/,
    ],
  ])('%s', (_, proof, words) => {
    expect(judged(proof)).toEqual([expect.stringMatching(words)]);
  });

  test('may lack what the key in use lacks too', () => {
    const missing = ['System/Members edit'];
    const facts = factsWith({ management: { authenticates: true, member: 'parasol', missing } });
    expect(judged(own({ missing }), facts)).toEqual([expect.stringMatching(/^m-2 active/)]);
  });

  test('takes over from a dead one whatever it may', () => {
    const facts = factsWith({ management: { authenticates: false } });
    expect(judged(own({ missing: ['System/Members edit'] }), facts)).toEqual([
      expect.stringMatching(/^m-2 active/),
    ]);
  });

  test('does not take over by an older look', () => {
    const facts = {
      ...factsWith(),
      candidates: { 'm-2': { ...seen(own(), at, 'm-2'), observedAt: 'before' } },
    };
    const decisions = judgeSuccessors({
      spec: specWith(),
      facts,
      observedAt: at,
      credentials: [inUse, next],
    });
    expect(decisions.map(({ becomes }) => becomes)).toEqual(['candidate']);
  });
});

describe('the one before it', () => {
  const before = credential({ id: 'm-2', purpose: 'management', state: 'superseded', member: null });
  test.each<[string, KeyProof, RegExp]>([
    ['that is refused is dead', dead('m-2'), /^m-2 dead/],
    ['that works stays as it is', own(), /^m-2 superseded: it was not seen dead/],
  ])('%s', (_, proof, words) => {
    expect(judged(proof, factsWith(), [inUse, before])).toEqual([expect.stringMatching(words)]);
  });

  test('stays as it is in bad weather', () => {
    const facts = {
      ...factsWith(),
      candidates: { 'm-2': { failure: { failure: timeout, at, credentialId: 'm-2' } } },
    };
    const decisions = judgeSuccessors({
      spec: specWith(),
      facts,
      observedAt: at,
      credentials: [inUse, before],
    });
    expect(decisions.map(({ becomes }) => becomes)).toEqual(['superseded']);
  });
});
