import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { Refusal } from '../reconciler/commands.ts';
import { isPassing } from '../domain/passing.ts';
import { describeError, secretsOf } from './log.ts';

export const problemSchema = z
  .object({
    type: z.string().describe('Names the kind of problem: urn:parasol:problem:….'),
    title: z.string(),
    status: z.int(),
    detail: z.string(),
    instance: z.string().describe('The request, as it is named in the log: urn:uuid:….'),
    errors: z
      .array(z.object({ path: z.string(), message: z.string() }))
      .optional()
      .describe('What is wrong with the input, field by field.'),
    parts: z
      .array(z.object({ part: z.string(), ok: z.boolean(), detail: z.string() }))
      .optional()
      .describe('Which part is not ready.'),
  })
  .meta({ id: 'Problem' });

interface Extra {
  errors?: { path: string; message: string }[];
  parts?: { part: string; ok: boolean; detail: string }[];
  headers?: Record<string, string>;
}

/** An RFC 9457 problem on its way to the client. Nothing in it comes from a request's values or a stack. */
export class Problem extends Error {
  override readonly name = 'Problem';
  readonly status: number;
  readonly kind: string;
  readonly title: string;
  readonly extra: Extra;

  constructor(status: number, kind: string, title: string, detail: string, extra: Extra = {}) {
    super(detail);
    this.status = status;
    this.kind = kind;
    this.title = title;
    this.extra = extra;
  }

  static invalid(errors: { path: string; message: string }[]): Problem {
    const detail = `${errors.length === 1 ? 'One field is' : `${errors.length} fields are`} not as expected.`;
    return new Problem(400, 'invalid', 'The input is not valid', detail, { errors });
  }

  static malformed(): Problem {
    return new Problem(400, 'malformed', 'The request cannot be read', 'The body is not valid JSON.');
  }

  static notFound(what: string): Problem {
    return new Problem(404, 'not-found', 'Not found', what);
  }

  static nothingHere(): Problem {
    return Problem.notFound('There is nothing at this address.');
  }

  static badMethod(methods: readonly string[]): Problem {
    const allow = methods.join(', ');
    return new Problem(405, 'method-not-allowed', 'Not with this method', `This address takes ${allow}.`, {
      headers: { allow },
    });
  }

  static unauthorized(tokenGiven: boolean): Problem {
    return new Problem(
      401,
      'unauthorized',
      'A token is needed',
      tokenGiven ? 'This token is not known.' : 'Send an Authorization header with a Bearer token.',
      {
        headers: {
          'www-authenticate': `Bearer realm="parasol"${tokenGiven ? ', error="invalid_token"' : ''}`,
        },
      },
    );
  }

  static forbidden(permission: string): Problem {
    return new Problem(
      403,
      'forbidden',
      'This token may not do that',
      `It lacks the permission ${permission}.`,
    );
  }

  static keyReused(): Problem {
    return new Problem(
      409,
      'key-reused',
      'This Idempotency-Key was used',
      'The same key came with another request: give each request a key of its own.',
    );
  }

  static underWay(): Problem {
    return new Problem(
      409,
      'under-way',
      'It is being done',
      'The same request came before and is not answered yet: ask again with the same key.',
      { headers: { 'retry-after': '2' } },
    );
  }

  static shownOnce(): Problem {
    return new Problem(
      409,
      'shown-once',
      'It was answered',
      'It was done, and its answer is shown once: it is kept nowhere.',
    );
  }

  static doneAlready(action: string, at: string): Problem {
    return new Problem(
      409,
      'done-already',
      'It was done',
      `It was done at ${at} (${action}), and its answer was lost. Nothing was done again: look at what is there.`,
    );
  }

  static tooMany(): Problem {
    return new Problem(
      429,
      'too-many-requests',
      'Too many requests',
      'Wait as long as Retry-After says, in seconds.',
    );
  }

  static unavailable(detail: string, extra: Extra = {}): Problem {
    return new Problem(503, 'unavailable', 'Not available now', detail, {
      ...extra,
      headers: { 'retry-after': '10' },
    });
  }

  static internal(): Problem {
    return new Problem(
      500,
      'internal',
      'Something is broken',
      'The fault is on this side; the log tells more about this request.',
    );
  }

  /** What a command refused, in HTTP's words. */
  static refused(refusal: Refusal): Problem {
    switch (refusal.kind) {
      case 'not-found':
        return Problem.notFound(refusal.what);
      case 'stale':
        return new Problem(
          412,
          'stale',
          'It changed since it was read',
          `The tenant is at generation ${refusal.generation}. Read it again, then decide.`,
          { headers: { etag: `"${refusal.generation}"` } },
        );
      case 'conflict':
        return new Problem(409, 'conflict', 'It conflicts with what is there', refusal.message);
      case 'gone':
        return new Problem(410, 'gone', 'No longer there', refusal.message);
      case 'invalid':
        return Problem.invalid(refusal.problems);
    }
  }
}

/** A command's refusal as an answer. */
export function refuse(reply: FastifyReply, refusal: Refusal): FastifyReply {
  return send(reply, Problem.refused(refusal));
}

/** Answers with a problem. */
export function send(reply: FastifyReply, problem: Problem): FastifyReply {
  const { headers = {}, ...members } = problem.extra;
  return (
    reply
      .code(problem.status)
      // An address that cannot be read never comes to the hooks that set these.
      .headers({ 'x-request-id': reply.request.id, 'cache-control': 'no-store', ...headers })
      .type('application/problem+json')
      .send({
        type: `urn:parasol:problem:${problem.kind}`,
        title: problem.title,
        status: problem.status,
        detail: problem.message,
        instance: `urn:uuid:${reply.request.id}`,
        ...members,
      })
  );
}

/** Every error becomes a problem; only what failed on this side is logged, without the request's secrets. */
export function handleError(error: FastifyError, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const problem = toProblem(error);
  const told = () => ({ err: describeError(error, secretsOf(request)) });
  if (problem.kind === 'internal') request.log.error(told(), 'request failed');
  else if (isPassing(error)) request.log.warn(told(), 'the database is not available');
  return send(reply, problem);
}

function toProblem(error: FastifyError): Problem {
  if (error instanceof Problem) return error;
  if (isPassing(error)) {
    return Problem.unavailable(
      'The database is not available: ask again, a POST with the same Idempotency-Key.',
    );
  }
  // The framework's own messages quote the request, so that only its codes are used.
  switch (error.code) {
    case 'FST_ERR_CTP_INVALID_JSON_BODY':
    case 'FST_ERR_CTP_EMPTY_JSON_BODY':
      return Problem.malformed();
    case 'FST_ERR_CTP_BODY_TOO_LARGE':
      return new Problem(413, 'too-large', 'The body is too large', 'Send less at once.');
    case 'FST_ERR_CTP_INVALID_MEDIA_TYPE':
      return new Problem(
        415,
        'unsupported-media-type',
        'This media type is not read',
        'Send application/json.',
      );
    case 'FST_ERR_BAD_URL':
    case 'FST_ERR_MAX_PARAM_LENGTH':
      return Problem.nothingHere();
    default: {
      const status = error.statusCode ?? 500;
      if (status < 400 || status >= 500) return Problem.internal();
      return new Problem(status, 'malformed', 'The request cannot be read', 'It is not as HTTP wants it.');
    }
  }
}
