/**
 * Text as one part of a URL. Half of a surrogate pair, which no URL can carry, becomes U+FFFD: a name that
 * holds one is then not found, instead of ending the run by a throw.
 */
export function encodePart(text: string): string {
  return encodeURIComponent(text.toWellFormed());
}
