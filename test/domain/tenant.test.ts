import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, it, test } from 'vitest';
import { HANDOFF_KINDS } from '../../src/domain/handoff.ts';
import {
  companyIdentity,
  cycleMs,
  originFor,
  periodMs,
  PURPOSES,
  sameIdentifier,
  slotOf,
  subjectOf,
  tenantInputSchema,
  tenantSpecSchema,
  type TenantSpec,
} from '../../src/domain/tenant.ts';
import { specWith } from './fixtures.ts';

const minimal = {
  id: 'acme',
  name: 'Acme MSP',
  connectwise: {
    site: 'https://na.myconnectwise.net',
    companyId: 'acme',
    clientId: '7d2b5a0e-8d3c-4f0e-9a51-1f2e3d4c5b6a',
  },
  umbrella: { console: 'msp' },
};

const with_ = (path: string, value: unknown) => {
  const tenant = structuredClone(minimal) as Record<string, unknown>;
  const keys = path.split('.');
  let at = tenant;
  for (const key of keys.slice(0, -1)) at = (at[key] ??= {}) as Record<string, unknown>;
  at[keys.at(-1)!] = value;
  return tenant;
};

describe('a tenant’s spec', () => {
  it('defaults to Cisco’s procedure, in mode observe', () => {
    const tenant = tenantInputSchema.parse(minimal);
    expect(tenant.mode).toBe('observe');
    expect(tenant.connectwise.role).toMatchObject({
      name: 'Umbrella',
      tableSetup: ['Company / Configuration', 'Service / Priority', 'Service / Service Board'],
    });
    expect(tenant.connectwise.role.levels['System/Table Setup']).toEqual({
      add: 'All',
      edit: 'All',
      delete: 'None',
      inquire: 'All',
    });
    expect(tenant.connectwise.members).toMatchObject({
      strategy: 'alternating',
      identifiers: ['umbrella-a', 'umbrella-b'],
      level: 'Corporate',
    });
    expect(tenant.umbrella.url).toBe('https://api.umbrella.com');
  });

  test.each([
    ['an id that is no slug', 'id', 'Acme MSP!'],
    ['an unknown key', 'conectwise', {}],
    ['a bad duration', 'rotation.maxAge', '90 days'],
    ['a bad cron', 'every', '61 * * * *'],
    ['a cron of six fields', 'every', '* * * * * *'],
    ['no time at all', 'every', '0s'],
    ['a window without a zone', 'rotation.window', 'Sat 02:00-06:00'],
    ['a window in no known zone', 'rotation.window', 'Sat 02:00-06:00 Europe/Atlantis'],
    ['an identifier over 15 characters', 'connectwise.members.identifiers', ['umbrella-primary-a', 'b']],
    ['the same identifier twice', 'connectwise.members.identifiers', ['umbrella', 'UMBRELLA']],
    ['an identifier that is the other and a dot', 'connectwise.members.identifiers', ['umb', 'UMB.active']],
    ['three identifiers', 'connectwise.members.identifiers', ['a', 'b', 'c']],
    ['one identifier for two slots', 'connectwise.members', { identifiers: ['a'] }],
    [
      'two identifiers for one slot',
      'connectwise.members',
      { strategy: 'same-member', identifiers: ['a', 'b'] },
    ],
    ['a role name over 30 characters', 'connectwise.role.name', 'U'.repeat(31)],
    ['plain http to a host elsewhere', 'connectwise.site', 'http://na.myconnectwise.net'],
    ['a site with a path', 'connectwise.site', 'https://na.myconnectwise.net/v4_6_release'],
    ['a site with a user', 'connectwise.site', 'https://me:secret@na.myconnectwise.net'],
    ['a client id that is no GUID', 'connectwise.clientId', 'parasol'],
  ])('refuses %s', (_, path, value) => {
    const result = tenantInputSchema.safeParse(with_(path, value));
    expect(result.success).toBe(false);
    expect(result.error!.issues).not.toHaveLength(0);
  });

  test.each([
    ['a duration', 'every', '90s'],
    ['identifiers that begin alike', 'connectwise.members.identifiers', ['umb.a', 'umb.b']],
    ['an identifier of 15 characters', 'connectwise.members.identifiers', ['umbrella-123456', 'b']],
    ['one identifier for one slot', 'connectwise.members', { strategy: 'same-member', identifiers: ['a'] }],
    ['a cron expression', 'every', '0 6 * * *'],
    ['plain http to loopback', 'connectwise.site', 'http://127.0.0.1:9080'],
    ['a window with days and zone', 'rotation.window', 'Sat,Sun 02:00-06:00 Europe/Madrid'],
  ])('takes %s', (_, path, value) => {
    expect(tenantInputSchema.safeParse(with_(path, value)).error).toBeUndefined();
  });
});

describe('how often a tenant is looked at', () => {
  const MINUTE = 60_000;
  const HOUR = 60 * MINUTE;
  const DAY = 24 * HOUR;
  const tuesday = (time: string) => new Date(`2026-11-24T${time}Z`);

  test.each([
    ['15m', '05:30:00', 15 * MINUTE, 15 * MINUTE],
    ['5s', '05:30:00', 5_000, 5_000],
    ['*/10 * * * *', '05:32:00', 8 * MINUTE, 10 * MINUTE],
    ['0 6 * * *', '05:59:59', 1_000, DAY],
    ['0 6 * * *', '06:00:00', DAY, DAY],
    // Never sooner than a second, so that a late look is not followed by another at once.
    ['0 6 * * *', '05:59:59.900', 1_000, DAY],
    ['0 6 * * 1-5', '06:00:01', DAY - 1_000, 3 * DAY],
    ['0 6 1 * *', '06:00:00', 7 * DAY, 31 * DAY],
  ])('%s at %s: in %d ms, and every %d ms at the longest', (every, time, next, longest) => {
    expect(periodMs(every, tuesday(time))).toBe(next);
    expect(cycleMs(every, tuesday(time))).toBe(longest);
  });
});

describe('what a tenant’s facts speak of', () => {
  const base = specWith();
  const differ: [string, TenantSpec][] = [
    ['the site', specWith({ connectwise: { site: 'https://eu.myconnectwise.net' } })],
    ['the company', specWith({ connectwise: { companyId: 'beta' } })],
    ['the role', specWith({ connectwise: { role: { name: 'Sync' } } })],
    ['a member', specWith({ connectwise: { members: { identifiers: ['umbrella-a', 'umbrella-c'] } } })],
    ['the configuration type', specWith({ integration: { configurationType: 'Umbrella' } })],
    ['the console', specWith({ umbrella: { console: 'mssp' } })],
    ['Umbrella’s address', specWith({ umbrella: { url: 'https://api.umbrella.example' } })],
    ['the organisation', specWith({ umbrella: { organizationId: 7 } })],
  ];
  const same: [string, TenantSpec][] = [
    ['the period', specWith({ every: '5m' })],
    ['the levels', specWith({ connectwise: { role: { levels: {} } } })],
    ['the level of the members', specWith({ connectwise: { members: { level: 'Branch' } } })],
    [
      'the order of the members',
      specWith({ connectwise: { members: { identifiers: ['umbrella-b', 'umbrella-a'] } } }),
    ],
    [
      'the spelling of the members',
      specWith({ connectwise: { members: { identifiers: ['UMBRELLA-A', 'Umbrella-B'] } } }),
    ],
    ['the mode', specWith({ mode: 'repair' })],
  ];
  test.each(differ)('is something else where the spec names another: %s', (_, spec) => {
    expect(subjectOf(spec)).not.toBe(subjectOf(base));
  });
  test.each(same)('is the same whatever the spec says of %s', (_, spec) => {
    expect(subjectOf(spec)).toBe(subjectOf(base));
  });
  it('is told apart wherever it differs', () => {
    expect(new Set(differ.map(([, spec]) => subjectOf(spec))).size).toBe(differ.length);
  });
});

describe('the names of a tenant', () => {
  const spec = specWith();

  test.each([
    ['umbrella-a', 'a'],
    ['UMBRELLA-A', 'a'],
    ['umbrella-b', 'b'],
    ['umbrella', null],
    ['umbrella-a2', null],
    ['', null],
  ])('the member %s has the slot %s', (member, slot) => {
    expect(slotOf(spec, member)).toBe(slot);
  });

  it('identifiers are compared without case, and wholly', () => {
    expect(sameIdentifier('Umbrella-A', 'umbrella-a')).toBe(true);
    expect(sameIdentifier('umbrella-a', 'umbrella')).toBe(false);
  });

  it('a company is the same in any spelling, and another on another site', () => {
    const of = (connectwise: object) => companyIdentity(specWith({ connectwise: { ...connectwise } }));
    expect(of({ companyId: 'ACME' })).toBe(of({ companyId: 'acme' }));
    expect(of({ companyId: 'acme' })).not.toBe(of({ companyId: 'beta' }));
    expect(of({})).not.toBe(of({ site: 'https://eu.myconnectwise.net' }));
  });

  it('each credential is bound to the vendor that it is for', () => {
    expect(Object.fromEntries(PURPOSES.map((purpose) => [purpose, originFor(spec, purpose)]))).toEqual({
      management: 'https://na.myconnectwise.net',
      integration: 'https://na.myconnectwise.net',
      'umbrella-api': 'https://api.umbrella.com',
      'umbrella-key-admin': 'https://api.umbrella.com',
      automation: 'nowhere',
    });
    const rpa = specWith({ handoffs: { 'delete-key': { webhook: 'https://rpa.example:8443/work' } } });
    expect(originFor(rpa, 'automation')).toBe('https://rpa.example:8443');
  });
});

describe('what goes to an automation', () => {
  const PEM = `-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEPUB_
-----END PUBLIC KEY-----`;
  const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const good = publicKey.export({ type: 'spki', format: 'pem' }) as string;
  const ed = generateKeyPairSync('ed25519').publicKey.export({ type: 'spki', format: 'pem' }) as string;
  const rpa = 'https://rpa.example/work';
  const secret = `whsec_${Buffer.alloc(24, 1).toString('base64')}`;
  const problemsOf = (handoffs: object) =>
    tenantInputSchema
      .safeParse(with_('handoffs', handoffs))
      .error?.issues.flatMap((issue) => (issue.code === 'invalid_union' ? issue.errors.flat(2) : [issue]))
      .map(({ message }) => message)
      .join('; ') ?? '';

  it('is any kind of work, at https or at loopback', () => {
    for (const webhook of [rpa, 'http://127.0.0.1:9083/work']) {
      const handoffs = Object.fromEntries(HANDOFF_KINDS.map((kind) => [kind, { webhook, publicKey: good }]));
      const tenant = tenantInputSchema.parse(with_('handoffs', { ...handoffs, secret }));
      expect(HANDOFF_KINDS.map((kind) => tenant.handoffs[kind])).toEqual(
        HANDOFF_KINDS.map(() => ({ webhook, publicKey: good })),
      );
    }
  });

  test.each([
    ['plain http elsewhere', { 'delete-key': { webhook: 'http://rpa.example/work' } }, 'https://'],
    ['a secret in the address', { 'delete-key': { webhook: `${rpa}?sig=abc` } }, 'without user, query'],
    ['a user in the address', { 'delete-key': { webhook: 'https://me:pw@rpa.example/' } }, 'without user'],
    ['an install without a key', { 'install-integration-key': { webhook: rpa } }, 'is sent encrypted to it'],
    ['a key that is none', { 'delete-key': { webhook: rpa, publicKey: PEM } }, 'must be a public key'],
    ['a key that cannot encrypt', { 'delete-key': { webhook: rpa, publicKey: ed } }, 'must be a public key'],
    [
      'two places',
      { 'delete-key': { webhook: 'https://other.example/' }, 'grant-role-levels': { webhook: rpa } },
      'one secret signs for one origin',
    ],
    ['a secret for nobody', { secret }, 'goes with a webhook'],
    ['a short secret', { 'delete-key': { webhook: rpa }, secret: 'whsec_c2hvcnQ=' }, 'openssl rand'],
    ['a secret of another form', { 'delete-key': { webhook: rpa }, secret: 'hunter2' }, 'openssl rand'],
  ])('is refused with %s', (_, handoffs, words) => {
    expect(problemsOf(handoffs)).toContain(words);
  });

  it('is stored without the secret', () => {
    expect(Object.keys(tenantSpecSchema.parse(minimal).handoffs)).not.toContain('secret');
    expect(tenantSpecSchema.safeParse(with_('handoffs', { secret })).success).toBe(false);
  });
});
