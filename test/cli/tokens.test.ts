import { describe, expect, test } from 'vitest';
import type { TokenView } from '../../src/reconciler/commands.ts';
import { fakeService, run } from './harness.ts';

const token = (change: Partial<TokenView> = {}): TokenView => ({
  id: '01996f7e-0000-7000-8000-000000000003',
  name: 'night-watch-of-the-operations-centre',
  role: 'operator',
  scope: { tenants: ['acme', 'birch-and-sons'], labels: ['team=north', 'tier'] },
  mayReveal: false,
  createdAt: '2026-11-01T08:00:00.000Z',
  createdBy: 'admin',
  expiresAt: '2026-12-24T08:00:00.000Z',
  lastUsedAt: '2026-11-24T07:58:00.000Z',
  ...change,
});

const TOKENS = [
  token(),
  token({ name: 'old', expiresAt: '2026-11-20T08:00:00.000Z', lastUsedAt: null }),
  token({ name: 'admin', role: 'admin', scope: null, expiresAt: null, mayReveal: true }),
];

describe('parasol token', () => {
  test('create shows the token alone on standard output', async () => {
    await using service = await fakeService({
      'POST /tokens': () => ({ status: 201, body: { ...token({ name: 'ci' }), token: 'parasol_x' } }),
    });
    const env = { PARASOL_URL: service.url, PARASOL_TOKEN: 't', PARASOL_REVEAL_TOKEN: 'r' };
    const made = await run(
      'token create ci --role operator --tenant acme --tenant b --label team=north --expires 90d'.split(' '),
      { env },
    );
    expect(made).toMatchObject({ out: 'parasol_x\n', code: 0 });
    expect(made.err).toMatch(/It is shown this once/);
    expect(service.asked[0]).toMatchObject({
      body: {
        name: 'ci',
        role: 'operator',
        tenants: ['acme', 'b'],
        labels: ['team=north'],
        expires: '90d',
        mayReveal: false,
      },
    });
    const json = await run(['--json', 'token', 'create', 'ci', '--role', 'viewer'], { env });
    expect(JSON.parse(json.out)).toMatchObject({ name: 'ci', token: 'parasol_x' });
  });

  test('create --reveal sends the second token, and nothing else does', async () => {
    const seen: (string | undefined)[] = [];
    await using service = await fakeService({
      'POST /tokens': ({ second }) => {
        seen.push(second);
        return { status: 201, body: { ...token(), token: 'parasol_x' } };
      },
    });
    const env = { PARASOL_URL: service.url, PARASOL_TOKEN: 't', PARASOL_REVEAL_TOKEN: 'r' };
    await run(['token', 'create', 'ci', '--role', 'operator', '--reveal'], { env });
    await run(['token', 'create', 'ci', '--role', 'operator'], { env });
    expect(seen).toEqual(['r', undefined]);
  });

  test('list fits 80 columns', async () => {
    await using service = await fakeService({ 'GET /tokens': () => ({ body: { items: TOKENS } }) });
    const { out, code } = await run(['token', 'list'], { env: { PARASOL_URL: service.url } });
    expect(code).toBe(0);
    expect(Math.max(...out.split('\n').map((line) => line.length))).toBeLessThanOrEqual(80);
    expect(out).toMatch(/expired 4d/);
    expect(out).toMatch(/admin, may reveal +all tenants +2m ago +never/);
  });

  test('revoke takes a name or an id, and refuses what there is not', async () => {
    await using service = await fakeService({
      'GET /tokens': () => ({ body: { items: TOKENS } }),
      [`DELETE /tokens/${token().id}`]: () => ({ body: token({ name: 'old' }) }),
    });
    const env = { PARASOL_URL: service.url };
    const revoked = await run(['token', 'revoke', 'old', '--reason', 'left us'], { env });
    expect(revoked).toMatchObject({
      code: 0,
      out: expect.stringMatching(/^The token old is revoked/) as string,
    });
    expect(service.asked.at(-1)!.path).toBe(`/tokens/${token().id}?reason=left+us`);
    const unknown = await run(['token', 'revoke', 'nobody'], { env });
    expect(unknown).toMatchObject({ code: 4, err: expect.stringMatching(/no token nobody/) as string });
  });
});
