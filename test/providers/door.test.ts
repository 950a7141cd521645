import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { TenantSpec } from '../../src/domain/tenant.ts';
import type { ConnectWiseWrites, WritePass } from '../../src/reconciler/ports.ts';
import type { JournalEntry, World } from '../../src/simulator/index.ts';
import { bench, contextOf, passFor } from './harness.ts';

type Write = (writes: ConnectWiseWrites) => Promise<unknown>;

const memberOf = (identifier: string, roleId: number) => ({
  identifier,
  name: 'Cisco Umbrella',
  roleId,
  roleName: 'Umbrella',
  level: 'Corporate',
  likeIdentifier: 'parasol',
});

const writesIn = (entries: JournalEntry[]) => entries.filter(({ method }) => method !== 'GET');

/** The company `acme` as a member with the wrong role, where the role and both members matter. */
async function setting(fields: { mode?: TenantSpec['mode']; paused?: boolean } = {}) {
  const at = await bench('member-wrong-role', fields);
  const role = at.world.role('acme', 'Umbrella').id;
  const own = at.world.member('acme', 'umbrella-a').id;
  const stranger = at.world.member('acme', 'helpdesk-bot').id;
  return { ...at, role, own, stranger };
}
type Setting = Awaited<ReturnType<typeof setting>>;

/** Each kind of write, as it is planned for this tenant. */
const PLANNED: [string, (at: Setting) => Write][] = [
  ['a role', () => (writes) => writes.createRole('Umbrella')],
  [
    'a new member',
    ({ role }) =>
      (writes) =>
        writes.createMember(memberOf('umbrella-b', role)),
  ],
  [
    'a change',
    ({ own, role }) =>
      (writes) =>
        writes.changeMember(own, { roleId: role, roleName: 'Umbrella' }),
  ],
];

describe.each(PLANNED)('%s', (_, planned) => {
  const attempt = async (
    at: Setting,
    pass: Partial<WritePass> = {},
    context = contextOf(at.clock),
  ): Promise<unknown> => {
    const full = passFor(at.role, { ownedMembers: new Set([at.own]), ...pass });
    return planned(at)(at.connectwise.writes(at.keys.management, context, full));
  };
  const barred = { ok: false, failure: { kind: 'Barred' } };

  test('leaves in mode repair, with the claim confirmed when nothing but the sending was left', async () => {
    const at = await setting();
    const before: number[] = [];
    const confirm = () => {
      expect(writesIn(at.sent())).toEqual([]);
      before.push(at.sent().length);
      return Promise.resolve(true);
    };
    expect(await attempt(at, { confirm })).toMatchObject({ ok: true });
    const writes = writesIn(at.sent());
    expect(writes).toHaveLength(1);
    expect(at.sent()[before[0]!]).toEqual(writes[0]);
    expect(before).toHaveLength(1);
  });

  test.each<[string, { mode?: TenantSpec['mode']; paused?: boolean }]>([
    ['observe', { mode: 'observe' }],
    ['alert', { mode: 'alert' }],
    ['repair, but paused', { paused: true }],
  ])('is barred in mode %s, and nothing is sent', async (_, fields) => {
    const at = await setting(fields);
    const confirm = () => Promise.reject(new Error('not to be asked'));
    expect(await attempt(at, { confirm })).toMatchObject(barred);
    expect(writesIn(at.sent())).toEqual([]);
    expect(at.vendors.callsOf(at.context).writes).toBe(0);
  });

  test('is barred while a person’s pause is known, and nothing is asked', async () => {
    const at = await setting();
    const pause = {
      by: 'Jo',
      reason: 'a freeze',
      since: '2026-03-10T12:00:00.000Z',
      until: null,
      leftMs: null,
    };
    const confirm = () => Promise.reject(new Error('not to be asked'));
    expect(await attempt(at, { pause, confirm })).toMatchObject({
      failure: { kind: 'Barred', detail: 'Jo paused it (a freeze)' },
    });
    expect(writesIn(at.sent())).toEqual([]);
  });

  test('is barred when the claim or the spec is no longer what it was', async () => {
    const at = await setting();
    expect(await attempt(at, { confirm: () => Promise.resolve(false) })).toMatchObject(barred);
    expect(writesIn(at.sent())).toEqual([]);
  });

  test('is barred when less time is left than a call may take', async () => {
    const at = await setting();
    const deadline = new Date(at.clock.now().getTime() + 14_999);
    expect(await attempt(at, {}, contextOf(at.clock, { deadline }))).toMatchObject(barred);
    expect(writesIn(at.sent())).toEqual([]);
  });

  test('is barred when confirming took the time that the call needs', async () => {
    const at = await setting();
    const confirm = () => {
      at.clock.advance(46_000);
      return Promise.resolve(true);
    };
    expect(await attempt(at, { confirm })).toMatchObject(barred);
    expect(writesIn(at.sent())).toEqual([]);
  });

  test('does not leave when the run is stopped while the claim is confirmed', async () => {
    const at = await setting();
    const stop = new AbortController();
    const confirm = () => {
      stop.abort();
      return Promise.resolve(true);
    };
    const context = contextOf(at.clock, { signal: stop.signal });
    expect(await attempt(at, { confirm }, context)).toMatchObject({
      ok: false,
      failure: { kind: 'Unavailable', why: 'cancelled' },
    });
    expect(writesIn(at.sent())).toEqual([]);
  });
});

const FORBIDDEN: [string, (at: Setting) => Write, (at: Setting) => Partial<WritePass>][] = [
  ['a role of another name', () => (writes) => writes.createRole('Admin'), () => ({})],
  ['a role of the same name in other letters', () => (writes) => writes.createRole('umbrella'), () => ({})],
  [
    'a new member that the spec does not name',
    ({ role }) =>
      (writes) =>
        writes.createMember(memberOf('umbrella-c', role)),
    () => ({}),
  ],
  [
    'a new member with another role',
    ({ world }) =>
      (writes) =>
        writes.createMember(memberOf('umbrella-b', world.role('acme', 'Admin').id)),
    () => ({}),
  ],
  [
    'a new member where no role was seen',
    ({ role }) =>
      (writes) =>
        writes.createMember(memberOf('umbrella-b', role)),
    () => ({ roleId: null }),
  ],
  [
    'a change of a member that is not owned',
    ({ own }) =>
      (writes) =>
        writes.changeMember(own, { active: false }),
    () => ({ ownedMembers: new Set<number>() }),
  ],
  [
    'a change of a member that the spec does not name, though it is owned',
    ({ stranger }) =>
      (writes) =>
        writes.changeMember(stranger, { active: false }),
    ({ stranger }) => ({ ownedMembers: new Set([stranger]) }),
  ],
  [
    'a change to another role',
    ({ own, world }) =>
      (writes) =>
        writes.changeMember(own, { roleId: world.role('acme', 'Admin').id, roleName: 'Umbrella' }),
    () => ({}),
  ],
  [
    'a change to a role by its name alone, which may be another role’s too',
    ({ own }) =>
      (writes) =>
        writes.changeMember(own, { roleName: 'Umbrella' }),
    () => ({}),
  ],
  [
    'a change of the role where none was seen',
    ({ own, role }) =>
      (writes) =>
        writes.changeMember(own, { roleId: role }),
    () => ({ roleId: null }),
  ],
];

test.each(FORBIDDEN)('%s is barred, says why, and nothing is sent', async (_, write, pass) => {
  const at = await setting();
  const full = passFor(at.role, { ownedMembers: new Set([at.own]), ...pass(at) });
  const answer = await write(at)(at.connectwise.writes(at.keys.management, at.context, full));
  expect(answer).toMatchObject({ ok: false, failure: { kind: 'Barred', detail: expect.any(String) } });
  expect(writesIn(at.sent())).toEqual([]);
});

test('a member is known by its identifier without regard to case', async () => {
  const at = await setting();
  const connectwise = {
    ...at.spec.connectwise,
    members: { ...at.spec.connectwise.members, identifiers: ['UMBRELLA-A', 'Umbrella-B'] },
  };
  const pass = passFor(at.role, { ownedMembers: new Set([at.own]) });
  const writes = at.vendors
    .connectwise({ ...at.spec, connectwise })
    .writes(at.keys.management, at.context, pass);
  expect(await writes.changeMember(at.own, { active: false })).toMatchObject({ ok: true });
});

/** What a write in the journal was allowed by; empty: by everything that it needs. */
function objections(entry: JournalEntry, spec: TenantSpec, pass: WritePass, world: World): string[] {
  const body = entry.requestBody as Record<string, unknown>;
  const named = (identifier: unknown) =>
    spec.connectwise.members.identifiers.includes(String(identifier)) ? [] : ['identifier'];
  const roleOf = (reference: unknown) => (reference as { id?: number } | undefined)?.id;
  const role = (reference: unknown) => (roleOf(reference) === pass.roleId ? [] : ['role']);
  switch (`${entry.method} ${entry.operation ?? ''}`) {
    case 'POST /system/securityroles':
      return body['name'] === spec.connectwise.role.name ? [] : ['name'];
    case 'POST /system/apiMembers':
      return [...named(body['identifier']), ...role(body['securityRole'])];
    case 'PATCH /system/apiMembers/{id}': {
      const id = Number(entry.path.split('/').at(-1));
      const member = world.company('acme').apiMembers.get(id);
      const steps = entry.requestBody as { path: string; value: unknown }[];
      return [
        ...named(member?.identifier),
        ...(pass.ownedMembers.has(id) ? [] : ['ownership']),
        ...steps.flatMap(({ path, value }) => (path === 'securityRole' ? role(value) : [])),
      ];
    }
    default:
      return ['operation'];
  }
}

test('whatever is asked for, no write is sent unless mode, spec, ownership, role, claim and time allow it', async () => {
  const at = await setting();
  const { world, vendors, keys, clock, sent } = at;
  const roles = [at.role, world.role('acme', 'Admin').id, world.role('acme', 'Helpdesk').id];
  const members = [at.own, at.stranger, world.member('acme', 'parasol').id, 999_999];
  const identifiers = ['umbrella-a', 'umbrella-b', 'helpdesk-bot', 'rmm-sync', 'new-one'];
  const often = <T>(likely: T, ...others: T[]) =>
    fc.oneof(
      { weight: 4, arbitrary: fc.constant(likely) },
      { weight: 1, arbitrary: fc.constantFrom(...others) },
    );

  const write: fc.Arbitrary<Write> = fc.oneof(
    fc.constantFrom('Umbrella', 'Admin', 'Other').map(
      (name): Write =>
        (writes) =>
          writes.createRole(name),
    ),
    fc.tuple(fc.constantFrom(...identifiers), fc.constantFrom(...roles)).map(
      ([identifier, role]): Write =>
        (writes) =>
          writes.createMember(memberOf(identifier, role)),
    ),
    fc
      .tuple(
        fc.constantFrom(...members),
        fc.record(
          { active: fc.boolean(), roleId: fc.constantFrom(...roles), roleName: fc.constant('Umbrella') },
          { requiredKeys: [] },
        ),
      )
      .map(
        ([id, change]): Write =>
          (writes) =>
            writes.changeMember(id, change),
      ),
  );
  const circumstances = fc.record({
    mode: often<TenantSpec['mode']>('repair', 'observe', 'alert'),
    paused: often(false, true),
    role: often('Umbrella', 'Other'),
    identifiers: fc.shuffledSubarray(identifiers, { minLength: 2, maxLength: 2 }),
    owned: fc.subarray(members),
    roleId: fc.constantFrom(null, ...roles),
    confirmed: often(true, false),
    secondsLeft: often(60, 14, 0),
    write,
  });

  let left = 0;
  await fc.assert(
    fc.asyncProperty(circumstances, async ({ mode, paused, role, identifiers, owned, roleId, ...rest }) => {
      const spec: TenantSpec = {
        ...at.spec,
        mode,
        paused,
        connectwise: {
          ...at.spec.connectwise,
          role: { ...at.spec.connectwise.role, name: role },
          members: { ...at.spec.connectwise.members, identifiers },
        },
      };
      const pass: WritePass = {
        ownedMembers: new Set(owned),
        roleId,
        pause: null,
        confirm: () => Promise.resolve(rest.confirmed),
      };
      // Quotas of a minute are not what this is about.
      clock.advance(60_000);
      const deadline = new Date(clock.now().getTime() + rest.secondsLeft * 1_000);
      const context = contextOf(clock, { deadline });
      const { length } = sent();
      await rest.write(vendors.connectwise(spec).writes(keys.management, context, pass));
      const writes = writesIn(sent().slice(length));
      left += writes.length;
      expect(vendors.callsOf(context).writes).toBe(writes.length);
      const allowed = mode === 'repair' && !paused && rest.confirmed && rest.secondsLeft >= 15;
      expect(allowed || writes.length === 0).toBe(true);
      for (const entry of writes) expect(objections(entry, spec, pass, world)).toEqual([]);
      expect(writes.length).toBeLessThanOrEqual(1);
    }),
    { numRuns: 400 },
  );
  // Had nothing left at all, nothing would have been shown.
  expect(left).toBeGreaterThan(10);
});
