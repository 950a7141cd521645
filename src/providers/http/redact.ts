/** `Failure.detail` holds at most this many characters (src/domain/outcome.ts). */
const MAX_DETAIL = 300;
/** Shorter texts are in every sentence: taking them out would garble all and hide nothing. */
const SHORTEST_SECRET = 4;

/**
 * Makes a text safe to log and store: no secret in any form that HTTP gives it (as it is, in base64, in a URL,
 * in JSON), nothing that looks like an Authorization header, one line, at most 300 characters. Whatever a
 * vendor said goes through here, since vendors and proxies echo requests.
 */
export function redact(text: string, secrets: readonly string[]): string {
  let safe = text;
  for (const form of formsOf(secrets)) safe = safe.replaceAll(form, '[redacted]');
  safe = safe
    .replace(/\b(basic|bearer)\s+[\w+/=.~-]{8,}/gi, '$1 [redacted]')
    // oxlint-disable-next-line no-control-regex -- control characters are exactly what is taken out
    .replace(/[\u0000-\u001f\u007f]+/g, ' ')
    .trim();
  return safe.length <= MAX_DETAIL ? safe : `${safe.slice(0, MAX_DETAIL - 1)}…`;
}

/** Longest first, so that no form leaves the rest of a longer one behind. */
function formsOf(secrets: readonly string[]): string[] {
  const forms = new Set<string>();
  for (const secret of secrets) {
    if (secret.length < SHORTEST_SECRET) continue;
    forms.add(secret);
    forms.add(Buffer.from(secret).toString('base64'));
    forms.add(encodeURIComponent(secret));
    forms.add(JSON.stringify(secret).slice(1, -1));
  }
  return [...forms].sort((a, b) => b.length - a.length);
}
