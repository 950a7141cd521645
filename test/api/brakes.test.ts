import { describe, expect, it, test } from 'vitest';
import { brake, BRAKE_ID, startApi } from './harness.ts';

const url = `/brakes/${BRAKE_ID}/release`;
const asked = { by: 'Ada', reason: 'looked' };

describe('brakes', () => {
  it('are listed with whom they hold and what came of a release', async () => {
    const { call } = startApi();
    const answer = await call('GET', '/brakes');
    expect([answer.statusCode, answer.json()]).toEqual([200, { items: [brake] }]);
  });

  test.each<[string, object, string | null, boolean]>([
    ['one tenant', { tenant: 'acme' }, 'acme', false],
    ['all', {}, null, false],
    ['all, without a canary', { withoutCanary: true }, null, true],
  ])('are released for %s', async (_, given, tenant, withoutCanary) => {
    const { call, commands } = startApi();
    const answer = await call('POST', url, { payload: { ...asked, ...given } });
    expect([answer.statusCode, answer.json()]).toEqual([
      202,
      { triggered: [{ tenant: 'acme', trigger: 11 }] },
    ]);
    expect(commands.releaseBrake).toHaveBeenCalledWith(BRAKE_ID, tenant, { ...asked, withoutCanary });
  });

  test.each<[string, object, string]>([
    ['without a reason', { by: 'Ada' }, 'reason'],
    ['by nobody', { reason: 'looked' }, 'by'],
    ['for a canary without a canary', { ...asked, tenant: 'acme', withoutCanary: true }, 'withoutCanary'],
    ['with what is not asked for', { ...asked, all: true }, 'all'],
  ])('are not released %s', async (_, payload, path) => {
    const { call, commands } = startApi();
    const answer = await call('POST', url, { payload });
    expect(answer.statusCode).toBe(400);
    expect(answer.body).toContain(path);
    expect(commands.releaseBrake).not.toHaveBeenCalled();
  });

  it('that cannot be released say what is to be done first', async () => {
    const { call, commands } = startApi();
    const message = 'Release one tenant first.';
    commands.releaseBrake.mockResolvedValueOnce({ ok: false, refusal: { kind: 'conflict', message } });
    const answer = await call('POST', url, { payload: asked });
    expect([answer.statusCode, answer.json()]).toMatchObject([409, { detail: message }]);
  });
});
