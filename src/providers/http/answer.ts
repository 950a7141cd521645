import type { UnavailableWhy } from '../../domain/outcome.ts';
import { TooLarge } from './exchange.ts';

/** What an answer's body is, whatever its content type claims: proxies claim anything. */
export type Body =
  { is: 'json'; readonly value: unknown } | { is: 'empty' } | { is: 'html' } | { is: 'text' };

export interface Answer {
  status: number;
  /** Names in lower case. */
  headers: Readonly<Record<string, string>>;
  body: Body;
  /** Names the bytes of the body among those that were understood before; null: they are not remembered. */
  name: string | null;
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

/** A body that was JSON when it came before: parsed only where somebody asks for its value. */
export class KnownJson {
  readonly is = 'json';
  readonly #bytes: Buffer;
  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }
  get value(): unknown {
    const body = bodyOf(this.#bytes.toString());
    return body.is === 'json' ? body.value : undefined;
  }
}

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
