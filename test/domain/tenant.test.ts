import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { formatSpan, parseDuration } from '../../src/domain/duration.ts';
import { Secret } from '../../src/domain/secret.ts';
import { periodMs, tenantInputSchema } from '../../src/domain/tenant.ts';
import { inspect } from 'node:util';

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
    ['a cron expression', 'every', '0 6 * * *'],
    ['plain http to loopback', 'connectwise.site', 'http://127.0.0.1:9080'],
    ['a window with days and zone', 'rotation.window', 'Sat,Sun 02:00-06:00 Europe/Madrid'],
  ])('takes %s', (_, path, value) => {
    expect(tenantInputSchema.safeParse(with_(path, value)).error).toBeUndefined();
  });

  it('asks a cron expression for the time to its next run', () => {
    const at = new Date('2026-11-24T05:30:00Z');
    expect(periodMs('0 6 * * *', at)).toBe(30 * 60_000);
    expect(periodMs('15m', at)).toBe(15 * 60_000);
  });
});

describe('durations', () => {
  test.each([
    ['90d', 7_776_000_000],
    ['36h', 129_600_000],
    ['5s', 5_000],
    ['250ms', 250],
  ])('%s is %d ms', (text, ms) => expect(parseDuration(text)).toBe(ms));
  test.each(['', '5', '5 s', '-5s', '1.5h', '5S', 'P1D'])('"%s" is none', (text) =>
    expect(parseDuration(text)).toBeNull(),
  );
  test.each([
    [0, '0ms'],
    [5_000, '5s'],
    [3_600_000, '1h'],
    [90_061_000, '1d 1h'],
    [86_400_000 * 3 + 5_000, '3d'],
  ])('%d ms reads %s', (ms, text) => expect(formatSpan(ms)).toBe(text));
});

it('a secret prints nowhere', () => {
  fc.assert(
    fc.property(fc.string({ minLength: 12, maxLength: 60 }), (value) => {
      const secret = new Secret(value);
      const shown = [['x', secret].join(), JSON.stringify({ secret }), inspect({ secret }), String(secret)];
      return secret.reveal() === value && shown.every((text) => text.includes('[secret]'));
    }),
  );
});
