import { Agent, request } from 'undici';
import type { AutomationCalls, Delivered } from '../../reconciler/ports.ts';
import { signed } from './sign.ts';

const TIMEOUT_MS = 30_000;
/** More than any encrypted pair. */
const MOST_ANSWER = 64 * 1024;

/** Statuses by which a server says: later. Every other 4xx says: never. */
const LATER: ReadonlySet<number> = new Set([408, 425, 429]);

/**
 * Requests to tenants' automations. What an answer says is given on only as its status and its JSON: words of an
 * error page may hold anything.
 */
export function createAutomationCalls({ timeoutMs = TIMEOUT_MS } = {}): AutomationCalls {
  const agent = new Agent({
    connect: { timeout: timeoutMs },
    headersTimeout: timeoutMs,
    bodyTimeout: timeoutMs,
    maxResponseSize: MOST_ANSWER,
  });
  return {
    async post(webhook, { id, at, body, secrets }) {
      try {
        const answer = await request(webhook, {
          method: 'POST',
          dispatcher: agent,
          headers: {
            'content-type': 'application/json',
            'user-agent': 'parasol',
            ...signed({ id, at, body }, secrets),
          },
          body,
          signal: AbortSignal.timeout(timeoutMs),
        });
        return outcomeOf(answer.statusCode, await answer.body.text());
      } catch (error) {
        return { outcome: 'unavailable', why: words(error) };
      }
    },
    close: () => agent.close(),
  };
}

function outcomeOf(status: number, text: string): Delivered {
  if (status === 202) return { outcome: 'accepted' };
  if (status === 200) {
    const body = parsed(text);
    return body === undefined
      ? { outcome: 'refused', why: 'its answer is not JSON' }
      : { outcome: 'answered', body };
  }
  const why = `it answered with status ${status}`;
  const retry = status >= 500 || LATER.has(status);
  return { outcome: retry ? 'unavailable' : 'refused', why };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** What Node and undici call it, in words; their messages may quote an address. */
function words(error: unknown): string {
  const { name, code } = error as { name?: string; code?: string };
  if (name === 'TimeoutError' || code?.includes('TIMEOUT')) return 'it did not answer in time';
  switch (code) {
    case 'ECONNREFUSED':
      return 'it refused the connection';
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return 'its name is not known';
    case 'UND_ERR_RES_EXCEEDED_MAX_SIZE':
      return 'its answer is too long';
    default:
      return `the connection failed (${code ?? name ?? 'unknown'})`;
  }
}
