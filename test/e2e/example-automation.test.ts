import { generateKeyPairSync } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Secret } from '../../src/domain/secret.ts';
import { createAutomationCalls } from '../../src/providers/index.ts';
import { createEnvelopes } from '../../src/vault/index.ts';
import { expectNothingLeft, folder, ROOT, startProcess, until } from './harness.ts';

/** The example for MSPs, as they would start it. */

expectNothingLeft();

const SECRET = `whsec_${Buffer.alloc(32, 3).toString('base64')}`;
const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const envelopes = createEnvelopes();
const calls = createAutomationCalls();
const resources = new AsyncDisposableStack();
let url = '';

beforeAll(async () => {
  const place = resources.use(await folder());
  const key = join(place.path, 'key.pem');
  await writeFile(key, privateKey.export({ type: 'pkcs8', format: 'pem' }));
  const example = resources.use(
    startProcess(process.execPath, [join(ROOT, 'examples/automation.mjs')], {
      env: { AUTOMATION_SECRET: SECRET, AUTOMATION_KEY: key, PORT: '0' },
    }),
  );
  await until('the example listens', () => /port \d+/.test(example.stdout()));
  url = `http://127.0.0.1:${/port (\d+)/.exec(example.stdout())?.[1]}/work`;
});
afterAll(async () => {
  await calls.close();
  await resources.disposeAsync();
});

const post = (work: { id: string; kind: string } & Record<string, unknown>, secret = SECRET) =>
  calls.post(url, { id: work.id, at: new Date(), body: JSON.stringify(work), secrets: [new Secret(secret)] });

it('takes what is signed, and says what no robot does yet', async () => {
  const work = { id: 'a', kind: 'issue-integration-key', member: 'umbrella-b' };
  const answer = { done: false, reason: 'no robot makes keys on umbrella-b yet' };
  expect(await post(work)).toEqual({ outcome: 'answered', body: answer });
  // An id that comes again is answered as before.
  expect(await post({ ...work, member: 'another' })).toEqual({ outcome: 'answered', body: answer });
});

it('refuses what somebody else signed', async () => {
  const other = `whsec_${Buffer.alloc(32, 4).toString('base64')}`;
  expect(await post({ id: 'b', kind: 'delete-key' }, other)).toMatchObject({ outcome: 'refused' });
});

it('reads the pair that is encrypted to it', async () => {
  const pem = publicKey.export({ type: 'spki', format: 'pem' }) as string;
  const secret = await envelopes.sealFor(pem, {
    publicKey: 'seventeen-letters',
    privateKey: new Secret('p'),
  });
  const work = { id: 'c', kind: 'install-integration-key', fingerprint: 'fp', secret };
  expect(await post(work)).toEqual({
    outcome: 'answered',
    body: { done: false, reason: 'no robot puts fp into Umbrella yet (17 characters)' },
  });
});
