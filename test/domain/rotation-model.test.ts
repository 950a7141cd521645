import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { DAY, HOUR, MINUTE, specWith } from './fixtures.ts';
import { FAIR, World, type Beginning, type Weather } from './rotation-world.ts';

/**
 * Whatever people, vendors and machines do in whatever order: the promises that `World` checks at every write, at every
 * record and after every event hold, and once nothing fails and everybody does what is asked, the rotation ends.
 */

type Event =
  | { do: 'advance'; ms: number }
  | { do: 'look'; weather: Omit<Weather, 'meanwhile'>; meanwhile: Deed | null }
  | { do: 'sync'; rows: number }
  | { do: 'edit'; row: number }
  | { do: 'mode'; mode: 'observe' | 'alert' | 'repair'; paused: 'not' | 'by the spec' | 'by a person' }
  | { do: 'key'; how: 'right' | 'of another member' | 'deleted' | 'kept' }
  | { do: 'fair day' }
  | { do: Deed };

const DEEDS = [
  'rotate',
  'compromise',
  'rollback',
  'claim',
  'release',
  'reveal',
  'install',
  'tick install',
  'delete',
] as const;
type Deed = (typeof DEEDS)[number];

async function perform(world: World, deed: Deed): Promise<void> {
  switch (deed) {
    case 'rotate':
      return world.rotate();
    case 'compromise':
      return world.rotate({ compromised: true });
    case 'rollback':
      return world.rollback();
    case 'claim':
      return world.claim('install-integration-key');
    case 'release':
      return world.release('install-integration-key');
    case 'reveal':
      return world.reveal();
    case 'install':
      return world.install();
    case 'tick install':
      return world.tickInstall();
    case 'delete':
      return world.deleteAsked();
  }
}

async function happen(world: World, event: Event): Promise<void> {
  switch (event.do) {
    case 'advance':
      return world.advance(event.ms);
    case 'look': {
      const { meanwhile } = event;
      return world.look({
        ...event.weather,
        meanwhile: meanwhile && (() => perform(world, meanwhile)),
      });
    }
    case 'sync':
      return world.sync(event.rows);
    case 'edit':
      return world.edit(event.row);
    case 'mode':
      world.pause(event.paused === 'by a person');
      return world.change({ mode: event.mode, paused: event.paused === 'by the spec' });
    case 'key':
      return world.giveKey(event.how);
    case 'fair day':
      return world.fairDay();
    default:
      return perform(world, event.do);
  }
}

const usually = <T>(usual: T, ...others: T[]) =>
  fc.oneof(
    { weight: 5, arbitrary: fc.constant(usual) },
    { weight: 1, arbitrary: fc.constantFrom(...others) },
  );

const weather = fc.record({
  members: usually<Weather['members']>('well', 'fails', 'stale', 'partial'),
  writes: usually<Weather['writes']>('well', 'fails'),
  keys: usually<Weather['keys']>('well', 'fails'),
  answers: usually<Weather['answers']>('well', 'lost', 'lost and not done', 'refused'),
  crash: usually<Weather['crash']>('never', 'before a write', 'before the record'),
});
const deed = fc.constantFrom(...DEEDS);
const event: fc.Arbitrary<Event> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('look' as const),
      weather,
      meanwhile: fc.option(deed, { freq: 3 }),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('advance' as const),
      ms: fc.constantFrom(5 * MINUTE, HOUR, 13 * HOUR, 2 * DAY, 9 * DAY),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('sync' as const), rows: fc.constantFrom(1, 2) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('edit' as const), row: fc.constantFrom(0, 1) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('mode' as const),
      mode: usually<'observe' | 'alert' | 'repair'>('repair', 'observe', 'alert'),
      paused: usually<'not' | 'by the spec' | 'by a person'>('not', 'by the spec', 'by a person'),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('key' as const),
      how: usually<'right' | 'of another member' | 'deleted' | 'kept'>(
        'right',
        'of another member',
        'deleted',
        'kept',
      ),
    }),
  },
  { weight: 7, arbitrary: deed.map((one): Event => ({ do: one })) },
  { weight: 1, arbitrary: fc.constant<Event>({ do: 'fair day' }) },
);

const TENANTS = {
  alternating: { members: { adopt: true, dedicated: true } },
  'not dedicated': { members: { adopt: true } },
  'same member': {
    members: { strategy: 'same-member', identifiers: ['umbrella-a'], adopt: true, dedicated: true },
  },
};
interface Setting {
  tenant: keyof typeof TENANTS;
  idle: Beginning['idle'];
  given: boolean;
  unmapped: boolean;
  quiet: boolean;
  window: boolean;
}
const USUAL: Setting = {
  tenant: 'alternating',
  idle: 'absent',
  given: true,
  unmapped: false,
  quiet: false,
  window: false,
};

const beginning = ({ tenant, idle, given, unmapped, quiet, window }: Setting): Beginning => ({
  spec: specWith({
    mode: 'repair',
    connectwise: TENANTS[tenant],
    integration: { nothingMapped: unmapped },
    rotation: window ? { window: 'Sat-Sun 02:00-06:00 Europe/Madrid' } : {},
  }),
  idle,
  given: given || unmapped,
  unmapped,
  quiet,
});

const setting: fc.Arbitrary<Setting> = fc.record({
  tenant: usually<Setting['tenant']>('alternating', 'not dedicated', 'same member'),
  idle: fc.constantFrom('absent', 'inactive'),
  given: usually(true, false),
  unmapped: usually(false, true),
  quiet: usually(false, true),
  window: usually(false, true),
});

/** A tenant that Umbrella writes for; then what happens, and then fair days. */
async function play(chosen: Setting, events: Event[]): Promise<World> {
  const world = new World(beginning(chosen));
  await world.look();
  for (let days = 0; days < 2; days += 1) {
    world.advance(DAY);
    world.sync(2);
    await world.look();
  }
  await world.rotate();
  for (const one of events) {
    await happen(world, one);
    world.promise();
  }
  return world;
}

/** It ends, and so does another one after it. */
async function ends(world: World): Promise<void> {
  world.pause(false);
  world.change({ mode: 'repair', paused: false });
  for (let rotations = 0; rotations < 2; rotations += 1) {
    for (let days = 0; days < 30 && world.rotation; days += 1) await world.fairDay();
    if (world.rotation) throw new Error(`it never ends\n${world.tell()}`);
    await world.rotate();
  }
}

describe('whatever happens', () => {
  it('what Umbrella holds works, and the rotation ends once people do what is asked', async () => {
    await fc.assert(
      fc.asyncProperty(setting, fc.array(event, { minLength: 5, maxLength: 40 }), async (chosen, events) => {
        await ends(await play(chosen, events));
      }),
      { numRuns: 120 },
    );
  }, 120_000);
});

const look = (parts: Partial<Weather> = {}, meanwhile: Deed | null = null): Event => ({
  do: 'look',
  weather: { ...FAIR, ...parts },
  meanwhile,
});
const key = (how: 'right' | 'of another member' = 'right'): Event => ({ do: 'key', how });
const day: Event = { do: 'fair day' };
const minutes: Event = { do: 'advance', ms: 5 * MINUTE };
const SAME: Setting = { ...USUAL, tenant: 'same member' };

describe('what went wrong once', () => {
  test.each<[string, Setting, Event[]]>([
    [
      'a rollback believed by an attestation of long ago that Umbrella had the old key again',
      { ...USUAL, given: false, quiet: true },
      [
        day,
        { do: 'rotate' },
        look(),
        key(),
        look(),
        { do: 'claim' },
        { do: 'rollback' },
        minutes,
        { do: 'install' },
      ],
    ],
    [
      'the only member was switched off when its first rotation was taken back',
      { ...SAME, given: false, quiet: true },
      [look(), { do: 'rollback' }, look()],
    ],
    ['of one member for both keys, the writes counted as those of the old key, for ever', SAME, []],
    [
      'the one member that has both keys was switched off in a hurry',
      SAME,
      [look(), day, { do: 'compromise' }, look()],
    ],
    [
      'a pair that was given while the rotation was taken back was called dead with its member off',
      USUAL,
      [look(), key(), key(), { do: 'rollback' }, look()],
    ],
    [
      'a key was still to be deleted after a rollback asked for it to be used again',
      USUAL,
      [look(), day, { do: 'compromise' }, look({ crash: 'before a write' }), { do: 'rollback' }, look()],
    ],
    [
      'a pair that was given and the rotation that was to replace it were one and the same',
      SAME,
      [look(), { do: 'rollback' }, look({ keys: 'fails' }), key(), { do: 'rotate' }],
    ],
    [
      'a list that was older than the switch made a refusal look like a death',
      USUAL,
      [look(), key(), minutes, { do: 'rollback' }, look({ members: 'stale' })],
    ],
    [
      'a key that was deleted as its rotation was taken back was waited for, for ever',
      { ...USUAL, tenant: 'not dedicated' },
      [look(), { do: 'compromise' }, day, { do: 'rollback' }, { do: 'delete' }, day],
    ],
    [
      'a key in Umbrella was thrown away when a rollback was asked for, taken back and asked for again',
      USUAL,
      [look(), day, { do: 'rollback' }, look(), look(), { do: 'rotate' }, look(), { do: 'rollback' }, look()],
    ],
    [
      'a pair that was given to a rotation that is held and taken back was called the one in use',
      { ...USUAL, window: true },
      [
        day,
        key(),
        { do: 'rollback' },
        { do: 'mode', mode: 'observe', paused: 'not' },
        { do: 'advance', ms: 13 * HOUR },
        look(),
        { do: 'rotate' },
        { do: 'advance', ms: 13 * HOUR },
        key(),
      ],
    ],
    [
      'the key that a rollback was to retire was still to be deleted after the rollback was taken back',
      { ...USUAL, unmapped: true },
      [
        look(),
        day,
        look({ keys: 'fails' }, 'rollback'),
        day,
        { do: 'release' },
        { do: 'advance', ms: 2 * DAY },
        look(),
        { do: 'rotate' },
      ],
    ],
  ])('%s', async (_, chosen, events) => {
    const world = await play(chosen, events);
    await ends(world);
    expect(world.works(world.holds)).toBe(true);
  });

  it('a member was used again whose first key Parasol never had, though that was seen to write', async () => {
    const world = await play({ ...USUAL, given: false, quiet: true }, [look(), day, key(), day]);
    await ends(world);
    expect(world.status?.memory.slots?.now).toContain('umbrella-a2');
  });
});
