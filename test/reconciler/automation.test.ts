import { Registry } from 'prom-client';
import { afterEach, describe, expect, it, test } from 'vitest';
import { buildApi } from '../../src/api/index.ts';
import type { HandoffKind } from '../../src/domain/handoff.ts';
import type { Answer } from '../../src/reconciler/commands.ts';
import { createCommands } from '../../src/reconciler/create-commands.ts';
import { robotIdentity } from '../../src/simulator/index.ts';
import { log, scene, useStore, type Scene, type SpecChange } from './harness.ts';

/** Work that a tenant's automation does: whole rotations without a person, and every way in which it fails. */

useStore();

const HOUR = 60 * 60_000;
const DAY = 24 * HOUR;

const opened: { close(): Promise<unknown> }[] = [];
afterEach(() => Promise.all(opened.splice(0).map((one) => one.close())));

/** Everything is the robot's; members are Umbrella's alone. */
async function withRobot(change: SpecChange = {}, trouble: Parameters<typeof scene>[0] = 'healthy') {
  const acme = await scene(trouble, {
    spec: { connectwise: { members: { adopt: true, dedicated: true } }, ...change },
    robot: true,
  });
  await acme.apply();
  await acme.settle();
  return acme;
}

const value = <T>(answer: Answer<T>): T => {
  if (!answer.ok) throw new Error(JSON.stringify(answer.refusal));
  return answer.value;
};
const rotate = async (acme: Scene) => {
  const request = {
    credential: 'integration' as const,
    by: 'ann',
    reason: 'a drill',
    compromised: false,
    cutNow: false,
  };
  value(await acme.ask((commands) => commands.rotate('acme', request)));
  await acme.settle();
};
const phase = async (acme: Scene) => (await acme.record()).rotation?.phase;
const outcome = async (acme: Scene) =>
  value(await acme.ask((commands) => commands.rotations('acme')))[0]?.phase;

/** The service's address, where answers come in later. */
async function serving(acme: Scene): Promise<string> {
  const api = buildApi({
    commands: createCommands(acme.commandDeps),
    authenticate: async () => null,
    requests: acme.store.requests,
    readiness: async () => [],
    metrics: new Registry(),
    log,
    version: '0',
    limits: { eventLoopDelayMs: 0 },
  });
  opened.push(api);
  return api.listen({ host: '127.0.0.1', port: 0 });
}

/** Umbrella's daily work, with something to write. */
function sync(acme: Scene): void {
  acme.world.changeFigures('acme');
  acme.world.runSync('acme');
}

/** Looks, deliveries and Umbrella's days, until the rotation is over; a step says how the robot answers. */
async function unattended(acme: Scene, step: () => Promise<unknown>): Promise<void> {
  for (let days = 0; days < 12; days += 1) {
    for (let looks = 0; looks < 4; looks += 1) {
      await step();
      expect(acme.umbrellaWorks()).toBe(true);
      await acme.later();
    }
    if (!(await acme.record()).rotation) return;
    acme.clock.advance(DAY);
    sync(acme);
    await acme.settle();
  }
  throw new Error(`${await phase(acme)}: ${(await acme.events()).slice(0, 8).join('\n')}`);
}

describe('a rotation that the automation plays', () => {
  it('goes from end to end without a person, answered at once', async () => {
    const acme = await withRobot();
    const old = acme.world.viewCompany('acme').console!.installedPublicKey!;
    await rotate(acme);
    await unattended(acme, () => acme.deliver());
    expect(await outcome(acme)).toBe('Completed');
    const { console, keys } = acme.world.viewCompany('acme');
    expect(keys.map(({ publicKey }) => publicKey)).not.toContain(old);
    expect(console!.installedPublicKey).not.toBe(old);
    const kinds = (await acme.allHandoffs()).map(
      ({ kind, state, automation }) => `${kind} ${state} ${automation?.state}`,
    );
    expect(kinds.toSorted()).toEqual([
      'delete-key closed answered',
      'install-integration-key closed answered',
      'issue-integration-key closed answered',
    ]);
    expect(await acme.told()).toMatchObject({ ready: 'True' });
  });

  it('goes from end to end answered later, each with a token of its own', async () => {
    const acme = await withRobot();
    const url = await serving(acme);
    acme.simulator.robot.mood = 'later';
    await rotate(acme);
    const statuses: number[] = [];
    await unattended(acme, async () => {
      await acme.deliver(url);
      statuses.push(...(await acme.simulator.robot.answerLater()));
    });
    expect(await outcome(acme)).toBe('Completed');
    expect(statuses).toEqual([202, 202, 202]);
    const tokens = acme.simulator.robot.requests.map(({ body }) => JSON.parse(body).respond.token as string);
    expect(new Set(tokens).size).toBe(3);
  });

  it('never carries a pair in clear, nor does the database', async () => {
    const acme = await withRobot();
    await rotate(acme);
    await unattended(acme, () => acme.deliver());
    const made = acme.world.viewCompany('acme').console!.installedPublicKey!;
    const { rows } = await acme.store.pool.query<{ text: string }>(
      `select h::text as text from handoffs h union all select e::text from events e union all select c::text from credentials c
       union all select a::text from answer_keys a union all select j::text from pgboss.job j union all select t::text from tenants t
       union all select s::text from statuses s union all select r::text from rotations r`,
    );
    const { requests, sent } = acme.simulator.robot;
    const everything = [
      ...requests.map(({ headers, body }) => JSON.stringify(headers) + body),
      ...sent,
      ...rows.map(({ text }) => text),
    ].join('\n');
    const { secret } = robotIdentity();
    for (const sentinel of [made, ...acme.privateKeys(), secret, secret.replace('whsec_', '')]) {
      expect(everything).not.toContain(sentinel);
    }
    // It would have been found: what is no secret is there.
    expect(everything).toContain(acme.spec.connectwise.companyId);
    expect(everything).toContain((await acme.fingerprints('active'))[0]);
  });
});

describe('the other kinds of work', () => {
  test.each([
    ['level-missing', 'grant-role-levels'],
    ['allow-list-short', 'allow-table-setup'],
  ] as const)('%s: the automation does %s, and what is read closes it', async (trouble, kind) => {
    const acme = await withRobot({}, trouble);
    const asked = await acme.handoff(kind);
    expect(asked).toMatchObject({
      state: 'claimed',
      claimedBy: 'automation',
      automation: { state: 'delivering' },
    });
    await acme.deliver();
    await acme.later();
    const [done] = (await acme.allHandoffs()).filter((handoff) => handoff.kind === kind);
    expect(done).toMatchObject({ state: 'closed', automation: { state: 'answered', attempts: 1 } });
  });
});

describe('where nothing shows that the key is in use', () => {
  it('the automation’s word is none: a person vouches for it, and the rotation goes on', async () => {
    const acme = await withRobot({
      connectwise: {
        members: { strategy: 'same-member', identifiers: ['umbrella-a'], adopt: true, dedicated: true },
      },
    });
    await rotate(acme);
    for (let looks = 0; looks < 4; looks += 1) {
      await acme.deliver();
      await acme.later();
    }
    expect(await phase(acme)).toBe('AwaitingAdoption');
    const { id, state, attested } = await acme.handoff('install-integration-key');
    expect({ state, attested }).toEqual({ state: 'submitted', attested: false });
    const word = { by: 'ann', pair: null, attest: true };
    value(await acme.ask((commands) => commands.submitHandoff(id, word)));
    await acme.settle();
    expect(await phase(acme)).toBe('Overlap');
  });
});

it('a new Umbrella key is made by it too, where no KeyAdmin key can', async () => {
  const acme = await scene('umbrella-key-expiring', {
    robot: true,
    given: ['management', 'integration', 'umbrella-api', 'automation'],
    spec: { umbrella: { apiKeyExpires: '2026-11-28' } },
  });
  await acme.apply();
  await acme.settle();
  expect(await acme.handoff('renew-umbrella-key')).toMatchObject({ automation: { state: 'delivering' } });
  expect(await acme.deliver()).toEqual(['done']);
  expect(await acme.handoff('renew-umbrella-key')).toMatchObject({
    state: 'submitted',
    automation: { state: 'answered' },
  });
  // It waits for its proof, as one that a person gave.
  const { credentials } = await acme.record();
  expect(credentials.find(({ state }) => state === 'candidate')).toMatchObject({ purpose: 'umbrella-api' });
  const names = acme.world.listUmbrellaKeys('acme').map(({ name }) => name);
  expect(names.filter((name) => name.startsWith('Parasol, hand-off'))).toHaveLength(1);
});

describe('an answer is taken once, in time, with the right token', () => {
  /** The work of a new key was taken by the robot, and is still to be answered. */
  async function asked() {
    const acme = await withRobot();
    const url = await serving(acme);
    const { robot } = acme.simulator;
    robot.mood = 'later';
    await rotate(acme);
    await acme.deliver(url);
    expect((await acme.handoff('issue-integration-key')).automation).toMatchObject({ state: 'accepted' });
    return { acme, url, robot };
  }
  const post = async (url: string, token: string | null, body: unknown) => {
    const answer = await fetch(`${url}/automation/answers`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        ...(token === null ? {} : { authorization: `Bearer ${token}` }),
      },
      body: JSON.stringify(body),
    });
    return { status: answer.status, text: await answer.text() };
  };

  it('refuses a replay, and what is replayed changes nothing', async () => {
    const { acme, robot } = await asked();
    expect(await robot.answerLater()).toEqual([202]);
    const before = await acme.handoff('issue-integration-key');
    expect(await robot.replay()).toBe(409);
    expect(await robot.replay({ done: false, reason: 'changed its mind' })).toBe(409);
    expect(await acme.handoff('issue-integration-key')).toEqual(before);
    expect(await acme.fingerprints('candidate')).toHaveLength(1);
  });

  it('refuses a forged token, and none, and tells nothing', async () => {
    const { acme, url } = await asked();
    const answer = { done: true };
    for (const token of ['x'.repeat(43), robotIdentity().secret.replace('whsec_', '')]) {
      const { status, text } = await post(url, token, answer);
      expect(status).toBe(404);
      expect(text).not.toContain('acme');
    }
    expect((await post(url, null, answer)).status).toBe(401);
    expect((await acme.handoff('issue-integration-key')).automation).toMatchObject({ state: 'accepted' });
  });

  it('refuses an answer that comes late', async () => {
    const { acme, robot } = await asked();
    acme.clock.advance(4 * DAY);
    expect(await robot.answerLater()).toEqual([410]);
    expect(await acme.fingerprints('candidate')).toEqual([]);
  });

  it('refuses what is not as it must be, and still takes what is', async () => {
    const { acme, url, robot } = await asked();
    const { token } = JSON.parse(robot.requests[0]!.body).respond;
    for (const body of [{}, { done: 'yes' }, { done: true, pair: 'clear text' }, { done: false }]) {
      expect((await post(url, token, body)).status).toBe(400);
    }
    expect(await robot.answerLater()).toEqual([202]);
    expect(await acme.fingerprints('candidate')).toHaveLength(1);
  });

  it('takes one of two that come at once', async () => {
    const { robot } = await asked();
    const twice = await Promise.all([robot.answerLater(), robot.replay().catch(() => 0)]);
    const statuses = twice.flat();
    expect(statuses.filter((status) => status === 202)).toHaveLength(1);
  });
});

describe('an automation that fails falls back to people, visibly', () => {
  const failed = async (acme: Scene, kind: HandoffKind = 'issue-integration-key') => {
    await acme.settle();
    return acme.handoff(kind);
  };

  test.each([
    ['decline', 'it says: a person is to do it'],
    ['wrong-key', 'its pair is not encrypted to the key of the request'],
  ] as const)('that says %s: at once', async (mood, error) => {
    const acme = await withRobot();
    acme.simulator.robot.mood = mood;
    await rotate(acme);
    expect(await acme.deliver()).toEqual(['done']);
    expect(await failed(acme)).toMatchObject({
      state: 'open',
      claimedBy: null,
      automation: { state: 'failed', error },
    });
    expect(await acme.verdict('RotationHealthy')).toBe('True AutomationFailed');
    expect((await acme.condition('RotationHealthy')).message).toContain(error);
    expect((await acme.events()).find((event) => event.startsWith('AutomationFailed'))).toContain(error);
  });

  it('that refuses: for good; a person then does it to the end', async () => {
    const acme = await withRobot();
    acme.simulator.robot.mood = 'refuse';
    await rotate(acme);
    expect(await acme.deliver()).toEqual([{ failed: 'for-good' }]);
    await acme.bury();
    const handoff = await failed(acme);
    expect(handoff.automation?.error).toBe('it answered with status 403, after one attempt');
    value(await acme.ask((commands) => commands.claimHandoff(handoff.id, 'ann')));
    const made = acme.world.makeKey('acme', handoff.subject);
    await acme.submit(made, { handoffId: handoff.id, member: handoff.subject });
    await acme.settle();
    expect(await phase(acme)).toBe('AwaitingInstall');
  });

  it('that is down: is asked again with the same token, and does it once it is up', async () => {
    const acme = await withRobot();
    const { robot } = acme.simulator;
    robot.mood = 'fail';
    await rotate(acme);
    expect(await acme.deliver()).toEqual([{ failed: 'once' }]);
    expect(await acme.deliver()).toEqual([{ failed: 'once' }]);
    expect((await acme.handoff('issue-integration-key')).automation).toMatchObject({
      state: 'delivering',
      attempts: 2,
      error: 'it answered with status 503',
    });
    robot.mood = 'at-once';
    expect(await acme.deliver()).toEqual(['done']);
    const bodies = robot.requests.map(({ body }) => JSON.parse(body));
    expect(new Set(bodies.map(({ id, respond }) => `${id} ${respond.token}`)).size).toBe(1);
    await acme.settle();
    expect(await phase(acme)).toBe('AwaitingInstall');
  });

  it('that took it and never answers: at the deadline', async () => {
    const acme = await withRobot();
    acme.simulator.robot.mood = 'later';
    await rotate(acme);
    await acme.deliver();
    await acme.later(3 * DAY + HOUR);
    const handoff = await failed(acme);
    expect(handoff).toMatchObject({
      state: 'open',
      automation: { error: 'it did not answer before the deadline' },
    });
    expect(handoff.overdueSince).not.toBeNull();
    value(await acme.ask((commands) => commands.claimHandoff(handoff.id, 'ann')));
  });

  it('whose key ConnectWise refuses: the work is opened for people, with what was wrong', async () => {
    const acme = await withRobot();
    await rotate(acme);
    await acme.deliver();
    const made = acme.world.listKeys('acme', 'umbrella-b').at(-1)!;
    acme.world.deleteKey('acme', made.publicKey);
    expect((await failed(acme)).automation).toMatchObject({
      state: 'failed',
      error: expect.stringContaining('refused'),
    });
  });

  it('that a person takes the work from: its answer is late then', async () => {
    const acme = await withRobot();
    const url = await serving(acme);
    const { robot } = acme.simulator;
    robot.mood = 'later';
    await rotate(acme);
    await acme.deliver(url);
    const { id } = await acme.handoff('issue-integration-key');
    expect((await acme.ask((commands) => commands.claimHandoff(id, 'ann'))).ok).toBe(false);
    expect((await acme.ask((commands) => commands.claimHandoff(id, 'automation'))).ok).toBe(false);
    value(await acme.ask((commands) => commands.releaseHandoff(id, 'ann')));
    value(await acme.ask((commands) => commands.claimHandoff(id, 'ann')));
    expect(await robot.answerLater()).toEqual([410]);
  });

  it('that has no secret: opened for people at once', async () => {
    const acme = await withRobot();
    await acme.store.pool.query(`delete from credentials where purpose = 'automation'`);
    await rotate(acme);
    expect(await failed(acme)).toMatchObject({
      state: 'open',
      automation: { state: 'failed', attempts: 0, error: 'there is no secret to sign with' },
    });
  });

  it('that the spec no longer names: nothing is sent', async () => {
    const acme = await withRobot();
    await rotate(acme);
    await acme.change({ handoffs: {} });
    await acme.deliver();
    expect(acme.simulator.robot.requests).toEqual([]);
    expect((await failed(acme)).automation).toMatchObject({ state: 'failed' });
  });
});

describe('before anything leaves', () => {
  it('an install counts as possibly installed from the delivery on, and before it not', async () => {
    const acme = await withRobot();
    await rotate(acme);
    await acme.deliver();
    await acme.settle();
    expect(await phase(acme)).toBe('AwaitingInstall');
    expect((await acme.handoff('install-integration-key')).revealedAt).toBeNull();
    acme.simulator.robot.mood = 'fail';
    await acme.deliver();
    expect(await acme.handoff('install-integration-key')).toMatchObject({ revealedTo: 'automation' });
    await acme.settle();
    expect(await phase(acme)).toBe('AwaitingAdoption');
    // Where the automation fails after all, a person may see the pair, once.
    acme.simulator.robot.mood = 'refuse';
    await acme.deliver();
    await acme.bury();
    const { id } = await acme.handoff('install-integration-key');
    value(await acme.ask((commands) => commands.claimHandoff(id, 'ann')));
    const shown = { by: 'ann', reason: 'the robot is broken' };
    value(await acme.ask((commands) => commands.reveal(id, shown)));
    expect((await acme.ask((commands) => commands.reveal(id, shown))).ok).toBe(false);
  });

  test.each([
    ['a pause', (acme: Scene) => acme.change({ ...robotSpec(acme), paused: true })],
    [
      'a person’s pause',
      async (acme: Scene) =>
        void value(
          await acme.ask((commands) =>
            commands.pause('acme', { by: 'ann', reason: 'a freeze', until: null }),
          ),
        ),
    ],
    ['another mode', (acme: Scene) => acme.change({ ...robotSpec(acme), mode: 'observe' })],
    [
      'a rollback',
      async (acme: Scene) =>
        void value(await acme.ask((commands) => commands.rollback('acme', { by: 'ann', reason: 'no' }))),
    ],
  ])('%s holds it', async (_, what) => {
    const acme = await withRobot();
    await rotate(acme);
    await what(acme);
    expect(await acme.deliver()).toEqual([{ laterMs: 60_000 }]);
    expect(acme.simulator.robot.requests).toEqual([]);
  });

  const robotSpec = (acme: Scene): SpecChange => ({ handoffs: acme.spec.handoffs });
});

describe('the secret that signs', () => {
  const other = 'whsec_' + Buffer.alloc(32, 7).toString('base64');

  it('is refused by the robot when it is another', async () => {
    const acme = await withRobot();
    acme.simulator.robot.secrets = [other];
    await rotate(acme);
    expect(await acme.deliver()).toEqual([{ failed: 'for-good' }]);
    expect(acme.simulator.robot.requests[0]).toMatchObject({ status: 401 });
  });

  it('signs beside its successor for a day, and no longer', async () => {
    const acme = await withRobot();
    const { robot } = acme.simulator;
    robot.mood = 'fail';
    await rotate(acme);
    await acme.replaceSecret(other);
    await acme.deliver();
    expect(robot.requests[0]).toMatchObject({ status: 503 });
    expect(String(robot.requests[0]!.headers['webhook-signature']).split(' ')).toHaveLength(2);
    robot.secrets = [other];
    await acme.deliver();
    expect(robot.requests[1]).toMatchObject({ status: 503 });
    acme.clock.advance(DAY + HOUR);
    await acme.deliver();
    expect(String(robot.requests[2]!.headers['webhook-signature']).split(' ')).toHaveLength(1);
    expect(robot.requests[2]).toMatchObject({ status: 503 });

    // What no longer signs is destroyed as dead pairs are.
    await acme.store.housekeeping.destroyDead(0, 10);
    const held = (await acme.record()).credentials.filter(({ purpose }) => purpose === 'automation');
    expect(held.map(({ state }) => state)).toEqual(['dead', 'active']);
  });
});
