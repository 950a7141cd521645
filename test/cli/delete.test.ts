import { describe, expect, it, test } from 'vitest';
import { EXIT } from '../../src/cli/io.ts';
import type { DeletionView } from '../../src/reconciler/commands.ts';
import * as canned from './canned.ts';
import { underWay } from './canned-rotations.ts';
import { fakeService, run, type Routes } from './harness.ts';

const GONE = { status: 404, body: { title: 'Not found', status: 404, detail: 'There is no tenant acme.' } };
const waits: DeletionView = {
  since: '2026-11-24T07:00:00.000Z',
  by: 'jamie',
  reason: 'they left',
  unseen: false,
  waitsFor: 'ConnectWise to answer: unavailable (timeout): no answer in 10s',
};

/** What `status` answers, one after the other; the last one stays. */
const inTurn = (...answers: { status?: number; body: unknown }[]) => {
  let asked = 0;
  return () => answers[Math.min(asked++, answers.length - 1)]!;
};
const told = (parts: object = {}) => ({ body: { ...canned.readyStatus, ...parts } });

async function withService(args: string[], world: Parameters<typeof run>[1] = {}, routes: Routes = {}) {
  await using service = await fakeService({
    'GET /tenants/acme': () => ({
      body: { id: 'acme', spec: { id: 'acme', name: 'Acme MSP', onDelete: 'orphan' } },
    }),
    'GET /tenants/acme/status': () => told(),
    'DELETE /tenants/acme': () => ({ status: 202, body: { trigger: 5 } }),
    'POST /tenants/acme/undelete': () => ({ status: 202, body: { trigger: 6 } }),
    ...routes,
  });
  const ran = await run(args, { ...world, env: { PARASOL_URL: service.url, PARASOL_TOKEN: 'the-token' } });
  const sent = service.asked.filter(({ method }) => method !== 'GET');
  return { ...ran, err: ran.err.replaceAll(/\s+/g, ' '), sent };
}

const asks = ['delete', 'acme', '--reason', 'they left'];
const confirmed = [...asks, '--yes', 'acme'];

describe('delete', () => {
  test.each([
    ['without a terminal or a confirmation', asks, {}, 'Confirm it with --yes acme.'],
    ['confirmed for another tenant', [...asks, '--yes', 'birch'], {}, 'That is not acme'],
    ['confirmed by habit', asks, { terminal: true, input: 'y\r' }, 'That is not acme'],
    ['without a reason', ['delete', 'acme', '--yes', 'acme'], {}, "required option '--reason <text>'"],
  ])('%s is refused, and nothing is sent', async (_, args, world, words) => {
    const ran = await withService(args, world);
    expect(ran.err).toContain(words);
    expect(ran.sent).toEqual([]);
    expect(ran.code).toBe(EXIT.refused);
  });

  it('says what becomes of the members and the keys, and is sent once the id was typed', async () => {
    const ran = await withService(asks, { terminal: true, input: ['ac', 'me\n'] });
    expect(ran.err).toContain(
      'acme (Acme MSP) is to be deleted. Its members in ConnectWise stay as they are',
    );
    expect(ran.sent).toMatchObject([
      { path: '/tenants/acme?by=jamie&reason=they+left&force=false&unseen=false' },
    ]);
    expect(ran.out).toContain('Next: parasol status acme');
    expect(ran.code).toBe(EXIT.ok);
  });

  it('says of one that is forced what it leaves', async () => {
    const routes = { 'GET /tenants/acme/status': () => told({ rotation: underWay, deleting: waits }) };
    const ran = await withService([...confirmed, '--force', '--unseen'], {}, routes);
    expect(ran.err).toContain('goes no further: nobody retires either key.');
    expect(ran.err).toContain('no answer in 10s: that is not waited for any more.');
    expect(ran.sent[0]?.path).toContain('force=true&unseen=true');
  });

  it('ends as refused where a rotation is in flight', async () => {
    const detail = "A rotation of acme's key (Overlap) is in flight: wait for it, or roll it back.";
    const refusal = () => ({ status: 409, body: { title: 'Conflict', status: 409, detail } });
    const ran = await withService(confirmed, {}, { 'DELETE /tenants/acme': refusal });
    expect(ran.err).toContain(detail);
    expect(ran.code).toBe(EXIT.refused);
  });

  test.each([
    ['gone', [told({ deleting: waits }), { status: 503, body: {} }, GONE], 'acme is gone.', EXIT.ok],
    ['taken back', [told({ deleting: waits }), told()], 'acme stays', EXIT.drift],
    ['still there', [told({ deleting: waits })], 'still there: it waits for ConnectWise to', EXIT.drift],
  ])('waits, and tells that it is %s', async (_, answers, words, code) => {
    const status = inTurn(told(), ...answers);
    const ran = await withService([...confirmed, '--wait'], {}, { 'GET /tenants/acme/status': status });
    expect(ran.err).toContain('acme goes: it waits for ConnectWise to answer: unavailable (timeout)');
    expect(ran.out.replaceAll(/\s+/g, ' ')).toContain(words);
    expect(ran.code).toBe(code);
  });
});

describe('undelete', () => {
  it('takes it back, by whom and why', async () => {
    const ran = await withService(['undelete', 'acme', '--reason', 'they stay', '--as', 'zoe']);
    expect(ran.sent).toMatchObject([
      { path: '/tenants/acme/undelete', body: { by: 'zoe', reason: 'they stay' } },
    ]);
    expect(ran.out).toContain('acme stays (trigger 6).');
  });
});

describe('status', () => {
  it('tells since when it is being deleted, by whom, why, and what that waits for', async () => {
    const routes = { 'GET /tenants/acme/status': () => told({ deleting: waits }) };
    const { out } = await withService(['status', 'acme'], {}, routes);
    expect(out.replaceAll(/\s+/g, ' ')).toContain(
      'Deleting since 1h ago, by jamie: they left. It waits for ConnectWise to answer',
    );
  });
});
