import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  begin,
  dueByAge,
  heard,
  isOver,
  nextUmbrella,
  whyRotate,
  wishesOf,
  type KeyGround,
  type ListedKey,
  type UmbrellaAnswer,
  type UmbrellaRotation,
  type UmbrellaStep,
} from '../../src/domain/umbrella-rotation.ts';
import { ago, DAY, HOUR, MINUTE, NOW, specWith } from './fixtures.ts';

const OLD = { identity: 'id-old', fingerprint: 'fp-old' };
const nameFor = (number: number) => `parasol-line-${number}`;

const row = (parts: Partial<ListedKey> = {}): ListedKey => ({
  apiKeyId: 'api-old',
  name: 'Reads customers',
  identity: OLD.identity,
  scopes: ['admin.customers:read'],
  allowedIPs: ['192.0.2.0/24'],
  expiresAt: null,
  createdAt: ago(90 * DAY),
  issuedAt: ago(90 * DAY),
  lastUsedAt: ago(HOUR),
  ...parts,
});
const FRESH_ROW = row({
  apiKeyId: 'api-new',
  name: nameFor(1),
  identity: 'id-new',
  createdAt: ago(0),
  issuedAt: ago(0),
});

const groundOf = (parts: Partial<KeyGround> & { users?: Record<string, string[]> } = {}): KeyGround => {
  const { users = { [OLD.identity]: ['acme'] }, ...rest } = parts;
  return {
    now: NOW,
    nameFor,
    listed: { keys: [row()] },
    usersOf: (identity) => users[identity] ?? [],
    adminsOf: () => [],
    unidentified: false,
    hindrance: null,
    holdsSecret: false,
    restMs: 48 * HOUR,
    restWithinMs: 72 * HOUR,
    leastLifetimeMs: 42 * DAY,
    ...rest,
  };
};

const rotationOf = (parts: Partial<UmbrellaRotation> = {}): UmbrellaRotation => ({
  ...begin(1, { cause: 'age', why: 'It is old.', by: null }, OLD, NOW),
  ...parts,
});
const FRESH = {
  name: nameFor(1),
  intendedAt: ago(0),
  apiKeyId: 'api-new',
  identity: 'id-new',
  fingerprint: 'fp-new',
};
const SWITCHED = { 'id-new': ['acme'] };
const resting = (parts: Partial<UmbrellaRotation> = {}): UmbrellaRotation =>
  rotationOf({
    phase: 'Resting',
    old: { ...OLD, apiKeyId: 'api-old', name: 'Reads customers' },
    fresh: FRESH,
    provedFor: ['acme'],
    tenants: ['acme'],
    switchedAt: ago(49 * HOUR),
    since: ago(49 * HOUR),
    lastUse: { told: ago(HOUR), unmovedSince: ago(48 * HOUR) },
    ...parts,
  });

/** `do` of a step, the phase it is stored with, and why it is held. */
const said = (step: UmbrellaStep) => [step.do, step.rotation.phase, step.rotation.held];

describe('the next step', () => {
  test.each<[string, UmbrellaRotation, Parameters<typeof groundOf>[0], unknown[]]>([
    ['a new rotation makes its key', rotationOf(), {}, ['make', 'Creating', null]],
    ['nobody uses it', rotationOf(), { users: {} }, ['end', 'Cancelled', null]],
    [
      'a tenant observes',
      rotationOf(),
      { hindrance: 'acme observes.' },
      ['wait', 'Pending', 'acme observes.'],
    ],
    ['no list', rotationOf(), { listed: { missing: 'Silent.' } }, ['wait', 'Pending', 'Silent.']],
    ['the list is of another organisation', rotationOf(), { listed: { keys: [] } }, ['end', 'Failed', null]],
    [
      'a pair of it is somebody’s KeyAdmin key',
      rotationOf(),
      { adminsOf: () => ['birch'] },
      ['wait', 'Pending', expect.stringContaining('KeyAdmin key of ‹birch¦birch¦another tenant›')],
    ],
    [
      'its key is there, and its secret is not',
      rotationOf({ phase: 'Creating', fresh: { ...FRESH, apiKeyId: null, identity: null } }),
      { listed: { keys: [row(), FRESH_ROW] } },
      ['remove', 'Creating', null],
    ],
    [
      'a key of its name is older than its intent',
      rotationOf({ phase: 'Creating', fresh: { ...FRESH, apiKeyId: null, identity: null } }),
      { listed: { keys: [row(), { ...FRESH_ROW, createdAt: ago(6 * MINUTE) }] } },
      ['make', 'Creating', null],
    ],
    [
      'a key of its name does not tell when it was made',
      rotationOf({ phase: 'Creating', fresh: { ...FRESH, apiKeyId: null, identity: null } }),
      { listed: { keys: [row(), { ...FRESH_ROW, createdAt: null }] } },
      ['make', 'Creating', null],
    ],
    [
      'too many attempts',
      rotationOf({ phase: 'Creating', attempts: 6, fresh: { ...FRESH, apiKeyId: null, identity: null } }),
      {},
      ['wait', 'Abandoning', null],
    ],
    [
      'the new key is proved for each who uses the old one',
      rotationOf({ phase: 'Verifying', fresh: FRESH }),
      { holdsSecret: true },
      ['prove', 'Verifying', null],
    ],
    [
      'and then put in use',
      rotationOf({ phase: 'Verifying', fresh: FRESH, provedFor: ['acme'] }),
      { holdsSecret: true },
      ['switch', 'Switching', null],
    ],
    [
      'a tenant that came since is proved first',
      rotationOf({ phase: 'Switching', fresh: FRESH, provedFor: ['acme'] }),
      { holdsSecret: true, users: { [OLD.identity]: ['acme', 'birch'] } },
      ['prove', 'Verifying', null],
    ],
    [
      'the secret of a key that is to be proved is not here',
      rotationOf({ phase: 'Verifying', fresh: FRESH }),
      {},
      ['wait', 'Creating', null],
    ],
    [
      'nobody uses the old one any more',
      rotationOf({ phase: 'Verifying', fresh: FRESH }),
      { holdsSecret: true, users: {} },
      ['wait', 'Abandoning', null],
    ],
    [
      'a pair in use was not looked at',
      rotationOf({ phase: 'Switching', fresh: FRESH, provedFor: ['acme'] }),
      { holdsSecret: true, unidentified: true },
      ['wait', 'Switching', 'A pair that is in use was not looked at yet.'],
    ],
    [
      'the old one rested',
      resting(),
      { users: SWITCHED, listed: { keys: [row(), FRESH_ROW] } },
      ['remove', 'Deleting', null],
    ],
    [
      'the old one was used since',
      resting(),
      { users: SWITCHED, listed: { keys: [row({ lastUsedAt: ago(MINUTE) }), FRESH_ROW] } },
      ['wait', 'Resting', expect.stringContaining('must be unused for 2d')],
    ],
    [
      'the old one never rests',
      resting({ switchedAt: ago(121 * HOUR) }),
      { users: SWITCHED, listed: { keys: [row({ lastUsedAt: ago(MINUTE) }), FRESH_ROW] } },
      ['wait', 'Resting', expect.stringContaining('is still used by somebody')],
    ],
    [
      'Umbrella does not tell the last use',
      resting({ lastUse: null }),
      { users: SWITCHED, listed: { keys: [row({ lastUsedAt: null }), FRESH_ROW] } },
      ['wait', 'Resting', 'Umbrella does not tell when the old key was last used.'],
    ],
    [
      'and never does',
      resting({ lastUse: null, switchedAt: ago(121 * HOUR) }),
      { users: SWITCHED, listed: { keys: [row({ lastUsedAt: null }), FRESH_ROW] } },
      ['wait', 'Resting', expect.stringContaining('so that it is not deleted')],
    ],
    [
      'a compromised one does not rest',
      resting({ cause: 'compromise', switchedAt: ago(0), lastUse: null }),
      { users: SWITCHED, listed: { keys: [row({ lastUsedAt: ago(0) }), FRESH_ROW] } },
      ['remove', 'Deleting', null],
    ],
    [
      'the new one is no longer listed',
      resting(),
      { users: SWITCHED, listed: { keys: [row()] } },
      ['wait', 'Resting', expect.stringContaining('is no longer listed')],
    ],
    [
      'a tenant came with the old one',
      resting(),
      { users: { ...SWITCHED, [OLD.identity]: ['birch'] } },
      ['switch', 'Resting', null],
    ],
    [
      'a tenant came with the old one just before its deletion',
      resting({ phase: 'Deleting' }),
      { users: { ...SWITCHED, [OLD.identity]: ['birch'] } },
      ['switch', 'Resting', null],
    ],
    [
      'the old one is gone from the list',
      resting({ phase: 'Deleting' }),
      { users: SWITCHED, listed: { keys: [FRESH_ROW] } },
      ['see-dead', 'Deleting', null],
    ],
    [
      'a pause before the deletion',
      resting({ phase: 'Deleting' }),
      { users: SWITCHED, hindrance: 'acme is paused.', listed: { keys: [row(), FRESH_ROW] } },
      ['wait', 'Deleting', 'acme is paused.'],
    ],
    [
      'what was given up is removed',
      rotationOf({ phase: 'Abandoning', fresh: FRESH, since: ago(HOUR) }),
      { listed: { keys: [row(), FRESH_ROW] } },
      ['remove', 'Abandoning', null],
    ],
    [
      'what was given up is looked for a while',
      rotationOf({ phase: 'Abandoning', fresh: FRESH, attempts: 1 }),
      {},
      ['wait', 'Abandoning', 'The list may be older than what was sent.'],
    ],
    [
      'what was given up, and is not there',
      rotationOf({
        phase: 'Abandoning',
        fresh: FRESH,
        since: ago(HOUR),
        ending: { as: 'Cancelled', because: 'x' },
      }),
      {},
      ['end', 'Cancelled', null],
    ],
  ])('%s', (_, rotation, ground, expected) => {
    expect(said(nextUmbrella(rotation, groundOf(ground)))).toEqual(expected);
  });

  test('copies scopes and addresses, and the lifetime where there is one', () => {
    const expiring = row({ expiresAt: ago(-5 * DAY), issuedAt: ago(85 * DAY) });
    const step = nextUmbrella(rotationOf(), groundOf({ listed: { keys: [expiring] } }));
    expect(step).toMatchObject({
      do: 'make',
      key: {
        name: nameFor(1),
        scopes: ['admin.customers:read'],
        allowedIPs: ['192.0.2.0/24'],
        expiresAt: ago(-90 * DAY),
      },
    });
    const short = row({ expiresAt: ago(-1 * DAY), issuedAt: ago(DAY) });
    const longer = nextUmbrella(rotationOf(), groundOf({ listed: { keys: [short] } }));
    expect(longer).toMatchObject({ key: { expiresAt: ago(-42 * DAY) } });
  });
});

describe('what makes a key due', () => {
  const key = { id: 'line', issuedAt: ago(0), expiresAt: null, knownSince: ago(300 * DAY) };
  const wishes = wishesOf([specWith()]);

  test('the strictest wish of all tenants that share it counts', () => {
    expect(
      wishesOf([
        specWith({ rotation: { maxAge: '30d', overlap: '2h' } }),
        specWith({ rotation: { maxAge: '90d', overlap: '3d' }, umbrella: { expiryWarning: '20d' } }),
      ]),
    ).toEqual({
      maxAgeMs: 30 * DAY,
      expiryWarningMs: 20 * DAY,
      restMs: 3 * DAY,
      restWithinMs: 3 * DAY,
      leastLifetimeMs: 60 * DAY,
    });
  });

  test.each<[string, { issuedAt?: string; expiresAt?: string }, string | null]>([
    ['a young one is not', {}, null],
    ['one beyond its age is', { issuedAt: ago(91 * DAY) }, 'age'],
    ['one that expires within the warning is', { expiresAt: ago(-13 * DAY) }, 'expiry'],
    ['one that expires later is not', { expiresAt: ago(-15 * DAY) }, null],
  ])('%s', (_, parts, cause) => {
    expect(whyRotate({ ...key, ...parts }, wishes, NOW)?.cause ?? null).toBe(cause);
  });

  test('a key whose age nobody told is not due by it', () => {
    expect(whyRotate({ ...key, issuedAt: null }, wishes, NOW)).toBeNull();
  });

  test('a fleet made on one day is spread over a tenth of its age, old or new when Parasol met it', () => {
    fc.assert(
      fc.property(
        fc.uuid(),
        fc.integer({ min: 0, max: 400 }),
        fc.integer({ min: 0, max: 400 }),
        (id, issued, known) => {
          const at = { id, issuedAt: ago(issued * DAY), knownSince: ago(known * DAY) };
          const due = dueByAge(at, wishes).getTime();
          const byAge = Date.parse(at.issuedAt) + 90 * DAY;
          expect(due).toBeGreaterThanOrEqual(byAge - 9 * DAY);
          expect(due).toBeLessThanOrEqual(Math.max(byAge, Date.parse(at.knownSince) + 9 * DAY));
        },
      ),
    );
    const days = Array.from({ length: 500 }, (_, index) =>
      Math.floor(dueByAge({ ...key, id: `key-${index}` }, wishes).getTime() / DAY),
    );
    const most = Math.max(...[...Map.groupBy(days, (day) => day).values()].map(({ length }) => length));
    expect(most).toBeLessThan(120);
  });
});

/**
 * A whole rotation in a world that lies: answers get lost, lists are old, power goes between an effect and its
 * record, people pause tenants, use the old key, come with it, or delete keys by hand.
 */
class Model {
  now = NOW;
  /** As Umbrella has it. */
  readonly keys = new Map<string, ListedKey>([['api-old', row()]]);
  /** Made, and not shown by lists before that time. */
  readonly hidden = new Map<string, number>();
  readonly users = new Map<string, string>([
    ['acme', OLD.identity],
    ['birch', OLD.identity],
  ]);
  stored: UmbrellaRotation = begin(1, { cause: 'person', why: 'Ann asked.', by: 'ann' }, OLD, NOW);
  /** The identity whose pair lies sealed with the rotation. */
  sealed: string | null = null;
  paused = false;
  silent = false;
  newKeyWorks = true;
  made = 0;
  /** What should never have happened. */
  readonly broken: string[] = [];

  #list(): KeyGround['listed'] {
    if (this.silent) return { missing: 'Silent.' };
    const shown = [...this.keys.values()].filter(
      ({ apiKeyId }) => (this.hidden.get(apiKeyId) ?? 0) <= this.now.getTime(),
    );
    return { keys: shown };
  }

  /** One step; `fate` of its effect and of its answer. */
  pass(fate: { reaches: boolean; answered: boolean; recorded: boolean; hide: number }): void {
    if (isOver(this.stored)) return;
    const usersOf = (identity: string) =>
      [...this.users].filter(([, used]) => used === identity).map(([tenant]) => tenant);
    const step = nextUmbrella(this.stored, {
      ...groundOf(),
      now: this.now,
      listed: this.#list(),
      usersOf,
      adminsOf: () => [],
      hindrance: this.paused ? 'acme is paused.' : null,
      holdsSecret: this.sealed !== null,
      restMs: HOUR,
      restWithinMs: DAY,
    });
    const intended = step.do === 'make' || step.do === 'remove';
    if (intended) {
      this.#never('a write was decided on while it was paused', this.paused);
      this.stored = step.rotation;
    }
    const { answer, commit } = this.#effect(step, fate);
    if (!fate.recorded) return;
    commit?.();
    this.stored = answer ? heard(step.rotation, answer, this.now).rotation : step.rotation;
    if (isOver(this.stored)) this.sealed = null;
    // What is stored comes back as JSON.
    this.stored = JSON.parse(JSON.stringify(this.stored)) as UmbrellaRotation;
  }

  #effect(
    step: UmbrellaStep,
    { reaches, answered, hide }: { reaches: boolean; answered: boolean; hide: number },
  ): { answer?: UmbrellaAnswer; commit?: () => void } {
    switch (step.do) {
      case 'wait':
      case 'end':
        return {};
      case 'make': {
        const taken = [...this.keys.values()].some(({ name }) => name === step.key.name);
        const unknown: UmbrellaAnswer = { of: 'make', answer: 'unknown', because: 'lost' };
        if (!reaches) return { answer: unknown };
        if (taken) {
          return { answer: answered ? { of: 'make', answer: 'name-taken', because: 'taken' } : unknown };
        }
        this.made += 1;
        const apiKeyId = `api-${this.made}`;
        const identity = `id-${this.made}`;
        const at = this.now.toISOString();
        const made = row({ ...step.key, apiKeyId, identity, createdAt: at, issuedAt: at, lastUsedAt: at });
        this.keys.set(apiKeyId, made);
        this.hidden.set(apiKeyId, this.now.getTime() + hide);
        if (!answered) return { answer: unknown };
        return {
          answer: { of: 'make', answer: 'made', apiKeyId, identity, fingerprint: `fp-${this.made}` },
          commit: () => (this.sealed = identity),
        };
      }
      case 'remove':
        if (reaches) this.#delete(step.apiKeyId);
        return {
          answer: {
            of: 'remove',
            answer: reaches && answered ? 'done' : 'unknown',
            because: 'deleted',
          },
        };
      case 'prove': {
        const works = this.newKeyWorks ? 'works' : 'refused';
        const of = Object.fromEntries(step.tenants.map((tenant) => [tenant, works] as const));
        return { answer: { of: 'prove', answer: of, because: 'as it is' } };
      }
      case 'switch': {
        const fresh = step.rotation.fresh?.identity ?? '';
        const pair = this.sealed ?? [...this.users.values()].find((used) => used === fresh);
        if (!pair) return { answer: { of: 'switch', answer: 'no-pair', tenants: step.tenants } };
        return {
          answer: { of: 'switch', answer: 'switched', tenants: step.tenants },
          commit: () => {
            for (const tenant of step.tenants) this.users.set(tenant, fresh);
            this.sealed = null;
          },
        };
      }
      case 'see-dead': {
        const alive = [...this.keys.values()].some(({ identity }) => identity === OLD.identity);
        return { answer: { of: 'see-dead', answer: alive ? 'accepted' : 'refused', because: '' } };
      }
    }
  }

  #never(what: string, happened: boolean): void {
    if (happened) this.broken.push(what);
  }

  /** Parasol deletes: what it may never do is looked at here. */
  #delete(apiKeyId: string): void {
    const key = this.keys.get(apiKeyId);
    if (!key) return;
    const { provedFor, tenants, phase } = this.stored;
    this.#never('a key in use was deleted', [...this.users.values()].includes(key.identity));
    if (apiKeyId === 'api-old') {
      const { fresh } = this.stored;
      const listed = [...this.keys.values()].some(({ identity }) => identity === fresh?.identity);
      this.#never('the old key went before its time', phase !== 'Deleting' || tenants.length === 0);
      this.#never(
        'the old key went, and the new one was not proved',
        !tenants.every((one) => provedFor.includes(one)),
      );
      this.#never('the old key went, and the new one is not there', !listed);
    } else {
      this.#never('somebody else’s key was deleted', !key.name.startsWith('parasol-line-'));
    }
    this.keys.delete(apiKeyId);
  }

  /** Keys of our names that are alive and whose secret nobody holds. */
  unknown(): string[] {
    const held = new Set([this.sealed, ...this.users.values()]);
    return [...this.keys.values()]
      .filter(({ name, identity }) => name.startsWith('parasol-') && !held.has(identity))
      .map(({ name }) => name);
  }
}

const fate = fc.record({
  reaches: fc.boolean(),
  answered: fc.boolean(),
  recorded: fc.boolean(),
  hide: fc.integer({ min: 0, max: 9 * MINUTE }),
});
type Event =
  | { event: 'pass'; fate: { reaches: boolean; answered: boolean; recorded: boolean; hide: number } }
  | { event: 'time'; ms: number }
  | { event: 'pause' | 'silence' | 'use-old' | 'fail-new' | 'replace-all' };
const anyEvent: fc.Arbitrary<Event> = fc.oneof(
  { weight: 8, arbitrary: fate.map((one): Event => ({ event: 'pass', fate: one })) },
  { weight: 3, arbitrary: fc.integer({ min: 0, max: 2 * HOUR }).map((ms): Event => ({ event: 'time', ms })) },
  {
    weight: 2,
    arbitrary: fc.constantFrom<Event>(
      { event: 'pause' },
      { event: 'silence' },
      { event: 'use-old' },
      { event: 'fail-new' },
      { event: 'replace-all' },
    ),
  },
);
const GOOD = { reaches: true, answered: true, recorded: true, hide: 0 };

function happen(model: Model, event: Event): void {
  switch (event.event) {
    case 'pass':
      return model.pass(event.fate);
    case 'time':
      model.now = new Date(model.now.getTime() + event.ms);
      return;
    case 'pause':
      model.paused = !model.paused;
      return;
    case 'silence':
      model.silent = !model.silent;
      return;
    case 'fail-new':
      model.newKeyWorks = !model.newKeyWorks;
      return;
    case 'use-old': {
      const old = model.keys.get('api-old');
      if (old) model.keys.set('api-old', { ...old, lastUsedAt: model.now.toISOString() });
      return;
    }
    case 'replace-all':
      for (const tenant of model.users.keys()) model.users.set(tenant, 'id-by-hand');
  }
}

/** What random order found once. */
const FOUND: [Event[]][] = [
  [
    [
      { event: 'pass', fate: { reaches: false, answered: false, recorded: false, hide: 0 } },
      { event: 'time', ms: 600_001 },
      { event: 'pass', fate: { reaches: true, answered: false, recorded: false, hide: 5 * MINUTE } },
    ],
  ],
  [
    [
      { event: 'pass', fate: { reaches: true, answered: true, recorded: true, hide: 300_001 } },
      { event: 'replace-all' },
    ],
  ],
];

test('whatever happens, never are two keys alive that nobody holds, and the old one goes last; in the end all is well', () => {
  let completed = 0;
  fc.assert(
    fc.property(fc.array(anyEvent, { maxLength: 60 }), (events) => {
      const model = new Model();
      for (const event of events) {
        happen(model, event);
        expect(model.broken).toEqual([]);
        expect(model.unknown().length).toBeLessThanOrEqual(1);
        for (const used of model.users.values()) {
          if (used === 'id-by-hand') continue;
          expect([...model.keys.values()].map(({ identity }) => identity)).toContain(used);
        }
      }
      // The weather turns fine, and time passes.
      Object.assign(model, { paused: false, silent: false, newKeyWorks: true });
      for (let left = 300; left > 0 && !isOver(model.stored); left -= 1) {
        model.pass(GOOD);
        expect(model.broken).toEqual([]);
        model.now = new Date(model.now.getTime() + 5 * MINUTE);
        expect(model.unknown().length).toBeLessThanOrEqual(1);
      }
      expect(isOver(model.stored)).toBe(true);
      const { phase, fresh } = model.stored;
      const names = [...model.keys.values()].map(({ name }) => name);
      const done = phase === 'Completed';
      if (done) completed += 1;
      expect(names).toEqual(done ? [fresh?.name] : ['Reads customers']);
      expect(model.unknown()).toEqual(
        done && ![...model.users.values()].includes(fresh?.identity ?? '') ? [fresh?.name] : [],
      );
    }),
    { numRuns: 1_000, examples: FOUND },
  );
  expect(completed).toBeGreaterThan(100);
});
