import type { UnavailableWhy } from '../../domain/outcome.ts';

/** What an answer's body is, whatever its content type claims: proxies claim anything. */
export type Body = { is: 'json'; value: unknown } | { is: 'empty' } | { is: 'html' } | { is: 'text' };

export interface Answer {
  status: number;
  /** Names in lower case. */
  headers: Readonly<Record<string, string>>;
  body: Body;
}

/** Tells JSON from HTML, text and nothing. Half a JSON text is `text`. */
export function bodyOf(text: string): Body {
  const trimmed = text.replace(/^\uFEFF/, '').trim();
  if (trimmed === '') return { is: 'empty' };
  try {
    return { is: 'json', value: JSON.parse(trimmed) };
  } catch {
    return { is: trimmed.startsWith('<') ? 'html' : 'text' };
  }
}

/** One value a header; of repeated ones all, joined by commas as HTTP means them. */
export function plainHeaders(
  headers: Record<string, string | string[] | undefined>,
): Readonly<Record<string, string>> {
  const plain: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined) plain[name.toLowerCase()] = Array.isArray(value) ? value.join(', ') : value;
  }
  return plain;
}

/** The answer has more bytes than are read. */
class TooLarge extends Error {
  override name = 'TooLarge';
}

/** Reads a body as UTF-8, at most `limit` bytes; throws `TooLarge` beyond, without reading on. */
export async function readText(
  body: AsyncIterable<Buffer> & { destroy(): unknown },
  headers: Readonly<Record<string, string>>,
  limit: number,
): Promise<string> {
  if (Number(headers['content-length'] ?? 0) > limit) {
    abandon(body);
    throw new TooLarge();
  }
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of body) {
    size += chunk.length;
    if (size > limit) throw new TooLarge();
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function abandon(body: { destroy(): unknown; on?: unknown }): void {
  const { on } = body as { on?: (event: 'error', listener: () => void) => void };
  // A destroyed body reports its own end as an error, which nobody waits for.
  on?.call(body, 'error', () => undefined);
  body.destroy();
}

/** How a call ended without an answer, and whether the vendor may have received it. */
export interface Lost {
  why: UnavailableWhy;
  mayHaveArrived: boolean;
  /** Node's own word for it, such as `ECONNREFUSED`; never an error's text, which may quote the request. */
  code: string;
}

const DNS = new Set(['ENOTFOUND', 'EAI_AGAIN', 'EAI_FAIL', 'EAI_NODATA', 'EAI_NONAME']);
const NOT_CONNECTED = new Set(['ECONNREFUSED', 'EHOSTUNREACH', 'ENETUNREACH', 'EADDRNOTAVAIL']);
/** Certificates are looked at before anything is sent. */
const CERTIFICATE = /^(CERT_|CRL_|ERR_TLS_CERT|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_|HOSTNAME_MISMATCH)/;
const TLS = /^(ERR_TLS|ERR_SSL|EPROTO)/;

/** Classifies what a connection threw. `gotHeaders`: the answer had begun. */
export function lostBy(error: unknown, gotHeaders: boolean): Lost {
  if (error instanceof TooLarge) return { why: 'too-large', mayHaveArrived: true, code: 'too large' };
  const code = codeOf(error);
  if (DNS.has(code)) return { why: 'dns', mayHaveArrived: false, code };
  if (NOT_CONNECTED.has(code)) return { why: 'connection', mayHaveArrived: false, code };
  if (code === 'UND_ERR_CONNECT_TIMEOUT') return { why: 'timeout', mayHaveArrived: false, code };
  if (CERTIFICATE.test(code)) return { why: 'tls', mayHaveArrived: false, code };
  if (TLS.test(code)) return { why: 'tls', mayHaveArrived: true, code };
  return { why: gotHeaders ? 'truncated' : 'connection', mayHaveArrived: true, code };
}

function codeOf(error: unknown): string {
  for (let at = error; at instanceof Error; at = at.cause) {
    const { code } = at as { code?: unknown };
    if (typeof code === 'string') return code;
  }
  return 'unknown';
}
