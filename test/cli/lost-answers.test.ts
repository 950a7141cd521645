import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, test } from 'vitest';
import { run } from './harness.ts';

type Answer = 'lost' | { status: number; body: unknown };

/** A service that answers one request after the other as it is told; the keys that came. */
async function service(...answers: Answer[]) {
  const keys: (string | undefined)[] = [];
  const server = createServer((request: IncomingMessage, response: ServerResponse) => {
    keys.push(request.headers['idempotency-key'] as string | undefined);
    const answer = answers.shift() ?? 'lost';
    request.resume().on('end', () => {
      if (answer === 'lost') return request.socket.destroy();
      response.writeHead(answer.status, { 'content-type': 'application/json' });
      return response.end(JSON.stringify(answer.body));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    keys,
    env: { PARASOL_URL: url, PARASOL_TOKEN: 't' },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const DONE = { status: 202, body: { trigger: 7 } };
const UNDER_WAY = {
  status: 409,
  body: { type: 'urn:parasol:problem:under-way', detail: 'It is being done.' },
};

describe('a command whose answer is lost', () => {
  test('asks again with the same key, and waits while the service is still at it', async () => {
    await using it = await service('lost', UNDER_WAY, 'lost', UNDER_WAY, DONE);
    const ran = await run(['reconcile', 'acme'], { env: it.env });
    expect(ran).toMatchObject({ code: 0, err: '' });
    expect(it.keys).toHaveLength(5);
    expect(new Set(it.keys).size).toBe(1);
    expect(it.keys[0]).toMatch(/^[0-9a-f-]{36}$/);
  });

  test('asks with another key the next time', async () => {
    await using it = await service(DONE, DONE);
    await run(['reconcile', 'acme'], { env: it.env });
    await run(['reconcile', 'acme'], { env: it.env });
    expect(new Set(it.keys).size).toBe(2);
  });

  test('gives up in the end, and says that it may have been done', async () => {
    await using it = await service();
    const ran = await run(['reconcile', 'acme'], { env: it.env });
    expect(ran.code).toBe(1);
    expect(ran.err.replaceAll(/\s+/g, ' ')).toMatch(/may have been done: look before you ask again/);
    expect(it.keys.length).toBeGreaterThan(15);
  });

  test('only looked at something: it is told at once', async () => {
    await using it = await service('lost');
    expect((await run(['get'], { env: it.env })).code).toBe(1);
    expect(it.keys).toEqual([undefined]);
  });

  test('is not asked again where nothing listens', async () => {
    let slept = 0;
    const ran = await run(['reconcile', 'acme'], {
      env: { PARASOL_URL: 'http://127.0.0.1:1', PARASOL_TOKEN: 't' },
      sleep: async () => {
        slept += 1;
      },
    });
    expect([ran.code, slept]).toEqual([1, 0]);
    expect(ran.err).toMatch(/nothing listens there/);
  });
});
