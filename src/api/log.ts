import type { FastifyBaseLogger, FastifyRequest } from 'fastify';
import type { Logger } from 'pino';

/** Where a header that lets somebody in could stand, should anybody ever log a request or its headers. */
const REDACT = ['authorization', 'cookie', 'parasol-reveal-token'].flatMap((header) => [
  header,
  `headers.${header}`,
  `req.headers.${header}`,
  `request.headers.${header}`,
]);

/** The API's own logger: redacts what lets somebody in, and shortens errors to what holds no values. */
export function apiLogger(log: Logger): FastifyBaseLogger {
  return log.child(
    { part: 'api' },
    {
      redact: { paths: REDACT, censor: '[redacted]' },
      serializers: {
        err: (error: unknown) => describeError(error, []),
        // Neither a body nor an address with its query is ever written down.
        req: (request: FastifyRequest) => ({ id: request.id, method: request.method }),
      },
    },
  );
}

interface DescribedError {
  type: string;
  code?: string;
  message: string;
  stack: string[];
  cause?: DescribedError;
}

const MESSAGE_LIMIT = 500;

/**
 * An error for the log: its type, code, message and frames; no other property, since drivers keep rows and
 * parameters there. What is named as a secret is struck out of the messages.
 */
export function describeError(error: unknown, secrets: readonly string[], depth = 0): DescribedError {
  if (!(error instanceof Error)) {
    return isDescribed(error) ? error : { type: typeof error, message: 'not an error', stack: [] };
  }
  const { code } = error as NodeJS.ErrnoException;
  return {
    type: error.constructor.name,
    ...(typeof code === 'string' && { code }),
    message: strike(error.message, secrets),
    stack: (error.stack ?? '')
      .split('\n')
      .filter((line) => /^\s+at /.test(line))
      .map((line) => line.trim()),
    ...(error.cause !== undefined && depth < 3 && { cause: describeError(error.cause, secrets, depth + 1) }),
  };
}

const isDescribed = (value: unknown): value is DescribedError =>
  typeof value === 'object' && value !== null && 'message' in value && 'stack' in value;

function strike(message: string, secrets: readonly string[]): string {
  // A query builder appends the parameters of a failed statement.
  let text = message.split('\nparams:')[0] ?? '';
  for (const secret of secrets) text = text.replaceAll(secret, '[secret]');
  return text.slice(0, MESSAGE_LIMIT);
}

const SECRET_FIELDS = new Set(['publicKey', 'privateKey', 'key', 'secret']);

/** Every secret that this request carries: both halves of the pairs in its body, and its token. */
export function secretsOf(request: FastifyRequest): string[] {
  const found: string[] = [];
  const walk = (value: unknown): void => {
    if (typeof value !== 'object' || value === null) return;
    for (const [name, inner] of Object.entries(value)) {
      if (typeof inner === 'string' && inner !== '' && SECRET_FIELDS.has(name)) found.push(inner);
      else walk(inner);
    }
  };
  walk(request.body);
  const token = request.headers.authorization?.split(' ')[1];
  if (token) found.push(token);
  const second = request.headers['parasol-reveal-token'];
  if (typeof second === 'string' && second !== '') found.push(second);
  // The longest first: a secret that is part of another one must not leave the rest of it standing.
  return found.sort((a, b) => b.length - a.length);
}
