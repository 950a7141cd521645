import { describe, expect, test } from 'vitest';
import { start, START, type Harness } from './harness.ts';

interface Member {
  id: number;
  identifier: string;
  [field: string]: unknown;
}

async function existing(harness: Harness): Promise<Member> {
  const [member] = await harness.rows<Member>('/system/apiMembers?conditions=identifier="umbrella-a"');
  if (member === undefined) throw new Error('umbrella-a is expected');
  return member;
}

function without(member: Member, ...fields: string[]): Record<string, unknown> {
  return Object.fromEntries(Object.entries(member).filter(([field]) => !fields.includes(field)));
}

function patch(harness: Harness, id: number, ...steps: unknown[]) {
  return harness.connectwise(`/system/apiMembers/${id}`, { method: 'PATCH', body: steps });
}

describe('roles', () => {
  test('a new role has no level at all, and who made it', async () => {
    const harness = await start();
    const made = await harness.connectwise('/system/securityroles', {
      method: 'POST',
      body: { name: 'Fresh' },
    });
    const { id } = made.json<{ id: number }>();
    const rows = await harness.rows(`/system/securityRoles/${id}/settings?pageSize=1000`);
    expect(made.status).toBe(201);
    expect(made.json()).toMatchObject({ _info: { enteredBy: 'parasol', dateEntered: START } });
    expect(new Set(rows.map((row) => row['inquireLevel']))).toEqual(new Set(['None']));
    expect(new Set(rows.map((row) => row['addLevel']))).toEqual(new Set(['None', null]));
  });

  test('names are not unique: a blind retry makes two', async () => {
    const harness = await start();
    const post = { method: 'POST', body: { name: 'Twice' } };
    await harness.connectwise('/system/securityroles', post);
    await harness.connectwise('/system/securityroles', post);
    expect(await harness.rows('/system/securityroles?conditions=name="Twice"')).toHaveLength(2);
  });

  test('a name is required and has at most 30 characters', async () => {
    const harness = await start();
    for (const body of [{}, { name: 'x'.repeat(31) }]) {
      const answer = await harness.connectwise('/system/securityroles', { method: 'POST', body });
      expect(answer.status).toBe(400);
      expect(answer.json()).toMatchObject({ errors: [{ field: 'name', resource: 'securityRole' }] });
    }
  });

  test('a role in use cannot be deleted', async () => {
    const harness = await start();
    harness.world.setLevels('acme', 'Parasol Management', { 'System/Security Roles': { delete: 'All' } });
    const { id } = harness.world.role('acme', 'Umbrella');
    const free = harness.world.createRole('acme', 'Free');
    const used = await harness.connectwise(`/system/securityroles/${id}`, { method: 'DELETE' });
    const unused = await harness.connectwise(`/system/securityroles/${free}`, { method: 'DELETE' });
    expect([used.status, unused.status, unused.text]).toEqual([400, 204, '']);
  });
});

describe('creating an API member', () => {
  test('with everything that is required', async () => {
    const harness = await start();
    const body = { ...without(await existing(harness), 'id', '_info'), identifier: 'umbrella-b' };
    const made = await harness.connectwise('/system/apiMembers', { method: 'POST', body });
    expect(made.status).toBe(201);
    expect(made.json()).toMatchObject({
      identifier: 'umbrella-b',
      inactiveFlag: false,
      _info: { enteredBy: 'parasol' },
    });
  });

  test.each(['name', 'securityRole', 'structureLevel', 'securityLocation', 'defaultLocation', 'timeZone'])(
    'without %s is refused, by field',
    async (field) => {
      const harness = await start();
      const body = { ...without(await existing(harness), 'id', '_info', field), identifier: 'umbrella-b' };
      const answer = await harness.connectwise('/system/apiMembers', { method: 'POST', body });
      expect(answer.status).toBe(400);
      expect(answer.json()).toMatchObject({
        code: 'InvalidObject',
        errors: [{ code: 'MissingRequired', field }],
      });
    },
  );

  test.each([
    ['identifier', 'UMBRELLA-A', 'AlreadyExists'],
    ['identifier', 'jdoe', 'AlreadyExists'],
    ['identifier', 'sixteen-letters!', 'MaxLength'],
    ['name', 'x'.repeat(31), 'MaxLength'],
    ['securityRole', { id: 9_999 }, 'InvalidField'],
    ['colour', 'red', 'InvalidField'],
  ])('with %s = %j is refused', async (field, value, code) => {
    const harness = await start();
    const good = { ...without(await existing(harness), 'id', '_info'), identifier: 'umbrella-b' };
    const body = { ...good, [field]: value };
    const answer = await harness.connectwise('/system/apiMembers', { method: 'POST', body });
    expect(answer.status).toBe(400);
    expect(answer.json()).toMatchObject({ errors: [{ code, field }] });
  });

  test('the defaults fill in places and time zone', async () => {
    const harness = await start();
    const answer = await harness.connectwise('/system/apiMembers/default');
    expect(answer.json()).toMatchObject({
      structureLevel: { name: 'Corporate' },
      timeZone: { name: 'US Eastern' },
    });
  });
});

describe('changing an API member', () => {
  test('the inactive flag is patched, with its date and its writer', async () => {
    const harness = await start();
    const { id } = await existing(harness);
    await patch(harness, id, { op: 'replace', path: 'inactiveFlag', value: true });
    expect(await existing(harness)).toMatchObject({
      inactiveFlag: true,
      inactiveDate: START,
      _info: { updatedBy: 'parasol', enteredBy: 'jdoe' },
    });
    await patch(harness, id, { op: 'replace', path: '/inactiveFlag', value: false });
    expect(await existing(harness)).not.toHaveProperty('inactiveDate');
  });

  test('a whole reference is replaced; a path inside one answers 200 and changes nothing', async () => {
    const harness = await start();
    const { id } = await existing(harness);
    const role = harness.world.role('acme', 'Helpdesk').id;
    const inside = await patch(harness, id, { op: 'replace', path: 'securityRole/id', value: role });
    expect(inside.status).toBe(200);
    expect(await existing(harness)).toMatchObject({ securityRole: { name: 'Umbrella' } });
    await patch(harness, id, { op: 'replace', path: 'securityRole', value: { id: role } });
    expect(await existing(harness)).toMatchObject({ securityRole: { id: role, name: 'Helpdesk' } });
  });

  test.each([
    { op: 'replace', path: 'InactiveFlag', value: true },
    { op: 'replace', path: 'inactiveFlag', value: 'yes' },
    { op: 'move', path: 'inactiveFlag', value: true },
    { op: 'remove', path: 'name' },
    { op: 'replace', path: 'id', value: 1 },
  ])('%j is refused', async (step) => {
    const harness = await start();
    const { id } = await existing(harness);
    expect((await patch(harness, id, step)).status).toBe(400);
  });

  test('PUT nulls what it is not given', async () => {
    const harness = await start();
    const member = await existing(harness);
    const body = without(member, 'securityRole', 'securityLocation', 'inactiveFlag');
    const put = (given: unknown) =>
      harness.connectwise(`/system/apiMembers/${member.id}`, { method: 'PUT', body: given });
    expect((await put(body)).status).toBe(200);
    const changed = await existing(harness);
    expect(changed).not.toHaveProperty('securityRole');
    expect(changed).toMatchObject({ inactiveFlag: false, structureLevel: { name: 'Corporate' } });
    expect((await put(without(member, 'name'))).status).toBe(400);
  });

  test('there is no DELETE, and nothing about keys', async () => {
    const harness = await start();
    const { id } = await existing(harness);
    expect((await harness.connectwise(`/system/apiMembers/${id}`, { method: 'DELETE' })).status).toBe(405);
    expect((await harness.connectwise(`/system/apiMembers/${id}/keys`)).status).toBe(404);
  });
});

test('a ticket with its notes', async () => {
  const harness = await start();
  harness.world.setLevels('acme', 'Parasol Management', {
    'Service Desk/Service Tickets': { add: 'All', edit: 'All', inquire: 'All' },
  });
  const [company] = await harness.rows('/company/companies');
  const body = { summary: 'Drift', board: { name: 'Security' }, company: { id: company?.['id'] } };
  const made = await harness.connectwise('/service/tickets', { method: 'POST', body });
  const { id } = made.json<{ id: number }>();
  const note = { method: 'POST', body: { text: 'seen' } };
  await harness.connectwise(`/service/tickets/${id}/notes`, note);
  const close = [{ op: 'replace', path: 'status', value: { id: 202, name: '>Closed' } }];
  const closed = await harness.connectwise(`/service/tickets/${id}`, { method: 'PATCH', body: close });
  const nowhere = { ...body, board: { name: 'Nowhere' } };
  const refused = await harness.connectwise('/service/tickets', { method: 'POST', body: nowhere });
  expect(made.json()).toMatchObject({ board: { name: 'Security' }, status: { name: 'New' } });
  expect(await harness.rows(`/service/tickets/${id}/notes`)).toMatchObject([
    { text: 'seen', createdBy: 'parasol' },
  ]);
  expect(closed.json()).toMatchObject({ closedFlag: true });
  expect(refused.status).toBe(400);
});
