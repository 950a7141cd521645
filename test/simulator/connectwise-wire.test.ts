import { describe, expect, test } from 'vitest';
import { fetchAnswer, start, START } from './harness.ts';

const CONFIGURATIONS = '/company/configurations';

describe('companyinfo', () => {
  test('tells the codebase without credentials', async () => {
    const { simulator } = await start();
    const answer = await fetchAnswer(`${simulator.connectwiseUrl}/login/companyinfo/acme`);
    expect(answer.json()).toMatchObject({ Codebase: 'v2025_1/', CompanyID: 'acme', IsCloud: true });
  });

  test('may tell IsCloud as a string', async () => {
    const { simulator, world } = await start();
    world.setCompanyOptions('acme', { isCloudAsString: true });
    const answer = await fetchAnswer(`${simulator.connectwiseUrl}/login/companyinfo/ACME`);
    expect(answer.json()).toMatchObject({ IsCloud: 'True' });
  });

  test('an unknown company answers null, or 404', async () => {
    const { simulator, world } = await start();
    world.setUnknownCompanyAnswer('elsewhere', '404');
    const nobody = await fetchAnswer(`${simulator.connectwiseUrl}/login/companyinfo/nobody`);
    const elsewhere = await fetchAnswer(`${simulator.connectwiseUrl}/login/companyinfo/elsewhere`);
    expect([nobody.status, nobody.json()]).toEqual([200, null]);
    expect(elsewhere.status).toBe(404);
  });
});

describe('who may come in', () => {
  test.each([
    ['a wrong private key', { pair: { publicKey: 'x', privateKey: 'y' } }, 401, '"code":"Unauthorized"'],
    ['no client id', { headers: { clientId: '' } }, 401, 'clientId'],
    ['another codebase', { codebase: 'v2024_9/' }, 404, 'Cannot route'],
    ['another company', { company: 'nobody' }, 404, 'Cannot route'],
  ])('%s', async (_name, options, status, text) => {
    const harness = await start();
    const answer = await harness.connectwise('/system/info', options);
    expect(answer.status).toBe(status);
    expect(answer.text).toContain(text);
  });

  test('no credentials at all', async () => {
    const { simulator } = await start();
    const url = `${simulator.connectwiseUrl}/v2025_1/apis/3.0/system/info`;
    expect((await fetchAnswer(url)).status).toBe(401);
  });

  test('bad credentials may be disguised as 404', async () => {
    const harness = await start();
    harness.world.setCompanyOptions('acme', { badCredentialsAs404: true });
    const answer = await harness.connectwise('/system/info', { pair: { publicKey: 'x', privateKey: 'y' } });
    expect([answer.status, answer.text]).toEqual([404, 'Cannot route. Codebase/company is invalid']);
  });

  test('a moved company answers only under its new codebase', async () => {
    const harness = await start();
    harness.world.changeCodebase('acme', 'v2025_2');
    expect((await harness.connectwise('/system/info')).status).toBe(404);
    expect((await harness.connectwise('/system/info', { codebase: 'v2025_2/' })).status).toBe(200);
  });

  test("an inactive member's key is dead, and revives with its member", async () => {
    const harness = await start();
    const pair = harness.secrets.integrationKey;
    harness.world.deactivateMember('acme', 'umbrella-a');
    const dead = await harness.connectwise('/system/mySecurity', { pair });
    harness.world.activateMember('acme', 'umbrella-a');
    const alive = await harness.connectwise('/system/mySecurity', { pair });
    expect([dead.status, alive.status]).toEqual([401, 200]);
    expect(dead.json()).toMatchObject({ code: 'ConnectWiseApi', message: 'UserNotAuthenticated' });
  });

  test('a key deleted while its member was inactive stays dead', async () => {
    const harness = await start();
    const pair = harness.secrets.integrationKey;
    harness.world.deactivateMember('acme', 'umbrella-a');
    harness.world.deleteKey('acme', pair.publicKey);
    harness.world.activateMember('acme', 'umbrella-a');
    expect((await harness.connectwise('/system/mySecurity', { pair })).status).toBe(401);
  });
});

describe('paths', () => {
  test.each([
    ['/system/nothing', 404],
    ['/system/securityRoles', 404],
    ['/system/apimembers', 404],
    ['/system/mySecurity/customizeItems', 404],
    ['/system/mySecurity/customizeItems/', 200],
    ['/system/apiMembers/99999', 404],
  ])('%s answers %i', async (path, status) => {
    const harness = await start();
    expect((await harness.connectwise(path)).status).toBe(status);
  });

  test('a known path with another method is 405; role settings cannot be written', async () => {
    const harness = await start();
    const role = harness.world.role('acme', 'Umbrella').id;
    const options = { method: 'PATCH', body: [] };
    expect((await harness.connectwise(`/system/securityRoles/${role}/settings`, options)).status).toBe(405);
  });

  test('a URL over 2,000 characters is refused', async () => {
    const harness = await start();
    const answer = await harness.connectwise(`/system/apiMembers?conditions=name="${'x'.repeat(2_000)}"`);
    expect(answer.status).toBe(414);
  });
});

describe('lists', () => {
  test('conditions choose rows; what cannot be read is 400 in the shape of ConnectWise', async () => {
    const harness = await start();
    const rows = await harness.rows(
      '/system/apiMembers?conditions=identifier="umbrella-a" and inactiveFlag=false',
    );
    const bad = await harness.connectwise('/system/apiMembers?conditions=identifier=umbrella');
    expect(rows).toMatchObject([{ identifier: 'umbrella-a', name: 'Cisco Umbrella' }]);
    expect(bad.status).toBe(400);
    expect(bad.json()).toMatchObject({ code: 'InvalidParameter', errors: [] });
  });

  test('orderBy, fields and nested paths', async () => {
    const harness = await start();
    const query = 'orderBy=_info/lastUpdated desc,name asc&fields=name,type/name,_info/updatedBy&pageSize=1';
    const conditions = 'conditions=type/name="Cisco Umbrella"';
    const rows = await harness.rows(`${CONFIGURATIONS}?${query}&${conditions}`);
    expect(rows).toEqual([
      { name: 'Bluebird Legal', type: { name: 'Cisco Umbrella' }, _info: { updatedBy: 'umbrella-a' } },
    ]);
  });

  test('ordering on _info, and searching by member, may be refused', async () => {
    const harness = await start();
    harness.world.setCompanyOptions('acme', { refuseInfoOrdering: true, refuseInfoMemberConditions: true });
    const order = await harness.connectwise(`${CONFIGURATIONS}?orderBy=_info/lastUpdated desc`);
    const search = await harness.connectwise(`${CONFIGURATIONS}?conditions=_info/updatedBy="umbrella-a"`);
    const named = await harness.connectwise(`${CONFIGURATIONS}?orderBy=name`);
    expect([order.status, search.status, named.status]).toEqual([400, 400, 200]);
  });

  test('pages of 25 unless asked, linked to each other', async () => {
    const harness = await start('healthy', { customers: 40 });
    const first = await harness.connectwise('/company/companies');
    const last = await harness.connectwise('/company/companies?page=2&pageSize=30');
    expect(first.json<unknown[]>()).toHaveLength(25);
    expect(first.headers.get('link')).toMatch(/page=2>; rel="next", <.*page=2>; rel="last"/);
    expect(last.json<unknown[]>()).toHaveLength(10);
    expect(last.headers.get('link')).toMatch(/page=1&pageSize=30>; rel="prev", <.*>; rel="first"/);
  });

  test('following forward-only links reads every row once', async () => {
    const harness = await start('healthy', { customers: 40 });
    const seen: number[] = [];
    let path: string | undefined = '/company/companies?pageSize=15&orderBy=name';
    while (path !== undefined) {
      const page = await harness.connectwise(path, { headers: { 'pagination-type': 'forward-only' } });
      seen.push(...page.json<Array<{ id: number }>>().map((row) => row.id));
      path = /apis\/3\.0([^>]*)>; rel="next"/.exec(page.headers.get('link') ?? '')?.[1];
    }
    expect(seen).toHaveLength(40);
    expect(new Set(seen).size).toBe(40);
  });

  test.each(['pageSize=1001', 'pageSize=0', 'page=0', 'page=x', 'fields=nothing', 'orderBy=nothing'])(
    '%s is refused',
    async (query) => {
      const harness = await start();
      expect((await harness.connectwise(`/company/companies?${query}`)).status).toBe(400);
    },
  );

  test('counts honour conditions', async () => {
    const harness = await start();
    const answer = await harness.connectwise(`${CONFIGURATIONS}/count?conditions=type/name="Cisco Umbrella"`);
    expect(answer.json()).toEqual({ count: 5 });
  });
});

describe('the quota of ConnectWise', () => {
  test('over 1,000 requests a minute answer 429 with Retry-After, until the minute has passed', async () => {
    const harness = await start();
    const { quota } = harness.world.company('acme');
    for (let i = 0; i < 1_000; i += 1) quota.take(Date.parse(START));
    const refused = await harness.connectwise('/system/info');
    harness.world.advanceClock(60_000);
    expect(refused.status).toBe(429);
    expect(refused.headers.get('retry-after')).toBe('60');
    expect(refused.json()).toEqual({
      error: 'ConnectWiseAPI',
      message: 'Too many requests. Please try again in 60 seconds.',
    });
    expect((await harness.connectwise('/system/info')).status).toBe(200);
  });
});
