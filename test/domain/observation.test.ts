import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import {
  isFresh,
  noFacts,
  remember,
  tellingRows,
  type Facts,
  type LevelRow,
  type Observation,
} from '../../src/domain/observation.ts';
import type { Failure } from '../../src/domain/outcome.ts';
import {
  ago,
  alive,
  at,
  DAY,
  FACT_NAMES,
  factsOf,
  factsWith,
  failing,
  forbidden,
  HOUR,
  healthyValues,
  MINUTE,
  observationOf,
  read,
  seen,
  timeout,
  unread,
  weather,
} from './fixtures.ts';

const observation = (parts: Partial<Observation> = {}): Observation => ({ at, candidates: {}, ...parts });
const roles = healthyValues().roles;
const waiting: Failure = { kind: 'RateLimited', retryAfterMs: 1, detail: '' };
const unauthorized: Failure = { kind: 'Unauthorized', detail: '' };

describe('what is remembered of an observation', () => {
  it('what was seen replaces what was known, and clears the failure before it', () => {
    const known: Facts = {
      candidates: {},
      roles: {
        ...seen({ items: [], controlSeen: false }, ago(DAY)),
        ...failing(timeout, ago(HOUR)),
      },
    };
    expect(remember(known, observation({ roles: read(roles) })).roles).toEqual(seen(roles));
  });

  it('what could not be read keeps its value and its time, and says why', () => {
    const known: Facts = { candidates: {}, roles: seen(roles, ago(HOUR)) };
    expect(remember(known, observation({ roles: unread(timeout) })).roles).toEqual({
      ...seen(roles, ago(HOUR)),
      ...failing(timeout),
    });
  });

  it('what was never seen has a failure and no value', () => {
    expect(remember(noFacts(), observation({ roles: unread(timeout) })).roles).toEqual(failing(timeout));
  });

  it('what was not asked for is untouched', () => {
    const known = factsWith({}, ago(HOUR));
    const { site: _, ...rest } = remember(known, observation({ site: read(healthyValues().site) }));
    const { site: __, ...before } = known;
    expect(rest).toEqual(before);
  });

  it('a candidate that was not proved this time is forgotten, one that could not be is not', () => {
    const known: Facts = { candidates: { gone: seen(alive()), kept: seen(alive(), ago(HOUR)) } };
    expect(remember(known, observation({ candidates: { kept: unread(timeout) } })).candidates).toEqual({
      kept: { ...seen(alive(), ago(HOUR)), ...failing(timeout) },
    });
  });

  it('weather changes no value and no time of any fact', () => {
    fc.assert(
      fc.property(factsOf(), fc.infiniteStream(weather), (known, failures) => {
        const after = remember(
          known,
          observationOf(known, () => failures.next().value, at),
        );
        for (const name of FACT_NAMES) {
          expect(after[name]?.value).toEqual(known[name]?.value);
          expect(after[name]?.at).toEqual(known[name]?.at);
        }
        for (const [id, proof] of Object.entries(known.candidates)) {
          expect(after.candidates[id]?.value).toEqual(proof.value);
        }
      }),
    );
  });

  it('weather does not unsay an answer that said something: a right that lacked still lacks', () => {
    const known: Facts = { candidates: {}, roles: failing(forbidden, ago(HOUR)) };
    expect(remember(known, observation({ roles: unread(timeout) })).roles).toEqual(known.roles);
    expect(remember(known, observation({ roles: read(roles) })).roles).toEqual(seen(roles));
  });

  test.each<[string, Failure, Failure, boolean]>([
    ['a timeout after a right that lacked', forbidden, timeout, false],
    ['another refusal after a right that lacked', forbidden, unauthorized, false],
    ['a right that lacks anew', forbidden, { ...forbidden, detail: 'anew' }, true],
    ['a right that lacks, after another refusal', unauthorized, forbidden, true],
    ['one refusal after another', unauthorized, { kind: 'NotFound', detail: '' }, true],
    ['a timeout after a refusal', unauthorized, timeout, false],
    ['a refusal after a timeout', timeout, unauthorized, true],
    ['a request to wait after a timeout', timeout, waiting, false],
    ['our own stop after a timeout', timeout, { kind: 'Unavailable', why: 'cancelled', detail: '' }, false],
    ['a timeout after a request to wait', waiting, timeout, true],
    ['a timeout after a timeout', timeout, { ...timeout, detail: 'later' }, true],
  ])('%s is the last word: %s', (_, earlier, later, isLast) => {
    const known: Facts = { candidates: {}, roles: failing(earlier, ago(HOUR)) };
    const after = remember(known, observation({ roles: unread(later) })).roles;
    expect(after).toEqual(isLast ? failing(later) : known.roles);
  });

  it('a refusal of one pair says nothing of the pair that took its place', () => {
    const known: Facts = { candidates: {}, roles: failing(forbidden, ago(HOUR), 'key-old') };
    expect(remember(known, observation({ roles: unread(timeout, at, 'key-new') })).roles).toEqual(
      failing(timeout, at, 'key-new'),
    );
  });

  it('the facts known before are left as they were', () => {
    fc.assert(
      fc.property(factsOf(), weather, (known, failure) => {
        const copy = structuredClone(known);
        remember(
          known,
          observationOf(known, () => failure, at),
        );
        expect(known).toEqual(copy);
      }),
    );
  });
});

describe('a fresh fact', () => {
  it('was seen in this observation, if only after it began', () => {
    expect(isFresh(remember(noFacts(), observation({ roles: read(roles, at) })).roles, at)).toBe(true);
    expect(isFresh(remember(noFacts(), observation({ roles: read(roles, ago(-MINUTE)) })).roles, at)).toBe(
      true,
    );
  });

  it('is not one that was not asked for this time, though another clock dated it ahead', () => {
    const known = factsWith({}, ago(-MINUTE));
    expect(isFresh(remember(known, observation()).roles, at)).toBe(false);
  });

  it('is not one that was seen before, that was never seen, or that failed since', () => {
    expect(isFresh(seen(roles, ago(1)), at)).toBe(false);
    expect(isFresh(undefined, at)).toBe(false);
    expect(isFresh(failing(timeout), at)).toBe(false);
    expect(isFresh({ ...seen(roles), ...failing(timeout) }, at)).toBe(false);
  });

  it('may be the knowledge that there is nothing', () => {
    expect(isFresh(seen(null), at)).toBe(true);
  });

  it('is never one that only weather met', () => {
    fc.assert(
      fc.property(factsOf(), weather, (known, failure) => {
        const after = remember(
          known,
          observationOf(known, () => failure, at),
        );
        for (const name of FACT_NAMES) expect(isFresh<unknown>(after[name], at)).toBe(false);
      }),
    );
  });
});

describe('the rows of a role that tell something', () => {
  const none = { add: 'None', edit: 'None', delete: 'None', inquire: 'None' } as const;
  const row = (name: string, levels: Partial<LevelRow> = {}): LevelRow => ({
    function: name,
    ...none,
    ...levels,
  });

  it.each<[string, LevelRow[], LevelRow[]]>([
    ['are those with a right', [row('A/a'), row('B/b', { edit: 'My' })], [row('B/b', { edit: 'My' })]],
    [
      'are both of one function that is listed twice',
      [row('A/a'), row('a/A', { add: 'All' })],
      [row('A/a'), row('a/A', { add: 'All' })],
    ],
    ['are one, where the role may nothing', [row('A/a'), row('B/b')], [row('A/a')]],
    ['are none, where nothing came', [], []],
  ])('%s', (_, rows, expected) => {
    expect(tellingRows(rows)).toEqual(expected);
  });
});
