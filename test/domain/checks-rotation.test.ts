import { describe, expect, it, test } from 'vitest';
import { rotationHealthy } from '../../src/domain/checks-rotation.ts';
import { ready, type Circumstances } from '../../src/domain/condition.ts';
import type { Notice, Rotation } from '../../src/domain/rotation.ts';
import { told as asRead } from '../../src/domain/told.ts';
import { horizonsOf, type Look } from '../../src/domain/verdict.ts';
import { evaluate } from '../../src/domain/condition.ts';
import {
  ago,
  candidateWith,
  circumstances,
  credential,
  DAY,
  heldButIntegration,
  HOUR,
  noMemory,
  specWith,
} from './fixtures.ts';
import { endedAs, FRESH, LIVE_PHASES, OLD, rotationIn } from './rotation-fixtures.ts';

const told = (parts: Partial<Circumstances>): string => {
  const at = circumstances(parts);
  const look: Look = { ...at, horizons: horizonsOf(at.spec, at.now) };
  const { status, reason, message } = rotationHealthy(look);
  return `${status} ${reason}: ${asRead(message, at.now)}`;
};
const notice = (kind: Notice['kind']): Partial<Rotation> => ({
  notices: [{ kind, at: ago(HOUR), message: `It is so: ${kind}.` }],
});
const late = { since: ago(3 * DAY + HOUR) };
const old = { credentials: [...heldButIntegration(), credential({ createdAt: ago(91 * DAY) })] };
const alive = { credentials: [credential(), candidateWith({ state: 'refused', lastProvedAt: ago(DAY) })] };
const remembering = (phase: Rotation['phase']) => ({
  memory: {
    ...noMemory(),
    lastRotation: { id: 'r', phase, endedAt: ago(2 * DAY), outcome: 'All was seen.' },
  },
});

describe('RotationHealthy', () => {
  test.each<[string, Partial<Circumstances>, RegExp]>([
    ['no rotation', {}, /^True NoRotation/],
    ['one that completed', remembering('Completed'), /^True Completed: .*ended 2d ago\. All was seen\.$/],
    ['one that ended unproved', remembering('RetirementUnproved'), /^True RetirementUnproved/],
    ['one that was rolled back', remembering('RolledBack'), /^True RolledBack/],
    ['one that failed', remembering('Failed'), /^False RotationFailed: .*All was seen/],
    [
      'one that ended just now, rather than the one before it',
      { rotation: endedAs('Completed', 'It is done.'), ...remembering('Failed') },
      /^True Completed: .*It is done/,
    ],
    ['a key that is too old, and nothing under way', old, /^False Overdue: .*fp-1 .*maxAge \(90d\)/],
    [
      'a key that is too old, and a rotation under way',
      { ...old, rotation: rotationIn('Pending') },
      /^True UnderWay/,
    ],
    ['a key that is too old, after a rotation', { ...old, ...remembering('RolledBack') }, /^False Overdue/],
    ['a pair that was in use, was refused and works', alive, /^False RetiredKeyAlive: .*fp-2/],
    [
      'that one also beside a rotation',
      { ...alive, rotation: rotationIn('Overlap') },
      /^False RetiredKeyAlive/,
    ],
    [
      'a pair that was refused before it was used',
      { credentials: [credential(), candidateWith({ state: 'refused' })] },
      /^True NoRotation/,
    ],
    [
      'an adoption that is overdue',
      { rotation: rotationIn('AwaitingAdoption', notice('AdoptionOverdue')) },
      /^False AdoptionOverdue: It is so/,
    ],
    [
      'an adoption that was overdue, and came',
      { rotation: rotationIn('Overlap', notice('AdoptionOverdue')) },
      /^True UnderWay/,
    ],
    [
      'an old key that is still used',
      { rotation: rotationIn('Overlap', notice('OldKeyStillUsed')) },
      /^True OldKeyStillUsed: .*It is so/,
    ],
    [
      'an old key that works though its member is off',
      { rotation: rotationIn('RetiringOld', notice('OldKeyAlive')) },
      /^False OldKeyAlive: It is so/,
    ],
    [
      'a rotation in a tenant that is paused',
      { rotation: rotationIn('Overlap'), spec: specWith({ mode: 'repair', paused: true }) },
      /^False Held: Overlap since 1h: the tenant is paused\. Nothing more is done/,
    ],
    [
      'a rotation in mode observe',
      { rotation: rotationIn('AwaitingKey'), spec: specWith({ mode: 'observe' }) },
      /^False Held: .*mode observe writes nothing/,
    ],
    ...(['AwaitingKey', 'AwaitingInstall', 'RetiringOld'] as const).map(
      (phase): [string, Partial<Circumstances>, RegExp] => [
        `a person who lets ${phase} wait for longer than was said`,
        { rotation: rotationIn(phase, late) },
        /^False HandoffOverdue: .* since 3d 1h: .*within 72h/,
      ],
    ),
    ...(['Pending', 'PreparingMember', 'Verifying', 'AwaitingAdoption', 'Overlap'] as const).map(
      (phase): [string, Partial<Circumstances>, RegExp] => [
        `${phase} for as long, which waits for nobody`,
        { rotation: rotationIn(phase, late) },
        /^True UnderWay/,
      ],
    ),
    [
      'its keys, by name',
      { rotation: rotationIn('AwaitingInstall') },
      /^True UnderWay: AwaitingInstall since 1h: fp-1 → fp-2\.$/,
    ],
    [
      'a key that is not there yet',
      { rotation: rotationIn('AwaitingKey') },
      /fp-1 → a new key of umbrella-b\.$/,
    ],
    [
      'a first key',
      { rotation: rotationIn('AwaitingKey', { old: null, target: null }) },
      /no key → a new key of a member\.$/,
    ],
    [
      'a rollback',
      { rotation: rotationIn('Overlap', { reversed: true, old: { ...OLD, ...FRESH }, fresh: OLD }) },
      /fp-2 → fp-1\.$/,
    ],
  ])('of %s', (_, parts, expected) => {
    expect(told({ spec: specWith({ mode: 'repair' }), ...parts })).toMatch(expected);
  });

  it('does not make a tenant unready while a rotation is under way', () => {
    for (const phase of LIVE_PHASES) {
      const at = circumstances({ spec: specWith({ mode: 'repair' }), rotation: rotationIn(phase) });
      expect(ready(evaluate(at, 1, []))).toBe('True');
    }
  });
});
