#!/usr/bin/env node
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import closeWithGrace, { type Options } from 'close-with-grace';
import type { Logger } from 'pino';
import { Refused } from './cli/context.ts';
import { runDemo, type DemoOptions } from './cli/demo.ts';
import { processIo, type CliIo, type Wiring } from './cli/io.ts';
import { runProgram } from './cli/program.ts';
import { readConfig, type Config } from './config.ts';
import { createLog } from './log.ts';
import {
  demoCompanies,
  robotIdentity,
  scenarioSecrets,
  SimulatorControl,
  TROUBLES,
} from './simulator/index.ts';
import { runSimulator } from './simulator/main.ts';

/** Arguments and environment → config → app → signals. */

const ROOT = resolve(import.meta.dirname, '..');

/** Loaded by the commands that need it: the database's libraries take longer than most commands do. */
const loadApp = () => import('./app.ts');

const wiring: Wiring = {
  serve,
  async migrate() {
    await withConfig(async (config, log) => {
      const { migrateOnly } = await loadApp();
      const pending = await migrateOnly(config, log);
      const words =
        pending.length === 0 ? 'The database is at this version.' : `Applied ${pending.join(', ')}.`;
      process.stdout.write(`${words}\n`);
    });
  },
  vault: () => withConfig(async (config, log) => refusable((await loadApp()).vaultView(config, log))),
  rekey: (file, progress) =>
    withConfig(
      async (config, log) => refusable((await loadApp()).rekeyVault(config, log, progress)),
      file === null
        ? process.env
        : { ...without(process.env, 'PARASOL_NEW_KEK'), PARASOL_NEW_KEK_FILE: file },
    ),
  async doctor(request) {
    const found = await withConfig(async (config, log) =>
      (await loadApp()).examineTenant(config, log, request),
    );
    if (!found) throw new Refused(`There is no tenant ${request.tenant}.`);
    return found;
  },
  adopt: (input) => withConfig(async () => (await loadApp()).adoptTenant(input)),
  simulate: async ({ scenario, ...options }) =>
    runSimulator({ ...options, scenario: scenario as (typeof TROUBLES)[number] }),
  scenarios: ['demo', 'empty', ...TROUBLES],
  demo: () =>
    runDemo({
      command: [process.execPath, ...process.execArgv, import.meta.filename],
      tenantsFile: join(ROOT, 'examples/tenants.yaml'),
      secrets: demoSecrets(),
      umbrella,
      newToken: () => randomBytes(32).toString('hex'),
      stdout: io.stdout,
      env: io.env,
      now: () => io.now(),
      sleep: (ms) => io.sleep(ms),
      interrupted: () => io.interrupted(),
      stopDatabase: async (data) => {
        const { startEmbedded } = await import('./store/index.ts');
        await (await startEmbedded(join(data, 'postgres'))).stop();
      },
    }),
};

const io: CliIo = processIo(wiring);
await runProgram(process.argv.slice(2), io);

/** Runs until a signal; a second one ends at once. */
async function serve(): Promise<void> {
  await withConfig(async (config, log) => {
    const { startService } = await loadApp();
    let ends: string | null = null;
    const starting = startService(config, log, {
      onEnd: (why) => {
        ends = why;
        closing.close();
      },
    });
    // From the first moment on: a database server that the start brings up must not outlive a signal.
    const grace: Options = { delay: config.drainMs + 10_000, logger: false, skip: ['beforeExit'] };
    const closing = closeWithGrace(grace, async ({ signal, err }) => {
      if (ends !== null) log.fatal(ends);
      else if (err) log.fatal({ error: err.message, stack: err.stack }, 'a bug: the service ends');
      else log.info({ signal }, 'draining');
      const started = await starting.catch(() => null);
      await started?.stop();
      log.info('ended');
      // Whoever watches over it must see that it did not end by itself.
      if (ends !== null) throw new Error(ends);
    });
    const service = await starting;
    for (const notice of service.notices) log.warn(notice);
    if (service.tokenFile !== null)
      log.info({ file: service.tokenFile }, 'the administrator’s token is in a file');
    log.info({ url: service.url }, 'listening');
  });
}

/** Everything that is wrong with the environment is told at once. */
async function withConfig<T>(
  use: (config: Config, log: Logger) => Promise<T>,
  env: NodeJS.ProcessEnv = process.env,
): Promise<T> {
  const answer = readConfig(env, (path) => readFileSync(path, 'utf8'));
  if (!answer.ok) {
    const problems = answer.problems.map(({ variable, read, expected }) => ({
      path: variable,
      message: `read ${read}; expected ${expected}`,
    }));
    throw new Refused('The configuration cannot be used.', problems);
  }
  const { config } = answer;
  return use(config, createLog({ level: config.logLevel }));
}

function without(env: NodeJS.ProcessEnv, name: string): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([other]) => other !== name));
}

/** What cannot be done as things are, and changed nothing, is told as a refusal. */
async function refusable<T>(doing: Promise<T>): Promise<T> {
  const { StartRefused } = await loadApp();
  return doing.catch((error: unknown) => {
    throw error instanceof StartRefused ? new Refused(error.message) : error;
  });
}

/** The variables that `examples/tenants.yaml` refers to. */
function demoSecrets(): Record<string, string> {
  const robot = robotIdentity();
  const ofRobot = { DEMO_ROBOT_SECRET: robot.secret, DEMO_ROBOT_KEY: robot.publicKey };
  const ofTenants = Object.fromEntries(
    demoCompanies.flatMap(({ companyId }) => {
      const { managementKey, integrationKey, umbrellaApiKey, umbrellaKeyAdmin } = scenarioSecrets(companyId);
      const prefix = `DEMO_${companyId.toUpperCase()}`;
      return [
        [`${prefix}_CW_PUB`, managementKey.publicKey],
        [`${prefix}_CW_PRIV`, managementKey.privateKey],
        [`${prefix}_PUB`, integrationKey.publicKey],
        [`${prefix}_PRIV`, integrationKey.privateKey],
        [`${prefix}_UMB_KEY`, umbrellaApiKey.key],
        [`${prefix}_UMB_SECRET`, umbrellaApiKey.secret],
        [`${prefix}_UMB_KA`, umbrellaKeyAdmin.key],
        [`${prefix}_UMB_KA_SECRET`, umbrellaKeyAdmin.secret],
      ];
    }),
  );
  return { ...ofTenants, ...ofRobot };
}

/** Umbrella's daily sync in the demo, by the simulator's hands: each day has something to write. */
function umbrella(controlUrl: string): ReturnType<DemoOptions['umbrella']> {
  const hands = new SimulatorControl(controlUrl);
  return {
    async sync(company) {
      await hands.changeFigures(company);
      return (await hands.runSync(company)).outcome === 'succeeded';
    },
  };
}
