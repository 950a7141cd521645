import { Agent, request } from 'undici';
import type { FromListeners, ToListeners } from './stream.ts';

/** So many clients that follow the events, in a process of their own: they count what they are told. */

const agent = new Agent({ connections: null, pipelining: 1 });
let stop = new AbortController();
let events = 0;

process.on('message', (message: ToListeners) => {
  void answer(message).then((told) => process.send?.(told));
});

async function answer(message: ToListeners): Promise<FromListeners> {
  if (message === 'count') return { events };
  if (message === 'close') {
    stop.abort();
    return { open: 0 };
  }
  const { url, tokens, count } = message.open;
  stop = new AbortController();
  events = 0;
  const opened = await Promise.all(
    Array.from({ length: count }, (_, at) => follow(url, tokens[at % tokens.length] ?? '')),
  );
  return { open: opened.length };
}

async function follow(url: string, token: string): Promise<void> {
  const { statusCode, body } = await request(`${url}/events`, {
    dispatcher: agent,
    headers: { authorization: `Bearer ${token}`, accept: 'text/event-stream' },
    signal: stop.signal,
    bodyTimeout: 0,
  });
  if (statusCode !== 200) throw new Error(`a listener was answered ${statusCode}`);
  body.on('data', (bytes: Buffer) => {
    events += bytes.toString().split('\ndata: ').length - 1;
  });
  // It is closed from this side.
  body.on('error', () => undefined);
}
