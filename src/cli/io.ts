import type { Readable } from 'node:stream';
import { userInfo } from 'node:os';
import type { TenantInput } from '../domain/tenant.ts';
import type {
  AdoptionView,
  Examination,
  KekView,
  RekeyProgress,
  RekeyReport,
} from '../reconciler/commands.ts';

export type { Examination };

/** How a command ends; scripts may rely on these (README.md). */
export const EXIT = {
  /** Ready, or done. */
  ok: 0,
  /** Something broke: no service, no permission, a bug. */
  error: 1,
  /** Not ready, or there is drift. */
  drift: 2,
  /** A hand-off waits for a person. */
  person: 3,
  /** What was typed or given is refused; nothing was changed. */
  refused: 4,
} as const;
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

export interface Output {
  write(text: string): unknown;
  isTTY?: boolean;
  columns?: number;
}

export type Input = Readable & { isTTY?: boolean; setRawMode?(raw: boolean): unknown };

export interface SimulateOptions {
  portBase: number;
  host: string;
  scenario: string;
  quotas: boolean;
  syncEveryMs?: number;
  print(line: string): void;
}

/** What the command line cannot do by HTTP, or must not know; the composition root gives it. */
export interface Wiring {
  /** Runs the service until it is told to end. */
  serve(): Promise<void>;
  migrate(): Promise<void>;
  /** Key-encryption keys, as the database knows them. */
  vault(): Promise<KekView[]>;
  /** Seals everything under another key; `newKekFile` is where that is, null: the environment or a file of ours. */
  rekey(newKekFile: string | null, progress: (at: RekeyProgress) => void): Promise<RekeyReport>;
  /** Reads both vendors and writes nothing; `input` is the tenant of a file, null: as the service holds it. */
  doctor(request: { tenant: string; input: TenantInput | null }): Promise<Examination>;
  /** What a tenant of a file would be taken over from, by one look at both vendors. */
  adopt(input: TenantInput): Promise<AdoptionView>;
  simulate(options: SimulateOptions): Promise<{ close(): Promise<void> }>;
  /** The scenarios that `simulate` knows. */
  scenarios: readonly string[];
  demo(): Promise<ExitCode>;
}

/** Everything that a command touches of the world around it. */
export interface CliIo extends Wiring {
  env: Readonly<Record<string, string | undefined>>;
  stdin: Input;
  stdout: Output;
  stderr: Output;
  /** Who types. */
  user: string;
  now(): Date;
  sleep(ms: number): Promise<void>;
  /** Settles when the process is asked to end. */
  interrupted(): Promise<void>;
  exit(code: ExitCode): void;
}

/** The world of a real process. */
export function processIo(wiring: Wiring): CliIo {
  // `parasol get | head` closes the pipe early, which is no failure.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(EXIT.ok);
    throw error;
  });
  return {
    ...wiring,
    env: process.env,
    stdin: process.stdin,
    stdout: process.stdout,
    stderr: process.stderr,
    user: userInfo().username,
    now: () => new Date(),
    sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
    interrupted: () =>
      new Promise((resolve) => {
        for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => resolve());
      }),
    exit: (code) => {
      process.exitCode = code;
    },
  };
}
