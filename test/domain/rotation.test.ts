import { spreadOf } from '../../src/domain/tenant.ts';
import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import {
  deadlineOf,
  dueAt,
  isOver,
  next,
  overlaps,
  requested,
  ROTATION_PHASES,
  waitsFor,
  type Notice,
  type Rotation,
  type Sight,
  type Wish,
} from '../../src/domain/rotation.ts';
import { ago, at, DAY, HOUR, MINUTE } from './fixtures.ts';
import { endedAs, FRESH, given, LIVE_PHASES, OLD, rotationIn, sightWith } from './rotation-fixtures.ts';

/** A pair that was given stays, unless it is said otherwise. */
const advanced = (rotation: Rotation, sight: Partial<Sight> = {}): Rotation =>
  next(rotation, ({ phase }) =>
    sightWith({ given: phase === 'Verifying' ? given('waiting') : null, ...sight }),
  );
const BEGINNING = { old: OLD, target: 'umbrella-b', observable: true };
const wish = (kind: Wish['kind']): Wish => ({ kind, by: 'bob', reason: 'it went wrong', at: ago(MINUTE) });
const DEAD = { ...OLD, deadSince: ago(HOUR) };
const REVEALED = { at: ago(MINUTE), how: 'revealed' } as const;
const ADOPTED = { at: ago(MINUTE), how: 'observed', evidence: 'umbrella-b wrote.' } as const;
const lastWrote = (ms: number) => ({ at: ago(ms), configuration: 'Umbrella: Contoso' });

describe('the way of a rotation', () => {
  const admitted = rotationIn('Pending', { admittedAt: ago(MINUTE) });
  const preparing = rotationIn('PreparingMember');
  const awaitingKey = rotationIn('AwaitingKey');
  const verifying = rotationIn('Verifying');
  const installing = rotationIn('AwaitingInstall');
  const adopting = rotationIn('AwaitingAdoption');
  const overlapping = rotationIn('Overlap', { adopted: { ...ADOPTED, at: ago(2 * DAY) } });
  const retiring = rotationIn('RetiringOld');
  const reversed = { reversed: true, old: { ...OLD, ...FRESH }, fresh: { ...OLD }, target: 'umbrella-a' };

  test.each<[string, Rotation, Partial<Sight>, Rotation['phase']]>([
    ['begins once it was admitted', admitted, { beginning: BEGINNING }, 'PreparingMember'],
    ['waits for its turn', rotationIn('Pending'), { beginning: BEGINNING }, 'Pending'],
    ['waits until enough is known to begin', admitted, {}, 'Pending'],
    ['does not begin while it is held', admitted, { beginning: BEGINNING, held: 'a pause' }, 'Pending'],

    ['asks for a key once the member is ready', preparing, { target: 'ready' }, 'AwaitingKey'],
    ['waits for a member that is absent', preparing, { target: 'absent' }, 'PreparingMember'],
    ['waits for a member that is inactive', preparing, { target: 'inactive' }, 'PreparingMember'],
    ['waits for a member that is unfit', preparing, { target: 'unfit' }, 'PreparingMember'],
    ['waits for a member that was not seen', preparing, { target: 'unseen' }, 'PreparingMember'],
    [
      'waits where a spent member is put back',
      { ...preparing, ...reversed },
      { target: 'spent' },
      'PreparingMember',
    ],

    ['proves the pair that was given', awaitingKey, { given: given('waiting') }, 'Verifying'],
    ['waits for a pair', awaitingKey, {}, 'AwaitingKey'],
    ['takes no pair that is lost', awaitingKey, { given: given('lost') }, 'AwaitingKey'],
    [
      'goes on at once with a pair that is proved',
      awaitingKey,
      { given: given('proved') },
      'AwaitingInstall',
    ],

    [
      'fails where what is to be put back died before',
      { ...awaitingKey, ...reversed },
      { given: given('lost') },
      'Failed',
    ],

    ['hands the key over once it is proved', verifying, { given: given('proved') }, 'AwaitingInstall'],
    ['waits while it is not proved', verifying, { given: given('waiting') }, 'Verifying'],
    ['waits for its window', verifying, { given: given('proved'), windowOpen: false }, 'Verifying'],
    ['asks for another where it is lost', verifying, { given: given('lost') }, 'AwaitingKey'],
    ['asks for another where it is gone', verifying, { given: null }, 'AwaitingKey'],
    [
      'fails where what is put back is lost',
      { ...verifying, ...reversed },
      { given: given('lost') },
      'Failed',
    ],

    [
      'takes the key as installed once it was shown',
      installing,
      { installable: REVEALED },
      'AwaitingAdoption',
    ],
    ['waits for a person', installing, { given: given('proved') }, 'AwaitingInstall'],
    ['asks for another where the key died', installing, { given: given('lost') }, 'AwaitingKey'],
    [
      'fails where the key to put back died',
      { ...installing, ...reversed },
      { given: given('lost') },
      'Failed',
    ],

    ['begins the overlap once Umbrella wrote', adopting, { adopted: ADOPTED }, 'Overlap'],
    ['waits for a write', adopting, {}, 'AwaitingAdoption'],
    [
      'keeps to the key that may be installed though it seems lost',
      adopting,
      { given: given('lost') },
      'AwaitingAdoption',
    ],

    ['retires the old key once it was quiet', overlapping, {}, 'RetiringOld'],
    ['not before', rotationIn('Overlap'), {}, 'Overlap'],
    ['not outside its window', overlapping, { windowOpen: false }, 'Overlap'],
    ['not while writes were not seen', overlapping, { writesSeen: false }, 'Overlap'],
    ['not so long after a write of the old member', overlapping, { oldWrite: lastWrote(HOUR) }, 'Overlap'],
    ['but after an older write', overlapping, { oldWrite: lastWrote(3 * DAY) }, 'RetiringOld'],
    [
      'at once where it is compromised',
      rotationIn('Overlap', { cause: 'compromise' }),
      { windowOpen: false, writesSeen: false },
      'RetiringOld',
    ],
    [
      'at once where it is dead, with its member on',
      rotationIn('Overlap', { old: DEAD }),
      { windowOpen: false, writesSeen: false },
      'RetiringOld',
    ],
    ['is done where there is nothing to retire', rotationIn('Overlap', { old: null }), {}, 'Completed'],

    [
      'is done once the key is dead and its member off',
      { ...retiring, old: DEAD },
      { oldMember: 'inactive', oldKey: 'refused' },
      'Completed',
    ],
    [
      'is done where that member is gone',
      { ...retiring, old: DEAD },
      { oldMember: 'none', oldKey: 'refused' },
      'Completed',
    ],
    ['waits for that member to go off', { ...retiring, old: DEAD }, { oldKey: 'refused' }, 'RetiringOld'],
    [
      'is done where that member must stay',
      { ...retiring, old: DEAD },
      { oldKey: 'refused', mayStopOld: false },
      'Completed',
    ],
    [
      'waits while that member was not seen',
      { ...retiring, old: DEAD },
      { oldMember: 'unseen', oldKey: 'refused' },
      'RetiringOld',
    ],
    ['sees it die, and waits for its member', retiring, { oldKey: 'refused' }, 'RetiringOld'],
    ['waits for the deletion', retiring, {}, 'RetiringOld'],
    [
      'waits while the key was not called',
      retiring,
      { oldKey: 'unseen', oldMember: 'inactive' },
      'RetiringOld',
    ],
    [
      'ends unproved where the member went off first',
      retiring,
      { oldKey: 'refused', oldMember: 'inactive' },
      'RetirementUnproved',
    ],
    [
      'also where Parasol may not switch it',
      retiring,
      { oldKey: 'refused', oldMember: 'inactive', mayStopOld: false },
      'RetirementUnproved',
    ],
    [
      'ends unproved where it never held the key',
      retiring,
      { oldKey: 'unheld', oldMember: 'inactive' },
      'RetirementUnproved',
    ],
    ['not while that member is on', retiring, { oldKey: 'unheld' }, 'RetiringOld'],
    [
      'ends unproved by a person’s word where the member must stay',
      retiring,
      { oldKey: 'unheld', mayStopOld: false, deletionSaid: true },
      'RetirementUnproved',
    ],
    ['not without that word', retiring, { oldKey: 'unheld', mayStopOld: false }, 'RetiringOld'],
    [
      'no word stands for a key that can be called',
      retiring,
      { mayStopOld: false, deletionSaid: true },
      'RetiringOld',
    ],
    [
      'does not end while the key works though its member is off',
      retiring,
      { oldMember: 'inactive' },
      'RetiringOld',
    ],
    [
      'back ends as what it is',
      { ...retiring, ...reversed, old: DEAD },
      { oldMember: 'inactive', oldKey: 'refused' },
      'RolledBack',
    ],
    [
      'back also may end unproved',
      { ...retiring, ...reversed },
      { oldMember: 'inactive', oldKey: 'refused' },
      'RetirementUnproved',
    ],
  ])('%s', (_, rotation, sight, phase) => {
    const now = advanced(rotation, sight);
    expect(now.phase).toBe(phase);
    expect(isOver(now)).toBe(now.endedAt !== null);
    expect(now.outcome === null).toBe(now.endedAt === null);
  });

  it('is one look, where all is there: each phase is told with what was seen', () => {
    const seen = {
      beginning: BEGINNING,
      target: 'ready',
      given: given('proved'),
      installable: REVEALED,
      adopted: { ...ADOPTED, at: ago(3 * DAY) },
    } as const;
    const now = advanced(admitted, seen);
    expect(now.history.map(({ phase, evidence }) => `${phase}: ${evidence}`)).toEqual([
      'Pending: a drill',
      'PreparingMember: A new key for umbrella-b; fp-1 is to be retired.',
      'AwaitingKey: umbrella-b is active, with role and levels.',
      'Verifying: fp-2 was given.',
      'AwaitingInstall: The key fp-2: it is proved.',
      'AwaitingAdoption: The new pair was revealed, so that it may be in Umbrella.',
      'Overlap: umbrella-b wrote.',
      `RetiringOld: The old key was not seen in use since ${ago(3 * DAY)}.`,
    ]);
  });

  it('says what is to be retired, whether or not Parasol has it', () => {
    const begun = (old: Rotation['old']) =>
      advanced(admitted, { beginning: { ...BEGINNING, old } }).history.at(-1)!.evidence;
    expect(begun(null)).toBe('A new key for umbrella-b; nothing is to be retired.');
    expect(begun({ ...OLD, fingerprint: null, credentialId: null })).toContain(
      'a key of umbrella-a that Parasol was not given',
    );
  });

  it('takes a newer pair that was given in the meantime', () => {
    const newer = given('waiting', { credentialId: 'key-3', fingerprint: 'fp-3' });
    expect(advanced(verifying, { given: newer }).fresh).toEqual(newer!.key);
  });

  it('puts a fresh member in the place of a spent one, and says so', () => {
    const seen: (string | null)[] = [];
    const now = next(preparing, (one) => {
      seen.push(one.target);
      return sightWith({ target: one.target === 'umbrella-b2' ? 'absent' : 'spent' });
    });
    expect(now).toMatchObject({ phase: 'PreparingMember', target: 'umbrella-b2' });
    expect(now.notices).toMatchObject([
      { kind: 'SlotSpent', message: expect.stringContaining('umbrella-b2') },
    ]);
    expect(seen).toContain('umbrella-b2');
  });

  it('ends where the spec names other members, unless it had not begun', () => {
    expect(advanced(rotationIn('Pending'), { named: false }).phase).toBe('Pending');
    for (const phase of LIVE_PHASES.slice(1)) {
      const { phase: now, outcome } = advanced(rotationIn(phase), { named: false });
      expect(now).toBe('Failed');
      expect(outcome).toContain('both keys stay as they are');
    }
  });

  it('is left as it is, the very object, where nothing that is seen changes it', () => {
    for (const phase of LIVE_PHASES) {
      const rotation = rotationIn(phase);
      expect(advanced(rotation)).toBe(rotation);
    }
  });

  it('never leaves an end', () => {
    for (const phase of ROTATION_PHASES.filter((one) => isOver({ phase: one }))) {
      const ended = { ...endedAs(phase, 'done'), wish: wish('rollback') };
      expect(advanced(ended, { beginning: BEGINNING, target: 'ready', given: given('proved') })).toBe(ended);
    }
  });
});

describe('what was seen and does not show again', () => {
  it('stays: the death of the old key, seen while its member was active', () => {
    const now = advanced(rotationIn('AwaitingKey'), { oldKey: 'refused' });
    expect(now.old?.deadSince).toBe(at);
    expect(advanced(now, { oldKey: 'refused', at: ago(-HOUR) }).old?.deadSince).toBe(at);
    expect(overlaps(now)).toBe(false);
  });

  test.each<[string, Partial<Sight>, string | null]>([
    ['of a stranger’s key counts', { oldMember: 'stranger' }, at],
    ['says nothing while its member is inactive', { oldMember: 'inactive' }, null],
    ['says nothing while its member was not seen', { oldMember: 'unseen' }, null],
    ['says nothing of a member that is not there', { oldMember: 'none' }, null],
  ])('a refusal %s', (_, sight, dead) => {
    expect(advanced(rotationIn('Overlap'), { oldKey: 'refused', ...sight }).old?.deadSince).toBe(dead);
  });

  it('stays: the newest write of the old member', () => {
    const wrote = rotationIn('Overlap', { old: { ...OLD, lastWrite: lastWrote(HOUR) } });
    expect(advanced(wrote, { oldWrite: lastWrote(2 * HOUR) }).old?.lastWrite).toEqual(lastWrote(HOUR));
    expect(advanced(wrote, { oldWrite: null }).old?.lastWrite).toEqual(lastWrote(HOUR));
    expect(advanced(wrote, { oldWrite: lastWrote(MINUTE) }).old?.lastWrite).toEqual(lastWrote(MINUTE));
  });

  it('stays: that the key may be in Umbrella, and how its adoption was seen', () => {
    const now = advanced(rotationIn('AwaitingInstall'), { installable: REVEALED });
    expect(advanced(now, { installable: null }).installable).toEqual(REVEALED);
    const adopted = advanced(now, { adopted: ADOPTED });
    expect(advanced(adopted, { adopted: { ...ADOPTED, at } }).adopted).toEqual(ADOPTED);
  });

  it('is not adoption before the key could be in Umbrella', () => {
    expect(advanced(rotationIn('AwaitingInstall'), { adopted: ADOPTED })).toMatchObject({
      phase: 'AwaitingInstall',
      adopted: null,
    });
  });

  it('is nothing before it began', () => {
    const pending = rotationIn('Pending', { old: OLD });
    expect(advanced(pending, { oldKey: 'refused', oldWrite: lastWrote(HOUR) })).toBe(pending);
  });
});

describe('a rollback', () => {
  const back = (phase: Rotation['phase'], parts: Partial<Rotation> = {}) =>
    rotationIn(phase, { wish: wish('rollback'), ...parts });

  test.each<[Rotation['phase'], Partial<Rotation>, Partial<Sight>, Partial<Rotation>]>([
    ['Pending', {}, {}, { phase: 'RolledBack', undoing: true }],
    ['PreparingMember', {}, { target: 'absent' }, { phase: 'RolledBack' }],
    ['PreparingMember', {}, { target: 'inactive' }, { phase: 'RolledBack' }],
    ['PreparingMember', {}, { target: 'spent' }, { phase: 'RolledBack' }],
    ['AwaitingKey', {}, { target: 'ready' }, { phase: 'AwaitingKey', undoing: true }],
    ['AwaitingKey', {}, { target: 'unseen' }, { phase: 'AwaitingKey', undoing: true }],
    ['AwaitingKey', {}, { target: 'ready', mayStopTarget: false }, { phase: 'RolledBack' }],
    ['Verifying', {}, { target: 'ready' }, { phase: 'Verifying', undoing: true }],
    ['AwaitingInstall', {}, { target: 'ready' }, { phase: 'AwaitingInstall', undoing: true }],
    [
      'AwaitingInstall',
      {},
      { target: 'unfit', installable: REVEALED },
      { phase: 'PreparingMember', reversed: true },
    ],
    [
      'AwaitingAdoption',
      {},
      { target: 'unfit' },
      { phase: 'PreparingMember', reversed: true, undoing: false },
    ],
    ['Overlap', {}, { target: 'unfit' }, { phase: 'PreparingMember', reversed: true }],
    ['RetiringOld', {}, { target: 'inactive' }, { phase: 'PreparingMember', reversed: true }],
  ])('at %s %j, seeing %j', (phase, parts, sight, expected) => {
    const now = advanced(back(phase, parts), sight);
    expect(now).toMatchObject({ wish: null, ...expected });
    expect(now.history.some(({ evidence }) => evidence === 'bob rolled it back: it went wrong')).toBe(true);
  });

  it('changes the places of the two keys, so that the new one is the last to go', () => {
    expect(advanced(back('Overlap'), { target: 'unfit' })).toMatchObject({
      target: 'umbrella-a',
      old: { ...FRESH, deadSince: null, lastWrite: null },
      fresh: { credentialId: 'key-1', fingerprint: 'fp-1', member: 'umbrella-a' },
      installable: null,
      adopted: null,
    });
  });

  test.each<[string, Rotation['old'], RegExp]>([
    ['was seen dead', DEAD, /seen dead at/],
    ['was never held', { ...OLD, credentialId: null, fingerprint: null }, /never held the old key/],
    ['never was', null, /never held the old key/],
  ])('is refused once the key may be in Umbrella and the one before it %s', (_, old, words) => {
    const now = advanced(back('AwaitingAdoption', { old }));
    expect(now).toMatchObject({ phase: 'AwaitingAdoption', reversed: false, undoing: false, wish: null });
    expect(now.notices).toMatchObject([{ kind: 'RollbackRefused', message: expect.stringMatching(words) }]);
  });

  it('of a rollback changes nothing', () => {
    for (const parts of [{ reversed: true }, { undoing: true }]) {
      const rotation = back('PreparingMember', parts);
      expect(advanced(rotation, { target: 'unseen' })).toEqual({ ...rotation, wish: null });
    }
  });

  it('that is taken back leads forward again: the keys change places once more', () => {
    const fresh = { credentialId: 'key-2', fingerprint: 'fp-2', member: 'umbrella-b' };
    const rotation = back('AwaitingAdoption', { reversed: true, target: 'umbrella-b', fresh });
    const forward: Rotation = { ...rotation, wish: { ...rotation.wish!, kind: 'forward' } };
    expect(advanced(forward, { target: 'unseen' })).toMatchObject({
      phase: 'PreparingMember',
      reversed: false,
      target: rotation.old?.member,
      fresh: { fingerprint: rotation.old?.fingerprint },
      old: { fingerprint: 'fp-2', member: 'umbrella-b' },
    });
    const plain: Rotation = { ...forward, reversed: false };
    expect(advanced(plain, { target: 'unseen' })).toEqual({ ...plain, wish: null });
  });

  it('that was led forward again goes back the long way, whatever phase it is in: its key may be in Umbrella since', () => {
    for (const phase of ['PreparingMember', 'AwaitingKey', 'Verifying', 'AwaitingInstall'] as const) {
      const now = advanced(back(phase, { turned: true, installable: null }), { target: 'unseen' });
      expect(now).toMatchObject({ phase: 'PreparingMember', reversed: true, undoing: false });
    }
  });

  it('puts no other member in the place of the one that goes back', () => {
    const now = advanced(back('Overlap'), { target: 'spent' });
    expect(now).toMatchObject({ target: 'umbrella-a', notices: [] });
  });
});

describe('a compromise', () => {
  it('makes every rotation that is under way hurry, and leaves its phase', () => {
    for (const phase of LIVE_PHASES.filter((one) => one !== 'Overlap')) {
      const now = advanced(rotationIn(phase, { wish: wish('compromise') }));
      expect(now).toMatchObject({
        phase,
        cause: 'compromise',
        by: 'bob',
        reason: 'it went wrong',
        wish: null,
      });
    }
  });

  it('ends the overlap at once, and no earlier phase', () => {
    const hurried = advanced(rotationIn('Overlap', { wish: wish('compromise') }), {
      quietMs: 0,
      writesSeen: false,
    });
    expect(hurried.phase).toBe('RetiringOld');
    expect(hurried.history.at(-1)!.evidence).toContain('compromised');
  });
});

describe('what is worth an alert', () => {
  const overdue = rotationIn('AwaitingAdoption', {
    installable: { at: ago(3 * DAY + MINUTE), how: 'claimed' },
  });
  const old = { ...OLD, lastWrite: lastWrote(HOUR) };

  test.each<[string, Rotation, Partial<Sight>, Notice['kind'] | null]>([
    [
      'a key that grows too old before its window',
      rotationIn('Verifying'),
      { given: given('proved'), windowOpen: false, overAge: true },
      'Late',
    ],
    ['also in the overlap', rotationIn('Overlap'), { windowOpen: false, overAge: true }, 'Late'],
    ['not while it is young enough', rotationIn('Overlap'), { windowOpen: false }, null],
    [
      'not where it waits for a person',
      rotationIn('AwaitingKey'),
      { windowOpen: false, overAge: true },
      null,
    ],
    ['an adoption that is overdue', overdue, {}, 'AdoptionOverdue'],
    ['not before its deadline', rotationIn('AwaitingAdoption'), {}, null],
    ['not where it came after all', overdue, { adopted: ADOPTED }, null],
    ['an old key that is still used', rotationIn('Overlap', { old }), {}, 'OldKeyStillUsed'],
    [
      'not one that was used before',
      rotationIn('Overlap', { old: { ...OLD, lastWrite: lastWrote(DAY) } }),
      {},
      null,
    ],
    [
      'an old key that works though its member is off',
      rotationIn('RetiringOld'),
      { oldMember: 'inactive' },
      'OldKeyAlive',
    ],
    ['not one whose member is on', rotationIn('RetiringOld'), {}, null],
  ])('%s', (_, rotation, sight, kind) => {
    const now = advanced(rotation, sight);
    expect(now.notices.map((notice) => notice.kind)).toEqual(kind === null ? [] : [kind]);
    // Told once, however often it is seen.
    expect(advanced(now, sight).notices).toEqual(now.notices);
  });

  it('names what the old member wrote, and when', () => {
    const [notice] = advanced(rotationIn('Overlap', { old })).notices;
    expect(notice?.message).toContain(`umbrella-a wrote Umbrella: Contoso at ${ago(HOUR)}`);
  });
});

describe('times', () => {
  test.each<[string, Rotation, string | null]>([
    ['adoption, from when the key may be in Umbrella', rotationIn('AwaitingAdoption'), ago(-2 * DAY)],
    [
      'adoption, where that is not known, from the phase’s beginning',
      rotationIn('AwaitingAdoption', { installable: null }),
      ago(-3 * DAY + HOUR),
    ],
    ['the overlap, from the adoption', rotationIn('Overlap'), ago(12 * HOUR - 2 * DAY)],
    [
      'the overlap, from a later write of the old member',
      rotationIn('Overlap', { old: { ...OLD, lastWrite: lastWrote(HOUR) } }),
      ago(HOUR - 2 * DAY),
    ],
    [
      'the overlap, not from an earlier one',
      rotationIn('Overlap', { old: { ...OLD, lastWrite: lastWrote(DAY) } }),
      ago(12 * HOUR - 2 * DAY),
    ],
    ...LIVE_PHASES.filter((phase) => phase !== 'AwaitingAdoption' && phase !== 'Overlap').map(
      (phase): [string, Rotation, null] => [`none of its own: ${phase}`, rotationIn(phase), null],
    ),
  ])('has %s', (_, rotation, deadline) => {
    expect(deadlineOf(rotation, { quietMs: 2 * DAY, adoptionDeadlineMs: 3 * DAY })).toBe(deadline);
  });

  it('a key is due between 70 and 90 hundredths of its life, the same for a tenant each time', () => {
    expect(dueAt('2026-01-01T00:00:00.000Z', '100d', 0)).toBe('2026-03-12T00:00:00.000Z');
    expect(dueAt('2026-01-01T00:00:00.000Z', '100d', 0.5)).toBe('2026-03-22T00:00:00.000Z');
    fc.assert(
      fc.property(fc.string(), (id) => {
        const spread = spreadOf(id);
        expect(spread).toBe(spreadOf(id));
        const part = (Date.parse(dueAt(at, '100d', spread)) - Date.parse(at)) / (100 * DAY);
        expect(part).toBeGreaterThanOrEqual(0.7);
        expect(part).toBeLessThan(0.9);
      }),
    );
  });

  it('a fleet that was made on one day is due on every day of a fifth of a life', () => {
    const days = new Set(
      Array.from({ length: 1_000 }, (_, tenant) =>
        dueAt(at, '100d', spreadOf(`tenant-${tenant}`)).slice(0, 10),
      ),
    );
    expect(days.size).toBeGreaterThanOrEqual(20);
  });
});

describe('what a rotation waits for', () => {
  test.each<[string, Rotation, string | null, RegExp]>([
    ['its turn', rotationIn('Pending'), null, /its turn in the fleet/],
    ['the next look', rotationIn('Pending', { admittedAt: at }), null, /next look/],
    ['its member', rotationIn('PreparingMember'), null, /umbrella-b is made or mended/],
    ['a key', rotationIn('AwaitingKey'), null, /makes a key on umbrella-b/],
    ['a proof', rotationIn('Verifying'), null, /fp-2 is to prove itself/],
    ['a person', rotationIn('AwaitingInstall'), null, /puts the key fp-2 into Umbrella/],
    ['a write', rotationIn('AwaitingAdoption'), null, /write as umbrella-b/],
    ['a word', rotationIn('AwaitingAdoption', { observable: false }), null, /attest that Umbrella uses fp-2/],
    ['silence', rotationIn('Overlap'), null, /until umbrella-a was silent/],
    ['a deletion', rotationIn('RetiringOld'), null, /old key fp-1 is to be deleted/],
    [
      'a deletion of a key that it does not know',
      rotationIn('RetiringOld', { old: { ...OLD, fingerprint: null } }),
      null,
      /of umbrella-a is to be deleted/,
    ],
    ['the last switch', rotationIn('RetiringOld', { old: DEAD }), null, /umbrella-a is switched off/],
    [
      'being taken back',
      rotationIn('AwaitingKey', { undoing: true }),
      null,
      /umbrella-b is switched off; the old key stays/,
    ],
    ['whatever holds it', rotationIn('RetiringOld'), 'the tenant is paused', /Held: the tenant is paused/],
    ['nothing any more', endedAs('Completed', 'All is done.'), 'the tenant is paused', /^All is done\.$/],
  ])('%s', (_, rotation, held, words) => {
    expect(waitsFor(rotation, held)).toMatch(words);
  });
});

describe('whatever is seen', () => {
  const moment = fc.integer({ min: -5 * 24, max: 0 }).map((hours) => ago(-hours * HOUR));
  const maybe = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary);
  const sight: fc.Arbitrary<Sight> = fc
    .record({
      held: fc.constantFrom(null, 'a pause'),
      windowOpen: fc.boolean(),
      overAge: fc.boolean(),
      beginning: maybe(
        fc.constantFrom<NonNullable<Sight['beginning']>>(
          BEGINNING,
          { old: null, target: 'umbrella-a', observable: true },
          { old: { ...OLD, credentialId: null, fingerprint: null }, target: 'umbrella-b', observable: false },
          { old: DEAD, target: 'umbrella-a', observable: true },
        ),
      ),
      target: fc.constantFrom<Sight['target'][]>('unseen', 'absent', 'inactive', 'unfit', 'ready', 'spent'),
      mayStopTarget: fc.boolean(),
      given: maybe(
        fc.constantFrom('waiting' as const, 'proved' as const, 'lost' as const).map((state) => given(state)!),
      ),
      installable: maybe(moment.map((when) => ({ at: when, how: 'claimed' as const }))),
      adopted: maybe(moment.map((when) => ({ at: when, how: 'observed' as const, evidence: 'it wrote.' }))),
      oldKey: fc.constantFrom<Sight['oldKey'][]>('none', 'unheld', 'unseen', 'works', 'refused'),
      oldMember: fc.constantFrom<Sight['oldMember'][]>('none', 'unseen', 'active', 'inactive', 'stranger'),
      mayStopOld: fc.boolean(),
      oldWrite: maybe(moment.map((when) => ({ at: when, configuration: 'one' }))),
      writesSeen: fc.boolean(),
      deletionSaid: fc.boolean(),
    })
    .map((parts) => sightWith(parts));
  const looks = fc.array(
    fc.record({ sight, wish: fc.constantFrom(null, null, null, 'rollback' as const, 'compromise' as const) }),
    { minLength: 1, maxLength: 25 },
  );

  /** Each state of a rotation that saw these one after another, hours apart, with what it saw last. */
  function* played(seen: { sight: Sight; wish: Wish['kind'] | null }[]) {
    let rotation = rotationIn('Pending', { admittedAt: ago(DAY) });
    let hours = 0;
    for (const { sight, wish: asked } of seen) {
      const before = asked ? { ...rotation, wish: wish(asked) } : rotation;
      const look = { ...sight, at: ago(-(hours += 7) * HOUR) };
      rotation = next(before, () => look);
      yield { before, rotation, look };
    }
  }

  it('is pure, and at rest after one look', () => {
    fc.assert(
      fc.property(looks, (seen) => {
        for (const { before, rotation, look } of played(seen)) {
          expect(next(before, () => look)).toEqual(rotation);
          expect(rotation.wish).toEqual(isOver(before) ? before.wish : null);
          // A member in the place of a spent one is another to look at.
          if (rotation.target === look.freshIdentifier) continue;
          expect(next(rotation, () => look)).toEqual(rotation);
        }
      }),
    );
  });

  it('says no end without a reason, and no success without a death that was seen', () => {
    fc.assert(
      fc.property(looks, (seen) => {
        for (const { rotation } of played(seen)) {
          expect([rotation.outcome === null, rotation.endedAt === null]).toEqual([
            !isOver(rotation),
            !isOver(rotation),
          ]);
          const done =
            rotation.phase === 'Completed' || (rotation.phase === 'RolledBack' && rotation.reversed);
          expect(done && rotation.old?.deadSince === null).toBe(false);
        }
      }),
      { numRuns: 500 },
    );
  });

  it('the old key is retired only after the new one was adopted, and by no haste of a window or an age', () => {
    fc.assert(
      fc.property(looks, (seen) => {
        for (const { before, rotation, look } of played(seen)) {
          if (rotation.phase !== 'RetiringOld' || before.phase === 'RetiringOld') continue;
          expect(rotation.adopted).not.toBeNull();
          const hurried = rotation.cause === 'compromise' || rotation.old?.deadSince;
          if (hurried) continue;
          expect([look.windowOpen, look.writesSeen]).toEqual([true, true]);
          const last = rotation.old?.lastWrite?.at ?? '';
          const from = last > rotation.adopted!.at ? last : rotation.adopted!.at;
          expect(Date.parse(look.at) - Date.parse(from)).toBeGreaterThanOrEqual(look.quietMs);
        }
      }),
      { numRuns: 500 },
    );
  });

  it('is taken back at once only before the key may be in Umbrella', () => {
    fc.assert(
      fc.property(looks, (seen) => {
        for (const { rotation } of played(seen)) {
          expect(rotation.undoing && rotation.installable !== null).toBe(false);
          expect(rotation.undoing && rotation.reversed).toBe(false);
        }
      }),
      { numRuns: 500 },
    );
  });

  it('has a history that only grows, and tells each thing once', () => {
    fc.assert(
      fc.property(looks, (seen) => {
        for (const { before, rotation } of played(seen)) {
          expect(rotation.history.slice(0, before.history.length)).toEqual(before.history);
          expect(new Set(rotation.notices.map(({ kind }) => kind)).size).toBe(rotation.notices.length);
          expect(rotation.history.at(-1)!.phase).toBe(rotation.phase);
        }
      }),
    );
  });

  it('one that was asked for waits, and has nothing yet', () => {
    const rotation = requested({
      id: 'r',
      tenantId: 'acme',
      cause: 'age',
      by: null,
      reason: null,
      cutNow: false,
      at,
    });
    expect(rotation).toMatchObject({ phase: 'Pending', since: at, admittedAt: null, old: null, fresh: null });
    expect(rotation.history).toEqual([{ phase: 'Pending', at, evidence: 'age' }]);
  });
});
