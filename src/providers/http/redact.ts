import { encodePart } from './encode.ts';

/** `Failure.detail` holds at most this many characters (src/domain/outcome.ts). */
const MAX_DETAIL = 300;
/** Shorter texts are in every sentence: taking them out would garble all and hide nothing. */
const SHORTEST_SECRET = 4;
const HTML: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/**
 * Makes a text safe to log and store: no secret, one line, at most 300 characters. Whatever a vendor said goes
 * through here, since vendors and proxies echo requests.
 */
export function redact(text: string, secrets: readonly string[]): string {
  const safe = withoutSecrets(text, secrets)
    // oxlint-disable-next-line no-control-regex -- control characters are exactly what is taken out
    .replace(/[\u0000-\u001f\u007f]+/g, ' ')
    .trim();
  return safe.length <= MAX_DETAIL ? safe : `${safe.slice(0, MAX_DETAIL - 1)}…`;
}

/**
 * Takes secrets out of a text in every form that HTTP gives them (as they are, in base64, in a URL or form, in
 * JSON, in HTML; in letters of any case), and whatever looks like an Authorization header.
 */
export function withoutSecrets(text: string, secrets: readonly string[]): string {
  // No form of a secret is shorter than it, and a pattern made of a very long one is more than an engine takes.
  const findable = secrets.filter(({ length }) => length >= SHORTEST_SECRET && length <= text.length);
  const forms = formsOf(findable).map((form) => form.replace(/[\\^$.*+?()[\]{}|]/g, String.raw`\$&`));
  const safe = forms.length === 0 ? text : text.replace(new RegExp(forms.join('|'), 'gi'), '[redacted]');
  return safe.replace(/\b(basic|bearer)\s+[\w+/=.~-]{8,}/gi, '$1 [redacted]');
}

/** Longest first, so that no form leaves the rest of a longer one behind. */
function formsOf(secrets: readonly string[]): string[] {
  const forms = new Set<string>();
  for (const secret of secrets) {
    const base64 = Buffer.from(secret).toString('base64');
    forms.add(secret);
    // Without its padding: so it is found with and without.
    forms.add(base64.replace(/=+$/, ''));
    forms.add(encodePart(base64));
    forms.add(Buffer.from(secret).toString('base64url'));
    forms.add(encodePart(secret));
    forms.add(new URLSearchParams({ '': secret }).toString().slice(1));
    forms.add(JSON.stringify(secret).slice(1, -1));
    forms.add(secret.replace(/[&<>"']/g, (sign) => HTML[sign] ?? sign));
  }
  return [...forms].sort((a, b) => b.length - a.length);
}
