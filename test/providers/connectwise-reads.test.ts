import { describe, expect, test } from 'vitest';
import { PROCEDURE_ALLOW_LIST, PROCEDURE_LEVELS } from '../../src/domain/tenant.ts';
import type { World } from '../../src/simulator/index.ts';
import { bench, contextOf, pairOf } from './harness.ts';

describe('a healthy company', () => {
  test('tells whose key it is, with effective levels', async () => {
    const { connectwise, keys, context } = await bench();
    const security = await connectwise.reads(keys.integration, context).mySecurity();
    expect(security).toMatchObject({ ok: true, value: { member: 'umbrella-a' } });
    if (!security.ok) return;
    const rights = security.value.levels.filter((row) =>
      [row.add, row.edit, row.delete, row.inquire].some((level) => level !== 'None'),
    );
    expect(Object.fromEntries(rights.map(({ function: name, ...levels }) => [name, levels]))).toEqual(
      PROCEDURE_LEVELS,
    );
  });

  test('tells the Table Setup allow list of the key’s own member, and no other dialog’s items', async () => {
    const { connectwise, keys, context } = await bench();
    const list = await connectwise.reads(keys.integration, context).tableSetup();
    expect(list).toEqual({ ok: true, value: PROCEDURE_ALLOW_LIST });
  });

  test('tells members by identifier, inactive ones too, without regard to case', async () => {
    const { reads } = await bench();
    const members = await reads.membersByIdentifier(['UMBRELLA-A', 'old-backup', 'nobody']);
    const [inactive, active] = members.ok ? members.value : [];
    expect(members.ok && members.value).toHaveLength(2);
    expect(inactive).toMatchObject({ identifier: 'old-backup', inactive: true });
    expect(active).toMatchObject({
      identifier: 'umbrella-a',
      inactive: false,
      name: 'Cisco Umbrella',
      role: { name: 'Umbrella' },
      level: { name: 'Corporate' },
      location: { name: 'Corporate' },
    });
  });

  test('tells roles by name or id, and the levels of one', async () => {
    const { reads } = await bench();
    const admin = await reads.roles('Admin', []);
    const adminId = admin.ok ? admin.value[0]!.id : 0;
    const both = await reads.roles('Umbrella', [adminId]);
    expect(both.ok && both.value.map(({ name }) => name).sort()).toEqual(['Admin', 'Umbrella']);
    const umbrella = both.ok ? both.value.find(({ name }) => name === 'Umbrella')! : { id: 0 };
    const levels = await reads.roleLevels(umbrella.id);
    const row = levels.ok && levels.value.find((one) => one.function === 'Companies/Configurations');
    expect(row).toEqual({
      function: 'Companies/Configurations',
      add: 'All',
      edit: 'All',
      delete: 'None',
      inquire: 'All',
    });
  });

  test('tells configuration types by a part of their name', async () => {
    const { reads } = await bench();
    const types = await reads.configurationTypes('umbr');
    expect(types).toMatchObject({ ok: true, value: [{ name: 'Cisco Umbrella' }] });
    expect(types.ok && Object.keys(types.value[0]!)).toEqual(['id', 'name']);
  });

  test.each<[string, (world: World) => void, string[]]>([
    ['exactly what it needs', () => undefined, []],
    [
      'no tickets',
      (world) => world.setLevels('acme', 'Umbrella', { 'Service Desk/Service Tickets': { inquire: 'None' } }),
      ['tickets'],
    ],
    [
      'no companies and no configurations',
      (world) =>
        world.setLevels('acme', 'Umbrella', {
          'Companies/Company Maintenance': { inquire: 'None' },
          'Companies/Configurations': { inquire: 'None' },
        }),
      ['companies', 'configurations'],
    ],
    [
      'a table that its allow list lacks',
      (world) =>
        world.setAllowList('acme', 'Umbrella', ['Company / Configuration', 'Service / Service Board']),
      ['priorities'],
    ],
  ])('tells what Umbrella could not read with a key that may read %s', async (_, spoil, expected) => {
    const { connectwise, keys, clock, world } = await bench();
    spoil(world);
    const integration = connectwise.reads(keys.integration, contextOf(clock));
    expect(await integration.unreadable()).toEqual({ ok: true, value: expected });
  });

  test('does not take bad weather for a right that lacks', async () => {
    const { connectwise, keys, clock, world } = await bench();
    world.addFault({ when: { operation: '/service/boards' }, effect: { kind: 'status', status: 503 } });
    const integration = connectwise.reads(keys.integration, contextOf(clock));
    expect(await integration.unreadable()).toMatchObject({ ok: false, failure: { kind: 'Unavailable' } });
  });

  test('is read with one call each: nine in a steady run, tokens and codebase being known', async () => {
    const { vendors, connectwise, umbrella, keys, clock, sent, world } = await bench();
    const roleId = world.role('acme', 'Umbrella').id;
    const run = async () => {
      const context = contextOf(clock);
      const management = connectwise.reads(keys.management, context);
      const integration = connectwise.reads(keys.integration, context);
      const all = [
        await management.mySecurity(),
        await management.membersByIdentifier(['umbrella-a', 'umbrella-b', 'parasol']),
        await management.roles('Umbrella', [roleId]),
        await management.roleLevels(roleId),
        await integration.mySecurity(),
        await integration.tableSetup(),
        await management.configurations({ typeId: null, limit: 200 }),
        await umbrella.customers(keys.umbrella, context),
        await umbrella.apiKeys(keys.keyAdmin, context),
      ];
      expect(all.every(({ ok }) => ok)).toBe(true);
      return vendors.callsOf(context);
    };
    expect(await run()).toEqual({ reads: 12, writes: 0 });
    expect(sent()).toHaveLength(12);
    clock.advance(15 * 60_000);
    expect(await run()).toEqual({ reads: 9, writes: 0 });
    expect(sent()).toHaveLength(21);
  });
});

describe('lists', () => {
  test('are read to their end, over pages of 1,000', async () => {
    const { reads, world, sent } = await bench();
    for (let index = 0; index < 1_100; index += 1) world.createRole('acme', 'Many');
    const roles = await reads.roles('Many', []);
    expect(roles.ok && roles.value).toHaveLength(1_100);
    expect(sent().filter((call) => call.operation === '/system/securityroles')).toHaveLength(2);
  });

  test('are asked for in parts where the URL would grow beyond 2,000 characters', async () => {
    const { reads, sent } = await bench();
    const identifiers = Array.from({ length: 300 }, (_, index) => `nobody-${index}`);
    const members = await reads.membersByIdentifier([...identifiers, 'umbrella-a']);
    expect(members.ok && members.value.map(({ identifier }) => identifier)).toEqual(['umbrella-a']);
    const calls = sent().filter((call) => call.operation === '/system/apiMembers');
    expect(calls.length).toBeGreaterThan(1);
    expect(calls.every(({ status }) => status === 200)).toBe(true);
  });
});

describe('configurations', () => {
  test('come newest write first, of one type, and say whether there are more', async () => {
    const { reads } = await bench('healthy', { customers: 12 });
    const types = await reads.configurationTypes('Cisco Umbrella');
    const typeId = types.ok ? types.value[0]!.id : 0;
    const some = await reads.configurations({ typeId, limit: 5 });
    expect(some.ok && some.value.complete).toBe(false);
    expect(some.ok && some.value.rows).toHaveLength(5);
    const all = await reads.configurations({ typeId, limit: 12 });
    expect(all.ok && all.value.complete).toBe(true);
    const rows = all.ok ? all.value.rows : [];
    const times = rows.map(({ lastUpdated }) => lastUpdated ?? '');
    expect(times).toEqual([...times].sort().reverse());
    expect(rows[0]).toMatchObject({ typeId, updatedBy: 'umbrella-a', company: { id: expect.any(Number) } });
    expect(some.ok && some.value.rows).toEqual(rows.slice(0, 5));
  });

  test('are sorted here where the server refuses to order by _info, which is remembered for a day', async () => {
    const { reads, world, sent, clock, connectwise, keys } = await bench('healthy', { customers: 12 });
    const ordered = await reads.configurations({ typeId: null, limit: 50 });
    world.setCompanyOptions('acme', { refuseInfoOrdering: true });
    const before = sent().length;
    expect(await reads.configurations({ typeId: null, limit: 50 })).toEqual(ordered);
    expect(await reads.configurations({ typeId: null, limit: 50 })).toEqual(ordered);
    const tried = sent().slice(before);
    expect(tried.map(({ query }) => query['orderBy'] !== undefined)).toEqual([true, false, false]);
    expect(tried.map(({ requestHeaders }) => requestHeaders['pagination-type'])).toEqual([
      undefined,
      'forward-only',
      'forward-only',
    ]);
    clock.advance(25 * 3_600_000);
    world.setCompanyOptions('acme', { refuseInfoOrdering: false });
    const later = connectwise.reads(keys.management, contextOf(clock));
    expect(await later.configurations({ typeId: null, limit: 50 })).toEqual(ordered);
    expect(sent().at(-1)?.query['orderBy']).toBe('_info/lastUpdated desc');
  });

  test('without an order are paged forward by id to their end, so that the newest are among them', async () => {
    const { reads, world, sent, clock } = await bench('healthy', { customers: 3 });
    world.setCompanyOptions('acme', { refuseInfoOrdering: true });
    for (let index = 0; index < 1_200; index += 1) {
      world.addConfiguration('acme', {
        name: `Server ${index}`,
        type: 'Managed Server',
        customer: 'NorthwindDental',
        by: 'rmm-sync',
        at: '2026-01-01T00:00:00Z',
      });
    }
    world.addConfiguration('acme', {
      name: 'The newest',
      type: 'Managed Server',
      customer: 'NorthwindDental',
      by: 'rmm-sync',
      at: clock.now().toISOString(),
    });
    const found = await reads.configurations({ typeId: null, limit: 10 });
    expect(found.ok && found.value.complete).toBe(false);
    expect(found.ok && found.value.rows.map(({ name }) => name)).toContain('The newest');
    expect(found.ok && found.value.rows).toHaveLength(10);
    expect(sent().filter(({ query }) => query['pageId'] !== undefined)).toHaveLength(1);
  });
});

describe('finding the company', () => {
  test('tells its name and codebase, without credentials, and asks each time', async () => {
    const { connectwise, context, sent } = await bench('healthy', { name: 'Acme Managed IT' });
    const told = { ok: true, value: { companyName: 'Acme Managed IT', codebase: 'v2025_1/' } };
    expect(await connectwise.companyInfo(context)).toEqual(told);
    expect(await connectwise.companyInfo(context)).toEqual(told);
    expect(sent().map(({ keyFingerprint, operation }) => [keyFingerprint, operation])).toEqual([
      [null, '/login/companyinfo/{companyId}'],
      [null, '/login/companyinfo/{companyId}'],
    ]);
  });

  test.each(['null', '404'] as const)('is null for an unknown company that answers %s', async (answer) => {
    const { connectwise, context, world, keys } = await bench('healthy', {
      connectwise: { companyId: 'nobody' },
    });
    world.setUnknownCompanyAnswer('nobody', answer);
    expect(await connectwise.companyInfo(context)).toEqual({ ok: true, value: null });
    const refused = await connectwise.reads(keys.management, context).mySecurity();
    expect(refused).toMatchObject({ ok: false, failure: { kind: 'NotFound' } });
  });

  test.each([
    ['a page of HTML', { kind: 'html', status: 200 }, 'not-json'],
    ['a page of HTML saying 404', { kind: 'html', status: 404 }, 'not-json'],
    ['text', { kind: 'text' }, 'not-json'],
    ['JSON of another product', { kind: 'status', status: 200, body: { hello: 1 } }, 'wrong-shape'],
    [
      'a codebase that would lead elsewhere',
      { kind: 'status', status: 200, body: { CompanyName: 'Acme', Codebase: '../evil/' } },
      'wrong-shape',
    ],
  ] as const)('is not believed from %s', async (_, effect, why) => {
    const { connectwise, context, world } = await bench();
    world.addFault({ effect });
    expect(await connectwise.companyInfo(context)).toMatchObject({
      ok: false,
      failure: { kind: 'Unavailable', why },
    });
  });

  test('happens once for calls that need it at the same time', async () => {
    const { reads, sent } = await bench();
    await Promise.all([reads.mySecurity(), reads.roles('Umbrella', []), reads.membersByIdentifier(['a'])]);
    expect(sent().filter(({ path }) => path.startsWith('/login/'))).toHaveLength(1);
    expect(sent()).toHaveLength(4);
  });

  test('happens again when the codebase changed under us, and the read with it', async () => {
    const { reads, world, sent } = await bench();
    await reads.mySecurity();
    world.changeCodebase('acme', 'v2025_2/');
    const { length } = sent();
    expect(await reads.roles('Umbrella', [])).toMatchObject({ ok: true, value: [{ name: 'Umbrella' }] });
    expect(
      sent()
        .slice(length)
        .map(({ path }) => path),
    ).toEqual([
      '/v2025_1/apis/3.0/system/securityroles',
      '/login/companyinfo/acme',
      '/v2025_2/apis/3.0/system/securityroles',
    ]);
  });

  test('happens again for a 404 that is none of the codebase’s, and then the 404 stands', async () => {
    const { reads, world, sent } = await bench();
    world.setCompanyOptions('acme', { badCredentialsAs404: true });
    world.deleteKey('acme', world.listKeys('acme').find(({ member }) => member === 'parasol')!.publicKey);
    expect(await reads.mySecurity()).toMatchObject({ ok: false, failure: { kind: 'NotFound' } });
    expect(sent().map(({ status }) => status)).toEqual([200, 404, 200]);
  });
});

describe('refusals', () => {
  test('a dead key is Unauthorized', async () => {
    const { connectwise, keys, context } = await bench('key-dead');
    const refused = await connectwise.reads(keys.integration, context).mySecurity();
    expect(refused).toMatchObject({ ok: false, failure: { kind: 'Unauthorized' } });
  });

  test('a key of an inactive member is Unauthorized', async () => {
    const { connectwise, keys, context } = await bench('member-inactive');
    const refused = await connectwise.reads(keys.integration, context).tableSetup();
    expect(refused).toMatchObject({ ok: false, failure: { kind: 'Unauthorized' } });
  });

  test('a right that the role lacks is Forbidden', async () => {
    const { connectwise, keys, context } = await bench();
    const refused = await connectwise.reads(keys.integration, context).roles('Umbrella', []);
    expect(refused).toMatchObject({ ok: false, failure: { kind: 'Forbidden' } });
  });

  test('a role that is not there is NotFound', async () => {
    const { reads } = await bench();
    expect(await reads.roleLevels(999_999)).toMatchObject({ ok: false, failure: { kind: 'NotFound' } });
  });

  test('names no half of the key, even where the vendor echoes all of it', async () => {
    const { connectwise, world, context } = await bench();
    const pair = pairOf('PublicSentinel+/=1', 'PrivateSentinel"\\ä');
    const whole = `acme+${pair.publicHalf}:${pair.privateHalf.reveal()}`;
    const echo = [
      whole,
      Buffer.from(whole).toString('base64'),
      encodeURIComponent(pair.privateHalf.reveal()),
    ];
    const errors = [{ field: 'key', message: echo.join(' ') }];
    world.addFault({
      when: { path: '/v2025_1' },
      effect: { kind: 'status', status: 400, body: { code: 'X', message: echo.join('\n'), errors } },
    });
    const refused = await connectwise.reads(pair, context).mySecurity();
    expect(refused).toMatchObject({ ok: false, failure: { kind: 'Invalid', fields: [{ field: 'key' }] } });
    const told = JSON.stringify(refused);
    expect(told).toContain('[redacted]');
    for (const half of ['PublicSentinel', 'PrivateSentinel', ...echo]) expect(told).not.toContain(half);
  });
});

describe('what ConnectWise tells differently than expected', () => {
  const row = {
    id: 1,
    moduleName: 'Companies',
    moduleFunctionName: 'Configurations',
    addLevel: 'All',
    editLevel: 'My',
    deleteLevel: null,
    inquireLevel: 'Some',
  };
  const answerWith = async (body: unknown) => {
    const { reads, world } = await bench();
    world.addFault({ when: { path: '/v2025_1' }, effect: { kind: 'status', status: 200, body } });
    return reads;
  };

  test('null and absent levels are None; an unknown level is kept in its own words', async () => {
    const { inquireLevel, ...without } = row;
    const reads = await answerWith([row, { ...without, moduleFunctionName: 'Other' }]);
    expect(await reads.roleLevels(3)).toEqual({
      ok: true,
      value: [
        {
          function: 'Companies/Configurations',
          add: 'All',
          edit: 'My',
          delete: 'None',
          inquire: inquireLevel,
        },
        { function: 'Companies/Other', add: 'All', edit: 'My', delete: 'None', inquire: 'None' },
      ],
    });
  });

  test('rows without names are known by their descriptions', async () => {
    const { moduleName, moduleFunctionName, ...rest } = row;
    const reads = await answerWith([
      { ...rest, moduleDescription: moduleName, moduleFunctionDescription: moduleFunctionName, new: 'field' },
    ]);
    const levels = await reads.roleLevels(3);
    expect(levels.ok && levels.value[0]?.function).toBe('Companies/Configurations');
  });

  test('rows without a member leave open whose key it is; rows of two members as well', async () => {
    const nobody = await (await answerWith([row])).mySecurity();
    expect(nobody).toMatchObject({ ok: true, value: { member: null } });
    const rows = ['a', 'b'].map((identifier) => ({ ...row, member: { identifier } }));
    const two = await (await answerWith(rows)).mySecurity();
    expect(two).toMatchObject({ ok: true, value: { member: null } });
  });

  test('a member without references has none; times without a zone are UTC', async () => {
    const member = { id: 7, identifier: 'x', securityRole: { id: null, name: 'gone' } };
    const members = await (await answerWith([member])).membersByIdentifier(['x']);
    const none = { role: null, level: null, location: null };
    expect(members.ok && members.value[0]).toEqual({
      id: 7,
      identifier: 'x',
      name: '',
      inactive: false,
      ...none,
    });
    const configuration = { id: 1, name: 'n', _info: { lastUpdated: '2026-01-31T18:04:26' } };
    const reads = await answerWith([configuration]);
    const found = await reads.configurations({ typeId: null, limit: 5 });
    expect(found.ok && found.value.rows[0]).toMatchObject({
      lastUpdated: '2026-01-31T18:04:26.000Z',
      updatedBy: null,
      company: null,
    });
  });

  test('a row that cannot be understood fails the list: a row left out would look like an absence', async () => {
    const reads = await answerWith([{ identifier: 'x' }]);
    expect(await reads.membersByIdentifier(['x'])).toMatchObject({
      ok: false,
      failure: { kind: 'Unavailable', why: 'wrong-shape', detail: expect.stringContaining('0.id') },
    });
  });
});
