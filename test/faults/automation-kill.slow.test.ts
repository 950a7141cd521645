import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { HANDOFF_KINDS } from '../../src/domain/handoff.ts';
import { robotIdentity, scenarioSecrets, seedScenario } from '../../src/simulator/index.ts';
import {
  database,
  expectNothingLeft,
  folder,
  reconciled,
  simulator,
  startService,
  tenantOf,
  until,
  type Database,
  type Service,
} from '../e2e/harness.ts';

/**
 * The service is killed while an automation has the work: what was queued is delivered once it is back, what had
 * left is not done twice, and an answer that it never read is given again.
 *
 *   opened and queued ─1─▶ the request has left ─2─▶ taken, to be answered later ─3─▶ answered
 */

expectNothingLeft();

let db: Database;
let vendors: Awaited<ReturnType<typeof simulator>>;
let data: Awaited<ReturnType<typeof folder>>;
let service: Service;
const resources = new AsyncDisposableStack();

const services: Service[] = [];

const start = async (port?: string): Promise<Service> => {
  const env = { PARASOL_LOG_LEVEL: 'trace', ...(port === undefined ? {} : { PARASOL_PORT: port }) };
  const started = await startService({ databaseUrl: db.url, data: data.path, env });
  services.push(started);
  return started;
};

beforeAll(async () => {
  db = resources.use(await database());
  data = resources.use(await folder());
  vendors = resources.use(await simulator());
  service = await start();
  resources.defer(() => service.kill());
});
afterAll(() => resources.disposeAsync());

/** A healthy company whose key is being rotated, up to where the robot is asked for a new one. */
async function rotating(company: string): Promise<void> {
  // Without a daily cadence to be learned, an overlap is as short as the spec has it.
  seedScenario(vendors.world, company, 'healthy', { stragglers: 0 });
  const { publicKey, secret } = robotIdentity();
  const webhook = `${vendors.robotUrl}/work`;
  const kinds = Object.fromEntries(HANDOFF_KINDS.map((kind) => [kind, { webhook, publicKey }]));
  const tenant = tenantOf(vendors, company, {
    every: '2s',
    members: { adopt: true, dedicated: true },
    handoffs: { ...kinds, secret },
    rotation: { overlap: '1s' },
  });
  await service.client.apply([tenant], false);
  await reconciled(service, company);
  await service.call('POST', `/tenants/${company}/rotations`, { by: 'ann', reason: 'a drill' });
}

const issue = async (company: string) => {
  const found = await service.client.handoffs({ tenant: company, live: false });
  return found.find(({ kind }) => kind === 'issue-integration-key') ?? null;
};
const asked = (company: string) => vendors.robot.requests.filter(({ body }) => body.includes(`"${company}"`));
const keysMade = (company: string) =>
  vendors.world.listKeys(company).filter(({ description }) => description === 'Umbrella, by the robot');

/** From the answer on: put in, used, the old one deleted, nobody asked. */
async function completes(company: string): Promise<void> {
  await until(
    `the rotation of ${company} ends`,
    async () => {
      vendors.world.changeFigures(company);
      vendors.world.runSync(company);
      const { conditions } = await service.client.status(company);
      const healthy = conditions.find(({ type }) => type === 'RotationHealthy');
      return healthy?.reason === 'Completed';
    },
    120_000,
  );
  expect(keysMade(company)).toHaveLength(1);
  const old = scenarioSecrets(company).integrationKey.publicKey;
  expect(vendors.world.listKeys(company).map(({ publicKey }) => publicKey)).not.toContain(old);
  expect(vendors.world.viewCompany(company).console!.installedPublicKey).toBe(
    keysMade(company)[0]!.publicKey,
  );
}

describe('killed', () => {
  test('while nobody answers the request: it leaves again once the service is back', async () => {
    vendors.robot.mood = 'silent';
    await rotating('amber');
    await until('the robot is asked', () => asked('amber').length > 0);
    await service.kill();
    vendors.robot.mood = 'at-once';
    service = await start();
    await completes('amber');
    const ids = asked('amber').map(({ headers }) => headers['webhook-id']);
    expect(ids.filter((id) => id === ids[0]).length).toBeGreaterThan(1);
  }, 240_000);

  test('after the robot did the work, before its answer was read: it is given again, and no second key is made', async () => {
    vendors.robot.mood = 'deaf';
    await rotating('birch');
    await until('the robot has made the key', () => keysMade('birch').length === 1);
    await service.kill();
    vendors.robot.mood = 'at-once';
    service = await start();
    await completes('birch');
    expect(asked('birch').length).toBeGreaterThan(3);
  }, 240_000);

  test('while the robot is at it: it answers later, with the same token', async () => {
    vendors.robot.mood = 'later';
    await rotating('cedar');
    await until('it was taken', async () => (await issue('cedar'))?.automation?.state === 'accepted');
    const { port } = new URL(service.url);
    await service.kill();
    service = await start(port);
    expect(await vendors.robot.answerLater()).toEqual([202]);
    vendors.robot.mood = 'at-once';
    await completes('cedar');
  }, 240_000);
});

test('no service said a key, a secret or a token of an answer', () => {
  const said = services.map((one) => one.stdout() + one.stderr()).join('\n');
  const companies = ['amber', 'birch', 'cedar'];
  const pairs = companies.flatMap((name) => [...vendors.world.company(name).keys.values()]);
  const given = companies.map((name) => scenarioSecrets(name).integrationKey);
  const tokens = vendors.robot.requests.map(
    ({ body }) => (JSON.parse(body) as { respond: { token: string } }).respond.token,
  );
  const keys = [...pairs, ...given].flatMap(({ publicKey, privateKey }) => [publicKey, privateKey]);
  for (const secret of [...keys, ...tokens, robotIdentity().secret]) expect(said).not.toContain(secret);
  // It would have been found.
  expect(said).toContain('work was sent to an automation');
  expect(tokens.length).toBeGreaterThan(8);
});
