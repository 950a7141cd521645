import { randomBytes } from 'node:crypto';
import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { readConfig, type Config, type ConfigProblem } from '../src/config.ts';

const noFiles = (path: string): string => {
  throw Object.assign(new Error(`no such file ${path}`), { code: 'ENOENT' });
};
const files =
  (contents: Record<string, string>) =>
  (path: string): string =>
    contents[path] ?? noFiles(path);

const describeProblems = (problems: ConfigProblem[]): string =>
  problems
    .map(({ variable, read, expected }) => `${variable}: read ${read}; expected ${expected}`)
    .join('\n');

function configOf(env: Record<string, string>, contents: Record<string, string> = {}): Config {
  const answer = readConfig(env, files(contents));
  if (!answer.ok) throw new Error(describeProblems(answer.problems));
  return answer.config;
}
function problemsOf(env: Record<string, string>, contents: Record<string, string> = {}) {
  const answer = readConfig(env, files(contents));
  return answer.ok ? [] : answer.problems;
}

const KEK = randomBytes(32).toString('base64');
const NEW_KEK = randomBytes(32).toString('base64');
const TOKEN = randomBytes(32).toString('hex');

describe('the configuration', () => {
  it('needs no variable at all', () => {
    expect(configOf({})).toEqual({
      databaseUrl: null,
      data: '.parasol',
      host: '127.0.0.1',
      port: 8080,
      trustedProxies: [],
      publicUrl: null,
      kek: null,
      newKek: null,
      adminToken: null,
      logLevel: 'info',
      concurrency: 32,
      repairsPerHour: 60,
      revealToken: null,
      rotationsInFlight: 20,
      brake: { windowMs: 3_600_000, share: 0.2, least: 5 },
      shares: { connectwise: 0.5, umbrella: 1 },
      retentionMs: 30 * 86_400_000,
      keepDeadMs: 120 * 86_400_000,
      drainMs: 20_000,
    });
  });

  it('reads every variable', () => {
    const config = configOf({
      DATABASE_URL: 'postgres://parasol:pw@db:5432/parasol',
      PARASOL_DATA: '/var/lib/parasol',
      PARASOL_HOST: '0.0.0.0',
      PARASOL_PORT: '0',
      PARASOL_PUBLIC_URL: 'https://parasol.example/',
      PARASOL_KEK: KEK,
      PARASOL_NEW_KEK: NEW_KEK,
      PARASOL_ADMIN_TOKEN: TOKEN,
      PARASOL_LOG_LEVEL: 'debug',
      PARASOL_CONCURRENCY: '4',
      PARASOL_REPAIRS_PER_HOUR: '0',
      PARASOL_BRAKE_WINDOW: '30m',
      PARASOL_BRAKE_SHARE: '0.05',
      PARASOL_BRAKE_LEAST: '3',
      PARASOL_CONNECTWISE_SHARE: '0.25',
      PARASOL_UMBRELLA_SHARE: '2',
      PARASOL_RETENTION: '7d',
      PARASOL_KEEP_DEAD_PAIRS: '180d',
      PARASOL_DRAIN: '0s',
    });
    expect(config).toMatchObject({
      data: '/var/lib/parasol',
      host: '0.0.0.0',
      port: 0,
      publicUrl: 'https://parasol.example',
      logLevel: 'debug',
      concurrency: 4,
      repairsPerHour: 0,
      brake: { windowMs: 1_800_000, share: 0.05, least: 3 },
      shares: { connectwise: 0.25, umbrella: 2 },
      retentionMs: 604_800_000,
      keepDeadMs: 180 * 86_400_000,
      drainMs: 0,
    });
    expect(config.databaseUrl?.reveal()).toBe('postgres://parasol:pw@db:5432/parasol');
    expect(config.kek?.reveal()).toBe(KEK);
    expect(config.newKek?.reveal()).toBe(NEW_KEK);
    expect(config.adminToken?.reveal()).toBe(TOKEN);
  });

  it.each([
    ['DATABASE_URL', 'postgres://db/parasol', (it: Config) => it.databaseUrl?.reveal()],
    ['PARASOL_DATA', '/data', (it: Config) => it.data],
    ['PARASOL_HOST', '::1', (it: Config) => it.host],
    ['PARASOL_PORT', '9000', (it: Config) => String(it.port)],
    ['PARASOL_TRUSTED_PROXIES', '10.0.0.7,fd00::/8', (it: Config) => it.trustedProxies.join(',')],
    ['PARASOL_PUBLIC_URL', 'https://parasol.example/msp', (it: Config) => it.publicUrl],
    ['PARASOL_KEK', KEK, (it: Config) => it.kek?.reveal()],
    ['PARASOL_NEW_KEK', NEW_KEK, (it: Config) => it.newKek?.reveal()],
    ['PARASOL_ADMIN_TOKEN', TOKEN, (it: Config) => it.adminToken?.reveal()],
    ['PARASOL_LOG_LEVEL', 'warn', (it: Config) => it.logLevel],
    ['PARASOL_CONCURRENCY', '7', (it: Config) => String(it.concurrency)],
    ['PARASOL_REPAIRS_PER_HOUR', '8', (it: Config) => String(it.repairsPerHour)],
    ['PARASOL_RETENTION', '1500ms', (it: Config) => `${it.retentionMs}ms`],
    ['PARASOL_KEEP_DEAD_PAIRS', '2500ms', (it: Config) => `${it.keepDeadMs}ms`],
    ['PARASOL_DRAIN', '900ms', (it: Config) => `${it.drainMs}ms`],
  ] as const)('reads %s from a file too', (name, text, read) => {
    expect(read(configOf({ [`${name}_FILE`]: '/run/it' }, { '/run/it': `${text}\n` }))).toBe(text);
  });

  it('names every mistake at once: the variable, what was read, what is expected', () => {
    const problems = problemsOf(
      {
        DATABASE_URL: 'mysql://root:hunter2@db/parasol',
        PARASOL_HOST: 'not a host',
        PARASOL_PORT: '80800',
        PARASOL_TRUSTED_PROXIES: '10.0.0.0/33',
        PARASOL_KEK: 'c2hvcnQ=',
        PARASOL_ADMIN_TOKEN: 'hunter2',
        PARASOL_LOG_LEVEL: 'loud',
        PARASOL_CONCURRENCY: '0',
        PARASOL_REPAIRS_PER_HOUR: 'some',
        PARASOL_CONNECTWISE_SHARE: '0',
        PARASOL_RETENTION: 'a while',
        PARASOL_DRAIN: '-1s',
      },
      {},
    );
    expect(problems.map((it) => it.variable)).toEqual([
      'DATABASE_URL',
      'PARASOL_HOST',
      'PARASOL_PORT',
      'PARASOL_TRUSTED_PROXIES',
      'PARASOL_KEK',
      'PARASOL_ADMIN_TOKEN',
      'PARASOL_LOG_LEVEL',
      'PARASOL_CONCURRENCY',
      'PARASOL_REPAIRS_PER_HOUR',
      'PARASOL_CONNECTWISE_SHARE',
      'PARASOL_RETENTION',
      'PARASOL_DRAIN',
    ]);
    const text = describeProblems(problems);
    expect(text.split('\n')).toHaveLength(12);
    expect(text).toContain('PARASOL_PORT: read "80800"; expected a whole number from 0 to 65535');
    expect(text).toContain('PARASOL_LOG_LEVEL: read "loud"; expected one of fatal');
    expect(text).toContain('PARASOL_RETENTION: read "a while"; expected a duration such as 30d');
  });

  it('tells no secret, neither in a mistake nor when it is printed', () => {
    const secrets = {
      DATABASE_URL: 'mysql://hunter2',
      PARASOL_KEK: 'hunter2',
      PARASOL_ADMIN_TOKEN: 'hunter2',
    };
    expect(problemsOf(secrets)).toHaveLength(3);
    expect(describeProblems(problemsOf(secrets))).not.toContain('hunter2');
    expect(describeProblems(problemsOf({ PARASOL_PORT: 'hunter2' }))).toContain('hunter2');

    const config = configOf({
      DATABASE_URL: 'postgres://u:hunter2@db/x',
      PARASOL_KEK: KEK,
      PARASOL_ADMIN_TOKEN: TOKEN,
    });
    const printed = `${JSON.stringify(config)}${inspect(config, { depth: 9 })}`;
    for (const value of ['hunter2', KEK, TOKEN]) expect(printed).not.toContain(value);
  });

  it('takes a variable that is set but empty for a mistake, never for an absence', () => {
    expect(problemsOf({ DATABASE_URL: '' })).toMatchObject([{ variable: 'DATABASE_URL', read: 'nothing' }]);
    expect(problemsOf({ PARASOL_KEK_FILE: '/run/kek' }, { '/run/kek': '\n' })).toMatchObject([
      { variable: 'PARASOL_KEK_FILE', read: '"/run/kek" (empty)' },
    ]);
  });

  it('names a file that cannot be read', () => {
    expect(problemsOf({ PARASOL_KEK_FILE: '/run/kek' })).toEqual([
      {
        variable: 'PARASOL_KEK_FILE',
        read: '"/run/kek" (ENOENT)',
        expected: 'the path of a file that can be read',
      },
    ]);
  });

  it('refuses a value and a file for the same thing', () => {
    expect(problemsOf({ PARASOL_PORT: '1', PARASOL_PORT_FILE: '/p' }, { '/p': '2' })).toMatchObject([
      { variable: 'PARASOL_PORT', read: 'PARASOL_PORT and PARASOL_PORT_FILE' },
    ]);
  });
});
