import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import type { IntegrationMemory } from '../../src/domain/condition.ts';
import {
  allWrites,
  expectedWrites,
  learn,
  learnBursts,
  matchCustomers,
  newestWrite,
  provedCadence,
} from '../../src/domain/evidence.ts';
import type { ConfigurationFact, CustomerFact, WritesFact } from '../../src/domain/observation.ts';
import {
  ago,
  configuration,
  DAY,
  HOUR,
  MINUTE,
  noMemory,
  NOW,
  specWith,
  TYPE,
  writesOf,
} from './fixtures.ts';

const spec = specWith();
const write = (ms: number, by = 'umbrella-a') => ({ at: ago(ms), by, configuration: 'Umbrella: Contoso' });
const authors = (writes: { by: string }[]) => writes.map(({ by }) => by);

describe('the writes in ConnectWise', () => {
  it('are told newest first, whoever made them, in whatever order they were read', () => {
    expect(allWrites(writesOf(['jdoe', DAY], ['umbrella-a', HOUR], ['umbrella-b', 3 * DAY]))).toEqual([
      write(HOUR),
      write(DAY, 'jdoe'),
      write(3 * DAY, 'umbrella-b'),
    ]);
  });

  it('count as Umbrella’s by who made them: either slot’s member, in any spelling, and nobody else', () => {
    const writes = writesOf(
      ['jdoe', HOUR],
      ['UMBRELLA-A', 2 * HOUR],
      ['umbrella-b', 3 * HOUR],
      ['umbrella-ab', 1],
    );
    expect(authors(expectedWrites(spec, writes))).toEqual(['UMBRELLA-A', 'umbrella-b']);
  });

  it('do not count where they have no time, no author, or a time that is none', () => {
    const rows = [{ lastUpdated: null }, { updatedBy: null }, { lastUpdated: 'yesterday' }].map((row, id) =>
      configuration({ id, ...row }),
    );
    expect(allWrites({ type: TYPE, configurations: rows, complete: true })).toEqual([]);
  });

  it('are ordered as moments, however a moment is spelled', () => {
    const spelled = (id: number, lastUpdated: string) => configuration({ id, name: `c${id}`, lastUpdated });
    const configurations = [
      spelled(1, '2026-03-09T12:00:00Z'),
      spelled(2, '2026-03-09T12:00:00.500Z'),
      spelled(3, '2026-03-09T13:59:59+02:00'),
    ];
    expect(allWrites({ type: TYPE, configurations, complete: true })).toMatchObject([
      { configuration: 'c2', at: '2026-03-09T12:00:00.500Z' },
      { configuration: 'c1', at: '2026-03-09T12:00:00.000Z' },
      { configuration: 'c3', at: '2026-03-09T11:59:59.000Z' },
    ]);
  });
});

describe('the newest write of Umbrella’s', () => {
  const memory = (by: string): IntegrationMemory => ({ ...noMemory(), lastWrite: write(HOUR, by) });

  test.each<[string, IntegrationMemory, number[], number | null]>([
    ['is the newest that is seen', noMemory(), [3 * HOUR, 2 * HOUR], 2 * HOUR],
    ['is one that was seen before, where it is hidden now', memory('umbrella-b'), [], HOUR],
    ['is one that was seen before, where only older ones are seen', memory('UMBRELLA-A'), [DAY], HOUR],
    ['is seen, where it is newer than what was seen before', memory('umbrella-a'), [MINUTE], MINUTE],
    ['is not that of a member that the spec does not name', memory('somebody'), [DAY], DAY],
    ['is none, where none was ever seen', noMemory(), [], null],
  ])('%s', (_, known, seen, expected) => {
    const newest = newestWrite(
      spec,
      known,
      seen.map((ms) => write(ms)),
    );
    expect(newest?.at ?? null).toBe(expected === null ? null : ago(expected));
  });
});

describe('what a look at the configurations teaches', () => {
  it('is the type, the bursts, and the newest write of a member', () => {
    const look = writesOf(['jdoe', MINUTE], ['umbrella-a', HOUR], ['umbrella-a', DAY]);
    expect(learn(spec, { type: null, bursts: [] }, look, NOW)).toEqual({
      type: TYPE,
      bursts: [ago(DAY), ago(HOUR)],
      lastWrite: write(HOUR),
    });
  });

  it('leaves what was known before, where nothing is to be seen', () => {
    const known: IntegrationMemory = {
      type: TYPE,
      bursts: [ago(DAY)],
      lastWrite: write(DAY),
      subject: 'acme',
    };
    const nothing: WritesFact = { type: null, configurations: [], complete: true };
    expect(learn(spec, known, nothing, NOW)).toEqual(known);
  });

  it('is no write where only others write', () => {
    expect(learn(spec, noMemory(), writesOf(['jdoe', HOUR]), NOW)).toEqual(noMemory());
  });

  it('is not an older write than the one that a technician’s edit hides by now', () => {
    const known = { ...noMemory(), lastWrite: write(HOUR) };
    const edited = writesOf(['jdoe', MINUTE], ['umbrella-a', DAY]);
    expect(learn(spec, known, edited, NOW).lastWrite).toEqual(write(HOUR));
  });

  it('is nothing of a write that is dated ahead of the clock', () => {
    expect(learn(spec, noMemory(), writesOf(['umbrella-a', -1]), NOW)).toEqual(noMemory());
    expect(learn(spec, noMemory(), writesOf(['umbrella-a', 0]), NOW).lastWrite).toEqual(write(0));
  });
});

describe('bursts of writes', () => {
  /** With `staleAfter: 10h`, a burst is an hour. */
  const hourly = specWith({ integration: { staleAfter: '10h' } });
  const burstsOf = (known: number[], ...seen: number[]) =>
    learnBursts(
      hourly,
      known.map((ms) => ago(ms)),
      seen.map((ms) => write(ms)),
    );
  const told = (...ages: number[]) => ages.map((ms) => ago(ms));

  test.each<[string, number[], number[], number[]]>([
    ['none, where nothing was written', [], [], []],
    ['one, for all the writes of one sweep', [], [HOUR + 1, HOUR + 2, HOUR + 3], [HOUR + 3]],
    ['one, for writes less than its length apart', [], [2 * HOUR, HOUR + 1], [2 * HOUR]],
    ['two, for writes as far apart as its length', [], [2 * HOUR, HOUR], [2 * HOUR, HOUR]],
    [
      'measured from its beginning, not from write to write',
      [],
      [150, 110, 70].map((m) => m * MINUTE),
      [150 * MINUTE, 70 * MINUTE],
    ],
    ['what was known, where the same writes are seen again', [DAY, HOUR], [HOUR], [DAY, HOUR]],
    ['what was known and what is new, oldest first', [DAY], [MINUTE, 2 * DAY], [2 * DAY, DAY, MINUTE]],
  ])('are %s', (_, known, seen, expected) => {
    expect(burstsOf(known, ...seen)).toEqual(told(...expected));
  });

  it('are remembered up to twelve, the newest', () => {
    const days = Array.from({ length: 15 }, (_, index) => (15 - index) * DAY);
    expect(burstsOf(days.slice(0, 14), DAY)).toEqual(told(...days.slice(3)));
  });

  it('do not depend on whether writes were seen in one look or in many', () => {
    const moments = fc.array(
      fc.nat(20 * 24).map((hours) => hours * HOUR),
      { maxLength: 12 },
    );
    fc.assert(
      fc.property(moments, (ages) => {
        const oldestFirst = ages.toSorted((a, b) => b - a);
        const inMany = oldestFirst.reduce<string[]>(
          (known, ms) => learnBursts(hourly, known, [write(ms)]),
          [],
        );
        expect(inMany).toEqual(burstsOf([], ...ages));
      }),
    );
  });
});

describe('the cadence', () => {
  test.each<[string, number[], number | null]>([
    ['is not proved by nothing', [], null],
    ['is not proved by two bursts', [2 * DAY, DAY], null],
    ['is the longest pause between three', [5 * DAY, 2 * DAY, DAY], 3 * DAY],
    ['is the longest pause between many, wherever it was', [9, 8, 7, 3, 2].map((d) => d * DAY), 4 * DAY],
  ])('%s', (_, ages, expected) => {
    expect(provedCadence(ages.map((ms) => ago(ms)))).toBe(expected);
  });
});

describe('customers and their configurations', () => {
  const customer = (id: number, name: string): CustomerFact => ({ id, name });
  const row = (id: number, name: string, company: string | null = null, identifier = ''): ConfigurationFact =>
    configuration({ id, name, company: company === null ? null : { id, identifier, name: company } });
  const writes = (...configurations: ConfigurationFact[]): WritesFact => ({
    type: TYPE,
    configurations,
    complete: true,
  });
  /** `customer → configuration`, by their ids. */
  const pairs = (customers: CustomerFact[], seen: WritesFact | undefined) =>
    matchCustomers(customers, seen).map(
      ({ customer: c, configuration: r }) => `${c?.id ?? '–'} → ${r?.id ?? '–'}`,
    );

  test.each<[string, CustomerFact[], WritesFact | undefined, string[]]>([
    [
      'are matched by the company’s name',
      [customer(7, 'Contoso')],
      writes(row(1, 'x', 'Contoso')),
      ['7 → 1'],
    ],
    [
      'are matched by the company’s identifier',
      [customer(7, 'contoso')],
      writes(row(1, 'x', 'y', 'CONTOSO')),
      ['7 → 1'],
    ],
    [
      'are matched by the configuration’s name',
      [customer(7, 'Contoso')],
      writes(row(1, 'Contoso')),
      ['7 → 1'],
    ],
    [
      'are matched without case, spacing and punctuation',
      [customer(7, 'Contoso, Ltd.')],
      writes(row(1, 'x', 'CONTOSO LTD')),
      ['7 → 1'],
    ],
    ['are matched in any script', [customer(7, 'Ünïon «Été»')], writes(row(1, 'x', 'ÜNÏON ÉTÉ')), ['7 → 1']],
    ['are told though nothing was matched', [customer(7, 'Contoso')], writes(), ['7 → –']],
    ['are told though nothing was read', [customer(7, 'Contoso')], undefined, ['7 → –']],
    [
      'are not matched by a part of a name',
      [customer(7, 'Contoso')],
      writes(row(1, 'x', 'Contoso East')),
      ['7 → –', '– → 1'],
    ],
    [
      'are followed by configurations of no customer',
      [customer(7, 'A')],
      writes(row(1, 'x', 'B'), row(2, 'x', 'A')),
      ['7 → 2', '– → 1'],
    ],
    [
      'are not matched twice to one configuration',
      [customer(7, 'A'), customer(8, 'A')],
      writes(row(1, 'x', 'A')),
      ['7 → 1', '8 → –'],
    ],
    [
      'are matched to one each, where two have the same name',
      [customer(7, 'A'), customer(8, 'A')],
      writes(row(1, 'x', 'A'), row(2, 'x', 'A')),
      ['7 → 1', '8 → 2'],
    ],
    [
      'are matched by the configuration’s name before the company’s',
      [customer(7, 'Contoso'), customer(8, 'Contoso East')],
      writes(row(1, 'Contoso East', 'Contoso'), row(2, 'Contoso', 'Contoso')),
      ['7 → 2', '8 → 1'],
    ],
    [
      'are not matched by names of which nothing is left',
      [customer(7, '***')],
      writes(row(1, '…', '---')),
      ['7 → –', '– → 1'],
    ],
    [
      'are not matched to configurations of other types, where Umbrella’s is not known',
      [customer(7, 'Contoso')],
      { ...writes(row(1, 'x', 'Contoso')), type: null },
      ['7 → –'],
    ],
  ])('%s', (_, customers, seen, expected) => {
    expect(pairs(customers, seen)).toEqual(expected);
  });

  it('are each told once, and no configuration is lost or told twice', () => {
    const names = fc.constantFrom('A', 'a', 'B', 'C', '*');
    fc.assert(
      fc.property(fc.array(names, { maxLength: 6 }), fc.array(names, { maxLength: 6 }), (customers, rows) => {
        const matched = matchCustomers(
          customers.map((name, id) => customer(id, name)),
          writes(...rows.map((name, id) => row(id, name, name))),
        );
        const ids = (told: ({ id: number } | null)[]) => told.flatMap((one) => (one ? [one.id] : []));
        expect(ids(matched.map((one) => one.customer))).toEqual(customers.map((_, id) => id));
        const configurations = ids(matched.map((one) => one.configuration));
        expect(configurations.toSorted((a, b) => a - b)).toEqual(rows.map((_, id) => id));
      }),
    );
  });
});
