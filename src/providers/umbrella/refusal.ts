import type { Failure } from '../../domain/outcome.ts';
import type { Answer } from '../http/answer.ts';
import { named, type HttpCall } from '../http/client.ts';
import { redact } from '../http/redact.ts';
import { errorSchema } from './schemas.ts';

/** The bearer is at fault: 401, or 400 `{"error":"invalid_request"}` (domain.md §5). */
export function refusesBearer({ status, body }: Answer): boolean {
  return status === 401 || (status === 400 && errorOf(body) === 'invalid_request');
}

/** Names of API keys are unique (domain.md §5): nothing was made. */
export const isNameTaken = ({ status }: Answer): boolean => status === 409;

/** What a refusal by Umbrella means, by its status (and OAuth's own error code); null: it is none. */
export function refusal(call: HttpCall, { status, body }: Answer): Failure | null {
  if (status >= 200 && status < 300) return null;
  if (body.is === 'html' || body.is === 'text') {
    // Whoever answered so may stand before Umbrella or behind it: a write may have been done.
    const detail = `${named(call)} answered ${status} with ${body.is}`;
    return call.effect === 'write'
      ? { kind: 'OutcomeUnknown', detail }
      : { kind: 'Unavailable', why: 'not-json', detail };
  }
  const told = errorSchema.safeParse(body.is === 'json' ? body.value : {}).data;
  const words = [told?.error, told?.message, told?.description].filter(Boolean).join(': ');
  const detail = redact(`${named(call)} answered ${status} ${words}`, call.secrets);
  if (status === 401 || (status === 400 && told?.error === 'invalid_client')) {
    return { kind: 'Unauthorized', detail };
  }
  if (status === 403) return { kind: 'Forbidden', detail };
  if (status === 404) return { kind: 'NotFound', detail };
  return { kind: 'Invalid', fields: [], detail };
}

function errorOf(body: Answer['body']): string | null {
  return body.is === 'json' ? (errorSchema.safeParse(body.value).data?.error ?? null) : null;
}
