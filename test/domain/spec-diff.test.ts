import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { changedValues } from '../../src/domain/spec-diff.ts';
import type { TenantSpec } from '../../src/domain/tenant.ts';
import { specWith } from './fixtures.ts';

const changedPaths = (before: TenantSpec, after: TenantSpec) =>
  changedValues(before, after).map(({ path }) => path);

describe('the paths in which two specs differ', () => {
  test.each<[string, TenantSpec, TenantSpec, string[]]>([
    ['nothing differs', specWith(), specWith(), []],
    ['a setting differs', specWith(), specWith({ mode: 'repair' }), ['mode']],
    [
      'settings differ at several depths, told in the order of their names',
      specWith(),
      specWith({
        paused: true,
        connectwise: { site: 'https://eu.myconnectwise.net', role: { name: 'Other' } },
      }),
      ['connectwise.role.name', 'connectwise.site', 'paused'],
    ],
    [
      'one right of one function differs',
      specWith({ connectwise: { role: { levels: { 'Companies/Configurations': { edit: 'All' } } } } }),
      specWith({ connectwise: { role: { levels: { 'Companies/Configurations': { edit: 'None' } } } } }),
      ['connectwise.role.levels.Companies/Configurations.edit'],
    ],
    [
      'a setting came',
      specWith(),
      specWith({ rotation: { window: 'Sat 02:00-06:00 Europe/Madrid' } }),
      ['rotation.window'],
    ],
    [
      'a setting went',
      specWith({ umbrella: { organizationId: 7 } }),
      specWith(),
      ['umbrella.organizationId'],
    ],
    [
      'a list differs by its order alone',
      specWith({ connectwise: { members: { identifiers: ['a', 'b'] } } }),
      specWith({ connectwise: { members: { identifiers: ['b', 'a'] } } }),
      ['connectwise.members.identifiers'],
    ],
    [
      'a value became a group',
      specWith(),
      specWith({ handoffs: { 'allow-table-setup': { webhook: 'https://example.com' } } }),
      ['handoffs.allow-table-setup'],
    ],
  ])('%s', (_, before, after, expected) => {
    expect(changedPaths(before, after)).toEqual(expected);
  });

  test('there are none exactly where the specs are equal, whatever the order of their keys', () => {
    const leaf = fc.oneof(fc.string(), fc.boolean(), fc.array(fc.string(), { maxLength: 2 }));
    const name = fc.constantFrom('a', 'b', 'c');
    const spec = fc.dictionary(name, fc.oneof(leaf, fc.dictionary(name, leaf, { maxKeys: 3 })), {
      maxKeys: 3,
    });
    fc.assert(
      fc.property(spec, spec, (one, other) => {
        const plain = (value: unknown) => JSON.parse(JSON.stringify(value)) as TenantSpec;
        const reversed = (value: Record<string, unknown>) =>
          Object.fromEntries(Object.entries(value).toReversed());
        expect(changedPaths(plain(one), plain(reversed(one)))).toEqual([]);
        expect(changedPaths(plain(one), plain(other)).length === 0).toBe(
          isDeepStrictEqual(plain(one), plain(other)),
        );
      }),
    );
  });
});
