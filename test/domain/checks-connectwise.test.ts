import { describe } from 'vitest';
import { remember, type FactValues, type Facts } from '../../src/domain/observation.ts';
import { facts, onlyFailing, since, aged, table } from './condition-table.ts';
import {
  ADMIN_ROLE,
  ago,
  alive,
  at,
  candidateWith,
  credential,
  DAY,
  dead,
  factsWith,
  failing,
  forbidden,
  held,
  heldButIntegration,
  HOUR,
  memberWith,
  MINUTE,
  PARASOL,
  ROLE,
  rowsWith,
  seen,
  specWith,
  timeout,
  unread,
} from './fixtures.ts';

describe('ConnectWiseReachable', () => {
  const unknownCompany = { state: 'company-unknown' } as const;
  const withoutManagement = (site: Facts['site']): { facts: Facts } => ({
    facts: { ...factsWith({ management: undefined, site: undefined }), ...(site && { site }) },
  });
  table('ConnectWiseReachable', [
    ['the site answers with the company', 'True Answers', /for Acme MSP, just now/, {}],
    [
      'the site shows no company, though it answers the key just as late',
      'True Answers',
      /Parasol's key of acme/,
      facts({ site: unknownCompany }),
    ],
    [
      'the site’s page fails, though the key is answered just as late',
      'True Answers',
      /Parasol's key of acme/,
      onlyFailing('site', timeout),
    ],
    [
      'the site does not know the company',
      'False CompanyUnknown',
      /knows no company acme \(asked just now\): check connectwise.companyId/,
      facts({ site: unknownCompany, management: undefined }),
    ],
    [
      'the site knew no company since the key was answered last',
      'False CompanyUnknown',
      /check connectwise.companyId/,
      {
        facts: {
          ...factsWith({ site: unknownCompany }),
          ...aged(15 * MINUTE, 'management').facts,
          site: seen(unknownCompany),
        },
      },
    ],
    [
      'the site answers with a page',
      'False NotConnectWise',
      /\(HTML; asked just now\): check connectwise.site/,
      facts({ site: { state: 'not-connectwise', detail: 'HTML' }, management: undefined }),
    ],
    [
      'the site does not answer, where it did',
      'False Unreachable',
      /unavailable \(timeout\): no answer in 10s, just now. It was last seen to answer 15m ago. Check /,
      {
        facts: {
          ...aged(15 * MINUTE, 'management').facts,
          site: { ...factsWith({}, ago(15 * MINUTE)).site, ...failing(timeout) },
        },
      },
    ],
    [
      'neither the site nor the key is answered any more',
      'False Unreachable',
      /timeout/,
      since(timeout, null, 'site', 'management'),
    ],
    [
      'a proxy refuses a question that needs no key',
      'False Unreachable',
      /does not answer as ConnectWise: companyinfo answered 403, just now/,
      withoutManagement(failing({ kind: 'Forbidden', detail: 'companyinfo answered 403' })),
    ],
    [
      'the site was never asked',
      'Unknown NotSeen',
      /was never seen: not asked for yet/,
      withoutManagement(undefined),
    ],
    [
      'the site only asked to wait',
      'Unknown NotSeen',
      /asked to wait 30s/,
      withoutManagement(failing({ kind: 'RateLimited', retryAfterMs: 30_000, detail: '429' })),
    ],
    [
      'the run was stopped before the site was asked',
      'True Answers',
      /for Acme MSP/,
      since({ kind: 'Unavailable', why: 'cancelled', detail: 'the run was stopped' }, null, 'site'),
    ],
    [
      'the site failed, and only asked to wait since',
      'False Unreachable',
      /timeout/,
      {
        facts: remember(since(timeout, null, 'site', 'management').facts, {
          at,
          candidates: {},
          site: unread({ kind: 'RateLimited', retryAfterMs: 1, detail: '429' }),
        }),
      },
    ],
    [
      'the site answered long ago, and was not asked since',
      'Unknown EvidenceTooOld',
      /last seen 2h ago, too long ago to hold/,
      aged(2 * HOUR, 'site', 'management'),
    ],
    [
      'the site failed long ago, and was not asked since',
      'Unknown NotSeen',
      /timeout.*2h ago/,
      withoutManagement(failing(timeout, ago(2 * HOUR))),
    ],
  ]);
});

describe('ManagementKeyValid', () => {
  const lacking = { authenticates: true, member: 'parasol', missing: ['System/Members edit'] } as const;
  const management = (value: object) => ({ management: value as FactValues['management'] });
  table('ManagementKeyValid', [
    ['it authenticates and reads what it must', 'True Valid', /as parasol.*just now/, {}],
    ['none was given', 'False NoKey', /parasol credential acme management/, { credentials: held().slice(1) }],
    [
      'only a pair of another state is held',
      'False NoKey',
      /holds no/,
      { credentials: [{ ...held()[0]!, state: 'superseded' }, ...held().slice(1)] },
    ],
    [
      'ConnectWise refuses it',
      'False Refused',
      /refuses the management key fp-1 \(just now\).*parasol credential acme management/,
      facts(management({ authenticates: false })),
    ],
    [
      'a right that repairs need lacks, in mode repair',
      'False MissingRights',
      /System\/Members edit. Grant them to the role of parasol/,
      { ...facts(management(lacking)), spec: specWith({ mode: 'repair' }) },
    ],
    [
      'a right that repairs need lacks, in mode observe',
      'True Valid',
      /may read/,
      facts(management(lacking)),
    ],
    [
      'a right to read lacks',
      'False MissingRights',
      /System\/Security Roles inquire/,
      facts(management({ ...lacking, missing: ['System/Security Roles inquire'] })),
    ],
    [
      'the roles may not be read any more',
      'False MissingRights',
      /lacks rights: read security roles\./,
      since(forbidden, 'key-m', 'roles'),
    ],
    [
      'nothing may be read',
      'False MissingRights',
      /read its own security, read API members, read security roles, read role settings, read configurations/,
      since(forbidden, 'key-m', 'management', 'members', 'roles', 'roleLevels', 'writes'),
    ],
    [
      'the key before this one lacked a right',
      'True Valid',
      /may read/,
      since(forbidden, 'key-old', 'roles'),
    ],
    [
      'a right lacked long ago, and nothing was told since',
      'Unknown RightsUnproved',
      /key lacks the right: Security, 3h ago/,
      {
        facts: { ...factsWith({ roles: undefined }), roles: failing(forbidden, ago(3 * HOUR), 'key-m') },
      },
    ],
    [
      'it read the roles, was refused long ago, and met only weather since',
      'Unknown RightsUnproved',
      /list of security roles was refused 1h 30m ago/,
      {
        facts: {
          ...factsWith(),
          roles: {
            ...factsWith({}, ago(100 * MINUTE)).roles,
            ...failing(forbidden, ago(90 * MINUTE), 'key-m'),
          },
        },
      },
    ],
    [
      'it authenticates, but was never seen to read the roles',
      'Unknown RightsUnproved',
      /list of security roles was never seen: unavailable \(timeout\)/,
      onlyFailing('roles', timeout, 'key-m'),
    ],
    [
      'it was never seen to read members',
      'Unknown RightsUnproved',
      /API members/,
      onlyFailing('members', timeout),
    ],
    [
      'it was never seen to read writes',
      'Unknown RightsUnproved',
      /configurations/,
      onlyFailing('writes', timeout),
    ],
    [
      'its role has no settings, since there is no role',
      'True Valid',
      /may read/,
      facts({ roleLevels: undefined }),
    ],
    [
      'it was last seen to read the roles long ago',
      'Unknown RightsUnproved',
      /last seen 3h ago, too long ago/,
      aged(3 * HOUR, 'roles'),
    ],
    [
      'it was never asked for',
      'Unknown NotSeen',
      /never seen: not asked for yet/,
      facts({ management: undefined }),
    ],
    [
      'it took the place of another, and was not proved itself',
      'Unknown NotProved',
      /key fp-new was not proved yet. Since then: unavailable \(timeout\)/,
      {
        ...since(timeout, 'key-new', 'management'),
        credentials: [{ ...held()[0]!, id: 'key-new', fingerprint: 'fp-new' }, ...held().slice(1)],
      },
    ],
    [
      'it was last seen long ago',
      'Unknown EvidenceTooOld',
      /management key was last seen 3h ago, too long ago to hold/,
      aged(3 * HOUR, 'management'),
    ],
    [
      'its evidence is dated tomorrow',
      'Unknown ClockSkew',
      /dated 2026-03-11.*check the clocks of all replicas/,
      aged(-DAY, 'management'),
    ],
    ['its evidence is dated a minute ahead', 'True Valid', /just now/, aged(-MINUTE, 'management')],
  ]);
});

describe('RoleReady', () => {
  const roles = (items: FactValues['roles']['items'], controlSeen = true) => ({
    roles: { items, controlSeen },
  });
  const levels = (rows: ReturnType<typeof rowsWith>, roleId = ROLE.id) => ({
    roleLevels: { roleId, rows, source: 'settings' as const },
  });
  const unreadable = { roles: undefined, roleLevels: undefined };
  const weak = rowsWith('Companies/Configurations', 'edit', 'None');
  const strong = rowsWith('Finance/Invoicing', 'inquire', 'All');
  table('RoleReady', [
    [
      'its levels are as specified',
      'True LevelsExact',
      /Umbrella is as specified \(read from the role, just now\)/,
      {},
    ],
    [
      'a level lacks',
      'False LevelsMissing',
      /Companies\/Configurations.edit is None, wanted All \(read from the role, just now\). Set them in System > Security Roles > Umbrella/,
      facts(levels(weak)),
    ],
    [
      'a level is too much',
      'False LevelsExcess',
      /Finance\/Invoicing.inquire is All, wanted None/,
      facts(levels(strong)),
    ],
    [
      'one level lacks and another is too much',
      'False LevelsDiffer',
      /edit is None.*inquire is All/,
      facts(levels([...weak.filter(({ function: name }) => !name.startsWith('Finance')), strong.at(-1)!])),
    ],
    [
      'many levels lack',
      'False LevelsMissing',
      /; and 6 more \(/,
      facts(levels([strong.at(-1)!].map((row) => ({ ...row, inquire: 'None' })))),
    ],
    [
      'there is none',
      'False RoleMissing',
      /no role Umbrella \(seen just now\): make it/,
      facts(roles([ADMIN_ROLE])),
    ],
    [
      'there is none in a list that may be filtered',
      'Unknown AbsenceNotBelieved',
      /lacks the management key's own role \(seen just now\): let/,
      facts(roles([], false)),
    ],
    ['it is inactive', 'False RoleInactive', /activate it/, facts(roles([{ ...ROLE, inactive: true }]))],
    [
      'two have its name',
      'False RoleAmbiguous',
      /2 roles are named Umbrella \(seen just now\): rename/,
      facts(roles([ROLE, { ...ROLE, id: 64 }])),
    ],
    [
      'its levels were never read',
      'Unknown NotSeen',
      /settings of the role Umbrella was never seen: unavailable \(timeout\)/,
      { ...onlyFailing('roleLevels', timeout), credentials: heldButIntegration() },
    ],
    [
      'only another role’s levels were read',
      'Unknown NotSeen',
      /let the management key read/,
      { ...facts(levels(weak, 9)), credentials: heldButIntegration() },
    ],
    [
      'the list of its levels came empty',
      'Unknown NotSeen',
      /came empty/,
      { ...facts(levels([])), credentials: heldButIntegration() },
    ],
    [
      'roles cannot be read, and the integration key shows its levels',
      'True LevelsExact',
      /read with its key, as effective levels, just now/,
      facts(unreadable),
    ],
    [
      'roles cannot be read, and the integration key shows too few',
      'False LevelsMissing',
      /as effective levels/,
      facts({ ...unreadable, integrationKey: alive({ levels: weak }) }),
    ],
    [
      'the role was seen, its levels only with the integration key',
      'False LevelsMissing',
      /as effective levels/,
      facts({ roleLevels: undefined, integrationKey: alive({ levels: weak }) }),
    ],
    [
      'roles cannot be read, and the key’s member has another role',
      'Unknown NotSeen',
      /list of roles was never seen/,
      facts({
        ...unreadable,
        members: { items: [memberWith({ role: { id: 9, name: 'Other' } })], controlSeen: true },
      }),
    ],
    [
      'roles cannot be read, and which role the key’s member has was never seen',
      'Unknown NotSeen',
      /list of roles was never seen/,
      facts({ ...unreadable, members: undefined, integrationKey: alive({ levels: weak }) }),
    ],
    [
      'roles cannot be read, and the key is a stranger’s',
      'Unknown NotSeen',
      /list of roles was never seen/,
      facts({ ...unreadable, integrationKey: alive({ member: 'somebody' }) }),
    ],
    [
      'roles cannot be read, and the key that showed levels is no longer held',
      'Unknown NotSeen',
      /list of roles was never seen/,
      facts({ ...unreadable, integrationKey: alive({ credentialId: 'key-0' }) }),
    ],
    [
      'roles cannot be read, and the key showed no level at all',
      'Unknown NotSeen',
      /list of roles was never seen/,
      facts({ ...unreadable, integrationKey: alive({ levels: [] }) }),
    ],
    [
      'the list that lacked it is old, and the key shows levels',
      'Unknown EvidenceTooOld',
      /list of roles was last seen 3h ago/,
      { facts: { ...factsWith(), roles: seen({ items: [], controlSeen: false }, ago(3 * HOUR)) } },
    ],
    [
      'what was read holds while the right to read it is taken away',
      'True LevelsExact',
      /read from the role, 30m ago/,
      { facts: { ...aged(30 * MINUTE, 'roles', 'roleLevels', 'integrationKey').facts } },
    ],
    [
      'its settings were read before the key showed other levels',
      'False LevelsMissing',
      /as effective levels, just now/,
      {
        facts: {
          ...aged(30 * MINUTE, 'roles', 'roleLevels').facts,
          integrationKey: seen(alive({ levels: weak })),
        },
      },
    ],
    [
      'nothing was seen for long',
      'Unknown EvidenceTooOld',
      /list of roles was last seen 3h ago, too long ago to hold/,
      aged(3 * HOUR, 'roles', 'roleLevels', 'integrationKey'),
    ],
    [
      'the list holds, its levels are too old',
      'Unknown EvidenceTooOld',
      /settings of the role Umbrella was last seen 3h ago/,
      aged(3 * HOUR, 'roleLevels', 'integrationKey'),
    ],
  ]);
});

describe('TableSetupReady', () => {
  table('TableSetupReady', [
    ['exactly the specified items are allowed', 'True AllowListExact', /\(read with fp-1, just now\)/, {}],
    [
      'an item lacks',
      'False ItemsMissing',
      /Service \/ Board is not allowed, wanted allowed \(read with fp-1, just now\). Set it in/,
      {
        spec: specWith({ connectwise: { role: { tableSetup: ['Service / Board'] } } }),
        ...facts({ integrationKey: alive({ allowList: [] }) }),
      },
    ],
    [
      'an item is too much',
      'False ItemsExcess',
      /Service \/ Priority is allowed, wanted not allowed/,
      {
        spec: specWith({
          connectwise: { role: { tableSetup: ['Company / Configuration', 'Service / Service Board'] } },
        }),
      },
    ],
    [
      'no key was given, and none is a candidate',
      'Unknown NoIntegrationKey',
      /the first rotation brings it in/,
      { credentials: heldButIntegration() },
    ],
    [
      'no key was given, and a candidate shows the list',
      'True AllowListExact',
      /read with fp-1/,
      {
        credentials: [...heldButIntegration(), candidateWith()],
        facts: {
          ...factsWith({ integrationKey: undefined }),
          candidates: { 'key-2': seen(alive({ credentialId: 'key-2' })) },
        },
      },
    ],
    [
      'the key in use is dead',
      'Unknown NotReadable',
      /fp-1 was not seen to be one: see/,
      facts({ integrationKey: dead() }),
    ],
    [
      'the key’s member has another role',
      'Unknown NotReadable',
      /of umbrella-a with the role Umbrella shows the allow list.*and MembersReady/,
      facts({
        members: { items: [memberWith({ role: { id: 9, name: 'Other' } })], controlSeen: true },
      }),
    ],
    [
      'which role the key’s member has was never seen',
      'Unknown NotReadable',
      /of umbrella-a with the role Umbrella shows the allow list/,
      facts({ members: undefined }),
    ],
    [
      'the key may not read the list',
      'Unknown NotReadable',
      /could not read its allow list \(just now\): it needs System\/Table Setup inquire/,
      facts({ integrationKey: alive({ allowList: null }) }),
    ],
    [
      'the list was read long ago',
      'Unknown EvidenceTooOld',
      /allow list was last seen 3h ago/,
      aged(3 * HOUR, 'integrationKey'),
    ],
  ]);
});

describe('MembersReady', () => {
  const members = (items: FactValues['members']['items'], controlSeen = true) =>
    facts({ members: { items, controlSeen } });
  const idle = (inactive: boolean) => memberWith({ id: 202, identifier: 'umbrella-b', inactive });
  table('MembersReady', [
    ['the active one is as specified, the idle one does not exist', 'True AsSpecified', /seen just now/, {}],
    [
      'the idle one is inactive',
      'True AsSpecified',
      /umbrella-a is active/,
      members([PARASOL, memberWith(), idle(true)]),
    ],
    [
      'both were seen, in a list without the control',
      'True AsSpecified',
      /umbrella-a is active/,
      members([memberWith(), idle(true)], false),
    ],
    [
      'the idle one is not in a list without the control',
      'Unknown AbsenceNotBelieved',
      /No umbrella-b in a list/,
      members([memberWith()], false),
    ],
    [
      'none is in a list without the control',
      'Unknown AbsenceNotBelieved',
      /No umbrella-a, no umbrella-b in a list.*let the management key/,
      members([], false),
    ],
    [
      'the active one is not there',
      'False MemberMissing',
      /umbrella-a is none, wanted umbrella-a \(seen just now\).*parasol plan/,
      members([PARASOL]),
    ],
    [
      'the idle one is active',
      'False IdleMemberActive',
      /umbrella-b.active is active, wanted inactive/,
      members([PARASOL, memberWith(), idle(false)]),
    ],
    [
      'the idle one is active, the other not in a list without the control',
      'False IdleMemberActive',
      /umbrella-b/,
      members([idle(false)], false),
    ],
    [
      'the active one is inactive',
      'False MemberInactive',
      /umbrella-a.active is inactive, wanted active/,
      members([PARASOL, memberWith({ inactive: true })]),
    ],
    [
      'the active one has another role',
      'False MemberDiffers',
      /umbrella-a.role is Other, wanted Umbrella/,
      members([PARASOL, memberWith({ role: { id: 9, name: 'Other' } })]),
    ],
    [
      'the active one has another role, and the idle one is active',
      'False MemberDiffers',
      /role is Other.*umbrella-b.active/,
      members([PARASOL, memberWith({ role: { id: 9, name: 'Other' } }), idle(false)]),
    ],
    ['they were never read', 'Unknown NotSeen', /timeout/, onlyFailing('members', timeout)],
    ['they were read long ago', 'Unknown EvidenceTooOld', /3h ago/, aged(3 * HOUR, 'members')],
    [
      'they were read when another clock was ahead',
      'Unknown ClockSkew',
      /ahead of this clock/,
      aged(-HOUR, 'members'),
    ],
  ]);
});

describe('IntegrationKeyValid', () => {
  const key = (parts: Parameters<typeof alive>[0]) => facts({ integrationKey: alive(parts) });
  const ofB = [...heldButIntegration(), credential({ member: 'umbrella-b' })];
  table('IntegrationKeyValid', [
    [
      'it is the member’s, with exact levels',
      'True Valid',
      /fp-1 authenticates as umbrella-a.*just now; held for 10d/,
      {},
    ],
    ['it was never given', 'Unknown NotGiven', /first rotation/, { credentials: heldButIntegration() }],
    [
      'another was proved, it was not',
      'Unknown NotProved',
      /key fp-1 was not proved yet/,
      { facts: { ...factsWith(), integrationKey: seen(alive({ credentialId: 'key-0' }), at, 'key-0') } },
    ],
    [
      'it was never proved in this weather',
      'Unknown NotSeen',
      /unavailable \(timeout\)/,
      onlyFailing('integrationKey', timeout, 'key-1'),
    ],
    [
      'ConnectWise refuses it',
      'False Refused',
      /fp-1 \(just now\): make a new key on umbrella-a and give it with `parasol credential acme integration --member umbrella-a`/,
      facts({ integrationKey: dead() }),
    ],
    [
      'ConnectWise refuses it, whose member is inactive',
      'False Refused',
      /umbrella-a is inactive, so activate that first/,
      facts({
        integrationKey: dead(),
        members: { items: [PARASOL, memberWith({ inactive: true })], controlSeen: true },
      }),
    ],
    ['its member was not told', 'Unknown MemberNotTold', /did not tell whose/, key({ member: null })],
    [
      'it is a stranger’s',
      'False WrongMember',
      /belongs to somebody, not to umbrella-a \(just now\): make a new key/,
      key({ member: 'somebody' }),
    ],
    ['it is the other slot’s', 'False WrongMember', /belongs to umbrella-b/, key({ member: 'umbrella-b' })],
    [
      'it was given for the other slot, and is that one’s',
      'True Valid',
      /as UMBRELLA-B/,
      { ...key({ member: 'UMBRELLA-B' }), credentials: ofB },
    ],
    [
      'it was given for a member that the spec no longer names',
      'False WrongMember',
      /belongs to somebody, not to umbrella-a/,
      {
        ...key({ member: 'somebody' }),
        credentials: [...heldButIntegration(), credential({ member: 'somebody' })],
      },
    ],
    ['its levels were not told', 'Unknown LevelsNotTold', /did not tell the levels/, key({ levels: [] })],
    [
      'it is too weak',
      'False TooWeak',
      /levels of umbrella-a: Companies\/Configurations.edit is None, wanted All \(just now\). Give it/,
      key({ levels: rowsWith('Companies/Configurations', 'edit', 'None') }),
    ],
    [
      'it is too strong',
      'False TooStrong',
      /Finance\/Invoicing.inquire is All/,
      key({ levels: rowsWith('Finance/Invoicing', 'inquire', 'All') }),
    ],
    [
      'it is too old',
      'False TooOld',
      /held the key fp-1 for 91d; rotation.maxAge allows 90d: make/,
      { credentials: [...heldButIntegration(), credential({ createdAt: ago(91 * DAY) })] },
    ],
    [
      'it is exactly as old as it may be',
      'True Valid',
      /held for 90d/,
      { credentials: [...heldButIntegration(), credential({ createdAt: ago(90 * DAY) })] },
    ],
    ['it was proved long ago', 'Unknown EvidenceTooOld', /2h ago/, aged(2 * HOUR, 'integrationKey')],
  ]);
});
