import { describe, expect, test } from 'vitest';
import { fetchAnswer, start, type Harness } from './harness.ts';

/** Posts a form of the technician's page and answers the page it leads to. */
async function press(harness: Harness, action: string, form: Record<string, string>) {
  const url = harness.simulator.controlUrl;
  const body = new URLSearchParams(form).toString();
  const answer = await fetchAnswer(`${url}/companies/acme/${action}`, { method: 'POST', form: body });
  expect(answer.status).toBe(303);
  const location = answer.headers.get('location') ?? '';
  return { location, page: (await fetchAnswer(url + location)).text };
}

describe("the technician's pages", () => {
  test('list the companies and show one', async () => {
    const harness = await start('healthy', { name: 'Acme & Sons' });
    const index = await fetchAnswer(`${harness.simulator.controlUrl}/`);
    const page = await fetchAnswer(`${harness.simulator.controlUrl}/companies/acme`);
    expect(index.headers.get('content-type')).toBe('text/html; charset=utf-8');
    expect(index.text).toContain('<a href="/companies/acme">Acme &amp; Sons</a>');
    for (const part of ['API Members', 'Security Roles', 'umbrella-a', 'Daily sync', 'Public API Key']) {
      expect(page.text).toContain(part);
    }
  });

  test.each(['/companies/nobody', '/elsewhere', '/companies/acme/nothing'])(
    '%s is not there',
    async (path) => {
      const harness = await start();
      expect((await fetchAnswer(harness.simulator.controlUrl + path)).status).toBe(404);
    },
  );

  test('escape whatever a name holds', async () => {
    const harness = await start();
    harness.world.createRole('acme', '<script>alert(1)</script>');
    const { page } = await press(harness, 'create-member', { identifier: '"><b>x', role: 'Umbrella' });
    expect(page).not.toContain('<script>alert');
    expect(page).not.toContain('"><b>x');
    expect(page).toContain('&lt;script&gt;alert(1)&lt;/script&gt;');
  });

  test('show a new key once', async () => {
    const harness = await start();
    const { location, page } = await press(harness, 'make-key', { member: 'umbrella-a', description: 'New' });
    const privateKey = /Private key <code>(\w+)<\/code>/.exec(page)?.[1] ?? '';
    const publicKey = /Public key <code>(\w+)<\/code>/.exec(page)?.[1] ?? '';
    const again = await fetchAnswer(harness.simulator.controlUrl + location);
    expect(location).not.toContain(privateKey);
    expect(again.text).not.toContain(privateKey);
    expect(again.text).toContain('cannot be shown again');
    const answer = await harness.connectwise('/system/info', { pair: { publicKey, privateKey } });
    expect(answer.status).toBe(200);
  });

  test('open one role at a time', async () => {
    const harness = await start();
    const role = harness.world.role('acme', 'Helpdesk').id;
    const page = async (query: string) =>
      (await fetchAnswer(`${harness.simulator.controlUrl}/companies/acme${query}`)).text;
    expect(await page('')).toContain('Role: Umbrella');
    const opened = await page(`?role=${role}`);
    expect(opened).toContain('Role: Helpdesk');
    expect(opened).not.toContain('Role: Umbrella');
    expect((await press(harness, 'procedure', { role: String(role) })).page).toContain('Role: Helpdesk');
  });

  test('edit levels and the allow list, or set both to the procedure', async () => {
    const harness = await start('level-excess');
    const role = String(harness.world.role('acme', 'Umbrella').id);
    const levels = () => harness.world.viewCompany('acme').roles.find((one) => one.id === Number(role));
    await press(harness, 'set-levels', { role, 'Finance/Invoices|inquire': 'None' });
    expect(levels()?.levels).not.toHaveProperty('Finance/Invoices');
    await press(harness, 'set-allow-list', { role, item: 'Time / Work Type' });
    expect(levels()?.allowList).toEqual(['Time / Work Type']);
    await press(harness, 'procedure', { role });
    expect(levels()).toMatchObject({
      levels: { 'Companies/Configurations': { add: 'All', edit: 'All', delete: 'None', inquire: 'All' } },
      allowList: ['Company / Configuration', 'Service / Priority', 'Service / Service Board'],
    });
    expect(Object.keys(levels()?.levels ?? {})).toHaveLength(4);
  });

  test('do the rest of the work', async () => {
    const harness = await start('member-missing', { customers: 2 });
    const { world } = harness;
    await press(harness, 'create-role', { name: 'Spare' });
    const spare = String(world.role('acme', 'Spare').id);
    await press(harness, 'rename-role', { role: spare, name: 'Reserve' });
    await press(harness, 'create-member', { identifier: 'umbrella-a', role: 'Reserve' });
    await press(harness, 'set-member-role', { member: 'umbrella-a', role: 'Umbrella' });
    await press(harness, 'delete-role', { role: spare });
    await press(harness, 'deactivate-member', { member: 'umbrella-a' });
    expect(world.member('acme', 'umbrella-a').inactiveFlag).toBe(true);
    await press(harness, 'activate-member', { member: 'umbrella-a' });
    const pair = world.makeKey('acme', 'umbrella-a');
    await press(harness, 'install-key', { publicKey: ` ${pair.publicKey} `, privateKey: pair.privateKey });
    const [customer] = world.console('acme').customers.values();
    await press(harness, 'map-customer', { customer: String(customer?.customerId), mappedTo: '' });
    const { page } = await press(harness, 'run-sync', {});
    expect(page).toContain('succeeded, 1 created, 0 refreshed');
    await press(harness, 'map-customer', {
      customer: String(customer?.customerId),
      mappedTo: 'NorthwindDental',
    });
    await press(harness, 'run-sync', {});
    await press(harness, 'delete-key', { publicKey: pair.publicKey });
    expect((await press(harness, 'run-sync', {})).page).toContain('401 GET');
    await press(harness, 'clear-key', {});
    const [key] = world.listUmbrellaKeys('acme');
    await press(harness, 'umbrella-expiry', { key: key?.clientId ?? '', expireAt: '2026-12-01T00:00:00Z' });
    expect(world.listUmbrellaKeys('acme')[0]?.expireAt).toBe('2026-12-01T00:00:00Z');
    await press(harness, 'delete-umbrella-key', { key: key?.clientId ?? '' });
    expect(world.viewCompany('acme').console).toMatchObject({ installedPublicKey: null, keys: [{}] });
  });

  test('say what was not done', async () => {
    const harness = await start();
    const used = String(harness.world.role('acme', 'Umbrella').id);
    expect((await press(harness, 'delete-role', { role: used })).page).toContain('is assigned to umbrella-a');
    expect((await press(harness, 'make-key', {})).page).toContain('member is missing');
    expect((await press(harness, 'umbrella-expiry', { key: 'x', expireAt: 'soon' })).page).toContain(
      'not a date',
    );
  });
});
