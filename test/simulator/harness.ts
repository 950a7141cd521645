import { onTestFinished } from 'vitest';
import {
  scenarioSecrets,
  seedScenario,
  startSimulator,
  type KeyPair,
  type ScenarioOptions,
  type Simulator,
  type SimulatorOptions,
  type Trouble,
} from '../../src/simulator/index.ts';

/** Where every test begins; time moves only by `world.advanceClock`. */
export const START = '2026-11-24T08:00:00Z';

export interface Answer {
  status: number;
  headers: Headers;
  text: string;
  /** The body as JSON; fails the test when it is none. */
  // oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- the test says what it expects
  json<T = Record<string, unknown>>(): T;
}

export interface CallOptions {
  method?: string;
  /** The pair to call with. Default: the management key. */
  pair?: KeyPair;
  company?: string;
  codebase?: string;
  headers?: Record<string, string>;
  body?: unknown;
}

/** A simulator with one seeded company `acme`, and clients of both its vendors. */
export class Harness {
  readonly simulator: Simulator;
  readonly secrets = scenarioSecrets('acme');

  constructor(simulator: Simulator) {
    this.simulator = simulator;
  }

  get world(): Simulator['world'] {
    return this.simulator.world;
  }

  /** Calls ConnectWise's API as the member of a key. */
  async connectwise(path: string, options: CallOptions = {}): Promise<Answer> {
    const { pair = this.secrets.managementKey, company = 'acme', codebase = 'v2025_1/' } = options;
    const authorization = basic(`${company}+${pair.publicKey}`, pair.privateKey);
    return fetchAnswer(`${this.simulator.connectwiseUrl}/${codebase}apis/3.0${path}`, {
      ...options,
      headers: { authorization, clientId: 'a-client-id', ...options.headers },
    });
  }

  /** A list of ConnectWise, of which the test wants the rows only. */
  // oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- the test says what it expects
  async rows<T = Record<string, unknown>>(path: string, options: CallOptions = {}): Promise<T[]> {
    return (await this.connectwise(path, options)).json<T[]>();
  }

  /** Asks Umbrella for a token; the whole answer. */
  token(credentials: { key: string; secret: string }, headers: Record<string, string> = {}): Promise<Answer> {
    return fetchAnswer(`${this.simulator.umbrellaUrl}/auth/v2/token`, {
      method: 'POST',
      form: 'grant_type=client_credentials',
      headers: { authorization: basic(credentials.key, credentials.secret), ...headers },
    });
  }

  /** The token itself. */
  async bearer(
    credentials: { key: string; secret: string },
    headers: Record<string, string> = {},
  ): Promise<string> {
    return (await this.token(credentials, headers)).json<{ access_token: string }>().access_token;
  }

  umbrella(path: string, bearer: string, options: CallOptions = {}): Promise<Answer> {
    return fetchAnswer(this.simulator.umbrellaUrl + path, {
      ...options,
      headers: { authorization: `Bearer ${bearer}`, ...options.headers },
    });
  }
}

/** Starts a simulator at `START` with the company `acme` in the given trouble; it ends with the test. */
export async function start(
  trouble: Trouble = 'healthy',
  options: ScenarioOptions & { simulator?: SimulatorOptions } = {},
): Promise<Harness> {
  const simulator = await startSimulator({ clock: () => new Date(START), ...options.simulator });
  onTestFinished(() => simulator.close());
  seedScenario(simulator.world, 'acme', trouble, options);
  return new Harness(simulator);
}

export function basic(user: string, password: string): string {
  return `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
}

/** Fetches without following redirects. */
export async function fetchAnswer(
  url: string,
  options: CallOptions & { form?: string } = {},
): Promise<Answer> {
  const { method = 'GET', body, form } = options;
  const sent = form ?? (body === undefined ? undefined : JSON.stringify(body));
  const type = form === undefined ? 'application/json' : 'application/x-www-form-urlencoded';
  const response = await fetch(url, {
    method,
    redirect: 'manual',
    headers: { ...(sent === undefined ? {} : { 'content-type': type }), ...options.headers },
    ...(sent === undefined ? {} : { body: sent }),
  });
  const text = await response.text();
  return { status: response.status, headers: response.headers, text, json: () => JSON.parse(text) };
}
