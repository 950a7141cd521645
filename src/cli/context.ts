import { InvalidArgumentError, type Command } from 'commander';
import { parseDuration } from '../domain/duration.ts';
import { AUTOMATION, type Handoff } from '../domain/handoff.ts';
import type { StatusView } from '../reconciler/commands.ts';
import { BadConnection, clientFor, ServiceRefused, ServiceUnreachable, type Client } from './client.ts';
import { EXIT, type CliIo, type ExitCode } from './io.ts';
import { BadSecretInput } from './prompt.ts';
import { Paper } from './table.ts';
import type { FileProblem } from './tenants-file.ts';
import type { Sheet } from './sheet.ts';

/** One thing to mend; the place is there where it stands in a file. */
export type Problem = Pick<FileProblem, 'path' | 'message'> & Partial<FileProblem> & { file?: string };

/** `acme.yaml, line 3, column 5`; empty where it stands in no file. */
export const placeOf = ({ file, line, column }: Problem): string =>
  [file ?? '', line === undefined ? '' : `line ${line}, column ${column}`].filter(Boolean).join(', ');

/** What was typed or given cannot be used; nothing was changed. */
export class Refused extends Error {
  readonly problems: readonly Problem[];
  constructor(message: string, problems: readonly Problem[] = []) {
    super(message);
    this.problems = problems;
  }
}

/** What every command needs: the client, the way of printing, and the flags of the whole program. */
export class Context {
  readonly io: CliIo;
  readonly #program: Command;

  constructor(io: CliIo, program: Command) {
    this.io = io;
    this.#program = program;
  }

  get #json(): boolean {
    return this.#program.opts<{ json?: boolean }>().json === true;
  }

  get sheet(): Sheet {
    const { env, stdout } = this.io;
    const command = env['npm_lifecycle_event'] === 'parasol' ? 'npm run parasol --' : 'parasol';
    return { paper: new Paper(stdout, env), now: this.io.now(), command };
  }

  /** What stands on standard error is wrapped as the answer is. */
  get errors(): Paper {
    return new Paper(this.io.stderr, this.io.env);
  }

  client(): Client {
    return clientFor(this.io.env, { sleep: (ms) => this.io.sleep(ms) });
  }

  /** Prints an answer: as it is for machines, as text for people. */
  show<T>(answer: T, text: (sheet: Sheet, answer: T) => string): void {
    const words = this.#json ? JSON.stringify(answer, null, 2) : text(this.sheet, answer);
    this.io.stdout.write(`${words}\n`);
  }

  /** Prints one of many answers while there are more to come: a line of JSON for machines. */
  line<T>(answer: T, text: (sheet: Sheet, answer: T) => string): void {
    this.io.stdout.write(`${this.#json ? JSON.stringify(answer) : text(this.sheet, answer)}\n`);
  }

  /** A line that is not part of the answer. */
  note(text: string): void {
    this.io.stderr.write(`${text}\n`);
  }

  /** Tells an error, and how the command ends for it. */
  tell(error: unknown): ExitCode {
    const paper = this.errors;
    const problems = error instanceof Refused || error instanceof ServiceRefused ? error.problems : [];
    const message = error instanceof Error ? error.message : String(error);
    if (this.#json) {
      this.note(JSON.stringify({ error: message, errors: problems }));
    } else {
      this.note(paper.paint('red', paper.paragraph(message)));
      for (const problem of problems as readonly Problem[]) {
        const { file = '', line, ...rest } = problem;
        const named = line !== undefined && message.startsWith(file);
        const place = placeOf(named ? { line, ...rest } : problem);
        this.note(paper.paragraph([place, problem.path].filter(Boolean).join(': '), 2));
        this.note(paper.paragraph(problem.message, 6));
      }
      if (error instanceof ServiceRefused && error.status === 401) {
        this.note('PARASOL_TOKEN (or PARASOL_DATA, for a service on this machine) gives the token.');
      }
    }
    return codeFor(error);
  }
}

function codeFor(error: unknown): ExitCode {
  if (error instanceof Refused || error instanceof BadSecretInput || error instanceof BadConnection) {
    return EXIT.refused;
  }
  return error instanceof ServiceRefused && error.isInput ? EXIT.refused : EXIT.error;
}

/** What an automation has is nobody's to do. */
export const waitsForPerson = (handoffs: readonly Pick<Handoff, 'state' | 'claimedBy'>[]): boolean =>
  handoffs.some(
    ({ state, claimedBy }) => state === 'open' || (state === 'claimed' && claimedBy !== AUTOMATION),
  );

export function codeOfStatus(status: StatusView): ExitCode {
  if (waitsForPerson(status.handoffs)) return EXIT.person;
  const current = status.observedGeneration === status.generation;
  return status.ready === 'True' && status.drift.every(({ accepted }) => accepted) && current
    ? EXIT.ok
    : EXIT.drift;
}

export function duration(text: string): number {
  const ms = parseDuration(text);
  if (ms === null || ms === 0) throw new InvalidArgumentError('It must be a duration such as 90s or 5m.');
  return ms;
}

/** Ms between two looks where the service cannot be waited for. */
const POLL_MS = 1_000;
/** Ms that the service is asked to wait for a change: as often as a line is told anew, or as long as a proxy allows. */
const WAIT_MS = { live: 5_000, plain: 30_000 };

/** Waits until a run that began after the trigger has ended; one line says that it waits. */
export const waitForTrigger = (
  context: Context,
  tenant: string,
  trigger: number,
  timeoutMs: number,
): Promise<StatusView> =>
  waitUntil(
    context,
    tenant,
    {
      what: `trigger ${trigger}`,
      timeoutMs,
      late: `was not reconciled in ${Math.round(timeoutMs / 1000)}s. It still will be.`,
    },
    (status) => status.trigger.handled >= trigger,
  );

/** Waits until a tenant's status is as asked; one line says that it waits. `late` says what was not to be had. */
export async function waitUntil(
  context: Context,
  tenant: string,
  { what, timeoutMs, late }: { what: string; timeoutMs: number; late: string },
  asked: (status: StatusView) => boolean,
): Promise<StatusView> {
  const { io } = context;
  const client = context.client();
  const start = io.now().getTime();
  const live = io.stderr.isTTY === true;
  if (!live) context.note(`Waiting for ${tenant} (${what}).`);
  let tag: string | null = null;
  for (let known = false; ;) {
    const left = Math.max(POLL_MS, timeoutMs - (io.now().getTime() - start));
    const asks: { tag: string; ms: number } | null =
      tag === null ? null : { tag, ms: Math.min(left, live ? WAIT_MS.live : WAIT_MS.plain) };
    const answer: Awaited<ReturnType<Client['statusAfter']>> | null = await client
      .statusAfter(tenant, asks)
      .catch((error: unknown) => unlessWeather(error, known));
    const status = answer?.status ?? null;
    known ||= status !== null;
    tag = answer?.tag ?? null;
    const waited = io.now().getTime() - start;
    if (live) io.stderr.write(`\r\u001b[KWaiting for ${tenant}: ${Math.round(waited / 1000)}s`);
    const done = status !== null && asked(status);
    if (live && (done || waited >= timeoutMs)) io.stderr.write('\r\u001b[K');
    if (done) return status;
    if (waited >= timeoutMs) throw new Error(`${tenant} ${late}`);
    // From here on the service waits, or has; else it is looked at every second.
    const mayGoOn = tag !== null && (asks === null || answer?.end === 'met' || answer?.end === 'timed-out');
    if (!mayGoOn) await io.sleep(POLL_MS);
  }
}

/** A service that was there may be starting anew. */
function unlessWeather(error: unknown, known: boolean): null {
  if (error instanceof ServiceRefused && error.isWeather) return null;
  if (error instanceof ServiceUnreachable && known) return null;
  throw error;
}

/** A hand-off by its id or by the end of it, as the tables show it. */
export async function handoffNamed(client: Client, name: string): Promise<Handoff> {
  if (name.length >= 32) return client.handoff(name);
  for (const live of [true, false]) {
    const matching = (await client.handoffs({ live })).filter(({ id }) => id.endsWith(name));
    const [only] = matching;
    if (matching.length > 1)
      throw new Refused(`${matching.length} hand-offs end in ${name}: type more of the id.`);
    if (only !== undefined && name !== '') return only;
  }
  throw new Refused(`There is no hand-off ${name}.`);
}
