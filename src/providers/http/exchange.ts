import type { Dispatcher } from 'undici';
import type { Stop } from './stop.ts';

export interface Request {
  method: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  /** With its query, encoded. */
  path: string;
  headers: Readonly<Record<string, string>>;
  body?: string;
}

/** An answer as it came, whole. */
export interface Received {
  status: number;
  /** Names in lower case; of repeated ones all, joined by commas as HTTP means them. */
  headers: Readonly<Record<string, string>>;
  bytes: Buffer;
}

/** The answer has more bytes than are read. */
export class TooLarge extends Error {
  override name = 'TooLarge';
}

/** What ended an exchange that brought no whole answer, and whether the answer had begun. */
export class Broken extends Error {
  override name = 'Broken';
  readonly gotHeaders: boolean;
  constructor(cause: unknown, gotHeaders: boolean) {
    super('the exchange broke', { cause });
    this.gotHeaders = gotHeaders;
  }
}

/**
 * Sends one request and reads its answer to the end, at most `limit` bytes; throws `Broken` otherwise, and at
 * once when it is stopped. An answer is wanted as a whole, so that undici's stream of it is not made.
 */
export function exchange(
  dispatcher: Dispatcher,
  request: Request,
  limit: number,
  stop: Stop,
): Promise<Received> {
  return new Promise((settle, fail) => {
    let controller: Dispatcher.DispatchController | null = null;
    let status = 0;
    let headers: Readonly<Record<string, string>> = {};
    let gotHeaders = false;
    let size = 0;
    const chunks: Buffer[] = [];
    let ended = false;

    const end = (why: Error) => {
      broken(why);
      controller?.abort(why);
    };
    const unheard = stop.onStop(() => end(new Error('stopped')));
    const done = () => {
      ended = true;
      unheard();
    };
    const broken = (why: unknown) => {
      if (ended) return;
      done();
      fail(new Broken(why, gotHeaders));
    };

    const { method, path, headers: sent, body = null } = request;
    const handler: Dispatcher.DispatchHandler = {
      onRequestStart(started) {
        controller = started;
        if (ended) started.abort(new Error('stopped'));
      },
      onResponseStart(_, statusCode, told) {
        // What comes before the answer, such as early hints, is none.
        if (statusCode < 200) return;
        gotHeaders = true;
        status = statusCode;
        headers = plainHeaders(told);
        if (Number(headers['content-length'] ?? 0) > limit) end(new TooLarge());
      },
      onResponseData(_, chunk) {
        size += chunk.length;
        if (size > limit) end(new TooLarge());
        else chunks.push(chunk);
      },
      onResponseEnd() {
        if (ended) return;
        done();
        const [only] = chunks;
        settle({ status, headers, bytes: chunks.length === 1 && only ? only : Buffer.concat(chunks) });
      },
      onResponseError: (_, error) => broken(error),
    };
    try {
      dispatcher.dispatch({ method, path, headers: sent, body }, handler);
    } catch (error) {
      broken(error);
    }
  });
}

function plainHeaders(
  headers: Readonly<Record<string, string | string[] | undefined>>,
): Readonly<Record<string, string>> {
  const plain: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined) plain[name] = Array.isArray(value) ? value.join(', ') : value;
  }
  return plain;
}
