import { isIP } from 'node:net';
import { z } from 'zod';
import type { BrakeBounds } from './domain/brake.ts';
import { DEFAULT_SHARES, type Shares } from './domain/budget.ts';
import { formatSpan, parseDuration } from './domain/duration.ts';
import { Secret } from './domain/secret.ts';
import { parseKek } from './vault/index.ts';

/** Everything that the environment says (design.md §8). Secrets print as `[secret]`. */
export interface Config {
  /** Null: the embedded server under `data`. */
  databaseUrl: Secret | null;
  data: string;
  host: string;
  port: number;
  /** Addresses and networks of proxies whose word on who called is taken (`X-Forwarded-For`); empty: nobody's. */
  trustedProxies: string[];
  /** Where others reach this service, automations above all; null: where it listens. */
  publicUrl: string | null;
  kek: Secret | null;
  /** What `parasol vault rekey` seals everything under; nothing else reads it. */
  newKek: Secret | null;
  adminToken: Secret | null;
  /** Reads keys, once, for hand-offs; null: nobody may. */
  revealToken: Secret | null;
  logLevel: 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace' | 'silent';
  /** Reconciles that one replica runs at once. */
  concurrency: number;
  /** The cap of rulings 12, over the whole fleet. */
  repairsPerHour: number;
  /** Rotations of working keys that may be in flight in the whole fleet. */
  rotationsInFlight: number;
  /** When the fleet's brake is set (design.md §7). */
  brake: BrakeBounds;
  /** Which part of the vendors' quotas is ours. */
  shares: Shares;
  /** How long runs and events are kept. */
  retentionMs: number;
  /** How long the sealed text of a dead pair is kept; its history stays. */
  keepDeadMs: number;
  /** How long a stop waits for running reconciles. */
  drainMs: number;
}

export interface ConfigProblem {
  variable: string;
  /** What was read, safe to print: a secret is described, never told. */
  read: string;
  expected: string;
}

export type ConfigAnswer = { ok: true; config: Config } | { ok: false; problems: ConfigProblem[] };

interface Variable<T> {
  /** Messages say what is expected. */
  schema: z.ZodType<T>;
  secret: boolean;
  fallback: T;
}

const plain = <T>(schema: z.ZodType<T>, fallback: T): Variable<T> => ({ schema, secret: false, fallback });

const secret = (accepts: (text: string) => boolean, expected: string): Variable<Secret | null> => ({
  schema: z
    .string()
    .refine(accepts, expected)
    .transform((text) => new Secret(text)),
  secret: true,
  fallback: null,
});

const whole = (least: number, most: number) => {
  const expected = `a whole number from ${least} to ${most}`;
  return z
    .string()
    .regex(/^\d{1,9}$/, expected)
    .transform(Number)
    .refine((number) => number >= least && number <= most, expected);
};

const SHARE = 'a share such as 0.2, above 0 and up to 1';
const share = z
  .string()
  .regex(/^\d(\.\d{1,6})?$/, SHARE)
  .transform(Number)
  .refine((number) => number > 0 && number <= 1, SHARE);

const QUOTA = 'a part of the vendor’s quota such as 0.5, above 0; above 1 where the vendor granted more';
const quotaShare = z
  .string()
  .regex(/^\d{1,4}(\.\d{1,6})?$/, QUOTA)
  .transform(Number)
  .refine((number) => number > 0, QUOTA);

const duration = (least: number, most = Infinity) =>
  z
    .string()
    .transform((text) => parseDuration(text) ?? -1)
    .refine(
      (ms) => ms >= least && ms <= most,
      `a duration such as 30d, 36h, 15m or 20s${most === Infinity ? '' : `, at most ${formatSpan(most)}`}`,
    );

const LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;
const DAY = 86_400_000;

const isPostgresUrl = (text: string): boolean =>
  URL.canParse(text) && ['postgres:', 'postgresql:'].includes(new URL(text).protocol);

function isPublicUrl(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, username, password, search, hash } = new URL(text);
  return /^https?:$/.test(protocol) && [username, password, search, hash].every((part) => part === '');
}

function isNetwork(text: string): boolean {
  const [address = '', bits, ...rest] = text.split('/');
  const most = { 0: -1, 4: 32, 6: 128 }[isIP(address)]!;
  return (
    rest.length === 0 && most > 0 && (bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= most))
  );
}

const TOKEN = /^[A-Za-z0-9._~+/-]{24,256}=*$/;

const kek = secret(
  (text) => parseKek(text).ok,
  '32 random bytes as base64, base64url or 64 hex digits (openssl rand -base64 32)',
);

const VARIABLES = {
  DATABASE_URL: secret(isPostgresUrl, 'an address such as postgres://user:password@host:5432/parasol'),
  PARASOL_DATA: plain(z.string(), '.parasol'),
  PARASOL_HOST: plain(
    z.string().regex(/^[A-Za-z0-9.:_-]{1,253}$/, 'a host name or address such as 127.0.0.1'),
    '127.0.0.1',
  ),
  PARASOL_PORT: plain(whole(0, 65_535), 8080),
  PARASOL_TRUSTED_PROXIES: plain<string[]>(
    z
      .string()
      .transform((text) => text.split(',').map((part) => part.trim()))
      .refine((parts) => parts.every(isNetwork), 'addresses or networks such as 10.0.0.7,192.168.0.0/16'),
    [],
  ),
  PARASOL_PUBLIC_URL: plain<string | null>(
    z
      .string()
      .refine(isPublicUrl, 'an address such as https://parasol.example, without a query')
      .transform((text) => new URL(text).href.replace(/\/$/, '')),
    null,
  ),
  PARASOL_KEK: kek,
  PARASOL_NEW_KEK: kek,
  PARASOL_ADMIN_TOKEN: secret(
    (text) => TOKEN.test(text),
    '24 to 256 letters, digits or . _ ~ + / - (openssl rand -hex 32)',
  ),
  PARASOL_REVEAL_TOKEN: secret(
    (text) => TOKEN.test(text),
    '24 to 256 letters, digits or . _ ~ + / - (openssl rand -hex 32)',
  ),
  PARASOL_LOG_LEVEL: plain(z.enum(LEVELS, `one of ${LEVELS.join(', ')}`), 'info'),
  PARASOL_CONCURRENCY: plain(whole(1, 1_000), 32),
  PARASOL_REPAIRS_PER_HOUR: plain(whole(0, 1_000_000), 60),
  PARASOL_ROTATIONS: plain(whole(0, 1_000_000), 20),
  PARASOL_BRAKE_WINDOW: plain(duration(1, 30 * DAY), 60 * 60_000),
  PARASOL_BRAKE_SHARE: plain(share, 0.2),
  PARASOL_BRAKE_LEAST: plain(whole(1, 1_000_000), 5),
  PARASOL_CONNECTWISE_SHARE: plain(quotaShare, DEFAULT_SHARES.connectwise),
  PARASOL_UMBRELLA_SHARE: plain(quotaShare, DEFAULT_SHARES.umbrella),
  PARASOL_RETENTION: plain(duration(1), 30 * DAY),
  PARASOL_KEEP_DEAD_PAIRS: plain(duration(1), 120 * DAY),
  PARASOL_DRAIN: plain(duration(0), 20_000),
};

/**
 * The configuration, or everything that is wrong with it at once.
 * Each variable may also come from a file: `PARASOL_KEK_FILE=/run/secrets/kek`, read by `readFile`.
 */
export function readConfig(
  env: Readonly<Record<string, string | undefined>>,
  readFile: (path: string) => string,
): ConfigAnswer {
  const problems: ConfigProblem[] = [];

  const read = <T>(name: string, { schema, secret, fallback }: Variable<T>): T => {
    const found = find(env, readFile, name);
    if (found === null) return fallback;
    if ('problem' in found) {
      problems.push(found.problem);
      return fallback;
    }
    const { variable, text } = found;
    const parsed = schema.safeParse(text);
    if (parsed.success) return parsed.data;
    const shown = secret ? `${text.length} characters (a secret, not shown)` : JSON.stringify(text);
    problems.push({ variable, read: shown, expected: parsed.error.issues[0]?.message ?? 'something else' });
    return fallback;
  };

  const config: Config = {
    databaseUrl: read('DATABASE_URL', VARIABLES.DATABASE_URL),
    data: read('PARASOL_DATA', VARIABLES.PARASOL_DATA),
    host: read('PARASOL_HOST', VARIABLES.PARASOL_HOST),
    port: read('PARASOL_PORT', VARIABLES.PARASOL_PORT),
    trustedProxies: read('PARASOL_TRUSTED_PROXIES', VARIABLES.PARASOL_TRUSTED_PROXIES),
    publicUrl: read('PARASOL_PUBLIC_URL', VARIABLES.PARASOL_PUBLIC_URL),
    kek: read('PARASOL_KEK', VARIABLES.PARASOL_KEK),
    newKek: read('PARASOL_NEW_KEK', VARIABLES.PARASOL_NEW_KEK),
    adminToken: read('PARASOL_ADMIN_TOKEN', VARIABLES.PARASOL_ADMIN_TOKEN),
    revealToken: read('PARASOL_REVEAL_TOKEN', VARIABLES.PARASOL_REVEAL_TOKEN),
    logLevel: read('PARASOL_LOG_LEVEL', VARIABLES.PARASOL_LOG_LEVEL),
    concurrency: read('PARASOL_CONCURRENCY', VARIABLES.PARASOL_CONCURRENCY),
    repairsPerHour: read('PARASOL_REPAIRS_PER_HOUR', VARIABLES.PARASOL_REPAIRS_PER_HOUR),
    rotationsInFlight: read('PARASOL_ROTATIONS', VARIABLES.PARASOL_ROTATIONS),
    brake: {
      windowMs: read('PARASOL_BRAKE_WINDOW', VARIABLES.PARASOL_BRAKE_WINDOW),
      share: read('PARASOL_BRAKE_SHARE', VARIABLES.PARASOL_BRAKE_SHARE),
      least: read('PARASOL_BRAKE_LEAST', VARIABLES.PARASOL_BRAKE_LEAST),
    },
    shares: {
      connectwise: read('PARASOL_CONNECTWISE_SHARE', VARIABLES.PARASOL_CONNECTWISE_SHARE),
      umbrella: read('PARASOL_UMBRELLA_SHARE', VARIABLES.PARASOL_UMBRELLA_SHARE),
    },
    retentionMs: read('PARASOL_RETENTION', VARIABLES.PARASOL_RETENTION),
    keepDeadMs: read('PARASOL_KEEP_DEAD_PAIRS', VARIABLES.PARASOL_KEEP_DEAD_PAIRS),
    drainMs: read('PARASOL_DRAIN', VARIABLES.PARASOL_DRAIN),
  };
  return problems.length === 0 ? { ok: true, config } : { ok: false, problems };
}

type Found = { variable: string; text: string } | { problem: ConfigProblem } | null;

/**
 * The variable's text, from itself or from its file. Set but empty is a mistake, never an absence: a secret
 * that a deployment failed to fill in must not quietly start an embedded database beside the real one.
 */
function find(
  env: Readonly<Record<string, string | undefined>>,
  readFile: (path: string) => string,
  name: string,
): Found {
  const own = env[name];
  const variable = `${name}_FILE`;
  const path = env[variable];
  const wrong = (variable: string, read: string, expected: string): Found => ({
    problem: { variable, read, expected },
  });
  if (own !== undefined && path !== undefined) {
    return wrong(name, `${name} and ${variable}`, 'only one of the two');
  }
  if (own !== undefined) {
    return own.trim() === ''
      ? wrong(name, 'nothing', 'a value, or no such variable')
      : { variable: name, text: own.trim() };
  }
  if (path === undefined) return null;
  let text: string;
  try {
    text = readFile(path).trim();
  } catch (error) {
    const why = (error as NodeJS.ErrnoException).code ?? 'unreadable';
    return wrong(variable, `${JSON.stringify(path)} (${why})`, 'the path of a file that can be read');
  }
  return text === ''
    ? wrong(variable, `${JSON.stringify(path)} (empty)`, 'a file that holds the value')
    : { variable, text };
}
