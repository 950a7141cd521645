import { describe, expect, test } from 'vitest';
import { keyScene, store, TENANTS, useKeyStore } from './key-scene.ts';

useKeyStore();

const SHORT = { rotation: { overlap: '3m', adoptionDeadline: '30m' } };

describe('a key that three tenants share', () => {
  test('is rotated once for all: one key made, one deleted, every tenant switched and the old one dead', async () => {
    const scene = await keyScene(SHORT);
    expect(await scene.ask('birch')).toEqual({ ok: true });
    const rotation = await scene.turns(10);
    expect(rotation).toMatchObject({ phase: 'Completed', tenants: ['acme', 'birch', 'cedar'], stuck: null });
    expect(scene.applied()).toEqual(['POST', 'DELETE']);
    expect(scene.names()).toEqual(['Parasol KeyAdmin', rotation.fresh?.name]);
    const pairs = await Promise.all(TENANTS.map((tenant) => scene.inUse(tenant)));
    expect(new Set(pairs.map(({ publicHalf }) => publicHalf)).size).toBe(1);
    for (const tenant of TENANTS) {
      expect(await scene.states(tenant)).toEqual(['dead', 'active']);
      expect(
        await scene.deps.vendors.umbrella(scene.specOf(tenant)).customers(await scene.inUse(tenant), {
          tenantId: tenant,
          deadline: new Date(scene.clock.now().getTime() + 60_000),
          signal: new AbortController().signal,
        }),
      ).toMatchObject({ ok: true });
    }
    expect(await scene.rows()).toMatchObject([{ sealed: null }]);
    expect(await scene.openIntents()).toBe(0);
  });
});
