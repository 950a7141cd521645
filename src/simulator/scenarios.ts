import { MANAGEMENT_LEVELS, PROCEDURE_ALLOW_LIST } from './connectwise/catalogue.ts';
import { derived, derivedPair, type KeyPair } from './secrets.ts';
import { DAY, HOUR, MINUTE, SECOND, wireTime } from './time.ts';
import { KEY_ADMIN_SCOPES, READ_SCOPES, type ConsoleKind } from './umbrella/console.ts';
import type { World } from './world.ts';

export const TROUBLES = [
  'healthy',
  'role-missing',
  'level-missing',
  'level-excess',
  'allow-list-short',
  'member-missing',
  'member-inactive',
  'member-wrong-role',
  'key-dead',
  'key-of-another-member',
  'umbrella-key-expiring',
  'umbrella-silent',
] as const;

/** What is wrong with a seeded company; everything else about it is healthy. */
export type Trouble = (typeof TROUBLES)[number];

export interface ScenarioOptions {
  /** The company's display name. Default: its id. */
  name?: string;
  /** How many customers the Umbrella console has. Default 5. */
  customers?: number;
  /** How many of them are not mapped. Default 0. */
  unmapped?: number;
  console?: ConsoleKind;
  /** Default: derived from the company id. */
  organizationId?: number;
  /** The organisation whose keys may speak for this company's console. */
  parentOrganizationId?: number;
  /** How many configurations were last refreshed a day and more before the others. Default 3. */
  stragglers?: number;
  /** A few roles and members less, and only what Parasol reads: for benches. Default false. */
  lean?: boolean;
}

/** The credentials of a seeded company; always the same for a company id. */
export interface ScenarioSecrets {
  /** Parasol's own ConnectWise key, of the member `parasol`. */
  managementKey: KeyPair;
  /** The pair that Umbrella is said to use. In `key-dead` it was deleted; in `key-of-another-member` it is another member's. */
  integrationKey: KeyPair;
  umbrellaApiKey: { key: string; secret: string };
  umbrellaKeyAdmin: { key: string; secret: string };
}

/** A tenant of the demo. */
export interface DemoCompany extends ScenarioOptions {
  companyId: string;
  name: string;
  trouble: Trouble;
  customers: number;
  unmapped: number;
  console: ConsoleKind;
}

/** The thirteen tenants of the demo: one for each trouble, and a healthy one whose key is rotated. */
export const demoCompanies: readonly DemoCompany[] = (
  [
    ['acme', 'Acme Managed IT', 41, 1, 'msp'],
    ['birch', 'Birch Networks', 12, 0, 'msp'],
    ['cedar', 'Cedar Cloud Services', 18, 0, 'msp'],
    ['dune', 'Dune Technology Partners', 9, 0, 'mssp'],
    ['ember', 'Ember IT Care', 7, 0, 'msp'],
    ['fjord', 'Fjord Systems', 3, 0, 'msp'],
    ['grove', 'Grove Digital', 14, 2, 'msp'],
    ['harbor', 'Harbor Support Group', 22, 0, 'mssp'],
    ['iris', 'Iris Security Services', 6, 0, 'mssp'],
    ['juniper', 'Juniper Lane IT', 11, 0, 'msp'],
    ['kestrel', 'Kestrel Computing', 5, 0, 'msp'],
    ['lagoon', 'Lagoon Business IT', 16, 0, 'msp'],
    ['meadow', 'Meadow Managed Services', 4, 0, 'msp'],
  ] as const
).map(([companyId, name, customers, unmapped, console], index) => ({
  companyId,
  name,
  trouble: TROUBLES[index] ?? 'healthy',
  customers,
  unmapped,
  console,
  // An overlap lasts two of Umbrella's cycles: where a day was learned, no rotation ends while one watches.
  ...(companyId === 'meadow' ? { stragglers: 0 } : {}),
}));

/** The configuration type that Umbrella writes. */
const UMBRELLA_TYPE = 'Cisco Umbrella';
const ROLE = 'Umbrella';
const MEMBER = 'umbrella-a';
const MANAGEMENT_MEMBER = 'parasol';
const OTHER_MEMBER = 'helpdesk-bot';

const FIRST_WORDS =
  'Northwind Bluebird Granite Lakeside Summit Maple Harvest Orchard Pioneer Redwood Silver Sunrise Timber Valley Willow Anchor Beacon Canyon Coastal Copper'.split(
    ' ',
  );
const SECOND_WORDS =
  'Dental Legal Logistics Foods Architects Motors Clinic Bakery Interiors Accounting'.split(' ');

/** The deterministic credentials of a company that `seedScenario` seeds. */
export function scenarioSecrets(companyId: string): ScenarioSecrets {
  const umbrella = (purpose: string) => ({
    key: derived(companyId, `${purpose}.key`, 32),
    secret: derived(companyId, `${purpose}.secret`, 32),
  });
  return {
    managementKey: derivedPair(companyId, 'management'),
    integrationKey: derivedPair(companyId, 'integration'),
    umbrellaApiKey: umbrella('umbrella-api'),
    umbrellaKeyAdmin: umbrella('umbrella-key-admin'),
  };
}

/** The organisation of a seeded company's console: seven digits, derived from its id. */
function scenarioOrganizationId(companyId: string): number {
  let hash = 7;
  for (const character of companyId) hash = (hash * 131 + character.charCodeAt(0)) % 7_999_993;
  return 2_000_000 + hash;
}

/**
 * Founds a company with its console and the given trouble. The role is `Umbrella`, the API member
 * `umbrella-a`, Parasol's own member `parasol`.
 */
export function seedScenario(
  world: World,
  companyId: string,
  trouble: Trouble,
  options: ScenarioOptions = {},
): ScenarioSecrets {
  const secrets = scenarioSecrets(companyId);
  world.addCompany(companyId, { name: options.name ?? companyId });
  seedManagement(world, companyId, secrets);
  seedBystanders(world, companyId, options.lean ?? false);
  const installed = seedIntegration(world, companyId, trouble, secrets);
  const customers = seedCustomers(world, companyId, options);
  seedConsole(world, companyId, trouble, options, secrets, customers);
  if (installed !== null) {
    world.installKey(companyId, installed);
    seedWrites(world, companyId, trouble, customers.slice(options.unmapped ?? 0), options.stragglers ?? 3);
  }
  if (!(options.lean ?? false)) seedOtherIntegrations(world, companyId, customers);
  return secrets;
}

/** Seeds the tenants of the demo. */
export function seedDemo(world: World): void {
  for (const { companyId, trouble, ...options } of demoCompanies)
    seedScenario(world, companyId, trouble, options);
}

/** Seeds `n` small healthy companies, `tenant-0001` and so on, for benches; answers their ids. */
export function seedMany(world: World, n: number, options: ScenarioOptions = {}): string[] {
  return Array.from({ length: n }, (_, index) => {
    const companyId = `tenant-${String(index + 1).padStart(4, '0')}`;
    seedScenario(world, companyId, 'healthy', {
      customers: 3,
      lean: true,
      organizationId: 9_000_000 + index,
      ...options,
    });
    return companyId;
  });
}

function seedManagement(world: World, companyId: string, secrets: ScenarioSecrets): void {
  world.createRole(companyId, 'Admin', { adminFlag: true });
  const role = world.createRole(companyId, 'Parasol Management');
  world.setLevels(companyId, role, MANAGEMENT_LEVELS);
  world.setAllowList(companyId, role, PROCEDURE_ALLOW_LIST);
  world.createMember(companyId, { identifier: MANAGEMENT_MEMBER, name: 'Parasol', role });
  world.makeKey(companyId, MANAGEMENT_MEMBER, 'Parasol management', secrets.managementKey);
}

/** Roles, members and keys that are nobody's business here. */
function seedBystanders(world: World, companyId: string, lean: boolean): void {
  const helpdesk = world.createRole(companyId, 'Helpdesk');
  world.setLevels(companyId, helpdesk, {
    'Service Desk/Service Tickets': { add: 'All', edit: 'All', inquire: 'All' },
    'Service Desk/Close Service Tickets': { add: 'All', edit: 'All', inquire: 'All' },
    'Companies/Company Maintenance': { inquire: 'All' },
    'Companies/Contacts': { add: 'All', edit: 'All', inquire: 'All' },
    'Time & Expense/Time Entry': { add: 'My', edit: 'My', inquire: 'My' },
  });
  world.createMember(companyId, { identifier: OTHER_MEMBER, name: 'Helpdesk Bot', role: helpdesk });
  if (lean) return;
  for (const name of [
    'Finance',
    'Sales',
    'Project Manager',
    'Read Only',
    'Backup Integration',
    'RMM Integration',
  ]) {
    world.createRole(companyId, name);
  }
  world.setLevels(companyId, 'RMM Integration', {
    'Companies/Configurations': { add: 'All', edit: 'All', inquire: 'All' },
    'Companies/Company Maintenance': { inquire: 'All' },
  });
  world.setLevels(companyId, 'Finance', {
    'Finance/Invoices': { add: 'All', edit: 'All', delete: 'All', inquire: 'All' },
    'Finance/Agreements': { add: 'All', edit: 'All', inquire: 'All' },
  });
  world.createMember(companyId, { identifier: 'rmm-sync', name: 'RMM Sync', role: 'RMM Integration' });
  world.makeKey(companyId, 'rmm-sync', 'RMM');
  world.createMember(companyId, { identifier: 'old-backup', role: 'Backup Integration', inactive: true });
  world.addPerson(companyId, { identifier: 'zadmin', firstName: 'Zoe', lastName: 'Adams', role: 'Admin' });
  world.addPerson(companyId, { identifier: 'jdoe', firstName: 'Jamie', lastName: 'Doe', role: 'Helpdesk' });
}

/** The role, the member and the key; answers the pair that the console has, null when there never was one. */
function seedIntegration(
  world: World,
  companyId: string,
  trouble: Trouble,
  secrets: ScenarioSecrets,
): KeyPair | null {
  if (trouble === 'role-missing') return null;
  const role = world.createRole(companyId, ROLE);
  world.setProcedureLevels(companyId, role);
  world.setAllowList(companyId, role);
  if (trouble === 'level-missing')
    world.setLevels(companyId, role, { 'Companies/Configurations': { edit: 'None' } });
  if (trouble === 'level-excess') {
    world.setLevels(companyId, role, {
      'Companies/Configurations': { delete: 'All' },
      'Finance/Invoices': { inquire: 'All' },
    });
  }
  if (trouble === 'allow-list-short') {
    world.setAllowList(companyId, role, ['Company / Configuration', 'Service / Service Board']);
  }
  if (trouble === 'member-missing') return null;
  world.createMember(companyId, { identifier: MEMBER, name: 'Cisco Umbrella', role });
  if (trouble === 'member-wrong-role') world.setMemberRole(companyId, MEMBER, 'Helpdesk');
  if (trouble === 'key-of-another-member') {
    world.makeKey(companyId, OTHER_MEMBER, 'Helpdesk bot', secrets.integrationKey);
    return world.makeKey(companyId, MEMBER, 'Umbrella', derivedPair(companyId, 'installed'));
  }
  world.makeKey(companyId, MEMBER, 'Umbrella', secrets.integrationKey);
  if (trouble === 'key-dead') world.deleteKey(companyId, secrets.integrationKey.publicKey);
  if (trouble === 'member-inactive') world.deactivateMember(companyId, MEMBER);
  // Somebody typed the private key wrongly into the console: nothing is refused there, nothing comes any more.
  if (trouble === 'umbrella-silent') return { ...secrets.integrationKey, privateKey: 'mistyped' };
  return secrets.integrationKey;
}

interface Customer {
  identifier: string;
  name: string;
}

function seedCustomers(world: World, companyId: string, options: ScenarioOptions): Customer[] {
  const customers = Array.from({ length: options.customers ?? 5 }, (_, index) => {
    const first = FIRST_WORDS[index % FIRST_WORDS.length] ?? '';
    const second = SECOND_WORDS[(index + Math.floor(index / FIRST_WORDS.length)) % SECOND_WORDS.length] ?? '';
    return { identifier: `${first}${second}`, name: `${first} ${second}` };
  });
  for (const [index, { identifier, name }] of customers.entries()) {
    world.addCustomerCompany(companyId, identifier, name, index % 5 === 4 ? 'North Office' : 'Main Office');
  }
  return customers;
}

function seedConsole(
  world: World,
  companyId: string,
  trouble: Trouble,
  options: ScenarioOptions,
  secrets: ScenarioSecrets,
  customers: readonly Customer[],
): void {
  world.addConsole(companyId, {
    organizationId: options.organizationId ?? scenarioOrganizationId(companyId),
    kind: options.console ?? 'msp',
    ...(options.parentOrganizationId === undefined
      ? {}
      : { parentOrganizationId: options.parentOrganizationId }),
  });
  const expiring = trouble === 'umbrella-key-expiring';
  world.addUmbrellaKey(companyId, {
    name: 'Parasol',
    description: 'Reads customers and the console',
    clientId: secrets.umbrellaApiKey.key,
    secret: secrets.umbrellaApiKey.secret,
    scopes: READ_SCOPES,
    expireAt: expiring ? wireTime(world.now().getTime() + 5 * DAY) : '',
  });
  world.addUmbrellaKey(companyId, {
    name: 'Parasol KeyAdmin',
    description: 'Rotates API keys',
    clientId: secrets.umbrellaKeyAdmin.key,
    secret: secrets.umbrellaKeyAdmin.secret,
    scopes: KEY_ADMIN_SCOPES,
  });
  for (const [index, { identifier, name }] of customers.entries()) {
    const mapped = index >= (options.unmapped ?? 0);
    world.addUmbrellaCustomer(companyId, name, mapped ? identifier : null, 10 + ((index * 7) % 90));
  }
}

/**
 * What Umbrella wrote so far. Most configurations were refreshed by the last sync, a few hours ago; the last
 * ones stopped one day and more before it (`most` of them at most), so that a daily cadence can be learned from one look. A
 * silent Umbrella's last sync was three days ago.
 */
function seedWrites(
  world: World,
  companyId: string,
  trouble: Trouble,
  mapped: readonly Customer[],
  most: number,
): void {
  const silence = trouble === 'umbrella-silent' ? 3 * DAY : 0;
  const lastSync = world.now().getTime() - silence - 3 * HOUR - 12 * MINUTE;
  const stragglers = Math.min(most, Math.max(0, mapped.length - 1));
  for (const [index, { identifier, name }] of mapped.entries()) {
    const daysBefore = Math.max(0, index - (mapped.length - 1 - stragglers));
    world.addConfiguration(companyId, {
      name,
      type: UMBRELLA_TYPE,
      customer: identifier,
      by: MEMBER,
      at: wireTime(lastSync - daysBefore * DAY + index * 2 * SECOND),
      enteredAt: wireTime(lastSync - 200 * DAY + index * 2 * SECOND),
    });
  }
  world.ensureQuestions(companyId, UMBRELLA_TYPE, MEMBER);
}

/** Configurations that others write, among which Umbrella's must be found (rulings 3). */
function seedOtherIntegrations(world: World, companyId: string, customers: readonly Customer[]): void {
  for (const [index, { identifier, name }] of customers.slice(0, 8).entries()) {
    world.addConfiguration(companyId, {
      name: `${name} - SRV0${(index % 3) + 1}`,
      type: 'Managed Server',
      customer: identifier,
      by: 'rmm-sync',
      at: wireTime(world.now().getTime() - index * 17 * MINUTE),
      enteredAt: wireTime(world.now().getTime() - 300 * DAY),
    });
  }
}
