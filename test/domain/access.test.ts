import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { covers, inScope, whyStronger, type Grant, type Scope } from '../../src/domain/access.ts';

const key = fc.constantFrom('team', 'tier');
const word = fc.constantFrom('north', 'south');
const id = fc.constantFrom('acme', 'birch', 'cedar');
const scope: fc.Arbitrary<Scope | null> = fc.option(
  fc.record({
    tenants: fc.uniqueArray(id),
    labels: fc.array(fc.record({ key, value: fc.option(word, { nil: null }) }), { maxLength: 3 }),
  }),
);
const tenant = fc.record({ id, labels: fc.dictionary(key, word) });

const all = null;
const nobody: Scope = { tenants: [], labels: [] };
const named = (...tenants: string[]): Scope => ({ tenants, labels: [] });
const labelled = (...labels: [string, string | null][]): Scope => ({
  tenants: [],
  labels: labels.map(([one, value]) => ({ key: one, value })),
});
const NORTH: [string, string] = ['team', 'north'];

describe('a scope', () => {
  test.each([
    ['all covers all', all, all, true],
    ['all covers some', all, named('acme'), true],
    ['some do not cover all', named('acme'), all, false],
    ['names cover fewer names', named('acme', 'birch'), named('birch'), true],
    ['names do not cover another', named('acme'), named('acme', 'birch'), false],
    ['a label covers itself and one more', labelled(NORTH), labelled(NORTH, ['tier', null]), true],
    ['two labels do not cover one of them', labelled(NORTH, ['tier', null]), labelled(NORTH), false],
    ['any value covers one', labelled(['team', null]), labelled(NORTH), true],
    ['one value does not cover any', labelled(NORTH), labelled(['team', null]), false],
    // It may lose the label, and would stay seen by name.
    ['a label does not cover a name', labelled(NORTH), named('acme'), false],
    ['names do not cover a label', named('acme', 'birch', 'cedar'), labelled(NORTH), false],
    ['nobody covers nobody', nobody, nobody, true],
  ] as const)('%s', (_, wide, narrow, expected) => {
    expect(covers(wide, narrow)).toBe(expected);
  });

  test('that is covered shows nothing that the other does not', () => {
    fc.assert(
      fc.property(scope, scope, tenant, (wide, narrow, one) => {
        fc.pre(covers(wide, narrow) && inScope(narrow, one));
        return inScope(wide, one);
      }),
      { numRuns: 500, maxSkipsPerRun: 1_000 },
    );
  });

  test('of no names and no labels shows nobody', () => {
    fc.assert(fc.property(tenant, (one) => !inScope(nobody, one)));
  });
});

describe('a token makes none that is stronger', () => {
  const own: Grant = {
    role: 'admin',
    scope: named('acme'),
    mayReveal: false,
    expiresAt: '2026-12-01T00:00:00.000Z',
  };
  const like = (change: Partial<Grant>): Grant => ({ ...own, ...change });
  test.each([
    ['the same', own, own, []],
    ['less', own, like({ role: 'viewer', expiresAt: '2026-11-30T00:00:00.000Z' }), []],
    ['a higher role', like({ role: 'operator' }), like({ role: 'rotator' }), ['role']],
    ['a role from one that has none to give', like({ role: 'revealer' }), like({ role: 'viewer' }), ['role']],
    ['more tenants', own, like({ scope: named('acme', 'birch') }), ['tenants']],
    ['all tenants', own, like({ scope: null }), ['tenants']],
    ['the right to reveal', own, like({ mayReveal: true }), ['mayReveal']],
    ['the right to reveal, from one that has it', like({ mayReveal: true }), like({ mayReveal: true }), []],
    ['a longer life', own, like({ expiresAt: '2026-12-01T00:00:00.001Z' }), ['expires']],
    ['eternal life', own, like({ expiresAt: null }), ['expires']],
    [
      'everything',
      like({ role: 'viewer' }),
      { role: 'admin', scope: null, mayReveal: true, expiresAt: null },
      ['role', 'tenants', 'mayReveal', 'expires'],
    ],
  ] as const)('%s', (_, mine, wanted, paths) => {
    expect(whyStronger(mine, wanted).map(({ path }) => path)).toEqual(paths);
  });
});
