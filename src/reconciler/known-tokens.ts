import type { Logger } from 'pino';
import type { Clock, StoredToken, Tokens } from './ports.ts';

/** How long a replica goes by what it read of a token: a revoked one is known that long at most. */
const HOLDS_MS = 2_000;
const TOUCH_MS = 60_000;

interface Known {
  token: Promise<StoredToken | null>;
  until: number;
}

/**
 * Finds tokens by their hash, so that a busy one is read from the database once in two seconds and not at every
 * request; one that is not known is asked for each time. That a token was used is noted beside the request, at
 * most once a minute.
 */
export function knowTokens(tokens: Tokens, clock: Clock, log: Logger) {
  const known = new Map<string, Known>();
  const touched = new Map<string, number>();

  const look = (hash: string): Known => {
    const now = clock.now().getTime();
    const held = known.get(hash);
    if (held && now < held.until) return held;
    for (const [old, { until }] of known) if (until <= now) known.delete(old);
    const token = tokens.findByHash(hash);
    const entry = { token, until: now + HOLDS_MS };
    known.set(hash, entry);
    const forget = () => {
      if (known.get(hash) === entry) known.delete(hash);
    };
    token.then((found) => found ?? forget(), forget);
    return entry;
  };

  return async (hash: string): Promise<StoredToken | null> => {
    const token = await look(hash).token;
    const now = clock.now().getTime();
    if (!token || (token.expiresAt !== null && Date.parse(token.expiresAt) <= now)) return null;
    if (now - (touched.get(token.id) ?? -Infinity) >= TOUCH_MS) {
      touched.set(token.id, now);
      tokens.touch(token.id).catch((error: Error) => {
        log.warn({ error: error.message }, 'the use of a token was not noted');
      });
    }
    return token;
  };
}
