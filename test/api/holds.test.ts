import { describe, expect, it, test } from 'vitest';
import { acceptance, startApi } from './harness.ts';

const asked = { by: 'Ada', reason: 'the vendor mends it' };

describe('a pause', () => {
  test.each([
    ['for a time', '2h', '2h'],
    ['until a moment', '2026-12-01T06:00:00Z', '2026-12-01T06:00:00Z'],
    ['until a moment elsewhere', '2026-12-01T06:00:00+02:00', '2026-12-01T06:00:00+02:00'],
    ['until it is resumed', undefined, null],
  ])('%s is asked for with who and why', async (_, until, expected) => {
    const { call, commands } = startApi();
    const answer = await call('POST', '/tenants/acme/pause', { payload: { ...asked, until } });
    expect(answer.statusCode).toBe(202);
    expect(answer.json()).toMatchObject({ trigger: 8 });
    expect(commands.pause).toHaveBeenCalledWith('acme', { ...asked, until: expected });
  });

  test.each([
    ['no reason', { by: 'Ada' }, 'reason'],
    ['nobody', { reason: 'x' }, 'by'],
    ['a time without its zone', { ...asked, until: '2026-12-01T06:00:00' }, 'until'],
    ['a day', { ...asked, until: 'tomorrow' }, 'until'],
    ['a name that is no field', { ...asked, untill: '2h' }, ''],
  ])('with %s is refused', async (_, payload, path) => {
    const { call, commands } = startApi();
    const answer = await call('POST', '/tenants/acme/pause', { payload });
    expect(answer.json()).toMatchObject({ status: 400, errors: [{ path }] });
    expect(commands.pause).not.toHaveBeenCalled();
  });

  it('is ended with who and why', async () => {
    const { call, commands } = startApi();
    const answer = await call('POST', '/tenants/acme/resume', { payload: asked });
    expect([answer.statusCode, answer.json()]).toEqual([202, { trigger: 9 }]);
    expect(commands.resume).toHaveBeenCalledWith('acme', asked);
  });
});

describe('an acceptance', () => {
  const path = 'role.levels.Companies/Configurations.delete';

  it('is asked for with what, who, why and until when', async () => {
    const { call, commands } = startApi();
    const payload = { ...asked, path, expires: '30d', observed: 'All' };
    const answer = await call('POST', '/tenants/acme/accept', { payload });
    expect([answer.statusCode, answer.json()]).toMatchObject([202, { trigger: 8 }]);
    expect(commands.accept).toHaveBeenCalledWith('acme', payload);
  });

  test.each([
    ['no end', { ...asked, path }, 'expires'],
    ['no path', { ...asked, expires: '1d' }, 'path'],
    ['no reason', { by: 'Ada', path, expires: '1d' }, 'reason'],
    ['never as its end', { ...asked, path, expires: 'never' }, 'expires'],
  ])('with %s is refused', async (_, payload, at) => {
    const { call, commands } = startApi();
    const answer = await call('POST', '/tenants/acme/accept', { payload });
    expect(answer.json()).toMatchObject({ status: 400, errors: [{ path: at }] });
    expect(commands.accept).not.toHaveBeenCalled();
  });

  it('is withdrawn, and told', async () => {
    const { call, commands } = startApi();
    const payload = { ...asked, path };
    expect((await call('POST', '/tenants/acme/accept/withdraw', { payload })).statusCode).toBe(202);
    expect(commands.withdrawAcceptance).toHaveBeenCalledWith('acme', payload);
    const { items } = (await call('GET', '/tenants/acme/acceptances')).json<{ items: unknown[] }>();
    expect(items).toEqual([acceptance]);
  });
});
