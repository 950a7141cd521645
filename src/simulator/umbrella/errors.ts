import type { Reply } from '../wire.ts';

/** Umbrella's three error shapes (domain.md §5), by the family of operations that uses each. */
export type ErrorShape = 'auth' | 'keys' | 'customers';

const NAMES: Record<number, string> = {
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  409: 'Conflict',
  415: 'Unsupported Media Type',
  429: 'Too Many Requests',
};

/** A refusal in the shape of its family. */
export function refusal(shape: ErrorShape, status: number, description: string): Reply {
  if (shape === 'keys') return { status, body: { message: 'error', description } };
  if (shape === 'customers') return { status, body: { message: description } };
  return { status, body: { error: NAMES[status] ?? 'Error', message: description, statusCode: status } };
}
