import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { Outcome } from '../../src/domain/outcome.ts';
import type { JournalEntry } from '../../src/simulator/index.ts';
import { checkAnswer, checkRequest, contractsAvailable, underContract } from '../support/contracts.ts';
import { bench, passFor } from './harness.ts';

/** Every operation that the adapters send, of those that the contracts have; companyinfo is in neither. */
const OPERATIONS = [
  'DELETE /admin/v2/apiKeys/{apiKeyId}',
  'GET /admin/v2/apiKeys',
  'GET /admin/v2/managed/customers',
  'GET /admin/v2/providers/customers',
  'GET /company/companies',
  'GET /company/configurations',
  'GET /company/configurations/types',
  'GET /company/configurations/{id}',
  'GET /service/boards',
  'GET /service/priorities',
  'GET /service/tickets',
  'GET /system/apiMembers',
  'GET /system/apiMembers/default',
  'GET /system/apiMembers/{id}',
  'GET /system/departments',
  'GET /system/locations',
  'GET /system/myCompany/corporateStructureLevels',
  'GET /system/mySecurity',
  'GET /system/mySecurity/customizeItems/',
  'GET /system/securityRoles/{parentId}/settings',
  'GET /system/securityroles',
  'GET /system/timeZoneSetups',
  'PATCH /system/apiMembers/{id}',
  'POST /admin/v2/apiKeys',
  'POST /auth/v2/token',
  'POST /system/apiMembers',
  'POST /system/securityroles',
];

/** Calls everything that the adapters offer, in the ways in which their requests differ. */
async function driveConnectWise(): Promise<JournalEntry[]> {
  const { connectwise, reads, writes, keys, context, world, sent } = await bench('member-wrong-role');
  const role = world.role('acme', 'Umbrella').id;
  const integration = connectwise.reads(keys.integration, context);
  const outcomes: Outcome<unknown>[] = [
    await connectwise.companyInfo(context),
    await reads.mySecurity(),
    await integration.tableSetup(),
    await integration.unreadable(),
    await reads.membersByIdentifier(['umbrella-a', 'umbrella-b', 'parasol']),
    await reads.roles('Umbrella', [role, 1]),
    await reads.roles('"quoted"', []),
    await reads.roleLevels(role),
    await reads.configurationTypes('Umbrella'),
    await reads.configurations({ typeId: null, limit: 200 }),
    await reads.configurations({ typeId: 20, limit: 3 }),
  ];
  await connectwise.samples(keys.management, context);
  world.setCompanyOptions('acme', { refuseInfoOrdering: true });
  for (let index = 0; index < 1_001; index += 1) {
    world.addConfiguration('acme', { name: 'x', type: 'X', customer: 'NorthwindDental', by: 'x' });
  }
  outcomes.push(await reads.configurations({ typeId: null, limit: 200 }));

  const { id } = world.member('acme', 'umbrella-a');
  const member = { name: 'Cisco Umbrella', roleId: role, roleName: 'Umbrella', likeIdentifier: null };
  outcomes.push(
    await writes.createRole('Umbrella'),
    await writes.changeMember(id, {
      active: false,
      roleId: role,
      roleName: 'Umbrella',
      level: 'Location',
      location: 'North Office',
    }),
  );
  // Without defaults, every table is asked for what a member needs.
  world.addFault({
    when: { operation: '/system/apiMembers/default' },
    effect: { kind: 'status', status: 200, body: {} },
  });
  const pass = passFor(role);
  outcomes.push(
    await connectwise
      .writes(keys.management, context, pass)
      .createMember({ ...member, identifier: 'umbrella-b', level: 'Location', location: 'North Office' }),
  );
  expect(outcomes.filter(({ ok }) => !ok)).toEqual([]);
  return sent();
}

async function driveUmbrella(console: 'msp' | 'mssp'): Promise<JournalEntry[]> {
  const { umbrella, keys, context, sent } = await bench('healthy', { console, umbrella: { console } });
  const outcomes: Outcome<unknown>[] = [
    await umbrella.authenticate(keys.umbrella, context),
    await umbrella.customers(keys.umbrella, context),
    await umbrella.apiKeys(keys.keyAdmin, context),
  ];
  const key = { name: 'made', description: 'Made here', scopes: ['admin.customers:read'] };
  const passes = { name: 'made', pause: null, confirm: () => Promise.resolve(true) };
  const made = await umbrella
    .writes(keys.keyAdmin, context, { ...passes, deletable: new Set() })
    .createApiKey({ ...key, allowedIPs: ['192.0.2.1/32'], expiresAt: '2027-01-01T00:00:00.000Z' });
  const id = made.ok && made.value.made ? made.value.id : '';
  outcomes.push(
    made,
    await umbrella.writes(keys.keyAdmin, context, { ...passes, deletable: new Set([id]) }).deleteApiKey(id),
  );
  expect(outcomes.filter(({ ok }) => !ok)).toEqual([]);
  return sent();
}

const drive = async (): Promise<JournalEntry[]> => [
  ...(await driveConnectWise()),
  ...(await driveUmbrella('msp')),
  ...(await driveUmbrella('mssp')),
];

const nameOf = ({ method, operation }: JournalEntry) => `${method} ${operation ?? '-'}`;

/** The paths that stand in the adapters' source, their parameters as `{}`. */
function pathsInSource(): string[] {
  const folder = resolve(import.meta.dirname, '../../src/providers');
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) =>
    name.endsWith('.ts'),
  );
  const text = files.map((name) => readFileSync(join(folder, name), 'utf8')).join('\n');
  const paths = [...text.matchAll(/['"`](\/(?:system|company|service|admin|auth|reports)\/[^'"`?\s]*)/g)];
  return [...new Set(paths.map(([, path = '']) => path.replace(/\$?\{[^}]*\}/g, '{}')))].sort();
}

// The name is the visible word: a run without the contracts has checked nothing against them.
const absent = contractsAvailable
  ? ''
  : ' - THE CONTRACTS ARE NOT HERE, set PARASOL_CONTRACTS to their folder';

describe.skipIf(!contractsAvailable)(`the vendors' contracts${absent}`, () => {
  test('have every request that the adapters send, as it is sent, and the answers that they were written for', async () => {
    const entries = (await drive()).filter(underContract);
    expect(entries.flatMap(checkRequest)).toEqual([]);
    expect(entries.filter(({ fault }) => fault === null).flatMap(checkAnswer)).toEqual([]);
    expect([...new Set(entries.map(nameOf))].sort()).toEqual(OPERATIONS);
  });

  test('are asked about every operation that the adapters have: none is sent that was not exercised here', async () => {
    const entries = await drive();
    const outside = entries.filter((entry) => !underContract(entry)).map(nameOf);
    expect([...new Set(outside)]).toEqual(['GET /login/companyinfo/{companyId}']);
    const exercised = new Set(entries.map(({ operation }) => (operation ?? '').replace(/\{[^}]*\}/g, '{}')));
    const paths = pathsInSource();
    expect(paths.length).toBeGreaterThan(12);
    expect(paths.filter((path) => !exercised.has(path))).toEqual([]);
  });
});
