import { describe } from 'vitest';
import { facts, onlyFailing, since, aged, table } from './condition-table.ts';
import {
  ago,
  configuration,
  dailyMemory,
  DAY,
  factsWith,
  forbidden,
  held,
  HOUR,
  KEY_ADMIN,
  noMemory,
  seen,
  specWith,
  timeout,
  TYPE,
  writesOf,
} from './fixtures.ts';

describe('UmbrellaKeyValid', () => {
  const undeclared = specWith({ umbrella: { apiKeyExpires: undefined } });
  const declared = (apiKeyExpires: string) => ({ spec: specWith({ umbrella: { apiKeyExpires } }) });
  const withAdmin = { credentials: [...held(), KEY_ADMIN], spec: undeclared };
  const expires = (expiresAt: string | null) => ({
    ...withAdmin,
    ...facts({ umbrellaKey: { name: 'parasol', scopes: [], expiresAt } }),
  });
  const adminExpires = (expiresAt: string) => ({ name: 'admin', scopes: [], expiresAt });
  table('UmbrellaKeyValid', [
    ['it works and never expires, as declared', 'True Valid', /just now; never expires \(declared/, {}],
    [
      'it works and never expires, as seen',
      'True Valid',
      /told by the KeyAdmin key, just now/,
      expires(null),
    ],
    ['it works and expires late', 'True Valid', /expires in 15d/, expires(ago(-15 * DAY))],
    ['it expires late, as declared', 'True Valid', /expires in \d+d.*declared/, declared('2026-04-10')],
    [
      'none was given',
      'False NoKey',
      /parasol credential acme umbrella-api/,
      { credentials: held().slice(0, 2) },
    ],
    [
      'Umbrella refuses it',
      'False Refused',
      /refuses the key fp-1 \(just now\): make a new one.*parasol credential acme umbrella-api/,
      facts({ umbrellaAccess: { accepted: false } }),
    ],
    [
      'it may not list customers',
      'False MissingScope',
      /give it the scope/,
      since(forbidden, 'key-u', 'customers'),
    ],
    [
      'the key before it might not list customers',
      'True Valid',
      /lists customers/,
      since(forbidden, 'key-old', 'customers'),
    ],
    [
      'customers could never be listed',
      'Unknown NotSeen',
      /list of customers was never seen: unavailable/,
      onlyFailing('customers', timeout, 'key-u'),
    ],
    ['it expires soon', 'False Expiring', /expires in 14d.*make a new one/, expires(ago(-14 * DAY))],
    [
      'it expires soon, and a KeyAdmin key of a tenant in mode repair rotates it',
      'False Expiring',
      /expires in 14d.*it is rotated before that/,
      {
        ...expires(ago(-14 * DAY)),
        spec: specWith({ mode: 'repair', umbrella: { apiKeyExpires: undefined } }),
      },
    ],
    [
      'the KeyAdmin key itself expires soon',
      'False KeyAdminExpiring',
      /KeyAdmin key fp-1 expires in 3d.*parasol credential acme umbrella-key-admin/,
      { ...withAdmin, ...facts({ umbrellaAdminKey: adminExpires(ago(-3 * DAY)) }) },
    ],
    [
      'the KeyAdmin key itself expires late',
      'True Valid',
      /never expires/,
      { ...withAdmin, ...facts({ umbrellaAdminKey: adminExpires(ago(-30 * DAY)) }) },
    ],
    [
      'the KeyAdmin key before it was to expire soon',
      'True Valid',
      /never expires/,
      {
        ...withAdmin,
        facts: {
          ...factsWith(),
          umbrellaAdminKey: seen(adminExpires(ago(-3 * DAY)), undefined, 'key-old'),
        },
      },
    ],
    ['it expired', 'False Expired', /expired on .*told by the KeyAdmin key.*make a new one/, expires(ago(0))],
    [
      'it expired, as declared',
      'False Expired',
      /declared as umbrella.apiKeyExpires/,
      declared('2026-03-01'),
    ],
    [
      'its expiry can be seen by nobody',
      'Unknown ExpiryNotVisible',
      /give umbrella.keyAdmin, or declare/,
      { spec: undeclared },
    ],
    [
      'the KeyAdmin key is refused',
      'False KeyAdminRefused',
      /KeyAdmin key fp-1 \(just now\).*umbrella-key-admin/,
      { ...withAdmin, ...facts({ umbrellaKeyAdmin: { accepted: false } }) },
    ],
    [
      'the KeyAdmin key was refused long ago',
      'Unknown EvidenceTooOld',
      /KeyAdmin key was last seen 4h ago/,
      {
        ...withAdmin,
        facts: { ...factsWith(), umbrellaKeyAdmin: seen({ accepted: false }, ago(4 * HOUR), 'key-k') },
      },
    ],
    [
      'the KeyAdmin key was not proved since it was replaced',
      'Unknown NotProved',
      /KeyAdmin key fp-new was not proved/,
      { ...withAdmin, credentials: [...held(), { ...KEY_ADMIN, id: 'key-new', fingerprint: 'fp-new' }] },
    ],
    [
      'the KeyAdmin key does not list it',
      'Unknown KeyNotListed',
      /does not list the key fp-1/,
      { ...withAdmin, ...facts({ umbrellaKey: null }) },
    ],
    [
      'only the expiry of the key before it was seen',
      'Unknown NotProved',
      /expiry of the Umbrella key fp-1 was not proved/,
      {
        ...withAdmin,
        facts: { ...factsWith(), umbrellaKey: { ...factsWith().umbrellaKey, credentialId: 'key-old' } },
      },
    ],
    [
      'it took the place of another, and was not tried itself',
      'Unknown NotProved',
      /fp-new was not proved yet/,
      { credentials: [...held().slice(0, 2), { ...held()[2]!, id: 'key-new', fingerprint: 'fp-new' }] },
    ],
    ['it was tried long ago', 'Unknown EvidenceTooOld', /4h ago/, aged(4 * HOUR, 'umbrellaAccess')],
    [
      'customers were listed long ago',
      'Unknown EvidenceTooOld',
      /customers was last/,
      aged(4 * HOUR, 'customers'),
    ],
  ]);
});

describe('UmbrellaIntegrated', () => {
  const writes = (...each: [by: string, age: number][]) => facts({ writes: writesOf(...each) });
  const lastWrite = (ms: number, by = 'umbrella-a') => ({ at: ago(ms), by, configuration: 'Contoso' });
  const incomplete = (...each: [by: string, age: number][]) =>
    facts({ writes: { ...writesOf(...each), complete: false } });
  const nothingMapped = specWith({ integration: { nothingMapped: true } });
  const named = specWith({ integration: { configurationType: 'Umbrella' } });
  const daily = { memory: dailyMemory() };
  table('UmbrellaIntegrated', [
    ['it wrote lately', 'True Writing', /umbrella-a last wrote 3h ago; 1 configurations for 1 customers/, {}],
    ['it wrote just within staleAfter', 'True Writing', /1d 12h ago/, writes(['umbrella-a', 36 * HOUR])],
    [
      'it wrote as the other slot’s member',
      'True Writing',
      /umbrella-b.*, though the key in use is of umbrella-a/,
      writes(['umbrella-b', HOUR]),
    ],
    [
      'it wrote lately, and a technician edited everything since',
      'True Writing',
      /umbrella-a last wrote 5h ago/,
      {
        ...writes(['jdoe', HOUR], ['jdoe', HOUR]),
        memory: { ...noMemory(), lastWrite: lastWrite(5 * HOUR) },
      },
    ],
    [
      'a member wrote lately that the spec no longer names',
      'Unknown NeverSeen',
      /umbrella-a or umbrella-b was ever seen/,
      { ...writes(), memory: { ...noMemory(), lastWrite: lastWrite(5 * HOUR, 'somebody') } },
    ],
    [
      'it wrote lately, and the look is long ago',
      'True Writing',
      /last wrote 1d 2h ago/,
      { facts: { ...factsWith(), writes: seen(writesOf(['umbrella-a', 26 * HOUR]), ago(10 * HOUR)) } },
    ],
    ['no write was ever seen', 'Unknown NeverSeen', /check Umbrella's PSA.*nothingMapped\.$/, writes()],
    [
      'no write was seen in a part of the configurations',
      'Unknown NeverSeen',
      /Not all configurations were looked at: name integration.configurationType/,
      incomplete(['jdoe', HOUR]),
    ],
    [
      'nothing is mapped, as declared',
      'Unknown NothingMapped',
      /Declared/,
      { ...writes(), spec: nothingMapped },
    ],
    ['nothing is mapped, as declared, though it writes', 'True Writing', /3h ago/, { spec: nothingMapped }],
    [
      'nothing is mapped, as declared, and it went silent',
      'Unknown NothingMapped',
      /Declared/,
      { ...writes(['umbrella-a', 10 * DAY]), spec: nothingMapped, ...daily },
    ],
    [
      'it wrote long ago, and its cadence is not proved',
      'Unknown CadenceUnproved',
      /last wrote 3d ago, longer ago than 36h/,
      writes(['umbrella-a', 3 * DAY]),
    ],
    [
      'it is silent for longer than it ever was',
      'False Silent',
      /umbrella-a last wrote 3d ago; it used to write at least every 1d. Look at/,
      { ...writes(['umbrella-a', 3 * DAY]), ...daily },
    ],
    [
      'it is silent for no longer than it was before',
      'Unknown WithinCadence',
      /pauses of 5d were seen before.*raise integration.staleAfter/,
      {
        ...writes(['umbrella-a', 3 * DAY]),
        memory: { type: TYPE, bursts: [ago(13 * DAY), ago(8 * DAY), ago(3 * DAY)] },
      },
    ],
    [
      'it is silent, but not everything was looked at',
      'Unknown AbsenceNotBelieved',
      /let the management key read all configurations/,
      { ...incomplete(['umbrella-a', 3 * DAY]), ...daily },
    ],
    [
      'it is silent, but its earlier writes are hidden too',
      'Unknown AbsenceNotBelieved',
      /umbrella-a last wrote 3d ago/,
      { ...writes(), memory: { ...dailyMemory(), lastWrite: lastWrite(3 * DAY) } },
    ],
    [
      'another member wrote most of the configurations',
      'False WrongMember',
      /2 of 3 configurations were last written by acme-api, 1h ago, not by umbrella-a or umbrella-b. umbrella-a last wrote 4d ago. Put/,
      writes(['acme-api', HOUR], ['acme-api', HOUR], ['umbrella-a', 4 * DAY]),
    ],
    [
      'another wrote half of them',
      'Unknown CadenceUnproved',
      /umbrella-a last wrote 4d ago/,
      writes(['acme-api', HOUR], ['acme-api', HOUR], ['umbrella-a', 4 * DAY], ['umbrella-a', 4 * DAY]),
    ],
    ['a technician edited the only one', 'Unknown NeverSeen', /ever seen/, writes(['jdoe', HOUR])],
    [
      'two technicians edited one each',
      'Unknown NeverSeen',
      /ever seen/,
      writes(['jdoe', HOUR], ['mroe', HOUR]),
    ],
    [
      'another member wrote them long ago',
      'Unknown NeverSeen',
      /ever seen/,
      writes(['acme-api', 3 * DAY], ['acme-api', 3 * DAY]),
    ],
    [
      'others write configurations of which no type is known',
      'Unknown NeverSeen',
      /ever seen/,
      facts({ writes: { ...writesOf(['acme-api', HOUR], ['acme-api', HOUR]), type: null } }),
    ],
    [
      'ConnectWise has no configuration type of that name',
      'Unknown TypeNotFound',
      /no configuration type Umbrella: check integration.configurationType/,
      { ...facts({ writes: { type: null, configurations: [], complete: true } }), spec: named, ...daily },
    ],
    [
      'a write is dated tomorrow',
      'Unknown ClockSkew',
      /umbrella-a is dated 2026-03-11.*check the clocks/,
      writes(['umbrella-a', -DAY]),
    ],
    [
      'a write is dated tomorrow, and another is young',
      'True Writing',
      /3h ago/,
      writes(['umbrella-a', -DAY], ['umbrella-a', 3 * HOUR]),
    ],
    [
      'configurations could never be read',
      'Unknown NotSeen',
      /never seen: key lacks the right/,
      onlyFailing('writes', forbidden, 'key-m'),
    ],
    [
      'it wrote long ago, and nothing was read for long',
      'Unknown EvidenceTooOld',
      /last seen 3h ago, too long ago to hold. umbrella-a last wrote 3d ago/,
      { facts: { ...factsWith(), writes: seen(writesOf(['umbrella-a', 3 * DAY]), ago(3 * HOUR)) }, ...daily },
    ],
    [
      'a row has no time, another no author',
      'Unknown NeverSeen',
      /ever seen/,
      facts({
        writes: {
          type: TYPE,
          configurations: [
            configuration({ lastUpdated: null }),
            configuration({ id: 2, updatedBy: null }),
            configuration({ id: 3, lastUpdated: 'no time at all' }),
          ],
          complete: true,
        },
      }),
    ],
  ]);
});
