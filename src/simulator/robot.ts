import {
  createECDH,
  createHash,
  createHmac,
  createPrivateKey,
  createPublicKey,
  timingSafeEqual,
  type KeyObject,
} from 'node:crypto';
import { createServer, type IncomingHttpHeaders, type Server, type ServerResponse } from 'node:http';
import { compactDecrypt, CompactEncrypt, generateKeyPair, importJWK, type CryptoKey, type JWK } from 'jose';
import { readBody } from './listener.ts';
import { derived, type KeyPair } from './secrets.ts';
import { HandError } from './world-state.ts';
import type { World } from './world.ts';

/**
 * An automation as an MSP could have one: it does by itself what the hand-offs ask of a person, with the world's
 * hands, and speaks Parasol's webhook contract (README, "Automation webhook").
 */

/**
 * How it behaves to the next requests. `at-once`: does it, and answers so. `later`: takes it, and answers when
 * `answerLater` lets it. `decline`: says that people are to do it. `refuse`, `fail`: statuses 403, 503. `silent`: never
 * answers. `deaf`: does it, and its answer never leaves. `wrong-key`: encrypts the pair to a key that nobody asked for.
 */
export type RobotMood = 'at-once' | 'later' | 'decline' | 'refuse' | 'fail' | 'silent' | 'deaf' | 'wrong-key';

/** What requests to it are signed with, and the public key that secrets for it are encrypted to (PEM). */
export interface RobotIdentity {
  secret: string;
  publicKey: string;
}

const ALG = 'ECDH-ES+A256KW';
const ENC = 'A256GCM';
/** Requests that are older, or ahead by more, are replays. */
const TOLERANCE_MS = 5 * 60_000;

/** The robot's identity is always the same, so that files may refer to it. */
export function robotIdentity(): RobotIdentity {
  const secret = createHash('sha256')
    .update(derived('robot', 'secret', 32))
    .digest('base64');
  const publicKey = createPublicKey(robotKey()).export({ type: 'spki', format: 'pem' });
  return { secret: `whsec_${secret}`, publicKey: String(publicKey) };
}

interface Work {
  id: string;
  kind: string;
  connectwise: { companyId: string; role: string };
  member?: string;
  cells?: { function: string; right: string; desired: string }[];
  allowList?: string[];
  respond: { url: string; token: string };
  encryptTo?: JWK;
  secret?: string;
}

type Answer = { done: true; pair?: string } | { done: false; reason: string };

/** A request as it came over the wire. */
export interface RobotRequest {
  headers: IncomingHttpHeaders;
  body: string;
  /** What it answered at once; null: nothing yet. */
  status: number | null;
}

export class Robot {
  /** Everything that came, wrong signatures included. */
  readonly requests: RobotRequest[] = [];
  /** Everything that it sent: answers and callbacks. */
  readonly sent: string[] = [];
  mood: RobotMood = 'at-once';
  /** The secrets that it takes signatures of. */
  secrets: string[];
  readonly #world: World;
  readonly #key: KeyObject;
  /** By the hand-off's id: a request that comes again is answered as before, and nothing is done twice. */
  readonly #answers = new Map<string, Answer>();
  readonly #later: { work: Work; answer: Answer }[] = [];
  #last: { work: Work; answer: Answer } | null = null;

  constructor(world: World) {
    this.#world = world;
    this.#key = robotKey();
    this.secrets = [robotIdentity().secret];
  }

  server(): Server {
    return createServer((request, response) => {
      readBody(request, (body) => {
        const entry: RobotRequest = { headers: request.headers, body, status: null };
        this.requests.push(entry);
        this.#receive(entry, response).catch((error: unknown) => {
          console.error('robot', error);
          this.#send(entry, response, 500, { error: 'the robot itself failed' });
        });
      });
    });
  }

  /** Sends the answers that it holds back; the statuses that came. */
  async answerLater(): Promise<number[]> {
    const statuses: number[] = [];
    for (const one of this.#later.splice(0)) {
      this.#last = one;
      statuses.push(await this.#callBack(one.work, one.answer));
    }
    return statuses;
  }

  /** Sends the last callback once more, or another answer with its token. */
  async replay(answer?: Answer): Promise<number> {
    if (!this.#last) throw new HandError('the robot has called nobody back yet');
    return this.#callBack(this.#last.work, answer ?? this.#last.answer);
  }

  async #receive(entry: RobotRequest, response: ServerResponse): Promise<void> {
    if (!this.#isSigned(entry)) return this.#send(entry, response, 401, { error: 'the signature is wrong' });
    const { mood } = this;
    if (mood === 'silent') return;
    if (mood === 'refuse') return this.#send(entry, response, 403, { error: 'not allowed' });
    if (mood === 'fail') return this.#send(entry, response, 503, { error: 'out of order' });
    const work = JSON.parse(entry.body) as Work;
    const answer = await this.#answerTo(work, mood);
    if (mood === 'deaf') return;
    if (mood !== 'later') return this.#send(entry, response, 200, answer);
    if (!this.#later.some(({ work: { id } }) => id === work.id)) this.#later.push({ work, answer });
    this.#send(entry, response, 202, {});
  }

  async #answerTo(work: Work, mood: RobotMood): Promise<Answer> {
    const known = this.#answers.get(work.id);
    if (known) return known;
    const answer = mood === 'decline' ? declined('a person is to do it') : await this.#work(work, mood);
    this.#answers.set(work.id, answer);
    return answer;
  }

  /** Does it, as a person with a browser would. */
  async #work(work: Work, mood: RobotMood): Promise<Answer> {
    const { companyId, role } = work.connectwise;
    try {
      switch (work.kind) {
        case 'grant-role-levels': {
          for (const { function: name, right, desired } of work.cells ?? []) {
            this.#world.setLevels(companyId, role, { [name]: { [right]: desired } });
          }
          return { done: true };
        }
        case 'allow-table-setup':
          this.#world.setAllowList(companyId, role, work.allowList ?? []);
          return { done: true };
        case 'issue-integration-key': {
          const made = this.#world.makeKey(companyId, work.member ?? '', 'Umbrella, by the robot');
          return { done: true, pair: await encrypted(made, await this.#keyFor(work, mood)) };
        }
        case 'renew-umbrella-key': {
          const { key, secret } = this.#world.addUmbrellaKey(companyId, {
            name: `Parasol, hand-off ${work.id}`,
          });
          const made = { publicKey: key, privateKey: secret };
          return { done: true, pair: await encrypted(made, await this.#keyFor(work, mood)) };
        }
        case 'install-integration-key':
          this.#world.installKey(companyId, await this.#decrypted(work.secret));
          return { done: true };
        case 'delete-key':
          this.#world.deleteKey(companyId, (await this.#decrypted(work.secret)).publicKey);
          return { done: true };
        default:
          return declined(`does not know ${work.kind}`);
      }
    } catch (error) {
      if (error instanceof HandError) return declined(error.message);
      throw error;
    }
  }

  async #keyFor({ encryptTo }: Work, mood: RobotMood): Promise<CryptoKey | Uint8Array> {
    if (mood === 'wrong-key') return (await generateKeyPair(ALG)).publicKey;
    if (!encryptTo) throw new HandError('there is no key to encrypt the pair to');
    return importJWK(encryptTo, ALG);
  }

  async #decrypted(jwe: string | undefined): Promise<KeyPair> {
    if (jwe === undefined) throw new HandError('cannot tell which key is meant');
    const { plaintext } = await compactDecrypt(jwe, this.#key);
    return JSON.parse(new TextDecoder().decode(plaintext)) as KeyPair;
  }

  /** Standard Webhooks: one of the signatures, by one of the secrets, and not from another time. */
  #isSigned({ headers, body }: RobotRequest): boolean {
    const [id, timestamp, signatures] = ['webhook-id', 'webhook-timestamp', 'webhook-signature'].map((name) =>
      String(headers[name] ?? ''),
    );
    const age = Math.abs(this.#world.now().getTime() - Number(timestamp) * 1_000);
    if (!(age <= TOLERANCE_MS)) return false;
    return this.secrets.some((secret) => {
      const key = Buffer.from(secret.replace(/^whsec_/, ''), 'base64');
      const wanted = Buffer.from(
        `v1,${createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64')}`,
      );
      return (signatures ?? '').split(' ').some((given) => {
        const bytes = Buffer.from(given);
        return bytes.length === wanted.length && timingSafeEqual(bytes, wanted);
      });
    });
  }

  #send(entry: RobotRequest, response: ServerResponse, status: number, body: object): void {
    entry.status = status;
    const text = JSON.stringify(body);
    this.sent.push(text);
    response.writeHead(status, { 'content-type': 'application/json' }).end(text);
  }

  async #callBack({ respond }: Work, answer: Answer): Promise<number> {
    const text = JSON.stringify(answer);
    this.sent.push(text);
    const { status } = await fetch(respond.url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${respond.token}` },
      body: text,
    });
    return status;
  }
}

const declined = (reason: string): Answer => ({ done: false, reason });

const encrypted = (pair: KeyPair, key: CryptoKey | Uint8Array): Promise<string> =>
  new CompactEncrypt(new TextEncoder().encode(JSON.stringify(pair)))
    .setProtectedHeader({ alg: ALG, enc: ENC })
    .encrypt(key);

/** A P-256 key that is always the same: any number below the curve's order is one. */
function robotKey(): KeyObject {
  const d = createHash('sha256')
    .update(derived('robot', 'key', 32))
    .digest();
  const ecdh = createECDH('prime256v1');
  ecdh.setPrivateKey(d);
  const point = ecdh.getPublicKey();
  return createPrivateKey({
    format: 'jwk',
    key: {
      kty: 'EC',
      crv: 'P-256',
      d: d.toString('base64url'),
      x: point.subarray(1, 33).toString('base64url'),
      y: point.subarray(33).toString('base64url'),
    },
  });
}
