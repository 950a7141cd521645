import { describe, expect, test } from 'vitest';
import { checkAnswer, checkRequest, contractsAvailable, underContract } from '../support/contracts.ts';
import { start, type Harness } from './harness.ts';

const ALL = { add: 'All', edit: 'All', delete: 'All', inquire: 'All' } as const;

/** Calls every operation of ConnectWise that the simulator has, as a member that may do everything. */
async function driveConnectWise(harness: Harness): Promise<void> {
  const { world } = harness;
  for (const key of ['Service Desk/Service Tickets', 'System/Table Setup', 'System/Audit Trail'] as const) {
    world.setLevels('acme', 'Parasol Management', { [key]: ALL });
  }
  world.setLevels('acme', 'Parasol Management', {
    'System/Security Roles': ALL,
    'Companies/Configurations': ALL,
  });
  const id = async (path: string) => (await harness.rows<{ id: number }>(path))[0]?.id ?? 0;
  const role = await id('/system/securityroles?conditions=name="Umbrella"');
  const setting = await id(`/system/securityRoles/${role}/settings`);
  const apiMember = await id('/system/apiMembers?conditions=identifier="umbrella-a"');
  const person = await id('/system/members');
  const company = await id('/company/companies');
  const configuration = await id('/company/configurations');
  const type = await id('/company/configurations/types');
  for (const path of [
    '/system/info',
    '/system/securityroles/count',
    `/system/securityroles/${role}`,
    `/system/securityRoles/${role}/settings?pageSize=1000`,
    `/system/securityRoles/${role}/settings/count`,
    `/system/securityRoles/${role}/settings/${setting}`,
    '/system/apiMembers/count',
    '/system/apiMembers/default',
    `/system/apiMembers/${apiMember}`,
    `/system/members/${person}`,
    '/system/mySecurity?pageSize=1000',
    '/system/mySecurity/customizeItems/',
    '/system/audittrail?type=Ticket&id=1',
    '/system/locations',
    '/system/departments',
    '/system/timeZoneSetups',
    '/system/myCompany/corporateStructureLevels',
    '/company/companies/count',
    `/company/companies/${company}`,
    '/company/configurations/count',
    `/company/configurations/${configuration}`,
    `/company/configurations/types/${type}`,
    `/company/configurations/types/${type}/questions`,
    '/service/boards',
    '/service/boards/1/statuses',
    '/service/priorities',
    '/service/tickets',
    '/system/callbacks',
  ]) {
    await harness.connectwise(path);
  }
  const post = async (path: string, body: unknown) =>
    (await harness.connectwise(path, { method: 'POST', body })).json<{ id: number }>().id;
  const made = await post('/system/securityroles', { name: 'Made' });
  await harness.connectwise(`/system/securityroles/${made}`, { method: 'DELETE' });
  const given = { ...(await harness.connectwise(`/system/apiMembers/${apiMember}`)).json() };
  const member = await post('/system/apiMembers', {
    ...given,
    identifier: 'made',
    name: 'Made',
    id: undefined,
  });
  await harness.connectwise(`/system/apiMembers/${member}`, {
    method: 'PUT',
    body: { ...given, identifier: 'made' },
  });
  const inactive = [{ op: 'replace', path: 'inactiveFlag', value: true }];
  await harness.connectwise(`/system/apiMembers/${member}`, { method: 'PATCH', body: inactive });
  const made2 = { name: 'Made', type: { id: type }, company: { id: company } };
  const other = await post('/company/configurations', made2);
  const notes = [{ op: 'replace', path: 'notes', value: 'seen' }];
  await harness.connectwise(`/company/configurations/${other}`, { method: 'PATCH', body: notes });
  const ticket = await post('/service/tickets', { summary: 'A drift', company: { id: company } });
  const summary = [{ op: 'replace', path: 'summary', value: 'Another drift' }];
  await harness.connectwise(`/service/tickets/${ticket}`, { method: 'PATCH', body: summary });
  await harness.connectwise(`/service/tickets/${ticket}`);
  await post(`/service/tickets/${ticket}/notes`, { text: 'Looked at', internalAnalysisFlag: true });
  await harness.connectwise(`/service/tickets/${ticket}/notes`);
  const callback = { url: 'https://example.com/hook', objectId: 1, type: 'configuration', level: 'owner' };
  await harness.connectwise(`/system/callbacks/${await post('/system/callbacks', callback)}`, {
    method: 'DELETE',
  });
}

/** Calls every operation of Umbrella for one kind of console, refusals among them. */
async function driveUmbrella(harness: Harness, customers: string): Promise<void> {
  const bearer = await harness.bearer(harness.secrets.umbrellaApiKey);
  const admin = await harness.bearer(harness.secrets.umbrellaKeyAdmin);
  const [first] = (await harness.umbrella(customers, bearer)).json<Array<{ customerId: number }>>();
  await harness.umbrella(`${customers}?page=1&limit=2`, bearer);
  await harness.umbrella(`${customers}/${first?.customerId ?? 0}`, bearer);
  await harness.umbrella(`${customers}/1`, bearer);
  await harness.umbrella(customers, admin);
  await harness.umbrella('/reports/v2/providers/consoles', bearer);
  await harness.umbrella('/reports/v2/providers/consoles', admin);
  await harness.umbrella('/admin/v2/apiKeys', bearer);
  await harness.umbrella('/admin/v2/apiKeys?offset=0&limit=1', admin);
  const body = { name: 'Made', scopes: ['admin.customers:read'], expireAt: '' };
  const made = await harness.umbrella('/admin/v2/apiKeys', admin, { method: 'POST', body });
  const { id } = made.json<{ key: { id: string } }>().key;
  await harness.umbrella('/admin/v2/apiKeys', admin, { method: 'POST', body });
  await harness.umbrella(`/admin/v2/apiKeys/${id}`, admin);
  await harness.umbrella(`/admin/v2/apiKeys/${id}`, admin, {
    method: 'PATCH',
    body: { ...body, expireAt: undefined },
  });
  await harness.umbrella(`/admin/v2/apiKeys/${id}/refresh`, admin, { method: 'POST' });
  await harness.umbrella(`/admin/v2/apiKeys/${id}`, admin, { method: 'DELETE' });
  await harness.umbrella(`/admin/v2/apiKeys/${id}`, admin);
  await harness.token({ key: 'nobody', secret: 'nothing' });
}

/** Every operation that the contracts have and the simulator carries out; POST tokens is not needed. */
const OPERATIONS = 60;

// The name is the visible word: a run without the contracts has checked nothing against them.
const absent = contractsAvailable
  ? ''
  : ' - THE CONTRACTS ARE NOT HERE, set PARASOL_CONTRACTS to their folder';

describe.skipIf(!contractsAvailable)(`the vendors' contracts${absent}`, () => {
  test('every request of this test and every answer of the simulator is as the contracts have them', async () => {
    const simulator = { quotas: false };
    const msp = await start('healthy', { simulator });
    await driveConnectWise(msp);
    await driveUmbrella(msp, '/admin/v2/managed/customers');
    const mssp = await start('healthy', { simulator, console: 'mssp' });
    await driveUmbrella(mssp, '/admin/v2/providers/customers');
    const entries = [...msp.world.journal.query(), ...mssp.world.journal.query()].filter(underContract);
    expect(entries.flatMap(checkRequest)).toEqual([]);
    expect(entries.flatMap(checkAnswer)).toEqual([]);
    const succeeded = entries.filter((entry) => (entry.status ?? 500) < 300);
    const operations = new Set(succeeded.map((entry) => `${entry.method} ${entry.operation ?? ''}`));
    // A check that read nothing must not pass.
    expect([...operations].sort()).toHaveLength(OPERATIONS);
  });

  test('the checks find what is wrong', async () => {
    const harness = await start();
    await harness.connectwise('/system/apiMembers?colour=red');
    const body = { identifier: 'a-name-that-is-too-long', color: 'red' };
    await harness.connectwise('/system/apiMembers/300', { method: 'PUT', body });
    const [list, put] = harness.world.journal.query();
    if (list === undefined || put === undefined) throw new Error('two calls are expected');
    expect(checkRequest(list)).toEqual(['GET /system/apiMembers: no query parameter colour']);
    expect(checkRequest(put)).toEqual([
      'PUT /system/apiMembers/{id}: body / must NOT have additional properties (color)',
      'PUT /system/apiMembers/{id}: body /identifier must NOT have more than 15 characters',
      'PUT /system/apiMembers/{id}: body /name is required on updates',
    ]);
    expect(checkAnswer({ ...list, responseBody: [{ identifier: 'x', inactiveFlag: 'no' }] })).toEqual([
      'GET /system/apiMembers 200: /0/inactiveFlag must be boolean,null',
    ]);
    expect(checkAnswer({ ...list, operation: '/nothing' })).toHaveLength(1);
  });
});
