// The receiving side of Parasol's automation webhook, to be adapted to your own RPA or workflow tool.
//
//   AUTOMATION_SECRET=whsec_… AUTOMATION_KEY=./automation-key.pem node examples/automation.mjs
//
// AUTOMATION_SECRET  the tenant's `handoffs.secret`; two, with a space between, while you change it
// AUTOMATION_KEY     your private key (PEM); its public half stands in the tenant's spec:
//                    openssl ecparam -name prime256v1 -genkey -noout | openssl pkcs8 -topk8 -nocrypt -out automation-key.pem
//                    openssl pkey -in automation-key.pem -pubout
// PORT, HOST         where it listens: 9090 on 127.0.0.1, behind your own TLS
//
// It needs one library, jose, for what is encrypted. The functions at the end are where your robot goes.

import { createHmac, createPrivateKey, timingSafeEqual } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { compactDecrypt, CompactEncrypt, importJWK } from 'jose';

const secrets = (process.env.AUTOMATION_SECRET ?? '').split(' ').filter(Boolean);
const privateKey = createPrivateKey(readFileSync(process.env.AUTOMATION_KEY ?? 'automation-key.pem'));
if (secrets.length === 0) throw new Error('AUTOMATION_SECRET is not set');

/** Answers by the request's id. Keep them in a database of your own: an id that comes again must not be worked twice. */
const answers = new Map();

const server = createServer((request, response) => {
  const parts = [];
  request.on('data', (part) => parts.push(part));
  request.on('end', () => {
    receive(request.headers, Buffer.concat(parts).toString('utf8')).then(
      ([status, body]) => send(response, status, body),
      // Anything but 4xx is tried again.
      () => send(response, 500, {}),
    );
  });
});
server.listen(Number(process.env.PORT ?? 9090), process.env.HOST ?? '127.0.0.1', () => {
  console.log(`listening on port ${server.address().port}`);
});

function send(response, status, body) {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

async function receive(headers, body) {
  if (!isSigned(headers, body)) return [401, {}];
  const work = JSON.parse(body);
  // What takes longer than half a minute is answered with 202, and later by a POST of the same answer to
  // work.respond.url with the header `Authorization: Bearer ${work.respond.token}`.
  if (!answers.has(work.id)) answers.set(work.id, answerTo(work));
  return [200, await answers.get(work.id)];
}

/** Standard Webhooks: HMAC-SHA256 over `id.timestamp.body`, and not older than five minutes. */
function isSigned(headers, body) {
  const id = headers['webhook-id'];
  const timestamp = headers['webhook-timestamp'];
  if (!(Math.abs(Date.now() / 1000 - Number(timestamp)) < 300)) return false;
  return secrets.some((secret) => {
    const key = Buffer.from(secret.replace('whsec_', ''), 'base64');
    const mac = createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64');
    const wanted = Buffer.from(`v1,${mac}`);
    return String(headers['webhook-signature'])
      .split(' ')
      .map((given) => Buffer.from(given))
      .some((given) => given.length === wanted.length && timingSafeEqual(given, wanted));
  });
}

async function answerTo(work) {
  try {
    switch (work.kind) {
      case 'issue-integration-key': {
        const pair = await makeKey(work);
        return { done: true, pair: await encrypted(pair, work.encryptTo) };
      }
      case 'install-integration-key':
        await install(work, await decrypted(work.secret));
        return { done: true };
      case 'delete-key':
        await deleteKey(work, work.secret ? await decrypted(work.secret) : null);
        return { done: true };
      default:
        throw new Error(`${work.kind} is not automated`);
    }
  } catch (error) {
    // People have the work then, and read the reason: no secret may be in it.
    return { done: false, reason: String(error.message).slice(0, 200) };
  }
}

/** Only Parasol can read it: nobody on the way, and no log. */
async function encrypted(pair, jwk) {
  const key = await importJWK(jwk, 'ECDH-ES+A256KW');
  return new CompactEncrypt(new TextEncoder().encode(JSON.stringify(pair)))
    .setProtectedHeader({ alg: 'ECDH-ES+A256KW', enc: 'A256GCM' })
    .encrypt(key);
}

async function decrypted(jwe) {
  const { plaintext } = await compactDecrypt(jwe, privateKey);
  return JSON.parse(new TextDecoder().decode(plaintext));
}

// ── your robot ────────────────────────────────────────────────────────────────────────────────────────────

/** In ConnectWise: System > Members > API Members > work.member > API Keys > new. Both halves are shown once. */
async function makeKey(work) {
  throw new Error(`no robot makes keys on ${work.member} yet`);
}

/** In Umbrella: PSA Integration Details > Credentials. `pair` is { publicKey, privateKey }. */
async function install(work, pair) {
  throw new Error(
    `no robot puts ${work.fingerprint} into Umbrella yet (${pair.publicKey.length} characters)`,
  );
}

/** In ConnectWise, the row of `key.publicKey`; without a key: what work.steps say. */
async function deleteKey(work, key) {
  throw new Error(`no robot deletes ${key === null ? work.subject : work.fingerprint} yet`);
}
