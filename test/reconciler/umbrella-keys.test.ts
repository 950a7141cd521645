import { describe, expect, test } from 'vitest';
import { PARASOL } from '../../src/domain/access.ts';
import { Secret } from '../../src/domain/secret.ts';
import { toldTo } from '../../src/domain/shared-words.ts';
import { consoleIdentity } from '../../src/reconciler/given-keys.ts';
import { createKeyLoop, KEY_LOOP_DEFAULTS, letRest } from '../../src/reconciler/umbrella-keys.ts';
import type { FaultEffect } from '../../src/simulator/index.ts';
import { KEYS, keyScene, store, TENANTS, useKeyStore, type KeyScene } from './key-scene.ts';

/** Rotations against the simulated vendor and a real database: what Umbrella's journal shows, and what people are told. */

useKeyStore();

const SHORT = { rotation: { overlap: '3m', adoptionDeadline: '5m' } };
const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;

const asked = async (change: Parameters<typeof keyScene>[0] = SHORT) => {
  const scene = await keyScene(change);
  expect(await scene.ask()).toBe('asked');
  return scene;
};

const contextAt = (scene: KeyScene) => ({
  tenantId: 'test',
  deadline: new Date(scene.clock.now().getTime() + MINUTE),
  signal: new AbortController().signal,
});

const keysOf = ({ world }: KeyScene) => [...world.console('acme').keys.values()];

/** Somebody calls Umbrella with the old pair. */
const usedAgain = (scene: KeyScene) =>
  scene.deps.vendors.umbrella(scene.specOf('acme')).customers(scene.seeded.api, contextAt(scene));

/** What must hold whenever a rotation has ended well, however it came there. */
async function expectRotated(scene: KeyScene): Promise<void> {
  const rotation = await scene.rotation();
  expect(rotation).toMatchObject({ phase: 'Completed', held: null, stuck: null });
  expect(scene.names()).toEqual(['Parasol KeyAdmin', rotation.fresh?.name]);
  for (const tenant of TENANTS) {
    expect(await scene.states(tenant)).toEqual(['dead', 'active']);
    const umbrella = scene.deps.vendors.umbrella(scene.specOf(tenant));
    const customers = await umbrella.customers(await scene.inUse(tenant), contextAt(scene));
    expect(customers).toMatchObject({ ok: true });
  }
  expect(await scene.rows()).toMatchObject([{ sealed: null }]);
  expect(await scene.openIntents()).toBe(0);
}

describe('a key that three tenants share', () => {
  test('is rotated once for all: one made, one deleted, every tenant switched, the old one dead', async () => {
    const scene = await asked();
    const rotation = await scene.turns(10);
    expect(rotation.tenants).toEqual(['acme', 'birch', 'cedar']);
    expect(rotation.provedFor).toEqual(['acme', 'birch', 'cedar']);
    expect(scene.applied()).toEqual(['POST', 'DELETE']);
    const pairs = await Promise.all(TENANTS.map((tenant) => scene.inUse(tenant)));
    expect(new Set(pairs.map(({ publicHalf }) => publicHalf)).size).toBe(1);
    await expectRotated(scene);
  });

  test('is listed not more often than once a minute while the old one rests, and never refreshed', async () => {
    const scene = await asked({ rotation: { overlap: '20m' } });
    await scene.turn();
    const before = scene.world.journal.counts().byOperation[`GET ${KEYS}`] ?? 0;
    await scene.turns(10);
    expect((scene.world.journal.counts().byOperation[`GET ${KEYS}`] ?? 0) - before).toBe(10);
    const { rows } = await store.pool.query<{ ms: number }>(
      `select extract(epoch from next_run_at - now()) * 1000 as ms from umbrella_keys`,
    );
    expect(Number(rows[0]?.ms)).toBe(MINUTE);
    expect(Object.keys(scene.world.journal.counts().byOperation).join(' ')).not.toContain('refresh');
  });

  test('gets the old one’s scopes and addresses, and a name that tells the rotation', async () => {
    const scene = await keyScene(SHORT);
    const key = keysOf(scene).find(({ name }) => name === 'Parasol')!;
    key.allowedIPs = ['192.0.2.0/24'];
    await scene.ask();
    const { fresh, number } = await scene.turns(10);
    const made = keysOf(scene).find(({ name }) => name === fresh?.name);
    expect(made).toMatchObject({ scopes: key.scopes, allowedIPs: ['192.0.2.0/24'], expireAt: '' });
    expect(fresh?.name).toMatch(/^parasol-[a-z0-9]+-1$/);
    expect(number).toBe(1);
  });

  test('tells each tenant what happened to it, and a person’s page which key its console is known by', async () => {
    const scene = await asked();
    await scene.turns(10);
    for (const tenant of TENANTS) {
      const events = (await scene.events(tenant)).filter((event) => event.startsWith('UmbrellaRotation'));
      expect(events.map((event) => event.split(':').slice(0, 2).join(':'))).toEqual([
        'UmbrellaRotation: Rotation 1 of the Umbrella API key is Verifying',
        'UmbrellaRotation: Rotation 1 of the Umbrella API key is Resting',
        'UmbrellaRotation: Rotation 1 of the Umbrella API key is Deleting',
        'UmbrellaRotationCompleted: Rotation 1 of the Umbrella API key is Completed',
      ]);
    }
    const { publicHalf } = await scene.inUse('acme');
    const held = await store.desk.holders({
      companies: [],
      consoles: [consoleIdentity(scene.specOf('acme'), publicHalf)!],
    });
    expect(held.map(({ id }) => id)).toEqual(['acme']);
  });

  test('leaves neither half of a pair in what is stored in the clear', async () => {
    const scene = await asked();
    await scene.turn();
    const fresh = await scene.inUse('birch');
    await scene.turns(10);
    const tables = ['umbrella_keys', 'credentials', 'events', 'intents', 'tenants', 'statuses'];
    const dumped = await Promise.all(
      tables.map(async (table) => JSON.stringify((await store.pool.query(`select * from ${table}`)).rows)),
    );
    for (const { publicHalf, privateHalf } of [fresh, scene.seeded.api, scene.seeded.keyAdmin]) {
      expect(dumped.join('')).not.toContain(publicHalf);
      expect(dumped.join('')).not.toContain(privateHalf.reveal());
    }
    expect(dumped.join('')).toContain('parasol-');
  });

  test('is rotated again, under the next number, by the same row', async () => {
    const scene = await asked();
    await scene.turns(10);
    await scene.ask('cedar');
    const again = await scene.turns(10);
    expect(again).toMatchObject({ number: 2, phase: 'Completed' });
    expect(scene.applied()).toEqual(['POST', 'DELETE', 'POST', 'DELETE']);
    const { rows } = await store.pool.query<{ past: { number: number }[] }>('select past from umbrella_keys');
    expect(rows.map(({ past }) => past.map(({ number }) => number))).toEqual([[1, 2]]);
    expect(await scene.states('birch')).toEqual(['dead', 'dead', 'active']);
  });
});

describe('what makes a key due without anybody asking', () => {
  test('its expiry within the warning; the new one lives as long as the old was to, and not too short', async () => {
    const scene = await keyScene(SHORT);
    scene.world.setUmbrellaKeyExpiry('acme', 'Parasol', '2026-12-01T08:00:00Z');
    await scene.reconcile('acme');
    const rotation = await scene.turns(10);
    expect(rotation).toMatchObject({ cause: 'expiry', by: null, phase: 'Completed' });
    const [made] = scene.world.listUmbrellaKeys('acme').filter(({ name }) => name === rotation.fresh?.name);
    expect(Date.parse(made!.expireAt) - scene.clock.now().getTime()).toBeGreaterThan(41 * DAY);
  });

  test('its age; not before, and not because of what was seen of another pair', async () => {
    const scene = await keyScene(SHORT);
    await scene.reconcile('acme');
    await scene.turn();
    expect((await scene.rows()).map(({ rotation }) => rotation)).toEqual([null]);
    scene.clock.advance(80 * DAY);
    await scene.reconcile('acme');
    await scene.turn();
    expect((await scene.rows()).map(({ rotation }) => rotation)).toEqual([null]);
    scene.clock.advance(11 * DAY);
    await scene.reconcile('acme');
    expect(await scene.turns(10)).toMatchObject({ cause: 'age', phase: 'Completed' });
    await scene.reconcile('acme');
    await scene.turn();
    expect(scene.applied()).toEqual(['POST', 'DELETE']);
  });
});

/** Faults of one call, and the writes that changed something until all is done. */
const LOST: [string, FaultEffect, string[]][] = [
  ['lost after Umbrella made the key', { kind: 'resetAfter' }, ['POST', 'DELETE', 'POST', 'DELETE']],
  ['cut short', { kind: 'truncate' }, ['POST', 'DELETE', 'POST', 'DELETE']],
  ['lost before anything was made', { kind: 'resetBefore' }, ['POST', 'DELETE']],
  ['a throttling', { kind: 'rateLimit' }, ['POST', 'DELETE']],
];

describe('an answer to the creation that is', () => {
  test.each(LOST)('%s ends with one key, whose secret is held', async (_, effect, writes) => {
    const scene = await asked();
    scene.world.addFault({ when: { method: 'POST', operation: KEYS, nth: 1 }, effect });
    await scene.turns(15);
    expect(scene.applied()).toEqual(writes);
    await expectRotated(scene);
  });
});

test.each([
  ['', 0],
  [', though lists do not show it at first and its name is taken', 2],
])(
  'a key whose secret was lost between its creation and the record is removed and made again%s',
  async (_, reads) => {
    const scene = await asked();
    scene.world.addFault({
      when: { method: 'POST', operation: KEYS, nth: 1 },
      effect: { kind: 'staleReads', reads },
    });
    const { keys } = scene.deps;
    let lost = 0;
    scene.deps.keys = {
      ...keys,
      record: async (claim, change, next) => {
        if (!change.sealed || lost > 0) return keys.record(claim, change, next);
        lost += 1;
        throw new Error('the power went');
      },
    };
    await expect(scene.turn()).rejects.toThrow('the power went');
    expect(await scene.rotation()).toMatchObject({ phase: 'Creating', fresh: { fingerprint: null } });
    scene.clock.advance(MINUTE);
    await scene.turns(15);
    expect(scene.applied()).toEqual(['POST', 'DELETE', 'POST', 'DELETE']);
    const posts = scene.world.journal.query({ method: 'POST', operation: KEYS }).map(({ status }) => status);
    expect(posts).toEqual(reads === 0 ? [201, 201] : [201, 409, 409, 201]);
    await expectRotated(scene);
  },
);

test('a new key that lists do not show at first is no reason to worry', async () => {
  const scene = await asked();
  scene.world.addFault({
    when: { method: 'POST', operation: KEYS, nth: 1 },
    effect: { kind: 'staleReads', reads: 2 },
  });
  await scene.turn();
  expect(await scene.rotation()).toMatchObject({
    phase: 'Resting',
    stuck: null,
    held: expect.stringContaining('does not show'),
  });
  await scene.turns(15);
  expect(scene.applied()).toEqual(['POST', 'DELETE']);
  await expectRotated(scene);
});

test('a name that somebody else’s older key has is left alone, and the next number taken', async () => {
  const scene = await keyScene(SHORT);
  await scene.turn();
  const [row] = await scene.rows();
  const taken = `parasol-${row?.id.replaceAll('-', '').slice(-12)}-1`;
  scene.world.addUmbrellaKey('acme', { name: taken });
  scene.clock.advance(10 * MINUTE);
  await scene.ask();
  const rotation = await scene.turns(10);
  expect(rotation).toMatchObject({ phase: 'Completed', number: 2 });
  expect(scene.applied()).toEqual(['POST', 'DELETE']);
  expect(scene.names()).toEqual(['Parasol KeyAdmin', taken, rotation.fresh?.name]);
});

describe('what a tenant allows', () => {
  test('a key of which one tenant only observes is not touched, and says why', async () => {
    const scene = await asked();
    await scene.change('cedar', { mode: 'observe' });
    const rotation = await scene.turns(3);
    expect(rotation.phase).toBe('Pending');
    expect(toldTo('cedar', rotation.held!)).toBe('cedar uses the key: mode observe writes nothing.');
    expect(toldTo('birch', rotation.held!)).toBe('another tenant that uses the key may not be changed now.');
    expect(scene.applied()).toEqual([]);
    await scene.change('cedar', { mode: 'repair' });
    await scene.turns(10);
    await expectRotated(scene);
  });

  const spec = (on: boolean) => (scene: KeyScene) => scene.change('birch', { paused: on });
  const person = (on: boolean) => async () => {
    const asked = { by: 'ann', reason: 'a freeze', until: null };
    if (on) await store.desk.pause('birch', asked, [], 'test');
    else await store.desk.resume('birch', { by: 'ann', reason: 'thawed' }, [], 'test');
  };
  test.each([
    ['spec’s', 'before the key is made', spec, 'birch uses the key: the tenant is paused.'],
    ['spec’s', 'before the old one is deleted', spec, 'birch uses the key: the tenant is paused.'],
    ['person’s', 'before the key is made', person, 'birch uses the key: ann paused it (a freeze).'],
    ['person’s', 'before the old one is deleted', person, 'birch uses the key: ann paused it (a freeze).'],
  ])(
    'a %s pause that comes %s, after it was decided on, keeps it from leaving',
    async (_, when, pause, words) => {
      const scene = await asked();
      const { keys } = scene.deps;
      const write = when === 'before the key is made' ? ':make:' : ':remove:';
      let paused = false;
      scene.deps.keys = {
        ...keys,
        openIntent: async (claim, rotation, intent, bounds) => {
          const verdict = await keys.openIntent(claim, rotation, intent, bounds);
          if (intent.key.includes(write) && !paused) {
            paused = true;
            await pause(true)(scene);
          }
          return verdict;
        },
      };
      const held = await scene.turns(8);
      expect(paused).toBe(true);
      expect(held.held).toContain(words);
      expect(scene.applied()).toEqual(write === ':make:' ? [] : ['POST']);
      expect(await usedAgain(scene)).toMatchObject({ ok: true });
      await pause(false)(scene);
      await scene.turns(15);
      await expectRotated(scene);
    },
  );

  test('the fleet’s cap holds it back', async () => {
    const scene = await asked();
    await scene.turn({ repairsPerHour: 0 });
    expect((await scene.rotation()).held).toContain('The fleet made as many changes');
    expect(scene.applied()).toEqual([]);
    await scene.turns(10);
    await expectRotated(scene);
  });
});

describe('the old key', () => {
  test('that never rests is not deleted, and is reported until it does', async () => {
    const scene = await asked();
    for (let minutes = 0; minutes < 10; minutes += 1) {
      await scene.turn();
      scene.clock.advance(MINUTE);
      await usedAgain(scene);
    }
    await scene.turn();
    expect(await scene.rotation()).toMatchObject({
      phase: 'Resting',
      stuck: expect.stringContaining('still used by somebody'),
    });
    expect(scene.applied()).toEqual(['POST']);
    const stuck = (await scene.events('birch')).filter((event) => event.startsWith('UmbrellaRotationStuck'));
    expect(stuck.length).toBeGreaterThan(0);
    await scene.turns(10);
    await expectRotated(scene);
  });

  test('used again while its deletion was decided on goes back to rest', async () => {
    const scene = await asked();
    await scene.turn();
    await store.pool.query(
      `update umbrella_keys set rotation = jsonb_set(rotation, '{phase}', '"Deleting"')`,
    );
    scene.clock.advance(MINUTE);
    await usedAgain(scene);
    await scene.turn();
    expect(await scene.rotation()).toMatchObject({ phase: 'Resting' });
    expect(scene.applied()).toEqual(['POST']);
  });

  test('goes at once where it is compromised, the new one in use before', async () => {
    const scene = await keyScene({ rotation: { overlap: '48h' } });
    await scene.ask('acme', 'compromise');
    await scene.turn();
    expect(scene.applied()).toEqual(['POST', 'DELETE']);
    await expectRotated(scene);
  });

  test('of an ordinary rotation under way that turns out to be compromised goes at once', async () => {
    const scene = await asked({ rotation: { overlap: '48h' } });
    await scene.turn();
    expect(await scene.rotation()).toMatchObject({ phase: 'Resting', cause: 'person' });
    expect(await scene.ask('birch')).toMatchObject({ because: 'under-way' });
    expect(await scene.ask('birch', 'compromise')).toBe('asked');
    scene.clock.advance(MINUTE);
    await scene.turn();
    await expectRotated(scene);
  });

  test('with which a tenant comes after the others were switched: it is switched too', async () => {
    const scene = await asked();
    await scene.turn();
    scene.world.addCompany('dune');
    scene.world.addConsole('dune', {
      organizationId: 900_009,
      parentOrganizationId: scene.world.console('acme').organizationId,
    });
    await scene.add('dune', { umbrella: { organizationId: '900009' } });
    await scene.turns(10);
    expect(await scene.states('dune')).toEqual(['dead', 'active']);
    expect((await scene.inUse('dune')).publicHalf).toBe((await scene.inUse('acme')).publicHalf);
    expect(scene.applied()).toEqual(['POST', 'DELETE']);
    expect(await scene.rows()).toHaveLength(1);
  });

  test('that a person deleted while it rested is seen dead, and not deleted again', async () => {
    const scene = await asked();
    await scene.turn();
    scene.world.deleteUmbrellaKey('acme', 'Parasol');
    await scene.turns(3);
    expect(scene.applied()).toEqual(['POST']);
    await expectRotated(scene);
  });

  test('whose deletion was answered by nothing is looked for before anything else', async () => {
    const scene = await asked();
    scene.world.addFault({ when: { method: 'DELETE', nth: 1 }, effect: { kind: 'resetAfter' } });
    await scene.turns(10);
    expect(scene.applied()).toEqual(['POST', 'DELETE']);
    await expectRotated(scene);
  });

  test('that KeyAdmin may not delete stays, and a person is told', async () => {
    const scene = await asked();
    scene.world.setUmbrellaKeyScopes('acme', 'Parasol KeyAdmin', [
      'admin.apikeys:read',
      'admin.apikeys:create',
    ]);
    const rotation = await scene.turns(8);
    expect(rotation).toMatchObject({
      phase: 'Deleting',
      stuck: expect.stringContaining('delete the key in Admin > API Keys'),
    });
    scene.world.deleteUmbrellaKey('acme', 'Parasol');
    await scene.turns(3);
    await expectRotated(scene);
  });

  test('is not deleted where the new one is gone from the list', async () => {
    const scene = await asked();
    await scene.turn();
    scene.world.deleteUmbrellaKey('acme', (await scene.rotation()).fresh!.name);
    expect(await scene.turns(14)).toMatchObject({
      phase: 'Resting',
      stuck: expect.stringContaining('is no longer listed'),
    });
    expect(scene.applied()).toEqual(['POST']);
  });
});

describe('a KeyAdmin key', () => {
  test('that no tenant of the key has holds it back', async () => {
    const scene = await asked();
    await store.pool.query(`delete from credentials where purpose = 'umbrella-key-admin'`);
    expect((await scene.turns(2)).held).toContain('No tenant that uses the key has a KeyAdmin key');
    expect(scene.applied()).toEqual([]);
  });

  test('that is the API key itself is never rotated away (design.md §3.5)', async () => {
    const scene = await keyScene(SHORT);
    scene.world.setUmbrellaKeyScopes('acme', 'Parasol', [
      'admin.customers:read',
      'admin.apikeys:read',
      'admin.apikeys:create',
      'admin.apikeys:delete',
    ]);
    await scene.give('acme', 'umbrella-key-admin', scene.seeded.api);
    await scene.ask();
    expect(toldTo('acme', (await scene.turns(2)).stuck!)).toContain('is also the KeyAdmin key of acme');
    expect(scene.applied()).toEqual([]);
  });

  test('of another organisation that does not list the key fails the rotation, which is not begun again by itself', async () => {
    const scene = await keyScene(SHORT);
    const other = scene.world.addUmbrellaKey('birch', {
      name: 'Own KeyAdmin',
      scopes: ['admin.apikeys:read', 'admin.apikeys:create', 'admin.apikeys:delete'],
    });
    await scene.give('acme', 'umbrella-key-admin', {
      publicHalf: other.key,
      privateHalf: new Secret(other.secret),
    });
    await scene.ask();
    expect(await scene.turns(3)).toMatchObject({ phase: 'Failed' });
    expect(await scene.events('cedar')).toContainEqual(
      expect.stringContaining('give a KeyAdmin key of the same organisation'),
    );
    expect(scene.applied()).toEqual([]);
  });
});

describe('a new key', () => {
  test('that never works is removed again; the old one stays in use', async () => {
    const scene = await asked();
    await scene.turn({ repairsPerHour: 0 });
    const refuse = (actor: string) =>
      scene.world.addFault({ when: { actor }, effect: { kind: 'status', status: 401 } });
    const register = scene.world.registerUmbrellaKey.bind(scene.world);
    scene.world.registerUmbrellaKey = (console, key) => {
      register(console, key);
      refuse(key.clientId);
    };
    const rotation = await scene.turns(12, 3 * MINUTE);
    expect(rotation).toMatchObject({ phase: 'Failed', provedFor: [] });
    expect(scene.applied()).toEqual(['POST', 'DELETE']);
    expect(scene.names()).toEqual(['Parasol', 'Parasol KeyAdmin']);
    for (const tenant of TENANTS) expect(await scene.states(tenant)).toEqual(['active']);
    expect(await scene.rows()).toMatchObject([{ sealed: null }]);
    scene.world.setUmbrellaKeyExpiry('acme', 'Parasol', '2026-12-01T08:00:00Z');
    await scene.reconcile('acme');
    await scene.turn();
    // What failed is not begun again by itself before a day has passed.
    expect(await scene.rotation()).toMatchObject({ number: 1, phase: 'Failed' });
    scene.clock.advance(DAY);
    await scene.reconcile('acme');
    await scene.turn();
    expect(await scene.rotation()).toMatchObject({ number: 2, cause: 'expiry' });
  });

  test('of which bad weather hides whether it works waits for better weather', async () => {
    const scene = await asked();
    const fault = scene.world.addFault({
      when: { path: '/admin/v2/managed/customers' },
      effect: { kind: 'status', status: 503 },
    });
    expect(await scene.turns(5, 5 * MINUTE)).toMatchObject({ phase: 'Verifying', provedFor: [] });
    scene.world.faults.remove(fault);
    await scene.turns(10);
    await expectRotated(scene);
  });

  test('for a tenant that Umbrella refused before as well does not wait for that tenant', async () => {
    const scene = await keyScene(SHORT);
    await scene.change('cedar', { umbrella: { organizationId: '77' } });
    await scene.ask();
    const rotation = await scene.turns(10);
    expect(rotation).toMatchObject({ phase: 'Completed', tenants: ['acme', 'birch', 'cedar'] });
    expect(rotation.evidence.map(({ what }) => what).join()).toContain('was answered as the old one is');
  });

  test('is removed where a person gave every tenant another one before it was in use', async () => {
    const scene = await asked();
    scene.world.addFault({
      when: { path: '/admin/v2/managed/customers' },
      effect: { kind: 'status', status: 503 },
    });
    await scene.turns(1);
    const other = scene.world.addUmbrellaKey('acme', { name: 'By hand' });
    for (const tenant of TENANTS) {
      await scene.give(tenant, 'umbrella-api', {
        publicHalf: other.key,
        privateHalf: new Secret(other.secret),
      });
    }
    expect(await scene.turns(5).then(() => scene.names())).toEqual([
      'Parasol',
      'Parasol KeyAdmin',
      'By hand',
    ]);
    expect(scene.applied()).toEqual(['POST', 'DELETE']);
  });
});

describe('a claim', () => {
  test('that was lost while the key was made records nothing; whoever has it next finds the key and makes it again', async () => {
    const scene = await asked();
    const { keys } = scene.deps;
    let taken = false;
    scene.deps.keys = {
      ...keys,
      record: async (claim, change, next) => {
        if (change.sealed && !taken) {
          taken = true;
          await store.pool.query(
            `update umbrella_keys set claim_owner = 'other', claim_token = claim_token + 1`,
          );
        }
        return keys.record(claim, change, next);
      },
    };
    await scene.turn();
    expect(await scene.rotation()).toMatchObject({ phase: 'Creating' });
    await scene.turns(15);
    expect(scene.applied()).toEqual(['POST', 'DELETE', 'POST', 'DELETE']);
    await expectRotated(scene);
  });

  test('is not taken where nothing is to be done: such keys rest together', async () => {
    const scene = await keyScene(SHORT);
    await scene.turn();
    await store.pool.query('update umbrella_keys set next_run_at = now()');
    await letRest(scene.deps);
    expect(await store.umbrellaKeys.take('one', 30_000)).toBeNull();
    const { rows } = await store.pool.query('select next_run_at > now() as rests from umbrella_keys');
    expect(rows).toEqual([{ rests: true }]);
  });

  test.each(['asked for', 'taken'])('that was %s while it was found at rest stays due', async (meanwhile) => {
    const scene = await keyScene(SHORT);
    await scene.turn();
    await store.pool.query('update umbrella_keys set next_run_at = now()');
    const { keys } = scene.deps;
    await letRest({
      ...scene.deps,
      keys: {
        ...keys,
        resting: async (most) => {
          const resting = await keys.resting(most);
          expect(resting).toHaveLength(1);
          if (meanwhile === 'asked for') await scene.ask();
          else await store.pool.query(`update umbrella_keys set claim_owner = 'other'`);
          return resting;
        },
      },
    });
    const claim = await store.umbrellaKeys.take('one', 30_000);
    expect(claim).not.toBeNull();
  });

  test('is held by one at a time, and is free again when it ran out', async () => {
    const scene = await asked();
    await store.pool.query('update umbrella_keys set next_run_at = now()');
    const first = await store.umbrellaKeys.take('one', 30_000);
    expect(first).not.toBeNull();
    expect(await store.umbrellaKeys.take('two', 30_000)).toBeNull();
    const bounds = { allowedBy: [], unused: [] };
    expect(await store.umbrellaKeys.confirm(first!, 1_000, bounds)).toBe(true);
    await store.pool.query('update umbrella_keys set next_run_at = now()');
    const second = await store.umbrellaKeys.take('two', 30_000);
    expect(second).toMatchObject({ keyId: first!.keyId, token: first!.token + 1 });
    expect(await store.umbrellaKeys.confirm(first!, 1_000, bounds)).toBe(false);
    expect(await store.umbrellaKeys.snapshot(first!)).toBeNull();
    expect(scene.applied()).toEqual([]);
  });

  test('whose run is stopped while the key is made keeps what is known: the key is looked for', async () => {
    const scene = await asked();
    scene.world.addFault({
      when: { method: 'POST', operation: KEYS, nth: 1 },
      effect: { kind: 'hangAfter' },
    });
    const stop = new AbortController();
    const run = scene.turn({}, stop.signal);
    await scene.world.waitForHang();
    stop.abort();
    await run;
    scene.world.releaseHangs('drop');
    expect(await scene.rotation()).toMatchObject({ phase: 'Creating', attempts: 1 });
    await scene.turns(15);
    expect(scene.applied()).toEqual(['POST', 'DELETE', 'POST', 'DELETE']);
    await expectRotated(scene);
  });
});

describe('what a person asks', () => {
  const rotate = (scene: KeyScene, tenant: string, how: { compromised?: boolean; cutNow?: boolean } = {}) =>
    scene.commands.rotate(tenant, {
      credential: 'umbrella-api',
      by: 'ann',
      reason: 'a drill',
      compromised: false,
      cutNow: false,
      ...how,
    });
  const refusal = async (answer: ReturnType<typeof rotate>) => {
    const told = await answer;
    return told.ok || told.refusal.kind !== 'conflict' ? told : told.refusal.message;
  };

  test('is begun, and told in the status of all who share the key: both keys until the old one is dead', async () => {
    const scene = await keyScene(SHORT);
    await scene.turn();
    expect(await rotate(scene, 'birch')).toMatchObject({ ok: true, value: { trigger: 2 } });
    await scene.turn();
    await scene.reconcile('cedar');
    const resting = await scene.commands.status('cedar');
    expect(resting.ok && resting.value.umbrellaRotation).toMatchObject({
      number: 1,
      phase: 'Resting',
      cause: 'person',
      by: null,
      why: 'A tenant that shares the key asked for it.',
      tenants: ['cedar'],
      others: 2,
      held: expect.stringContaining('must be unused for 3m'),
      stuck: null,
    });
    const states = (status: typeof resting) =>
      status.ok &&
      status.value.keys.filter(({ purpose }) => purpose === 'umbrella-api').map(({ state }) => state);
    expect(states(resting)).toEqual(['superseded', 'active']);
    await scene.turns(10);
    const completed = await scene.commands.status('cedar');
    expect(states(completed)).toEqual(['active']);
    expect(completed.ok && completed.value.umbrellaRotation?.phase).toBe('Completed');
  });

  test('is refused with the reason', async () => {
    const scene = await keyScene(SHORT);
    expect(await refusal(rotate(scene, 'acme'))).toContain('given just now');
    await scene.turn();
    expect(await rotate(scene, 'nobody')).toMatchObject({ ok: false, refusal: { kind: 'not-found' } });
    expect(await rotate(scene, 'acme', { compromised: true, cutNow: true })).toMatchObject({
      ok: false,
      refusal: { kind: 'invalid', problems: [{ path: 'cutNow' }] },
    });
    await scene.change('acme', { mode: 'alert' });
    expect(await refusal(rotate(scene, 'acme'))).toContain('acme cannot be rotated');
    expect(await refusal(rotate(scene, 'birch'))).toBe(
      'acme uses the same Umbrella key (mode alert writes nothing): a shared key is rotated for all or none.',
    );
    await scene.change('acme', { mode: 'repair' });
    await store.pool.query(`delete from credentials where purpose = 'umbrella-key-admin'`);
    expect(await refusal(rotate(scene, 'birch'))).toContain('has a KeyAdmin key: give one with');
    await store.pool.query(`delete from credentials where purpose = 'umbrella-api' and tenant_id = 'cedar'`);
    expect(await refusal(rotate(scene, 'cedar'))).toContain('holds no Umbrella key of cedar');
    expect(scene.applied()).toEqual([]);
  });

  test('while one is under way is refused, unless the key is compromised', async () => {
    const scene = await asked();
    await scene.turn();
    expect(await refusal(rotate(scene, 'cedar'))).toContain(
      'Rotation 1 of this Umbrella key is under way (Resting)',
    );
    expect(await rotate(scene, 'cedar', { compromised: true })).toMatchObject({ ok: true });
    scene.clock.advance(MINUTE);
    await scene.turn();
    await expectRotated(scene);
  });

  test('a rotation that is stuck is told by the condition of every tenant that shares the key', async () => {
    const scene = await asked();
    await scene.turn();
    scene.world.deleteUmbrellaKey('acme', (await scene.rotation()).fresh!.name);
    await scene.turns(14);
    await scene.reconcile('birch');
    const status = await scene.commands.status('birch');
    const told = status.ok && status.value.conditions.find(({ type }) => type === 'RotationHealthy');
    expect(told).toMatchObject({ status: 'False', reason: 'UmbrellaRotationStuck' });
    const { rows } = await store.pool.query<{ cause: string }>(
      `select trigger_cause as cause from tenants where id = 'cedar'`,
    );
    expect(rows).toEqual([{ cause: 'Umbrella key rotation' }]);
  });
});

describe('tenants that share a key', () => {
  /** All that the bearer of a token for that one tenant can read. */
  async function readBy(scene: KeyScene, tenant: string): Promise<string> {
    const commands = scene.commands.as({
      ...PARASOL,
      name: 'theirs',
      role: 'admin',
      scope: { tenants: [tenant], labels: [] },
    });
    const page = { before: null, limit: 100 };
    const runs = await commands.runs(tenant, page);
    const told = await Promise.all([
      commands.status(tenant),
      commands.plan(tenant),
      commands.credentials(tenant),
      commands.events(tenant, page),
      commands.audit(tenant),
      commands.auditLog({ ...page, tenant, actor: null, action: null, since: null }),
      commands.handoffs({ tenant, live: false }),
      ...(runs.ok ? runs.value.items.map(({ id }) => commands.run(tenant, id)) : []),
      commands.rotate(tenant, { ...ANN, credential: 'umbrella-api', compromised: false, cutNow: false }),
    ]);
    return JSON.stringify(told);
  }
  const ANN = { by: 'zoe', reason: 'zoe wants to' };

  test('learn nothing of each other by it, neither a name nor what was said about them', async () => {
    const scene = await keyScene(SHORT);
    await scene.turn();
    const asked = { by: 'xenia', reason: 'the secret of acme is out', compromised: true, cutNow: false };
    expect(await scene.commands.rotate('acme', { ...asked, credential: 'umbrella-api' })).toMatchObject({
      ok: true,
    });
    const look = async () => {
      for (const tenant of TENANTS) await scene.reconcile(tenant);
      for (const tenant of ['birch', 'cedar']) {
        const read = await readBy(scene, tenant);
        const others = TENANTS.filter((one) => one !== tenant);
        for (const word of [...others, 'xenia', 'secret of', 'alert']) {
          expect(read).not.toMatch(new RegExp(`\\b${word}\\b`));
        }
        expect(read).not.toMatch(/[‹¦›]/);
      }
      expect(await readBy(scene, 'acme')).not.toMatch(/[‹¦›]|birch|cedar/);
    };
    await scene.change('acme', { mode: 'alert' });
    await scene.turn();
    await look();
    expect(await readBy(scene, 'birch')).toContain('another tenant that uses the key may not be changed now');
    await scene.change('acme', { mode: 'repair' });
    await scene.turns(1);
    await look();
    expect(await readBy(scene, 'birch')).toContain(
      'The new key is in use for another tenant, birch, another tenant.',
    );
    await scene.turns(12);
    await look();
    await expectRotated(scene);
  });
});

describe('where no KeyAdmin key is held', () => {
  /** `acme` alone, its key deleted by somebody; a person is asked for another. */
  async function askedFor() {
    const scene = await keyScene(SHORT);
    await store.pool.query(`delete from credentials where purpose = 'umbrella-key-admin'`);
    scene.world.deleteUmbrellaKey('acme', 'Parasol');
    await scene.reconcile('acme');
    const [handoff] = await scene.commands.handoffs({ tenant: 'acme', live: true });
    if (handoff?.kind !== 'renew-umbrella-key') throw new Error('no new key is asked for');
    const submit = ({ key, secret }: { key: string; secret: string }) =>
      scene.commands.submitHandoff(handoff.id, {
        by: 'ann',
        pair: { publicHalf: key, privateHalf: new Secret(secret) },
        attest: false,
      });
    const now = async () => {
      const found = await scene.commands.handoff(handoff.id);
      return found.ok ? `${found.value.state}: ${found.value.evidence}` : 'gone';
    };
    return { scene, submit, now };
  }

  test('a person is asked for a key; it comes into use once it proved itself', async () => {
    const { scene, submit, now } = await askedFor();
    const made = scene.world.addUmbrellaKey('acme', { name: 'By hand' });
    expect(await submit(made)).toMatchObject({ ok: true });
    expect(await scene.states('acme')).toEqual(['active', 'candidate']);
    await scene.turn();
    expect(await scene.states('acme')).toEqual(['superseded', 'active']);
    await scene.reconcile('acme');
    expect(await now()).toMatch(/^closed: The key .* got a token and listed customers/);
    expect((await scene.inUse('acme')).publicHalf).toBe(made.key);
    expect(scene.applied()).toEqual([]);
  });

  test('a pair that does not work is told, and asked for again; weather decides nothing', async () => {
    const { scene, submit, now } = await askedFor();
    const weather = scene.world.addFault({
      when: { path: '/auth/v2/token' },
      effect: { kind: 'status', status: 503 },
    });
    await submit({ key: 'mistyped', secret: 'mistyped' });
    await scene.turn();
    expect(await scene.states('acme')).toEqual(['active', 'candidate']);
    scene.world.faults.remove(weather);
    scene.clock.advance(MINUTE);
    await scene.turn();
    expect(await scene.states('acme')).toEqual(['active', 'dead']);
    await scene.reconcile('acme');
    expect(await now()).toMatch(/^claimed: The pair .* did not work/);
  });

  test('a key without the scope is refused', async () => {
    const { scene, submit } = await askedFor();
    await submit(scene.world.addUmbrellaKey('acme', { name: 'Weak', scopes: ['reports.customers:read'] }));
    await scene.turn();
    expect(await scene.states('acme')).toEqual(['active', 'refused']);
    expect(await scene.events('acme')).toContainEqual(
      expect.stringContaining('delete it in Admin > API Keys'),
    );
  });
});

test('a key that nobody uses any more has no row', async () => {
  const scene = await keyScene(SHORT);
  await scene.turn();
  expect(await scene.rows()).toHaveLength(1);
  await store.pool.query('delete from tenants');
  await scene.turn();
  expect(await scene.rows()).toEqual([]);
});

test('the loop begins nothing while the session is lost, and goes on once it is there again', async () => {
  const scene = await keyScene();
  const asked: string[] = [];
  const keys = new Proxy(scene.deps.keys, {
    get(port, name) {
      const method: unknown = Reflect.get(port, name);
      if (typeof method !== 'function') return method;
      return (...given: unknown[]): unknown => {
        asked.push(String(name));
        return Reflect.apply(method, port, given);
      };
    },
  });
  const onTrigger = () => Promise.resolve(() => Promise.resolve());
  const loop = createKeyLoop(
    { ...scene.deps, keys, onTrigger },
    { ...KEY_LOOP_DEFAULTS, owner: 'loop', repairsPerHour: 10 },
  );
  loop.suspend();
  await loop.start();
  expect(asked).toEqual([]);
  loop.resume();
  await loop.drain(10_000);
  expect(asked.length).toBeGreaterThan(0);
});
