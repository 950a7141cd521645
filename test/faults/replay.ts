import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Dispatcher } from 'undici';
import {
  seedScenario,
  startSimulator,
  type JournalEntry,
  type ScenarioOptions,
  type Simulator,
  type Trouble,
} from '../../src/simulator/index.ts';
import { fetchAnswer, START } from '../simulator/harness.ts';
import { meaningOf, type Meaning } from './mangle.ts';
import type { Served } from './served.ts';

/**
 * What an honest simulator answers, kept, and served from memory as often as it is asked:
 *
 *   a look ─▶ Replay (one origin for both vendors) ─▶ Recording ─▶ the simulator, for what was never asked before
 *                 └─ some answers mangled on their way back
 *
 * A write leads to the next stage: a simulator of its own that was written to in the same way, so that many looks may
 * be at different stages of one recording.
 */

/** One call, as the simulator's journal has it, beside the bytes. */
export interface Asked {
  entry: JournalEntry;
  /** Which time this question is asked, from 0. */
  nth: number;
}

export interface ReplayOptions {
  trouble: Trouble;
  seed?: ScenarioOptions;
  /** The server refuses to order by `_info`, so that long lists are read page by page. */
  refuseOrder?: boolean;
}

interface Request {
  method: string;
  /** With its query. */
  url: string;
  headers: Record<string, string>;
  body: string;
}

interface Stage {
  simulator: Simulator;
  answers: Map<string, Served>;
  /** The one write that the honest run made here, and its answer. */
  write: { question: string; answer: Served } | null;
}

/** More than any look asks; what mangled answers make looks ask beside that is not kept. */
const MOST_KEPT = 3_000;
/** Passes with each call that reaches a simulator, so that their quotas last. */
const PACE_MS = 100;
const KEPT_HEADERS = ['content-type', 'link', 'retry-after', 'location'];

export class Recording implements AsyncDisposable {
  readonly #options: ReplayOptions;
  readonly #stages: Stage[] = [];
  readonly #made: Request[] = [];
  #now = Date.parse(START);
  /** Writes make another stage while this is so; afterwards only those that were made then are known. */
  learning = true;

  static async open(options: ReplayOptions): Promise<Recording> {
    const recording = new Recording(options);
    await recording.#addStage();
    return recording;
  }

  private constructor(options: ReplayOptions) {
    this.#options = options;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#stages.map(({ simulator }) => simulator.close()));
  }

  /** Answers what the last of the writes was answered there. */
  async #addStage(): Promise<Served> {
    let last = UNEXPECTED;
    const simulator = await startSimulator({ clock: () => new Date(this.#now), seed: 1 });
    seedScenario(simulator.world, 'acme', this.#options.trouble, this.#options.seed ?? {});
    if (this.#options.refuseOrder === true) {
      simulator.world.setCompanyOptions('acme', { refuseInfoOrdering: true });
    }
    for (const write of this.#made) last = await this.#forward(simulator, write);
    this.#stages.push({ simulator, answers: new Map(), write: null });
    return last;
  }

  /** The honest answer at a stage, and the stage after it; null: a write that the honest run did not make. */
  async answer(at: number, request: Request): Promise<{ served: Served; stage: number } | null> {
    const question = `${request.method} ${request.url} ${request.headers['authorization']} ${request.body}`;
    // No look writes to Umbrella, so that its tokens hold at every stage.
    const stage = this.#stages[isUmbrella(request.url) ? 0 : at]!;
    const known = stage.answers.get(question);
    if (known !== undefined) return { served: known, stage: at };
    if (!isWriteCall(request)) {
      const served = await this.#forward(stage.simulator, request);
      if (stage.answers.size < MOST_KEPT) stage.answers.set(question, served);
      return { served, stage: at };
    }
    if (stage.write === null && this.learning) {
      this.#made.push(request);
      stage.write = { question, answer: await this.#addStage() };
    }
    return stage.write?.question === question ? { served: stage.write.answer, stage: at + 1 } : null;
  }

  async #forward(simulator: Simulator, { method, url, headers, body }: Request): Promise<Served> {
    this.#now += PACE_MS;
    const { connectwiseUrl, umbrellaUrl } = simulator;
    const { authorization, clientid, 'content-type': type, 'x-umbrella-orgid': organization } = headers;
    const sent = {
      authorization,
      clientid,
      'content-type': type,
      'x-umbrella-orgid': organization,
      'pagination-type': headers['pagination-type'],
    };
    const answer = await fetchAnswer((isUmbrella(url) ? umbrellaUrl : connectwiseUrl) + url, {
      method,
      headers: Object.fromEntries(
        Object.entries(sent).filter((one): one is [string, string] => one[1] !== undefined),
      ),
      ...(body === '' ? {} : { form: body }),
    });
    const told = KEPT_HEADERS.flatMap((name): [string, string][] => {
      const value = answer.headers.get(name);
      return value === null ? [] : [[name, value]];
    });
    return { status: answer.status, headers: told, body: Buffer.from(shortened(answer.text)) };
  }
}

/** Functions that a role may nothing of, as far as they are kept of hundreds: they cost time and tell nothing. */
const MOST_NONE = 15;

function shortened(text: string): string {
  const value: unknown = parsed(text);
  if (!Array.isArray(value)) return text;
  let none = 0;
  const rows = value.filter((row: Record<string, unknown>) => {
    const levels = Object.entries(row).filter(([name]) => name.endsWith('Level'));
    const tells = levels.length === 0 || levels.some(([, level]) => level !== 'None' && level !== null);
    none += tells ? 0 : 1;
    return tells || none <= MOST_NONE;
  });
  return JSON.stringify(rows);
}

const isUmbrella = (url: string): boolean => url.startsWith('/auth/') || url.startsWith('/admin/');
const isWriteCall = ({ method, url }: Pick<Request, 'method' | 'url'>): boolean =>
  method !== 'GET' && !url.startsWith('/auth/');

/** What becomes of an honest answer: another one, or itself. */
export type Twist = (asked: Asked, honest: Served) => Served | null;

/** A call that was answered. */
export interface Heard {
  entry: JournalEntry;
  /** Of the answer, as `meaningOf` has it. */
  meaning: Meaning;
  /** As it was mangled; null: the honest answer. */
  mangled: Served | null;
  honest: Served;
}

/** Those that answer without a wire, by their origin. */
const inMemory = new Map<string, Replay>();
/** Ports that no server of ours has. */
let names = 0;

/**
 * One origin for both vendors, which answers the looks of one tenant, one look after the other: over a wire, or by
 * `MemoryPool` in the place of undici's, which takes a third of the time.
 */
export class Replay implements AsyncDisposable {
  readonly #server: Server | null;
  readonly url: string;
  #recording: Recording | null = null;
  #twist: Twist = () => null;
  #stage = 0;
  #times = new Map<string, number>();
  #heard: Heard[] = [];
  #asked = 0;
  #actors: Readonly<Record<string, string>> = {};

  static async open(wired: boolean): Promise<Replay> {
    if (!wired) {
      names += 1;
      const replay = new Replay(null, `http://127.0.0.1:${names}`);
      inMemory.set(replay.url, replay);
      return replay;
    }
    const server = createServer((request, response) => {
      void replay.#serve(request, response);
    });
    server.keepAliveTimeout = 60_000;
    server.on('connection', (socket) => socket.on('error', () => socket.destroy()));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const replay = new Replay(server, `http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    return replay;
  }

  private constructor(server: Server | null, url: string) {
    this.#server = server;
    this.url = url;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    inMemory.delete(this.url);
    const server = this.#server;
    if (server === null) return;
    await new Promise<void>((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  }

  /** What is answered from now on; `actors` names those whose public halves or client ids call. */
  play(recording: Recording, actors: Readonly<Record<string, string>>, twist: Twist = () => null): void {
    this.#recording = recording;
    this.#actors = actors;
    this.#twist = twist;
    this.#stage = 0;
    this.#times = new Map();
    this.#heard = [];
  }

  /** The next look, on the same tenant. */
  goOn(twist: Twist = () => null): void {
    this.#twist = twist;
    this.#times = new Map();
    this.#heard = [];
  }

  get heard(): readonly Heard[] {
    return this.#heard;
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      const { method = '', url = '' } = request;
      const body = Buffer.concat(chunks).toString();
      const call: Request = { method, url, headers: request.headers as Record<string, string>, body };
      send(response, await this.answer(call));
    } catch {
      // Who asked is gone.
      response.destroy();
    }
  }

  async answer(call: Request): Promise<Served> {
    const entry = this.#entryOf(call);
    const answer = isBearerOfNobody(call, this.#bearers)
      ? { served: UNKNOWN_BEARER, stage: this.#stage }
      : await this.#recording!.answer(this.#stage, call);
    const honest = answer?.served ?? UNEXPECTED;
    this.#stage = answer?.stage ?? this.#stage;
    if (entry.operation === '/auth/v2/token') this.#noteBearer(honest, entry.actor);
    const question = `${entry.method} ${entry.operation} ${entry.actor} ${JSON.stringify(entry.query)}`;
    const nth = this.#times.get(question) ?? 0;
    this.#times.set(question, nth + 1);
    const mangled = this.#twist({ entry, nth }, honest);
    entry.status = (mangled ?? honest).status;
    entry.fault = mangled === null ? null : 'mangled';
    entry.applied = answer !== null && isWriteCall(call);
    const meaning = mangled === null ? 'kept' : meaningOf(entry, honest, mangled);
    this.#heard.push({ entry, meaning, mangled, honest });
    return mangled ?? honest;
  }

  readonly #bearers = new Map<string, string>();
  #noteBearer({ body }: Served, actor: string | null): void {
    const { access_token: bearer } = JSON.parse(body.toString()) as { access_token?: string };
    if (bearer !== undefined) this.#bearers.set(bearer, actor ?? 'umbrella');
  }

  #entryOf({ method, url, headers, body }: Request): JournalEntry {
    const { pathname, searchParams } = new URL(url, 'http://replay');
    const vendor = isUmbrella(url) ? 'umbrella' : 'connectwise';
    const path = pathname.replace(/^.*\/apis\/3\.0(?=\/)/, '');
    return {
      seq: (this.#asked += 1),
      at: START,
      vendor,
      company: 'acme',
      actor: this.#actorOf(headers['authorization'] ?? ''),
      keyFingerprint: null,
      method,
      path,
      operation: path
        .replace(/^\/login\/companyinfo\/.*/, '/login/companyinfo/{companyId}')
        .replace(/\/apiKeys\/.+/, '/apiKeys/{apiKeyId}')
        .replace(/\/\d+\/settings$/, '/{parentId}/settings')
        .replace(/\/\d+$/, '/{id}'),
      query: Object.fromEntries(searchParams),
      requestHeaders: {},
      requestBody: parsed(body),
      status: null,
      responseBody: null,
      applied: false,
      fault: null,
    };
  }

  #actorOf(authorization: string): string | null {
    const [scheme, value = ''] = authorization.split(' ');
    if (scheme === 'Bearer') return this.#bearers.get(value) ?? null;
    if (scheme !== 'Basic') return null;
    const [user = ''] = Buffer.from(value, 'base64').toString().split(':');
    const publicHalf = user.split('+').at(-1) ?? '';
    return this.#actors[publicHalf] ?? publicHalf;
  }
}

const isBearerOfNobody = ({ headers }: Request, bearers: ReadonlyMap<string, string>): boolean => {
  const [scheme, value = ''] = (headers['authorization'] ?? '').split(' ');
  return scheme === 'Bearer' && !bearers.has(value);
};

const JSON_TYPE = [['content-type', 'application/json']] as const;
const UNKNOWN_BEARER: Served = {
  status: 401,
  headers: JSON_TYPE,
  body: Buffer.from('{"message":"Unauthorized"}'),
};
/** A write that no honest run makes: it is seen, and does nothing. */
const UNEXPECTED: Served = { status: 400, headers: JSON_TYPE, body: Buffer.from('{"code":"Unexpected"}') };

function parsed(text: string): unknown {
  try {
    return text === '' ? null : JSON.parse(text);
  } catch {
    return text;
  }
}

function send(response: ServerResponse, { status, headers, body, wire }: Served): void {
  const { socket } = response;
  if (socket === null) return;
  if (wire === undefined) {
    for (const [name, value] of headers) response.setHeader(name, value);
    response.statusCode = status;
    response.end(body);
    return;
  }
  if (wire === 'reset') {
    socket.resetAndDestroy();
    return;
  }
  const length = { short: body.length >> 1, long: body.length + 7 }[wire as string] ?? body.length;
  const framing = {
    unframed: [],
    'broken-chunks': ['transfer-encoding: chunked'],
    twice: [`content-length: ${length}`, `content-length: ${length + 1}`],
  }[wire as string] ?? [`content-length: ${length}`];
  const head = [
    `HTTP/1.1 ${status} Some`,
    ...headers.map(([name, value]) => `${name}: ${value}`),
    ...framing,
    'connection: close',
  ];
  socket.write(`${wire === 'noise' ? 'noise\r\n' : ''}${head.join('\r\n')}\r\n\r\n`, 'latin1');
  if (wire === 'broken-chunks') socket.write('5\r\n[{"id\r\nzz\r\n');
  else socket.write(wire === 'cut' ? body.subarray(0, body.length >> 1) : body);
  socket.end();
}

/** As much of headers as undici takes. */
const MOST_HEADERS = 16_384;

/** What stands for undici's pool where the origin is a replay without a wire. */
export class MemoryPool {
  readonly #replay: Replay;

  /** Null: the origin is of a real server. */
  static of(origin: string): MemoryPool | null {
    const replay = inMemory.get(origin);
    return replay === undefined ? null : new MemoryPool(replay);
  }

  private constructor(replay: Replay) {
    this.#replay = replay;
  }

  dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
    const { method, path, headers, body } = options;
    const controller = { abort: () => undefined } as unknown as Dispatcher.DispatchController;
    handler.onRequestStart?.(controller, {});
    const call = {
      method,
      url: path,
      headers: lowered(headers as Record<string, string>),
      body: typeof body === 'string' ? body : '',
    };
    void this.#replay.answer(call).then((served) => tell(controller, handler, served));
    return true;
  }

  destroy(): Promise<void> {
    return Promise.resolve();
  }
}

const lowered = (headers: Record<string, string>): Record<string, string> =>
  Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));

function tell(
  controller: Dispatcher.DispatchController,
  handler: Dispatcher.DispatchHandler,
  { status, headers, body, wire }: Served,
): void {
  const broken = (code: string) =>
    handler.onResponseError?.(controller, Object.assign(new Error(code), { code }));
  if (wire === 'reset') return broken('UND_ERR_SOCKET');
  if (wire === 'noise' || wire === 'twice') return broken('HPE_INVALID_CONSTANT');
  const size = headers.reduce((sum, [name, value]) => sum + name.length + value.length + 4, 0);
  if (size > MOST_HEADERS) return broken('UND_ERR_HEADERS_OVERFLOW');
  const told: Record<string, string | string[]> = {};
  for (const [name, value] of headers) {
    const before = told[name];
    told[name] = before === undefined ? value.trim() : [before, value.trim()].flat();
  }
  if (wire === undefined) told['content-length'] = String(body.length);
  handler.onResponseStart?.(controller, status, told, '');
  const half = wire === 'short' || wire === 'cut';
  if (status !== 204) handler.onResponseData?.(controller, half ? body.subarray(0, body.length >> 1) : body);
  if (wire === 'cut' || wire === 'long' || wire === 'broken-chunks') return broken('UND_ERR_SOCKET');
  handler.onResponseEnd?.(controller, {});
}
