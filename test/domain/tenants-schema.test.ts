import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv } from 'ajv';
import formats from 'ajv-formats';
import { describe, expect, it, test } from 'vitest';
import { parse } from 'yaml';
import { tenantsSchema } from '../../src/domain/tenants-schema.ts';

const EXAMPLES = join(import.meta.dirname, '../../examples');
const ajv = new Ajv({ allErrors: true, strict: true, allowUnionTypes: true });
formats.default(ajv);
const validate = ajv.compile(tenantsSchema());

const tenant = {
  id: 'acme',
  name: 'Acme MSP',
  connectwise: {
    site: 'https://na.myconnectwise.net',
    companyId: 'acme',
    clientId: '7d2b5a0e-8d3c-4f0e-9a51-1f2e3d4c5b6a',
  },
  umbrella: { console: 'msp' },
};

/** Where something is wrong with a tenant, as an editor underlines it. */
function wrongAt(change: object): string[] {
  if (validate({ tenants: [{ ...tenant, ...change }] })) return [];
  return [
    ...new Set(
      validate.errors!.map(({ instancePath, params }) => {
        const more = params as { additionalProperty?: string; missingProperty?: string };
        return [instancePath, more.additionalProperty ?? more.missingProperty].filter(Boolean).join('/');
      }),
    ),
  ];
}

describe('the schema of tenants.yaml', () => {
  it('is the one that is published beside the examples', () => {
    const published: unknown = JSON.parse(readFileSync(join(EXAMPLES, 'tenants.schema.json'), 'utf8'));
    expect(published).toEqual(JSON.parse(JSON.stringify(tenantsSchema())));
  });

  const examples = readdirSync(EXAMPLES).filter((name) => name.endsWith('.yaml'));
  it('has examples to be tried on', () => expect(examples.length).toBeGreaterThan(1));
  test.each(examples)('holds of %s, which names it', (name) => {
    const text = readFileSync(join(EXAMPLES, name), 'utf8');
    validate(parse(text));
    expect(validate.errors).toBeNull();
    expect(text.split('\n')[0]).toBe('# yaml-language-server: $schema=tenants.schema.json');
  });

  test.each<[string, object]>([
    ['the least', {}],
    [
      'a reference for a text of a form',
      { id: '${env:ID}', connectwise: { ...tenant.connectwise, clientId: '${env:CLIENT_ID}' } },
    ],
    ['a reference for one of several words', { mode: '${env:MODE}' }],
    ['a reference for true or false', { paused: '${file:paused}' }],
    ['a reference for a duration', { rotation: { maxAge: '${command:cat age}' } }],
    ['a number for the organisation', { umbrella: { console: 'msp', organizationId: 1234567 } }],
    [
      'keys by reference',
      { umbrella: { console: 'msp', apiKey: { key: '${env:K}', secret: '${command:op read "op://a/b"}' } } },
    ],
    [
      'an automation',
      {
        handoffs: {
          'delete-key': { webhook: 'https://rpa.example/', publicKey: '${file:rpa.pem}' },
          secret: '${env:S}',
        },
      },
    ],
    ['labels', { labels: { 'example.com/team': 'north' } }],
  ])('takes %s', (_, change) => {
    expect(wrongAt(change)).toEqual([]);
  });

  test.each<[string, object, string[]]>([
    ['a word that is none', { mode: 'repar' }, ['/tenants/0/mode']],
    ['an unknown setting', { rotation: { maxage: '90d' } }, ['/tenants/0/rotation/maxage']],
    ['a bad duration', { rotation: { maxAge: '90 days' } }, ['/tenants/0/rotation/maxAge']],
    [
      'a literal secret',
      { umbrella: { console: 'msp', apiKey: { key: 'abc', secret: '${env:S}' } } },
      ['/tenants/0/umbrella/apiKey/key'],
    ],
    [
      'half a pair',
      { umbrella: { console: 'msp', apiKey: { key: '${env:K}' } } },
      ['/tenants/0/umbrella/apiKey/secret'],
    ],
    ['a label of capitals', { labels: { team: 'North' } }, ['/tenants/0/labels/team']],
    [
      'an address with a path',
      { connectwise: { ...tenant.connectwise, site: 'https://na.myconnectwise.net/v4' } },
      ['/tenants/0/connectwise/site'],
    ],
    [
      'a company that is missing',
      { connectwise: { site: 'https://x', clientId: '${env:C}' } },
      ['/tenants/0/connectwise/companyId'],
    ],
  ])('refuses %s, at its place', (_, change, places) => {
    expect(wrongAt(change)).toEqual(places);
  });
});
