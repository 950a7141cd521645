import { describe, expect, it, test } from 'vitest';
import fc from 'fast-check';
import { withoutDefaults } from '../../src/domain/spec-defaults.ts';
import { settingsOf } from '../../src/domain/spec-diff.ts';
import { tenantSpecSchema, type TenantSpec } from '../../src/domain/tenant.ts';
import { specWith } from './fixtures.ts';
import { anySpec } from './any-spec.ts';

describe('a spec without its defaults', () => {
  const least = {
    id: 'acme',
    name: 'Acme MSP',
    connectwise: {
      site: 'https://na.myconnectwise.net',
      companyId: 'acme',
      clientId: '7d2b5a0e-8d3c-4f0e-9a51-1f2e3d4c5b6a',
    },
    umbrella: { console: 'msp', apiKeyExpires: 'never' },
  };

  test.each<[string, TenantSpec, Record<string, unknown>]>([
    ['has what must be said, though the default might be the same', specWith(), least],
    ['has what is said', specWith({ mode: 'repair' }), { ...least, mode: 'repair' }],
    [
      'has of a group what is said',
      specWith({ rotation: { overlap: '4d', maxAge: '90d' } }),
      { ...least, rotation: { overlap: '4d' } },
    ],
    [
      'has all levels where one differs, since giving one gives all',
      specWith({ connectwise: { role: { levels: { 'A/B': { add: 'All' } } } } }),
      {
        ...least,
        connectwise: {
          ...least.connectwise,
          role: { levels: { 'A/B': { add: 'All', edit: 'None', delete: 'None', inquire: 'None' } } },
        },
      },
    ],
    [
      'has an executor whole',
      specWith({ handoffs: { 'delete-key': { webhook: 'https://rpa.example/' } } }),
      { ...least, handoffs: { 'delete-key': { webhook: 'https://rpa.example/' } } },
    ],
  ])('%s', (_, spec, expected) => {
    expect(withoutDefaults(spec)).toEqual(expected);
  });

  it('reads as the spec again, whatever the spec and the order of its keys', () => {
    fc.assert(
      fc.property(anySpec(), (spec) => {
        expect(tenantSpecSchema.parse(withoutDefaults(spec))).toEqual(spec);
        const stored = Object.fromEntries(Object.entries(spec).toReversed()) as TenantSpec;
        expect(withoutDefaults(stored)).toEqual(withoutDefaults(spec));
      }),
    );
  });

  it('is told setting by setting', () => {
    expect(settingsOf(withoutDefaults(specWith({ labels: { team: 'north' }, notify: {} })))).toEqual([
      { path: 'connectwise.clientId', value: least.connectwise.clientId },
      { path: 'connectwise.companyId', value: 'acme' },
      { path: 'connectwise.site', value: least.connectwise.site },
      { path: 'id', value: 'acme' },
      { path: 'labels.team', value: 'north' },
      { path: 'name', value: 'Acme MSP' },
      { path: 'umbrella.apiKeyExpires', value: 'never' },
      { path: 'umbrella.console', value: 'msp' },
    ]);
  });
});
