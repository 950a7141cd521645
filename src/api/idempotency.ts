import { createHmac } from 'node:crypto';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { DoneEarlier, KeyedRequest, Requests } from '../reconciler/commands.ts';
import { bearerOf } from './auth.ts';
import { Problem, send } from './problem.ts';

/**
 * Each POST with an `Idempotency-Key` is done once, however often it is sent:
 *
 *   reserved ─▶ the change, and with it its entry in the audit ─▶ the answer, kept for a day
 *
 * Sent again it gets the same answer. Who was cut off between the change and the answer is found by the entry in the
 * audit, which carries the key; who was cut off before the change did nothing, and it is done then. A slow attempt
 * that was given up commits nothing any more (`holdAttempt`).
 */

/** What a route answers to a repetition where the first answer is not there. */
export type Repeated =
  /** It holds a secret, and is not kept. */
  | 'shown-once'
  /** To do it again is to do nothing more. */
  | 'run-again'
  /** From what was changed. */
  | ((request: FastifyRequest, done: DoneEarlier) => Promise<Again | null>);

export interface Again {
  status: number;
  body: object;
}

declare module 'fastify' {
  interface FastifyContextConfig {
    repeated?: Repeated;
  }
  interface FastifyRequest {
    /** Null: it has no key, or is not begun. */
    keyed: KeyedRequest | null;
  }
}

/** Larger ones are not kept where the request may as well be done again. */
const KEPT_BYTES = 256 * 1024;
const KEPT_HEADERS = ['content-type', 'location', 'etag'];

export function answerOnce(app: FastifyInstance, requests: Requests): void {
  app.decorateRequest('keyed', null);
  const hashes = new WeakMap<FastifyRequest, string>();

  // Before zod makes other values of the body.
  app.addHook('preValidation', async (request) => {
    if (keyOf(request) !== null) hashes.set(request, hashOf(request));
  });

  app.addHook('preHandler', async (request, reply) => {
    const key = keyOf(request);
    const hash = hashes.get(request);
    const { identity } = request;
    if (key === null || hash === undefined || !identity) return undefined;
    const keyed = { tokenId: identity.tokenId ?? identity.name, key, requestId: request.id };
    const begun = await requests.begin({ ...keyed, hash });
    switch (begun.state) {
      case 'begun':
        request.keyed = keyed;
        return undefined;
      case 'other-body':
        throw Problem.keyReused();
      case 'under-way':
        throw Problem.underWay();
      case 'answered': {
        const { status, headers, body } = begun.answer;
        if (body === null) throw Problem.shownOnce();
        return reply
          .code(status)
          .headers({ ...headers, 'idempotency-replayed': 'true' })
          .send(body);
      }
      case 'unanswered':
        request.keyed = keyed;
        return unanswered(request, reply, begun.done);
    }
  });

  app.addHook('onSend', async (request, reply, payload) => {
    const { keyed } = request;
    if (!keyed) return payload;
    try {
      if (reply.statusCode >= 500 || typeof payload !== 'string') await requests.broken(keyed);
      else await keep(request, reply, keyed, payload);
    } catch (error) {
      // It was done all the same: asked again, the entry in the audit tells it.
      request.log.warn({ error: (error as Error).message }, 'an answer was not kept for its repetition');
    }
    return payload;
  });

  async function keep(request: FastifyRequest, reply: FastifyReply, keyed: KeyedRequest, payload: string) {
    const { repeated } = request.routeOptions.config;
    if (repeated === 'run-again' && Buffer.byteLength(payload) > KEPT_BYTES) return requests.broken(keyed);
    const sent = KEPT_HEADERS.flatMap((name) => {
      const value = reply.getHeader(name);
      return value === undefined ? [] : [[name, String(value)] as const];
    });
    const secret = repeated === 'shown-once' && reply.statusCode < 300;
    const headers = Object.fromEntries(sent);
    return requests.answered(keyed, {
      status: reply.statusCode,
      headers,
      body: secret ? null : payload,
    });
  }
}

async function unanswered(request: FastifyRequest, reply: FastifyReply, done: DoneEarlier) {
  const { repeated } = request.routeOptions.config;
  if (repeated === 'run-again') return undefined;
  if (repeated === 'shown-once') return send(reply, Problem.shownOnce());
  const again = await repeated?.(request, done);
  if (!again) return send(reply, Problem.doneAlready(done.action, done.at));
  return reply.code(again.status).header('idempotency-replayed', 'true').send(again.body);
}

const KEY = /^[\x21-\x7e]{1,200}$/;

/** The key of a request that has one and heeds it: a POST by somebody. */
function keyOf({ method, headers, routeOptions }: FastifyRequest): string | null {
  const key = headers['idempotency-key'];
  const { permission } = routeOptions.config;
  if (key === undefined || method !== 'POST' || permission === undefined || permission === 'public')
    return null;
  if (typeof key === 'string' && KEY.test(key)) return key;
  const message = 'must be 1 to 200 visible characters, once';
  throw Problem.invalid([{ path: 'idempotency-key', message }]);
}

/** Keyed by the token, which nobody keeps: no guess at a body can be checked against what is stored. */
function hashOf({ method, url, body, headers }: FastifyRequest): string {
  const token = bearerOf(headers.authorization) ?? '';
  return createHmac('sha256', token)
    .update(`${method} ${url}\n${JSON.stringify(body) ?? ''}`)
    .digest('hex');
}
