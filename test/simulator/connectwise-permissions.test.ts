import { describe, expect, test } from 'vitest';
import type { LevelChanges } from '../../src/simulator/connectwise/catalogue.ts';
import { start, type Harness } from './harness.ts';

/** A key whose role has exactly these levels and this allow list. */
function keyWith(harness: Harness, levels: LevelChanges, allowList: string[] = []) {
  const { world } = harness;
  const role = world.createRole('acme', 'Tried');
  world.setLevels('acme', role, levels);
  world.setAllowList('acme', role, allowList);
  world.createMember('acme', { identifier: 'tried', role });
  return world.makeKey('acme', 'tried');
}

describe('each operation asks for its own level', () => {
  test.each<[method: string, path: string, levels: LevelChanges, allowList?: string[]]>([
    ['GET', '/system/securityroles', { 'System/Security Roles': { inquire: 'All' } }],
    ['GET', '/system/securityRoles/60/settings', { 'System/Security Roles': { inquire: 'All' } }],
    ['POST', '/system/securityroles', { 'System/Security Roles': { add: 'All' } }],
    ['DELETE', '/system/securityroles/60', { 'System/Security Roles': { delete: 'All' } }],
    ['GET', '/system/apiMembers', { 'System/Members': { inquire: 'All' } }],
    ['POST', '/system/apiMembers', { 'System/Members': { add: 'All' } }],
    ['PATCH', '/system/apiMembers/300', { 'System/Members': { edit: 'All' } }],
    ['PUT', '/system/apiMembers/300', { 'System/Members': { edit: 'All' } }],
    ['GET', '/system/members', { 'System/Members': { inquire: 'All' } }],
    ['GET', '/company/companies', { 'Companies/Company Maintenance': { inquire: 'All' } }],
    ['GET', '/company/configurations', { 'Companies/Configurations': { inquire: 'All' } }],
    ['POST', '/company/configurations', { 'Companies/Configurations': { add: 'All' } }],
    ['PATCH', '/company/configurations/500', { 'Companies/Configurations': { edit: 'All' } }],
    ['GET', '/service/tickets', { 'Service Desk/Service Tickets': { inquire: 'All' } }],
    ['POST', '/service/tickets', { 'Service Desk/Service Tickets': { add: 'All' } }],
    ['GET', '/system/locations', { 'System/My Company': { inquire: 'All' } }],
    ['GET', '/system/departments', { 'System/My Company': { inquire: 'All' } }],
    ['GET', '/system/myCompany/corporateStructureLevels', { 'System/My Company': { inquire: 'All' } }],
    [
      'GET',
      '/company/configurations/types',
      { 'System/Table Setup': { inquire: 'All' } },
      ['Company / Configuration'],
    ],
    ['GET', '/service/boards', { 'System/Table Setup': { inquire: 'All' } }, ['Service / Service Board']],
    ['GET', '/service/priorities', { 'System/Table Setup': { inquire: 'All' } }, ['Service / Priority']],
  ])('%s %s', async (method, path, levels, allowList = []) => {
    const harness = await start();
    const options = method === 'GET' ? { method } : { method, body: method === 'PATCH' ? [] : {} };
    const pair = keyWith(harness, levels, allowList);
    const allowed = await harness.connectwise(path, { ...options, pair });
    expect(allowed.status).not.toBe(403);
    const [key = ''] = Object.keys(levels);
    harness.world.setLevels('acme', 'Tried', {
      [key]: { add: 'None', edit: 'None', delete: 'None', inquire: 'None' },
    });
    const refused = await harness.connectwise(path, { ...options, pair });
    expect(refused.status).toBe(403);
    expect(refused.json()).toMatchObject({ code: 'Security', errors: [{ code: 'Security' }] });
  });
});

test.each([
  ['/company/configurations/types', 'Company / Configuration'],
  ['/company/configurations/types/20/questions', 'Company / Configuration'],
  ['/service/boards', 'Service / Service Board'],
  ['/service/priorities', 'Service / Priority'],
])('%s asks besides for the item %s of the allow list', async (path, item) => {
  const harness = await start();
  const others = ['Company / Configuration', 'Service / Service Board', 'Service / Priority'].filter(
    (one) => one !== item,
  );
  const pair = keyWith(harness, { 'System/Table Setup': { inquire: 'All' } }, others);
  expect((await harness.connectwise(path, { pair })).status).toBe(403);
  harness.world.setAllowList('acme', 'Tried', [item]);
  expect((await harness.connectwise(path, { pair })).status).toBe(200);
});

test('everybody may ask for the own levels and the own allow list', async () => {
  const harness = await start();
  const pair = keyWith(harness, { 'Finance/Invoices': { inquire: 'My' } }, ['Service / SLA']);
  const rows = await harness.rows('/system/mySecurity?conditions=inquireLevel="My"', { pair });
  const items = await harness.rows(
    '/system/mySecurity/customizeItems/?conditions=customizeIdentifier="SystemTableSetup"',
    { pair },
  );
  expect(rows).toMatchObject([
    {
      moduleName: 'Finance',
      moduleFunctionName: 'Invoices',
      addLevel: 'None',
      member: { identifier: 'tried' },
    },
  ]);
  expect(items).toEqual([
    { id: 1, customizeIdentifier: 'SystemTableSetup', itemIdentifier: 'Service / SLA' },
  ]);
});

test('a changed level is told at once', async () => {
  const harness = await start();
  const pair = harness.secrets.integrationKey;
  const level = async () => {
    const conditions = 'conditions=moduleName="System" and moduleFunctionName="Table Setup"';
    return (await harness.rows(`/system/mySecurity?pageSize=1000&${conditions}`, { pair }))[0]?.['editLevel'];
  };
  const all = await harness.rows('/system/mySecurity?pageSize=1000', { pair });
  expect(all.length).toBeGreaterThan(60);
  expect(await level()).toBe('All');
  harness.world.setLevels('acme', 'Umbrella', { 'System/Table Setup': { edit: 'None' } });
  expect(await level()).toBe('None');
  expect(await harness.rows('/system/mySecurity?pageSize=1000', { pair })).not.toEqual(all);
});

test('the level My shows only what the member entered itself', async () => {
  const harness = await start();
  const pair = keyWith(harness, {
    'Companies/Configurations': { add: 'All', inquire: 'My', edit: 'My' },
    'Companies/Company Maintenance': { inquire: 'All' },
  });
  const [company] = await harness.rows('/company/companies', { pair });
  const body = { name: 'Mine', type: { id: 20 }, company: { id: company?.['id'] } };
  await harness.connectwise('/company/configurations', { method: 'POST', pair, body });
  const patch = { method: 'PATCH', pair, body: [{ op: 'replace', path: 'notes', value: 'x' }] };
  expect(await harness.rows('/company/configurations', { pair })).toMatchObject([{ name: 'Mine' }]);
  expect((await harness.connectwise('/company/configurations/500', { pair })).status).toBe(404);
  expect((await harness.connectwise('/company/configurations/500', patch)).status).toBe(404);
});

test('a member below the Corporate level sees only its location', async () => {
  const harness = await start('healthy', { customers: 10 });
  const pair = harness.secrets.integrationKey;
  const seen = async () => [
    (await harness.rows('/company/companies', { pair })).length,
    (await harness.rows('/company/configurations?conditions=type/name="Cisco Umbrella"', { pair })).length,
  ];
  expect(await seen()).toEqual([10, 10]);
  harness.world.setMemberPlace('acme', 'umbrella-a', 'Location', 'North Office');
  expect(await seen()).toEqual([2, 2]);
});

test('an administrator may do everything', async () => {
  const harness = await start();
  harness.world.createMember('acme', { identifier: 'boss', role: 'Admin' });
  const pair = harness.world.makeKey('acme', 'boss');
  const paths = ['/service/priorities', '/company/configurations/types', '/system/audittrail?type=Ticket'];
  for (const path of paths) expect((await harness.connectwise(path, { pair })).status).toBe(200);
});

test('an empty audit trail of tickets, and none of members, roles or keys', async () => {
  const harness = await start();
  harness.world.setLevels('acme', 'Parasol Management', { 'System/Audit Trail': { inquire: 'All' } });
  expect((await harness.connectwise('/system/audittrail?type=Member')).status).toBe(400);
});
