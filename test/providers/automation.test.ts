import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Webhook } from 'standardwebhooks';
import { afterEach, describe, expect, it, test } from 'vitest';
import { Secret } from '../../src/domain/secret.ts';
import { signed } from '../../src/providers/automation/sign.ts';
import { createAutomationCalls } from '../../src/providers/index.ts';
import type { AutomationCalls } from '../../src/reconciler/ports.ts';

const SECRET = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
const OTHER = `whsec_${Buffer.alloc(32, 9).toString('base64')}`;
const sentOf = (secrets: string[], at = new Date(), body = '{"a":1}') => ({
  id: 'msg_p5jXN8AQM9LWM0D4loKWxJek',
  at,
  body,
  secrets: secrets.map((secret) => new Secret(secret)),
});

describe('a signature', () => {
  it('is the one of the published example', () => {
    const request = sentOf([SECRET], new Date(1_614_265_330_000), '{"test": 2432232314}');
    expect(signed(request, request.secrets)).toEqual({
      'webhook-id': 'msg_p5jXN8AQM9LWM0D4loKWxJek',
      'webhook-timestamp': '1614265330',
      'webhook-signature': 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
    });
  });

  it('is taken by the library of Standard Webhooks, under either secret while one replaces the other', () => {
    const request = sentOf([SECRET, OTHER]);
    const headers = signed(request, request.secrets);
    for (const secret of [SECRET, OTHER]) {
      expect(new Webhook(secret).verify(request.body, headers)).toEqual({ a: 1 });
    }
    const stranger = new Webhook(`whsec_${Buffer.alloc(32, 1).toString('base64')}`);
    expect(() => stranger.verify(request.body, headers)).toThrow('No matching signature');
    expect(() => new Webhook(SECRET).verify('{"a":2}', headers)).toThrow('No matching signature');
  });
});

describe('a request', () => {
  const open: { close(): unknown }[] = [];
  afterEach(() => Promise.all(open.splice(0).map((one) => one.close())));

  /** A receiver that does this with each request. */
  async function receiver(
    answer: (request: IncomingMessage, response: ServerResponse, body: string) => void,
  ) {
    const server = createServer((request, response) => {
      let body = '';
      request.on('data', (part: Buffer) => (body += String(part)));
      request.on('end', () => answer(request, response, body));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    open.push({
      close() {
        server.closeAllConnections();
        server.close();
      },
    });
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}/work`;
  }
  function calls(timeoutMs = 5_000): AutomationCalls {
    const made = createAutomationCalls({ timeoutMs });
    open.push(made);
    return made;
  }

  test.each([
    [200, '{"done":true}', { outcome: 'answered', body: { done: true } }],
    [200, 'fine', { outcome: 'refused', why: 'its answer is not JSON' }],
    [202, '', { outcome: 'accepted' }],
    [204, '', { outcome: 'refused', why: 'it answered with status 204' }],
    [307, '', { outcome: 'refused', why: 'it answered with status 307' }],
    [400, 'private-words', { outcome: 'refused', why: 'it answered with status 400' }],
    [401, '', { outcome: 'refused', why: 'it answered with status 401' }],
    [404, '', { outcome: 'refused', why: 'it answered with status 404' }],
    [408, '', { outcome: 'unavailable', why: 'it answered with status 408' }],
    [425, '', { outcome: 'unavailable', why: 'it answered with status 425' }],
    [429, '', { outcome: 'unavailable', why: 'it answered with status 429' }],
    [500, '', { outcome: 'unavailable', why: 'it answered with status 500' }],
    [503, '', { outcome: 'unavailable', why: 'it answered with status 503' }],
  ])('answered with %i %s', async (status, text, outcome) => {
    const url = await receiver((_, response) =>
      response.writeHead(status, { location: 'http://127.0.0.1:1/elsewhere' }).end(text),
    );
    expect(await calls().post(url, sentOf([SECRET]))).toEqual(outcome);
  });

  it('comes with its signature over the very bytes', async () => {
    let verified: unknown = null;
    const url = await receiver((request, response, body) => {
      verified = new Webhook(SECRET).verify(body, request.headers as Record<string, string>);
      response.writeHead(202).end();
    });
    await calls().post(url, sentOf([SECRET], new Date(), '{"tenant":"Ærø"}'));
    expect(verified).toEqual({ tenant: 'Ærø' });
  });

  it('is given up where nobody answers, nobody listens, or the answer has no end', async () => {
    const silent = await receiver(() => undefined);
    expect(await calls(50).post(silent, sentOf([SECRET]))).toEqual({
      outcome: 'unavailable',
      why: 'it did not answer in time',
    });
    const endless = await receiver((_, response) => response.writeHead(200).end('x'.repeat(100_000)));
    expect(await calls().post(endless, sentOf([SECRET]))).toEqual({
      outcome: 'unavailable',
      why: 'its answer is too long',
    });
    expect(await calls().post('http://127.0.0.1:1/work', sentOf([SECRET]))).toEqual({
      outcome: 'unavailable',
      why: 'it refused the connection',
    });
  });
});
