import pg from 'pg';
import { expect, test } from 'vitest';
import { seedScenario } from '../../src/simulator/index.ts';
import {
  database,
  expectNothingLeft,
  folder,
  isSettled,
  simulator,
  startService,
  statusWhen,
  tenantOf,
  until,
  type Database,
  type Service,
} from './harness.ts';

/** A process that is killed after a change was committed and before anybody was told, and the same request again. */

expectNothingLeft();

const LOCK = 271_828;

/** Keeps every answer from being kept, and so from being sent, until it is opened; what was changed is committed by then. */
async function answersHeldBack(db: Database) {
  await db.query(`
    create function hold_answer() returns trigger language plpgsql as $$
    begin
      perform pg_advisory_xact_lock(${LOCK});
      return new;
    end $$`);
  await db.query(`
    create trigger hold_answer before update on requests for each row
      when (new.answer is not null) execute function hold_answer()`);
  const holder = new pg.Client({ connectionString: db.url });
  await holder.connect();
  await holder.query(`select pg_advisory_lock(${LOCK})`);
  const waiting = async () =>
    (
      await db.query<{ pid: number }>(
        `select pid from pg_locks
          where locktype = 'advisory' and objid = ${LOCK} and not granted
            and database = (select oid from pg_database where datname = current_database())`,
      )
    ).map(({ pid }) => pid);
  return {
    waiting,
    /** Once the service is dead: PostgreSQL would still finish what it was asked by then. */
    async open() {
      await db.query('select pg_terminate_backend(pid) from unnest($1::int[]) as pid', [await waiting()]);
      await until('nobody waits', async () => (await waiting()).length === 0);
      await db.query('drop trigger hold_answer on requests');
      await holder.query(`select pg_advisory_unlock(${LOCK})`);
    },
    [Symbol.asyncDispose]: () => holder.end(),
  };
}

interface Asked {
  path: string;
  body: Record<string, unknown>;
  key: string;
}

const send = async (service: Service, { path, body, key }: Asked) => {
  const response = await fetch(service.url + path, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${service.token}`,
      'content-type': 'application/json',
      'idempotency-key': key,
    },
    body: JSON.stringify(body),
  });
  const { status, headers } = response;
  return {
    status,
    replayed: headers.get('idempotency-replayed'),
    retryAfter: headers.get('retry-after'),
    body: (await response.json()) as Record<string, unknown>,
  };
};

test('whoever asks again with the same key is told what came of the first, which happened once', async () => {
  await using db = await database();
  await using data = await folder();
  await using vendors = await simulator();
  const ids = ['looked', 'paused', 'rotated', 'many-a', 'many-b'];
  for (const id of [...ids, 'made']) seedScenario(vendors.world, id, 'healthy');
  const options = { databaseUrl: db.url, data: data.path };
  await using first = await startService(options);
  await first.client.apply(
    ids.map((id) => tenantOf(vendors, id)),
    false,
  );
  for (const id of ids) await statusWhen(first, id, 'settled', isSettled);

  const many = { selector: { ids: ['many-a', 'many-b'] }, reason: 'audit' };
  const look = await first.call('POST', '/fleet/reconcile', { ...many, dryRun: true });
  const { token } = (JSON.parse(look.text) as { confirmation: { token: string } }).confirmation;
  const ASKED = { by: 'Ada', reason: 'audit' };
  const reconcile = { path: '/tenants/looked/reconcile', body: { reason: 'audit' }, key: 'key-1' };
  const pause = { path: '/tenants/paused/pause', body: { ...ASKED, until: '2h' }, key: 'key-2' };
  const rotate = { path: '/tenants/rotated/rotations', body: ASKED, key: 'key-3' };
  const make = {
    path: '/tenants',
    body: { ...tenantOf(vendors, 'made', { mode: 'observe' }) },
    key: 'key-4',
  };
  const reconcileMany = { path: '/fleet/reconcile', body: { ...many, confirmation: token }, key: 'key-5' };
  const all: Asked[] = [reconcile, pause, rotate, make, reconcileMany];

  const triggersOf = async (...asked: string[]) =>
    (
      await db.query<{ seq: string }>(
        'select trigger_seq as seq from tenants where id = any($1) order by id',
        [asked],
      )
    ).map(({ seq }) => Number(seq));
  const before = await triggersOf('looked', 'many-a', 'many-b', 'paused', 'rotated');
  await using answers = await answersHeldBack(db);
  const sent = all.map((one) =>
    send(first, one).then(
      ({ status }) => status,
      () => 'no answer',
    ),
  );
  await until(
    'each is done, and is about to be told',
    async () => (await answers.waiting()).length === all.length,
  );
  await first.kill();
  expect(await Promise.all(sent)).toEqual(all.map(() => 'no answer'));
  await answers.open();

  const changes = () =>
    db.query(
      `select idempotency_key as key, action, tenant_id as tenant, subject from audit
        where idempotency_key like 'key-_' order by key, tenant`,
    );
  const changed = await changes();
  expect(changed).toMatchObject([
    { key: 'key-1', action: 'tenant.reconcile', tenant: 'looked' },
    { key: 'key-2', action: 'tenant.pause', tenant: 'paused' },
    { key: 'key-3', action: 'rotation.request', tenant: 'rotated' },
    { key: 'key-4', action: 'tenant.create', tenant: 'made' },
    { key: 'key-5', action: 'tenant.reconcile', tenant: 'many-a' },
    { key: 'key-5', action: 'tenant.reconcile', tenant: 'many-b' },
  ]);
  const rotations = () => db.query<{ id: string }>(`select id from rotations where tenant_id = 'rotated'`);
  const [rotation] = await rotations();
  const [pausedUntil] = await db.query<{ until: string }>(
    `select pause ->> 'until' as until from tenants where id = 'paused'`,
  );

  await using again = await startService(options);
  // The killed attempt may still be at it, as far as anybody knows.
  expect(await send(again, reconcile)).toMatchObject({
    status: 409,
    retryAfter: '2',
    body: { type: 'urn:parasol:problem:under-way' },
  });
  await db.query('update requests set until = now() where answer is null');
  const triggers = before.map((seq) => seq + 1);
  const [looked, , , paused, rotated] = triggers;
  for (const _ of [1, 2]) {
    expect(await send(again, reconcile)).toMatchObject({
      status: 202,
      replayed: 'true',
      body: { trigger: looked },
    });
    expect(await send(again, pause)).toMatchObject({
      status: 202,
      replayed: 'true',
      body: { trigger: paused, until: pausedUntil!.until },
    });
    expect(await send(again, rotate)).toMatchObject({
      status: 202,
      replayed: 'true',
      body: { trigger: rotated, rotation: rotation!.id },
    });
    expect(await send(again, make)).toMatchObject({
      status: 201,
      replayed: 'true',
      body: { id: 'made', generation: 1 },
    });
    // What it did to each of many is no longer known in one place.
    expect(await send(again, reconcileMany)).toMatchObject({
      status: 409,
      body: {
        type: 'urn:parasol:problem:done-already',
        detail: expect.stringContaining('Nothing was done again'),
      },
    });
  }
  for (const { path, body, key } of all) {
    const other = 'reason' in body ? { ...body, reason: 'another' } : { ...body, name: 'Another' };
    expect(await send(again, { path, body: other, key })).toMatchObject({
      status: 409,
      body: { type: 'urn:parasol:problem:key-reused' },
    });
  }
  expect(await changes()).toEqual(changed);
  expect(await triggersOf('looked', 'many-a', 'many-b', 'paused', 'rotated')).toEqual(triggers);
  expect(await rotations()).toHaveLength(1);
});
