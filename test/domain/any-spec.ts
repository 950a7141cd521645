import { generateKeyPairSync } from 'node:crypto';
import fc from 'fast-check';
import { HANDOFF_KINDS } from '../../src/domain/handoff.ts';
import { tenantSpecSchema, type TenantSpec } from '../../src/domain/tenant.ts';

/** Specs of every kind: each setting sometimes said and sometimes not, texts as odd as they are allowed to be. */

const PEM = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({
  type: 'spki',
  format: 'pem',
}) as string;

const slug = fc.stringMatching(/^[a-z0-9](?:[a-z0-9-]{0,20}[a-z0-9])?$/);
const word = fc.oneof(
  fc.stringMatching(/^[a-z0-9](?:[a-z0-9._/-]{0,61}[a-z0-9])?$/),
  // What YAML, or our own reading of it, might take for something else.
  fc.constantFrom('1', 'null', 'true', 'no', '1e3', '0x1f', 'secret', 'key', 'member', '2026-01-01'),
);
const text = (max: number) =>
  fc
    .oneof(
      fc.string({ unit: 'grapheme', minLength: 1, maxLength: max }),
      fc.constantFrom(
        '${env:HOME}',
        '${command:touch ran}',
        '$${x}',
        '$$${',
        'a: b # c',
        '~',
        "it's",
        '- x',
        '{a}',
        '1',
        'null',
      ),
    )
    .filter((value) => value.trim().length > 0 && value.trim().length <= max && value.isWellFormed());
const duration = fc.constantFrom('90d', '36h', '15m', '5s', '1w', '250ms');
const identifier = fc.stringMatching(/^[A-Za-z0-9_-]{1,15}$/);
const level = fc.constantFrom('None', 'My', 'All');
const some = (parts: Record<string, fc.Arbitrary<unknown>>) => fc.record(parts, { requiredKeys: [] });

const levels = fc.dictionary(
  fc.tuple(text(20), text(20)).map(([module, name]) => `${module}/${name}`.replaceAll(/\/(?=.*\/)/gs, '-')),
  some({ add: level, edit: level, delete: level, inquire: level }),
  { maxKeys: 3 },
);

const members = fc.oneof(
  some({ level: text(50), location: text(50), adopt: fc.boolean(), dedicated: fc.boolean() }),
  fc.record({ strategy: fc.constant('same-member'), identifiers: fc.tuple(identifier) }),
  fc.record({
    identifiers: fc.tuple(identifier, identifier).filter(([a, b]) => a.toLowerCase() !== b.toLowerCase()),
  }),
);

const executor = fc.oneof(
  fc.constant('manual'),
  fc.constantFrom('a', 'b').map((path) => ({ webhook: `https://rpa.example/${path}`, publicKey: PEM })),
);

const input = fc.record(
  {
    id: slug,
    name: text(100),
    labels: fc.dictionary(word, word, { maxKeys: 4 }),
    mode: fc.constantFrom('observe', 'alert', 'repair'),
    paused: fc.boolean(),
    every: fc.oneof(duration, fc.constantFrom('0 6 * * *', '*/10 * * * 1-5')),
    onDelete: fc.constantFrom('orphan', 'deactivate-members'),
    integration: some({ configurationType: text(50), staleAfter: duration, nothingMapped: fc.boolean() }),
    rotation: some({
      maxAge: duration,
      overlap: duration,
      adoptionDeadline: duration,
      window: fc.constantFrom('Sat 02:00-06:00 Europe/Madrid', 'Mon,Tue 22:00-02:00 UTC'),
    }),
    notify: some({
      webhook: fc.constant('https://hooks.example/x'),
      connectwiseTicket: fc.record({ board: text(50) }),
    }),
    handoffs: some({
      deadline: duration,
      ...Object.fromEntries(HANDOFF_KINDS.map((kind) => [kind, executor])),
    }),
    connectwise: fc.record(
      {
        site: fc.constantFrom('https://na.myconnectwise.net', 'http://127.0.0.1:9080'),
        companyId: text(50),
        clientId: fc.uuid(),
        ca: fc.constant('-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n'),
        role: some({ name: text(30), levels, tableSetup: fc.array(text(100), { maxLength: 3 }) }),
        members,
      },
      { requiredKeys: ['site', 'companyId', 'clientId'] },
    ),
    umbrella: fc.record(
      {
        console: fc.constantFrom('msp', 'mssp'),
        url: fc.constantFrom('https://api.umbrella.com', 'http://127.0.0.1:9081'),
        organizationId: fc.integer({ min: 0, max: 999_999_999 }),
        expiryWarning: duration,
        apiKeyExpires: fc.constantFrom('never', '2027-03-31', '2027-03-31T00:00:00Z'),
      },
      { requiredKeys: ['console'] },
    ),
  },
  { requiredKeys: ['id', 'name', 'connectwise', 'umbrella'] },
);

export const anySpec = (): fc.Arbitrary<TenantSpec> =>
  input
    .map((given) => tenantSpecSchema.safeParse(given))
    .filter((parsed) => parsed.success)
    .map((parsed) => parsed.data);
