import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { requested, type Rotation, type RotationCause, type Wish } from '../../src/domain/rotation.ts';
import type { Claim, NewIntent } from '../../src/reconciler/ports.ts';
import { createStore, type Store } from '../../src/store/index.ts';
import { createTestDatabase, type TestDatabase } from '../support/postgres.ts';
import {
  BOUNDS,
  claimOf,
  credentialOf,
  GONE,
  given,
  LEAVING,
  newId,
  resultOf,
  specOf,
  writeOf,
} from './fixtures.ts';

let database: TestDatabase;
let store: Store;
let other: Store;

beforeAll(async () => {
  database = await createTestDatabase();
  store = createStore(database.url);
  other = createStore(database.url);
});
beforeEach(async () => {
  await store.pool.query('truncate tenants, events, intents cascade');
});
afterAll(async () => {
  await Promise.all([store.close(), other.close()]);
  await database.drop();
});

const at = '2026-03-10T12:00:00.000Z';
const later = (minutes: number) => new Date(Date.parse(at) + minutes * 60_000).toISOString();
const asked = (tenantId: string, cause: RotationCause = 'request', when = at): Rotation =>
  requested({ id: newId(), tenantId, cause, by: 'ann', reason: 'a drill', cutNow: false, at: when });
const request = async (rotation: Rotation, by: Store = store) =>
  by.desk.requestRotation(rotation, [{ type: 'RotationRequested', message: 'asked' }], 'asked');
const wish = (kind: Wish['kind'] = 'rollback', when = later(5)): Wish => ({
  kind,
  by: 'bob',
  reason: 'it went wrong',
  at: when,
});
const wishes = (one: Wish, by: Store = store) => by.desk.wishOfRotation('acme', one, [], 'wished');
const live = async (tenantId = 'acme') => (await store.reconciles.snapshot(tenantId))!.rotation;
const record = (claim: Claim, now: Rotation, heeded: Wish | null = null) =>
  store.reconciles.record(claim, resultOf({ rotation: { now, heeded } }));
const ended = (rotation: Rotation): Rotation => ({
  ...rotation,
  phase: 'Completed',
  outcome: 'Done.',
  endedAt: later(60),
});
/** Tenants that may be repaired, each with a rotation that waits; the first asked first. */
async function waiting(...ids: string[]): Promise<Rotation[]> {
  await store.desk.apply(ids.map((id) => writeOf(id, { spec: { ...specOf(id), mode: 'repair' } })));
  const rotations = ids.map((id, index) => asked(id, 'request', later(index)));
  for (const rotation of rotations) await request(rotation);
  return rotations;
}

describe('the rotation of a tenant', () => {
  it('is one at a time, however many ask at once', async () => {
    await given(store, 'acme');
    const rotations = Array.from({ length: 6 }, () => asked('acme'));
    const answers = await Promise.all(
      rotations.map((rotation, index) => request(rotation, index % 2 ? store : other)),
    );
    expect(answers.filter(({ ok }) => ok)).toHaveLength(1);
    const kept = await live();
    expect(answers.filter((answer) => !answer.ok)).toEqual(
      Array.from({ length: 5 }, () => ({ ok: false, because: 'live', rotation: kept })),
    );
    const { items } = await store.desk.events('acme', { before: null, limit: 20 });
    expect(items.filter(({ type }) => type === 'RotationRequested')).toHaveLength(1);
  });

  it('is kept whole, and comes back as it was', async () => {
    await given(store, 'acme');
    const claim = await claimOf(store, 'acme');
    const rotation: Rotation = {
      ...asked('acme', 'age'),
      phase: 'Overlap',
      old: {
        credentialId: 'key-1',
        fingerprint: 'fp-1',
        member: 'umbrella-a',
        deadSince: null,
        lastWrite: { at, configuration: 'Ümbrella: Contoso' },
      },
      target: 'umbrella-b',
      installable: { at, how: 'claimed' },
      adopted: { at, how: 'attested', evidence: 'ann said so.' },
      notices: [{ kind: 'Late', at, message: 'late' }],
    };
    expect(await record(claim, rotation)).toBe(true);
    expect(await live()).toEqual(rotation);
    expect((await store.desk.tenant('acme'))?.rotation).toEqual(rotation);
  });

  it('that a person asked for while a run began one by itself, is the person’s', async () => {
    await given(store, 'acme');
    const claim = await claimOf(store, 'acme');
    const own = asked('acme', 'age');
    const persons = asked('acme');
    expect(await request(persons)).toMatchObject({ ok: true });
    expect(await record(claim, own)).toBe(true);
    expect((await live())?.id).toBe(persons.id);
    expect(await store.desk.rotations('acme')).toHaveLength(1);
  });

  it('makes way for another once it has ended; all of them are kept, newest first, whatever is pruned', async () => {
    await given(store, 'acme');
    const first = asked('acme');
    await request(first);
    await record(await claimOf(store, 'acme'), ended(first));
    expect(await live()).toBeNull();
    expect(await wishes(wish())).toEqual({ ok: false, because: 'none' });
    const second = asked('acme', 'request', later(90));
    expect(await request(second)).toMatchObject({ ok: true });
    await store.housekeeping.prune(0, 1_000);
    const kept = await store.desk.rotations('acme');
    expect(kept.map(({ id, phase }) => `${id} ${phase}`)).toEqual([
      `${second.id} Pending`,
      `${first.id} Completed`,
    ]);
  });

  it('goes with its tenant', async () => {
    await given(store, 'acme', 'other');
    await request(asked('acme'));
    await request(asked('other'));
    await store.desk.requestDelete('acme', LEAVING, [], 'deletion');
    await store.reconciles.record(await claimOf(store, 'acme'), resultOf({ forget: GONE }));
    expect(await store.desk.rotations('acme')).toEqual([]);
    expect(await live('other')).not.toBeNull();
    expect(await request(asked('acme'))).toEqual({ ok: false, because: 'not-found' });
  });

  it('is not written by a run that lost its claim', async () => {
    await given(store, 'acme');
    const rotation = asked('acme');
    await request(rotation);
    const claim = await claimOf(store, 'acme');
    expect(await record({ ...claim, token: claim.token + 1 }, ended(rotation))).toBe(false);
    expect(await live()).toEqual(rotation);
  });
});

describe('what a person asks of a rotation', () => {
  const intent = (): NewIntent => ({
    id: newId(),
    key: 'member:umbrella-a:change',
    action: 'off',
    request: {},
  });
  const bounds = (rotation: Rotation, wishedAt: string | null) => ({
    ...BOUNDS,
    rotation: { id: rotation.id, wishedAt },
  });

  it('while a run is under way is not lost by what that run records', async () => {
    await given(store, 'acme');
    const rotation = asked('acme');
    await request(rotation);
    const claim = await claimOf(store, 'acme');
    expect(await wishes(wish())).toMatchObject({ ok: true, rotation: rotation.id });
    await record(claim, { ...rotation, phase: 'PreparingMember' });
    expect(await live()).toMatchObject({ phase: 'PreparingMember', wish: wish() });
    // The run that heeds it follows at once.
    await claimOf(store, 'acme');
  });

  it('is gone once a run heeded it', async () => {
    await given(store, 'acme');
    const rotation = asked('acme');
    await request(rotation);
    await wishes(wish());
    await record(await claimOf(store, 'acme'), { ...rotation, undoing: true }, wish());
    expect(await live()).toMatchObject({ undoing: true, wish: null });
  });

  it('stays where it came after the one that a run heeded', async () => {
    await given(store, 'acme');
    const rotation = asked('acme');
    await request(rotation);
    await wishes(wish('compromise'));
    const claim = await claimOf(store, 'acme');
    const next = wish('rollback', later(6));
    await wishes(next, other);
    await record(claim, { ...rotation, cause: 'compromise' }, wish('compromise'));
    expect(await live()).toMatchObject({ cause: 'compromise', wish: next });
  });

  it('keeps every effect back that was decided on before it', async () => {
    await given(store, 'acme');
    const rotation = asked('acme');
    await request(rotation);
    const claim = await claimOf(store, 'acme');
    await wishes(wish());
    expect(await store.reconciles.openIntent(claim, intent(), bounds(rotation, null))).toEqual({
      granted: false,
      because: 'spec-changed',
    });
    expect(await store.reconciles.openIntent(claim, intent(), bounds(rotation, wish().at))).toEqual({
      granted: true,
    });
  });

  it('of a tenant that is not there is not asked', async () => {
    expect(await wishes(wish())).toEqual({ ok: false, because: 'not-found' });
  });
});

describe('the fleet’s limit of rotations', () => {
  const admit = async (rotation: Rotation, limit: number | null = 1, by: Store = store) => {
    const claim = await claimOf(store, rotation.tenantId);
    const when = await by.reconciles.admitRotation(claim, rotation.id, limit);
    await store.claims.release(claim, 0);
    return when !== null;
  };

  it('lets the oldest begin, and the next once there is room', async () => {
    const [first, second, third] = (await waiting('a', 'b', 'c')) as [Rotation, Rotation, Rotation];
    expect(await admit(third)).toBe(false);
    expect(await admit(second)).toBe(false);
    expect(await admit(first)).toBe(true);
    expect(await admit(second)).toBe(false);
    expect((await live('a'))?.admittedAt).not.toBeNull();
    await record(await claimOf(store, 'a'), ended(first));
    expect(await admit(third)).toBe(false);
    expect(await admit(second)).toBe(true);
  });

  it('has room for as many as it says', async () => {
    const [first, second, third] = (await waiting('a', 'b', 'c')) as [Rotation, Rotation, Rotation];
    expect(await admit(second, 2)).toBe(true);
    expect(await admit(third, 2)).toBe(false);
    expect(await admit(first, 2)).toBe(true);
  });

  it('says again when one was admitted, and never another time', async () => {
    const [first] = (await waiting('a')) as [Rotation];
    const claim = await claimOf(store, 'a');
    const when = await store.reconciles.admitRotation(claim, first.id, 1);
    expect(await store.reconciles.admitRotation(claim, first.id, 1)).toBe(when);
    expect(await store.reconciles.admitRotation(claim, first.id, 0)).toBe(when);
  });

  it('passes over a tenant in which nothing may be changed', async () => {
    const [, second] = (await waiting('a', 'b')) as [Rotation, Rotation];
    await store.desk.apply([writeOf('a', { expected: 1, spec: { ...specOf('a'), mode: 'observe' } })]);
    expect(await admit(second)).toBe(true);
  });

  it('holds up neither what replaces no working key, nor a compromise', async () => {
    const [first] = (await waiting('a', 'b')) as [Rotation];
    expect(await admit(first)).toBe(true);
    await given(store, 'urgent');
    const urgent = asked('urgent', 'compromise', later(9));
    await request(urgent);
    expect(await admit(urgent, null)).toBe(true);
  });

  it('is not used up by what is urgent', async () => {
    const [first] = (await waiting('a')) as [Rotation];
    await given(store, 'urgent');
    const urgent = asked('urgent', 'invalid');
    await request(urgent);
    expect(await admit(urgent, null)).toBe(true);
    expect(await admit(first)).toBe(true);
  });

  it('is never exceeded, however many ask at once', async () => {
    const ids = Array.from({ length: 12 }, (_, index) => `t${String(index).padStart(2, '0')}`);
    const rotations = await waiting(...ids);
    const claims = await Promise.all(
      ids.map(async (id) => (await store.claims.take(id, 1, 30_000))[0]!.claim),
    );
    for (let rounds = 0; rounds < 3; rounds += 1) {
      await Promise.all(
        claims.map((claim, index) => {
          const { id } = rotations.find(({ tenantId }) => tenantId === claim.tenantId)!;
          return (index % 2 ? store : other).reconciles.admitRotation(claim, id, 3);
        }),
      );
    }
    const begun = await Promise.all(
      ids.map(async (id) => ((await live(id))!.admittedAt === null ? [] : [id])),
    );
    expect(begun.flat()).toEqual(['t00', 't01', 't02']);
  });

  it('lets nothing begin for a run that lost its claim', async () => {
    const [first] = (await waiting('a')) as [Rotation];
    const claim = await claimOf(store, 'a');
    const lost = { ...claim, token: claim.token - 1 };
    expect(await store.reconciles.admitRotation(lost, first.id, null)).toBeNull();
    expect((await live('a'))?.admittedAt).toBeNull();
  });
});

describe('the pair of an install hand-off', () => {
  const pair = () => credentialOf({ fingerprint: 'fp-2', member: 'umbrella-b', sealed: 'eyJ.pair' });

  /** A hand-off that ann claimed. */
  async function claimed(): Promise<string> {
    await store.desk.apply([writeOf('acme', { credentials: [pair()] })]);
    const id = newId();
    const content = { title: 'Install', why: '', steps: [], closedBy: '' };
    const opening = {
      kind: 'install-integration-key' as const,
      subject: 'fp-2',
      content,
      deadline: later(999),
    };
    await store.reconciles.record(
      await claimOf(store, 'acme'),
      resultOf({ handoffs: [{ change: 'open', id, ...opening }] }),
    );
    await store.desk.claimHandoff(id, 'ann');
    return id;
  }
  const show = (id: string, by = 'ann', from: Store = store) =>
    from.desk.reveal(
      id,
      { by, reason: 'test' },
      [{ type: 'SecretRevealed', message: `shown to ${by}` }],
      'shown',
    );
  const shows = async () => {
    const { items } = await store.desk.events('acme', { before: null, limit: 50 });
    return items.filter(({ type }) => type === 'SecretRevealed').length;
  };

  it('is shown once, however many ask at once, and each time with its event', async () => {
    const id = await claimed();
    const answers = await Promise.all(
      Array.from({ length: 6 }, (_, index) => show(id, 'ann', index % 2 ? store : other)),
    );
    expect(answers.filter(({ ok }) => ok)).toMatchObject([
      { sealed: 'eyJ.pair', credential: { fingerprint: 'fp-2' }, handoff: { revealedTo: 'ann' } },
    ]);
    const refused = answers.filter(({ ok }) => !ok);
    expect(refused).toHaveLength(5);
    for (const one of refused) expect(one).toMatchObject({ because: 'shown', to: 'ann' });
    expect(await shows()).toBe(1);
    // That it may be in Umbrella from now on is looked into at once.
    expect((await store.claims.take('next', 1, 30_000)).map(({ trigger }) => trigger)).toEqual(['shown']);
  });

  it('is shown to nobody else, nor to whoever gave it back', async () => {
    const id = await claimed();
    expect(await show(id, 'bob')).toEqual({ ok: false, because: 'not-claimed' });
    await store.desk.releaseHandoff(id, 'ann');
    expect(await show(id)).toEqual({ ok: false, because: 'not-claimed' });
    expect(await show('unknown')).toEqual({ ok: false, because: 'not-found' });
    expect(await shows()).toBe(0);
  });

  it('is not shown once it is dead or refused', async () => {
    const id = await claimed();
    for (const state of ['dead', 'refused']) {
      await store.pool.query(`update credentials set state = $1 where fingerprint = 'fp-2'`, [state]);
      expect(await show(id)).toEqual({ ok: false, because: 'not-held' });
    }
    expect(await shows()).toBe(0);
  });

  it('is not shown once the hand-off is over', async () => {
    const id = await claimed();
    await store.desk.trigger('acme', 'test');
    await store.reconciles.record(
      await claimOf(store, 'acme'),
      resultOf({ handoffs: [{ change: 'withdraw', id, evidence: 'taken back' }] }),
    );
    expect(await show(id)).toEqual({ ok: false, because: 'not-claimed' });
  });
});
