import type { Reply } from '../wire.ts';

/** One complaint inside ConnectWise's error body (domain.md §4). */
export interface FieldError {
  code: string;
  message: string;
  resource?: string;
  field?: string;
}

/** A refusal that an operation throws and the dispatcher turns into its answer. */
export class Refusal extends Error {
  override name = 'Refusal';
  readonly reply: Reply;

  constructor(reply: Reply) {
    super(`refused with ${reply.status}`);
    this.reply = reply;
  }
}

/** ConnectWise's error shape: `{code, message, errors: [{code, message, resource, field}]}`. */
export function errorReply(status: number, code: string, message: string, errors: FieldError[] = []): Reply {
  return { status, body: { code, message, errors }, contentType: 'application/json; charset=utf-8' };
}

/** Wrong paths and unknown companies give text, not JSON (domain.md §4). */
export function cannotRoute(): Reply {
  return {
    status: 404,
    text: 'Cannot route. Codebase/company is invalid',
    contentType: 'text/plain; charset=utf-8',
  };
}

export function notFound(resource: string, id: string | number): Refusal {
  return new Refusal(errorReply(404, 'NotFound', `${resource} ${id} was not found`));
}

/** A 400 for an object whose fields are not acceptable, each named. */
export function invalidObject(resource: string, errors: FieldError[]): Refusal {
  const told = errors.map((error) => ({ resource, ...error }));
  return new Refusal(errorReply(400, 'InvalidObject', `${resource} object is invalid`, told));
}

/** A 400 for a parameter of the query. */
export function invalidParameter(message: string): Refusal {
  return new Refusal(errorReply(400, 'InvalidParameter', message));
}

export function securityError(): Refusal {
  const message = 'You do not have security permission to perform this action.';
  return new Refusal(errorReply(403, 'Security', message, [{ code: 'Security', message }]));
}
