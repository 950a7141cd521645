import type { IncomingHttpHeaders } from 'node:http';

export type VendorName = 'connectwise' | 'umbrella';

/** A request as the simulated vendors see it; also what Umbrella's own sync hands to ConnectWise in-process. */
export interface Call {
  method: string;
  /** Path and query as sent. */
  url: string;
  path: string;
  query: Record<string, string>;
  headers: IncomingHttpHeaders;
  /** The raw text; empty when there is none. */
  body: string;
  /** Of Umbrella's own sync: counts against no quota. */
  unmetered?: boolean;
}

/** An answer: `text` is sent as it stands, else `body` as JSON; neither means an empty answer. */
export interface Reply {
  status: number;
  headers?: Record<string, string>;
  body?: unknown;
  text?: string;
  contentType?: string;
}

/** Who calls what, as far as it can be told before anything is checked. */
export interface Identity {
  company: string | null;
  /** ConnectWise: the member's identifier. Umbrella: the API key's client id. */
  actor: string | null;
  /** Of the secret in the Authorization header; never the value. */
  keyFingerprint: string | null;
  /** The contract's path template, e.g. `/system/apiMembers/{id}`; null when no operation matches. */
  operation: string | null;
}

/** Called with each object that an operation creates; `staleReads` uses it to hide the object from lists. */
export type OnCreated = (row: object) => void;

/** A request that was read but not yet carried out. `run` may be called at most once. */
export interface Prepared {
  identity: Identity;
  run(onCreated?: OnCreated): Reply;
}

export interface Vendor {
  name: VendorName;
  prepare(call: Call): Prepared;
  /** The vendor's own shape of "too many requests". */
  rateLimited(retryAfterSeconds: number | null): Reply;
}

/** Splits a URL and its query once; repeated parameters keep the last value. */
export function makeCall(method: string, url: string, headers: IncomingHttpHeaders, body: string): Call {
  const mark = url.indexOf('?');
  const path = mark < 0 ? url : url.slice(0, mark);
  const query: Record<string, string> = {};
  if (mark >= 0) for (const [name, value] of new URLSearchParams(url.slice(mark + 1))) query[name] = value;
  return { method, url, path, query, headers, body };
}

/** Splits `Basic` credentials into the two sides of the first colon; null when the header is anything else. */
export function basicCredentials(header: string | undefined): { user: string; password: string } | null {
  if (header === undefined || !/^basic /i.test(header)) return null;
  const text = Buffer.from(header.slice(6).trim(), 'base64').toString('utf8');
  const colon = text.indexOf(':');
  if (colon < 0) return null;
  return { user: text.slice(0, colon), password: text.slice(colon + 1) };
}
