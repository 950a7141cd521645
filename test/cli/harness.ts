import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { EXIT, type CliIo, type ExitCode, type Input } from '../../src/cli/io.ts';
import { runProgram } from '../../src/cli/program.ts';

export interface Asked {
  method: string;
  path: string;
  body: unknown;
  authorization: string | undefined;
  /** The second token, where one is sent. */
  second: string | undefined;
}

export type Routes = Record<string, (asked: Asked) => { status?: number; body: unknown }>;

/** A service of canned answers by `GET /path`; whatever has no answer is a 404 problem. */
export async function fakeService(routes: Routes) {
  const asked: Asked[] = [];
  const server = createServer((request, response) => {
    void readBody(request).then((text) => {
      const path = request.url ?? '';
      const call = {
        method: request.method ?? '',
        path,
        body: text === '' ? null : (JSON.parse(text) as unknown),
        authorization: request.headers.authorization,
        second: request.headers['parasol-reveal-token'] as string | undefined,
      };
      asked.push(call);
      const answer = routes[`${call.method} ${path.split('?')[0]}`]?.(call) ?? {
        status: 404,
        body: { title: 'Not found', status: 404, detail: `There is nothing at ${path}.` },
      };
      response.writeHead(answer.status ?? 200, { 'content-type': 'application/json' });
      return response.end(typeof answer.body === 'string' ? answer.body : JSON.stringify(answer.body));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function readBody(request: IncomingMessage): Promise<string> {
  let text = '';
  for await (const part of request) text += String(part);
  return text;
}

const NOW = new Date('2026-11-24T08:00:00Z');

export interface Ran {
  out: string;
  err: string;
  code: ExitCode;
}

/** Runs one command line in a world where time stands still, unless it sleeps. */
export async function run(
  args: readonly string[],
  world: Partial<CliIo> & { input?: string | string[]; terminal?: boolean } = {},
): Promise<Ran> {
  const { input, terminal = false, ...rest } = world;
  const ran: Ran = { out: '', err: '', code: EXIT.ok };
  let now = NOW.getTime();
  const stdin = Object.assign(Readable.from(typeof input === 'string' ? [input] : (input ?? [])), {
    isTTY: terminal,
    setRawMode: () => {},
  }) as Input;
  const never = () => Promise.reject(new Error('not wired in this test'));
  await runProgram(args, {
    env: {},
    stdin,
    stdout: { write: (text) => (ran.out += text), isTTY: terminal, columns: 80 },
    stderr: { write: (text) => (ran.err += text), isTTY: terminal, columns: 80 },
    user: 'jamie',
    now: () => new Date(now),
    sleep: (ms) => {
      now += ms;
      return Promise.resolve();
    },
    interrupted: () => Promise.resolve(),
    exit: (code) => (ran.code = code),
    serve: never,
    migrate: never,
    vault: never,
    rekey: never,
    doctor: never,
    adopt: never,
    simulate: never,
    scenarios: ['demo', 'empty', 'key-dead'],
    demo: never,
    ...rest,
  });
  return ran;
}
