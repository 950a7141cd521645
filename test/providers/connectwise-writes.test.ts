import { describe, expect, test } from 'vitest';
import type { FaultEffect } from '../../src/simulator/index.ts';
import { bench, passFor } from './harness.ts';

const newMember = (roleId: number) => ({
  identifier: 'umbrella-b',
  name: 'Cisco Umbrella B',
  roleId,
  roleName: 'Umbrella',
  level: 'Corporate',
  likeIdentifier: 'parasol',
});

describe('creating', () => {
  test('a role answers the role', async () => {
    const { writes, world, vendors, context } = await bench('role-missing');
    const created = await writes.createRole('Umbrella');
    const { id } = world.role('acme', 'Umbrella');
    expect(created).toEqual({ ok: true, value: { id, name: 'Umbrella', inactive: false } });
    expect(vendors.callsOf(context)).toEqual({ reads: 1, writes: 1 });
  });

  test('a member takes place, department and time zone from its model', async () => {
    const { writes, world } = await bench();
    const role = world.role('acme', 'Umbrella');
    const created = await writes.createMember(newMember(role.id));
    const { id, ...made } = world.member('acme', 'umbrella-b');
    expect(created).toEqual({
      ok: true,
      value: {
        id,
        identifier: 'umbrella-b',
        name: 'Cisco Umbrella B',
        inactive: false,
        role: { id: role.id, name: 'Umbrella' },
        level: { id: 1, name: 'Corporate' },
        location: { id: 1, name: 'Corporate' },
      },
    });
    const model = world.member('acme', 'parasol');
    for (const field of ['defaultLocation', 'defaultDepartment', 'timeZone'] as const) {
      expect(made[field]).toEqual(model[field]);
    }
  });

  test('a member takes from the defaults what no model tells', async () => {
    const { writes, world } = await bench();
    const role = world.role('acme', 'Umbrella');
    const created = await writes.createMember({ ...newMember(role.id), likeIdentifier: null });
    expect(created.ok).toBe(true);
    expect(world.member('acme', 'umbrella-b').timeZone).toEqual({ id: 1, name: 'US Eastern' });
  });

  test('a member’s places are looked up where neither model nor defaults tell them', async () => {
    const { writes, world } = await bench();
    const role = world.role('acme', 'Umbrella');
    world.addFault({
      when: { operation: '/system/apiMembers/default' },
      effect: { kind: 'status', status: 200, body: {} },
    });
    const created = await writes.createMember({
      ...newMember(role.id),
      likeIdentifier: null,
      level: 'location',
      location: 'north office',
    });
    expect(created).toMatchObject({ ok: true, value: { level: { id: 2 }, location: { id: 11 } } });
    expect(world.member('acme', 'umbrella-b')).toMatchObject({
      defaultLocation: { id: 11, name: 'North Office' },
      timeZone: { name: 'US Eastern' },
    });
  });

  test('a member of a level that does not exist is Invalid, and nothing was sent', async () => {
    const { writes, world, vendors, context } = await bench();
    const member = { ...newMember(world.role('acme', 'Umbrella').id), level: 'Galaxy' };
    expect(await writes.createMember(member)).toMatchObject({
      ok: false,
      failure: { kind: 'Invalid', fields: [{ field: 'structureLevel' }] },
    });
    expect(vendors.callsOf(context).writes).toBe(0);
  });

  test('a member twice is Invalid, naming the identifier', async () => {
    const { writes, world } = await bench();
    const member = { ...newMember(world.role('acme', 'Umbrella').id), identifier: 'UMBRELLA-a' };
    expect(await writes.createMember(member)).toMatchObject({
      ok: false,
      failure: { kind: 'Invalid', fields: [{ field: 'identifier' }] },
    });
  });

  test('is Invalid with every field that ConnectWise complains about', async () => {
    const { vendors, spec, keys, context, world } = await bench();
    const { id } = world.role('acme', 'Umbrella');
    const identifier = 'longer-than-fifteen';
    const { connectwise } = structuredClone(spec);
    connectwise.members.identifiers = ['umbrella-a', identifier];
    const writes = vendors
      .connectwise({ ...spec, connectwise })
      .writes(keys.management, context, passFor(id));
    const name = 'a name of more than thirty characters';
    const refused = await writes.createMember({ ...newMember(id), identifier, name });
    expect(!refused.ok && refused.failure.kind === 'Invalid' && refused.failure.fields).toEqual([
      { field: 'identifier', message: expect.stringContaining('15') },
      { field: 'name', message: expect.stringContaining('30') },
    ]);
  });
});

describe('changing a member', () => {
  test('replaces whole references and reads them back', async () => {
    const { writes, world, sent } = await bench('member-wrong-role');
    const role = world.role('acme', 'Umbrella');
    const { id } = world.member('acme', 'umbrella-a');
    const changed = await writes.changeMember(id, {
      active: false,
      roleId: role.id,
      roleName: 'Umbrella',
      level: 'location',
      location: 'North Office',
    });
    expect(changed).toMatchObject({
      ok: true,
      value: {
        inactive: true,
        role: { id: role.id, name: 'Umbrella' },
        level: { name: 'Location' },
        location: { name: 'North Office' },
      },
    });
    expect(sent().find(({ method }) => method === 'PATCH')?.requestBody).toEqual([
      { op: 'replace', path: 'inactiveFlag', value: true },
      { op: 'replace', path: 'securityRole', value: { id: role.id, name: 'Umbrella' } },
      { op: 'replace', path: 'structureLevel', value: { id: 2, name: 'Location' } },
      { op: 'replace', path: 'securityLocation', value: { id: 11, name: 'North Office' } },
    ]);
    expect(sent().at(-1)).toMatchObject({ method: 'GET', operation: '/system/apiMembers/{id}' });
  });

  test('is Invalid, naming the field, when 200 changed nothing', async () => {
    const { connectwise, keys, context, world } = await bench();
    const writes = connectwise.writes(keys.management, context, passFor(1));
    const { id } = world.member('acme', 'umbrella-a');
    world.addFault({ when: { method: 'PATCH' }, effect: { kind: 'status', status: 200, body: { id } } });
    expect(await writes.changeMember(id, { active: false, roleId: 1 })).toMatchObject({
      ok: false,
      failure: { kind: 'Invalid', fields: [{ field: 'inactiveFlag' }, { field: 'securityRole' }] },
    });
  });

  test.each<[string, object]>([
    ['to nothing', {}],
    ['to what it is', { active: true, level: 'Corporate' }],
  ])('%s sends nothing', async (_, change) => {
    const { writes, world, vendors, context } = await bench();
    const { id } = world.member('acme', 'umbrella-a');
    expect(await writes.changeMember(id, change)).toMatchObject({ ok: true, value: { id } });
    expect(vendors.callsOf(context).writes).toBe(0);
  });

  test('that cannot be read back is of unknown outcome', async () => {
    const { writes, world } = await bench();
    const { id } = world.member('acme', 'umbrella-a');
    world.addFault({
      when: { method: 'GET', operation: '/system/apiMembers/{id}', nth: 2 },
      effect: { kind: 'status', status: 403 },
    });
    expect(await writes.changeMember(id, { active: false })).toMatchObject({
      ok: false,
      failure: { kind: 'OutcomeUnknown' },
    });
  });

  test('that is not there is NotFound', async () => {
    const { writes } = await bench();
    expect(await writes.changeMember(999_999, { active: false })).toMatchObject({
      ok: false,
      failure: { kind: 'NotFound' },
    });
  });
});

const LOST: [string, FaultEffect][] = [
  ['the connection was reset before it was handled', { kind: 'resetBefore' }],
  ['the connection was reset after it was handled', { kind: 'resetAfter' }],
  ['the answer broke off', { kind: 'truncate' }],
  ['a gateway answered 502', { kind: 'html', status: 502, applied: true }],
  ['a gateway answered 504', { kind: 'status', status: 504 }],
  ['the server answered 500', { kind: 'status', status: 500, applied: true }],
  ['a proxy answered 200 with HTML', { kind: 'html', status: 200, applied: true }],
  ['it was redirected', { kind: 'redirect', location: '/elsewhere', status: 307 }],
  ['the answer is of another shape', { kind: 'status', status: 200, body: { hello: 1 }, applied: true }],
  ['the answer is too large', { kind: 'oversize', megabytes: 9, applied: true }],
];

describe('a write whose answer was lost', () => {
  test.each(LOST)('is of unknown outcome, sent once and looked up by nobody here: %s', async (_, effect) => {
    const { writes, world, vendors, context, sent } = await bench('role-missing');
    world.addFault({ when: { method: 'POST' }, effect });
    const lost = await writes.createRole('Umbrella');
    expect(lost).toMatchObject({ ok: false, failure: { kind: 'OutcomeUnknown' } });
    // Nothing came after it either: to look it up is the next reconcile's.
    expect(sent().map(({ method }) => method)).toEqual(['GET', 'POST']);
    expect(vendors.callsOf(context).writes).toBe(1);
  });

  test.each(['hangBefore', 'hangAfter'] as const)(
    'by the deadline is of unknown outcome: %s',
    async (kind) => {
      const { writes, world, timers } = await bench('role-missing');
      world.addFault({ when: { method: 'POST' }, effect: { kind } });
      const pending = writes.createRole('Umbrella');
      await world.waitForHang();
      timers.fire();
      expect(await pending).toMatchObject({ ok: false, failure: { kind: 'OutcomeUnknown' } });
    },
  );

  test('by a claim that was lost in between is of unknown outcome', async () => {
    const { keys, connectwise, context, world } = await bench('role-missing');
    const stop = new AbortController();
    world.addFault({ when: { method: 'POST' }, effect: { kind: 'hangAfter' } });
    const writes = connectwise.writes(keys.management, { ...context, signal: stop.signal }, passFor(null));
    const pending = writes.createRole('Umbrella');
    await world.waitForHang();
    stop.abort();
    expect(await pending).toMatchObject({ ok: false, failure: { kind: 'OutcomeUnknown' } });
  });
});

describe('a write that was refused or never left', () => {
  test.each<[string, FaultEffect, object]>([
    ['throttled', { kind: 'rateLimit', retryAfterSeconds: 7 }, { kind: 'RateLimited', retryAfterMs: 7_000 }],
    ['a conflict', { kind: 'status', status: 409, body: { code: 'Conflict' } }, { kind: 'Invalid' }],
    ['forbidden', { kind: 'status', status: 403 }, { kind: 'Forbidden' }],
    ['an unknown path', { kind: 'text', status: 404 }, { kind: 'NotFound' }],
    ['a proxy’s page of refusal', { kind: 'html', status: 403 }, { kind: 'Unavailable', why: 'not-json' }],
  ])('%s', async (_, effect, failure) => {
    const { writes, world, sent } = await bench('role-missing');
    world.addFault({ when: { method: 'POST' }, effect });
    expect(await writes.createRole('Umbrella')).toMatchObject({ ok: false, failure });
    expect(sent().filter(({ method }) => method === 'POST')).toHaveLength(1);
  });

  test('a codebase that changed is learned by a write and not tried again by it', async () => {
    const { writes, world, sent } = await bench('role-missing');
    await writes.createRole('Umbrella');
    world.changeCodebase('acme', 'v2025_2/');
    expect(await writes.createRole('Umbrella')).toMatchObject({ ok: false, failure: { kind: 'NotFound' } });
    expect(await writes.createRole('Umbrella')).toMatchObject({ ok: true });
    expect(
      sent()
        .filter(({ method }) => method === 'POST')
        .map(({ status }) => status),
    ).toEqual([201, 404, 201]);
  });

  test('a run that was stopped sends nothing', async () => {
    const { keys, connectwise, context, sent } = await bench('role-missing');
    const writes = connectwise.writes(
      keys.management,
      { ...context, signal: AbortSignal.abort() },
      passFor(null),
    );
    expect(await writes.createRole('Umbrella')).toMatchObject({
      ok: false,
      failure: { kind: 'Unavailable', why: 'cancelled' },
    });
    expect(sent()).toEqual([]);
  });
});
