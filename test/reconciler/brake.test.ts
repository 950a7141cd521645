import { describe, expect, it, vi } from 'vitest';
import { Fleet } from './fleet.ts';

const ADOPTED = { members: { adopt: true } };
/** One fewer than set the brake in a fleet of 20. */
const MOST_BEFORE = 4;
const release = (fleet: Fleet, id: string, tenant: string | null, withoutCanary = false) =>
  fleet.ask((commands) => commands.releaseBrake(id, tenant, { by: 'Jo', reason: 'seen', withoutCanary }));

const switchedOff = (fleet: Fleet, ids = fleet.ids) =>
  fleet.everywhere((id) => fleet.world.deactivateMember(id, 'umbrella-a'), ids);

describe('a member that goes off in all tenants at once', () => {
  it('is switched on in a few, then nowhere until somebody looked: one first, then all', async () => {
    await using fleet = await Fleet.of(20, ADOPTED);
    switchedOff(fleet);
    await fleet.later();
    await fleet.later();
    const before = fleet.mended;
    expect(before.length).toBeLessThanOrEqual(MOST_BEFORE);
    const brake = await fleet.brake();
    expect(brake).toMatchObject({
      signatures: ['members.*.active different'],
      what: ['members.*.active is different'],
      counted: 5,
      fleet: 20,
    });
    expect(brake.held).toHaveLength(20 - before.length);
    expect(await fleet.where('True FleetBraked')).toEqual(brake.held);
    expect(await fleet.fleetEvents()).toEqual(['BrakeSet']);
    expect(fleet.news.map(({ type }) => type)).toEqual(['BrakeSet']);

    fleet.clock.advance(1_000);
    const [canary = '', other = ''] = brake.held;
    expect(await release(fleet, brake.id, null)).toMatchObject({
      ok: false,
      refusal: { kind: 'conflict' },
    });
    expect(await release(fleet, brake.id, canary)).toMatchObject({ ok: true });
    expect((await fleet.brake()).canaries).toMatchObject([{ tenant: canary, run: null, conforms: false }]);
    await fleet.runAll();
    expect(fleet.mended.toSorted()).toEqual([...before, canary].toSorted());
    expect((await fleet.brake()).canaries).toMatchObject([
      {
        tenant: canary,
        by: 'Jo',
        conforms: true,
        run: {
          outcome: 'succeeded',
          actions: [{ action: 'change active of the member umbrella-a', outcome: 'done' }],
        },
      },
    ]);
    expect(await fleet.braked(canary)).toBe('False NotBraked');
    expect(await fleet.braked(other)).toBe('True FleetBraked');

    expect(await release(fleet, brake.id, null)).toMatchObject({
      ok: true,
      value: { triggered: { length: 20 - before.length - 1 } },
    });
    await fleet.runAll();
    expect(fleet.mended).toEqual(fleet.ids);
    expect(await fleet.where('False NotBraked')).toEqual(fleet.ids);
    expect(await fleet.fleetEvents()).toEqual(['BrakeSet', 'BrakeReleased']);
    expect(await fleet.ask((commands) => commands.brakes())).toMatchObject([
      { state: 'released', held: [], released: { by: 'Jo', withoutCanary: false } },
    ]);
  });
});

describe('the brake', () => {
  it('keeps people from being asked everywhere for a level that vanished everywhere', async () => {
    await using fleet = await Fleet.of(20);
    const vanish = (level: 'None' | 'All') => (id: string) =>
      fleet.world.setLevels(id, 'Umbrella', { 'Companies/Configurations': { edit: level } });
    fleet.everywhere(vanish('None'));
    await fleet.later();
    await fleet.later();
    const asked = await fleet.asked();
    expect(asked.length).toBeLessThanOrEqual(MOST_BEFORE);
    const { id, signatures, held } = await fleet.brake();
    expect(signatures).toEqual(['role.levels.Companies/Configurations.edit missing']);
    expect(held).toEqual(fleet.ids);
    const status = await fleet.status(held.at(-1)!);
    expect(status.drift).toMatchObject([{ action: expect.stringContaining('the fleet’s brake') }]);
    expect(status.ready).toBe('False');

    await release(fleet, id, null, true);
    await fleet.runAll();
    expect(await fleet.asked()).toEqual(fleet.ids.map((tenant) => `${tenant} grant-role-levels`));
    fleet.everywhere(vanish('All'));
    await fleet.later();
    expect(await fleet.asked()).toEqual([]);
    expect(await fleet.rows('sightings', 'gone_at is null')).toBe(0);
  });

  it('ends by itself once the vendor mended it, and nothing was written', async () => {
    await using fleet = await Fleet.of(20, ADOPTED);
    switchedOff(fleet);
    await fleet.later();
    const calls = fleet.writes();
    fleet.everywhere((id) => fleet.world.activateMember(id, 'umbrella-a'));
    await fleet.later();
    expect(fleet.writes()).toBe(calls);
    expect(await fleet.fleetEvents()).toEqual(['BrakeSet', 'BrakeEnded']);
    expect(fleet.news.map(({ type }) => type)).toEqual(['BrakeSet', 'BrakeEnded']);
    await fleet.later();
    expect(await fleet.where('False NotBraked')).toEqual(fleet.ids);
  });

  it('lets those go on that do not differ so, and holds all of a tenant that does', async () => {
    await using fleet = await Fleet.of(12, ADOPTED);
    const [both = '', ...others] = fleet.ids;
    const alone = others.pop()!;
    fleet.everywhere(
      (id) => fleet.world.setLevels(id, 'Umbrella', { 'Companies/Company Maintenance': { edit: 'All' } }),
      [both, ...others],
    );
    await fleet.later();
    await fleet.brake();
    switchedOff(fleet, [both, alone]);
    await fleet.later();
    expect(fleet.mended).not.toContain(both);
    expect(fleet.mended).toContain(alone);
  });

  it('is set by a spec that would rewrite the fleet', async () => {
    await using fleet = await Fleet.of(20, ADOPTED);
    const before = fleet.writes();
    await fleet.apply({ members: { adopt: true, location: 'Tampa Office' } });
    await fleet.runAll();
    await fleet.later();
    expect(fleet.writes() - before).toBeLessThanOrEqual(MOST_BEFORE);
    expect(await fleet.brake()).toMatchObject({ signatures: ['members.*.location different'], counted: 5 });
  });

  it('is not set by a spec of a few, nor by what many differ in from the first', async () => {
    await using fleet = await Fleet.of(12);
    const few = fleet.ids.slice(0, 4);
    fleet.everywhere((id) => fleet.world.setAllowList(id, 'Umbrella', []), few);
    await fleet.later();
    expect(await fleet.asked()).toEqual(few.map((id) => `${id} allow-table-setup`));
    expect(await fleet.fleetEvents()).toEqual([]);
  });

  it('is not set by tenants that are looked at for the first time, however alike they differ', async () => {
    await using fleet = await Fleet.of(10, ADOPTED, (id, world) => world.deactivateMember(id, 'umbrella-a'));
    expect(fleet.mended).toEqual(fleet.ids);
    expect(await fleet.fleetEvents()).toEqual([]);
  });

  it('stops a write whose run planned it before the brake was set', async () => {
    await using fleet = await Fleet.of(10, ADOPTED);
    const [late = ''] = fleet.ids;
    switchedOff(fleet);
    // While the first one is about to leave by the last door, all others are looked at.
    let meanwhile: Promise<void> | null = null;
    for (const replica of fleet.replicas) {
      const { claims } = replica;
      replica.claims = {
        ...claims,
        confirm: async (...asked) => {
          if (asked[0].tenantId === late) await (meanwhile ??= fleet.runAll(fleet.ids.slice(1)));
          return claims.confirm(...asked);
        },
      };
    }
    fleet.clock.advance(15 * 60_000);
    await fleet.runAll([late]);
    expect(meanwhile).not.toBeNull();
    expect(fleet.mended).not.toContain(late);
    await fleet.brake();
    await fleet.later();
    expect(await fleet.braked(late)).toBe('True FleetBraked');
  });

  it('holds a rotation where it is, and asks nobody for the next step of it', async () => {
    await using fleet = await Fleet.of(10, ADOPTED);
    const [rotating = '', other = ''] = fleet.ids;
    const asked = {
      credential: 'integration',
      by: 'Jo',
      reason: 'x',
      compromised: false,
      cutNow: false,
    } as const;
    expect(await fleet.ask((commands) => commands.rotate(rotating, asked))).toMatchObject({ ok: true });
    fleet.everywhere((id) => fleet.world.setAllowList(id, 'Umbrella', []), fleet.ids.slice(1));
    await fleet.runAll(fleet.ids.slice(1));
    fleet.world.setAllowList(rotating, 'Umbrella', []);
    const before = fleet.writes();
    await fleet.runAll();
    await fleet.later();
    expect(fleet.writes()).toBe(before);
    expect((await fleet.status(rotating)).rotation).toMatchObject({ phase: 'Pending' });
    expect((await fleet.asked()).filter((work) => work.includes('issue'))).toEqual([]);
    expect(await fleet.ask((commands) => commands.rotate(other, asked))).toMatchObject({
      ok: false,
      refusal: { kind: 'conflict', message: expect.stringContaining('brake') },
    });
    await release(fleet, (await fleet.brake()).id, rotating);
    await fleet.runAll();
    await fleet.runAll();
    expect((await fleet.status(rotating)).rotation!.phase).not.toBe('Pending');
  });

  it('costs a healthy fleet nothing: no row is written for it', async () => {
    await using fleet = await Fleet.of(3);
    const tables = ['sightings', 'brakes', 'brake_releases'];
    await fleet.later();
    for (const table of tables) expect(await fleet.rows(table)).toBe(0);
    const sight = fleet.replicas.map(({ reconciles }) => vi.spyOn(reconciles, 'sight'));
    await fleet.later();
    for (const one of sight) expect(one).not.toHaveBeenCalled();
  });
});
