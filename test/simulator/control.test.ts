import { describe, expect, test } from 'vitest';
import { HandError, scenarioSecrets, SimulatorControl } from '../../src/simulator/index.ts';
import { HAND_NAMES } from '../../src/simulator/control/hands.ts';
import { fetchAnswer, start, START, type Harness } from './harness.ts';

function control(harness: Harness): SimulatorControl {
  return new SimulatorControl(harness.simulator.controlUrl);
}

describe('the control client', () => {
  test('has every hand', () => {
    for (const name of HAND_NAMES) expect(SimulatorControl.prototype).toHaveProperty(name);
  });

  test('carries out hands elsewhere, and tells what they answer', async () => {
    const harness = await start('member-missing');
    const hands = control(harness);
    await hands.createMember('acme', { identifier: 'umbrella-a', role: 'Umbrella' });
    const pair = await hands.makeKey('acme', 'umbrella-a');
    await hands.installKey('acme', pair);
    expect(await hands.runSync('acme')).toMatchObject({ outcome: 'succeeded', created: 5 });
    expect((await harness.connectwise('/system/mySecurity', { pair })).status).toBe(200);
    expect(await hands.listKeys('acme', 'umbrella-a')).toMatchObject([{ publicKey: pair.publicKey }]);
    expect(JSON.stringify(await hands.viewCompany('acme'))).not.toContain(pair.privateKey);
  });

  test('tells what cannot be done', async () => {
    const hands = control(await start());
    await expect(hands.setMemberRole('acme', 'nobody', 'Umbrella')).rejects.toThrow(HandError);
    await expect(hands.setLevels('acme', 'Umbrella', { 'No/Such': { add: 'All' } })).rejects.toThrow(
      'No/Such',
    );
    await expect(hands.deleteRole('acme', 'Umbrella')).rejects.toThrow('umbrella-a');
    await expect(hands.viewCompany('nobody')).rejects.toThrow('nobody');
  });

  test('moves the clock', async () => {
    const harness = await start();
    await control(harness).advanceClock(86_400_000);
    expect(harness.world.now().toISOString()).toBe('2026-11-25T08:00:00.000Z');
  });

  test('seeds', async () => {
    const harness = await start();
    const hands = control(harness);
    expect(await hands.seedScenario('beta', 'key-dead')).toEqual(scenarioSecrets('beta'));
    expect(await hands.seedMany(3)).toEqual(['tenant-0001', 'tenant-0002', 'tenant-0003']);
    expect((await hands.listCompanies()).map((one) => one.companyId)).toHaveLength(5);
  });

  test('adds, lists, removes and clears faults; waits for held requests and releases them', async () => {
    const harness = await start();
    const hands = control(harness);
    const id = await hands.addFault({ when: { method: 'GET' }, effect: { kind: 'hangBefore' } });
    const answer = harness.connectwise('/system/info');
    expect(await hands.waitForHang()).toMatchObject({ kind: 'hangBefore', operation: '/system/info' });
    expect(await hands.listFaults()).toMatchObject([{ id, used: 1 }]);
    expect(await hands.removeFault(id)).toBe(true);
    await hands.clearFaults();
    expect(await hands.releaseHangs()).toBe(1);
    expect((await answer).status).toBe(200);
    expect(await hands.waitForHang(1)).toBeNull();
  });

  test('refuses what it does not know', async () => {
    const { simulator } = await start();
    const post = (path: string) => fetchAnswer(simulator.controlUrl + path, { method: 'POST', body: [] });
    expect((await post('/api/hands/constructor')).status).toBe(404);
    expect((await post('/api/nothing')).status).toBe(404);
    expect(
      (await fetchAnswer(`${simulator.controlUrl}/api/seed`, { method: 'POST', form: '{' })).status,
    ).toBe(400);
  });

  test("a stranger's page cannot press the buttons", async () => {
    const { simulator, world } = await start();
    const answer = await fetchAnswer(`${simulator.controlUrl}/companies/acme/run-sync`, {
      method: 'POST',
      form: '',
      headers: { 'sec-fetch-site': 'cross-site' },
    });
    expect(answer.status).toBe(403);
    expect(world.console('acme').syncs).toHaveLength(0);
  });
});

describe('the journal', () => {
  test('tells each call with its actor, and never a secret', async () => {
    const harness = await start();
    const path = '/system/apiMembers?conditions=identifier="umbrella-a"';
    await harness.connectwise(path);
    await harness.connectwise('/system/securityroles', { method: 'POST', body: { name: 'Made' } });
    const journal = await control(harness).journal({ company: 'acme' });
    expect(journal).toMatchObject([
      {
        seq: 1,
        at: '2026-11-24T08:00:00.000Z',
        vendor: 'connectwise',
        company: 'acme',
        actor: 'parasol',
        method: 'GET',
        path: '/v2025_1/apis/3.0/system/apiMembers',
        operation: '/system/apiMembers',
        query: { conditions: 'identifier="umbrella-a"' },
        status: 200,
        responseBody: [{ identifier: 'umbrella-a' }],
        applied: false,
        fault: null,
      },
      { seq: 2, method: 'POST', requestBody: { name: 'Made' }, status: 201, applied: true },
    ]);
    expect(journal[0]?.requestHeaders).not.toHaveProperty('authorization');
    expect(journal[0]?.keyFingerprint).toMatch(/^[0-9a-f]{12}$/);
    expect(JSON.stringify(journal)).not.toContain(harness.secrets.managementKey.privateKey);
  });

  test('a key has one fingerprint, dead or alive', async () => {
    const harness = await start();
    const pair = harness.secrets.integrationKey;
    await harness.connectwise('/system/info', { pair });
    harness.world.deleteKey('acme', pair.publicKey);
    await harness.connectwise('/system/info', { pair });
    const [alive, dead] = harness.world.journal.query();
    expect([alive?.actor, dead?.actor]).toEqual(['umbrella-a', null]);
    expect(dead?.keyFingerprint).toBe(alive?.keyFingerprint);
  });

  test('can be asked for writes, operations, actors and what is new', async () => {
    const harness = await start();
    await harness.bearer(harness.secrets.umbrellaApiKey);
    await harness.connectwise('/system/info');
    await harness.connectwise('/system/securityroles', { method: 'POST', body: { name: 'Made' } });
    const operations = (query: object) => harness.world.journal.query(query).map((entry) => entry.operation);
    expect(operations({ writes: true })).toEqual(['/system/securityroles']);
    expect(operations({ operation: '/system/info' })).toEqual(['/system/info']);
    expect(operations({ vendor: 'umbrella' })).toEqual(['/auth/v2/token']);
    expect(operations({ since: 2 })).toEqual(['/system/securityroles']);
    expect(operations({ actor: 'parasol', method: 'GET' })).toEqual(['/system/info']);
    await control(harness).clearJournal();
    expect(operations({})).toEqual([]);
  });

  test('forgets old calls and keeps exact counts', async () => {
    const harness = await start('healthy', { simulator: { journalLimit: 3 } });
    for (let i = 0; i < 5; i += 1) await harness.connectwise('/system/info');
    await harness.connectwise('/nothing');
    expect(harness.world.journal.query().map((entry) => entry.seq)).toEqual([4, 5, 6]);
    expect(await control(harness).counts()).toEqual({
      total: 6,
      byCompany: { acme: 6 },
      byOperation: { 'GET /system/info': 5, 'GET -': 1 },
      byCompanyAndOperation: { acme: { 'GET /system/info': 5, 'GET -': 1 } },
    });
  });

  test('is shown in the order of the clock', async () => {
    const harness = await start();
    await harness.connectwise('/system/info');
    expect(harness.world.journal.query()[0]?.at.startsWith(START.slice(0, 19))).toBe(true);
  });
});
