import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { startSimulator, type Simulator } from './index.ts';
import { seedDemo, seedScenario, TROUBLES, type Trouble } from './scenarios.ts';
import { HOUR, MINUTE, SECOND } from './time.ts';

export interface RunOptions {
  /** ConnectWise listens here, Umbrella one above, the control server two above, the robot three. Default 9080; 0: any free ports. */
  portBase?: number;
  /** Every console runs its daily sync this often, in ms; absent: only by hand. */
  syncEveryMs?: number;
  /** Whether the vendors' published quotas are enforced. Default true. */
  quotas?: boolean;
  /** `demo` (default): the tenants of the demo. `empty`: none. A trouble: one company `acme` with it. */
  scenario?: 'demo' | 'empty' | Trouble;
  host?: string;
  /** Where the lines go that say what listens where. Default: standard output. */
  print?: (line: string) => void;
}

/** Starts a seeded simulator and says what listens where. It runs until `close()`. */
export async function runSimulator(options: RunOptions = {}): Promise<Simulator> {
  const {
    portBase = 9080,
    syncEveryMs,
    quotas = true,
    scenario = 'demo',
    host,
    print = toStandardOutput,
  } = options;
  const port = (offset: number) => (portBase === 0 ? 0 : portBase + offset);
  const simulator = await startSimulator({
    ports: { connectwise: port(0), umbrella: port(1), control: port(2), robot: port(3) },
    quotas,
    ...(syncEveryMs === undefined ? {} : { syncEveryMs }),
    ...(host === undefined ? {} : { host }),
  });
  if (scenario === 'demo') seedDemo(simulator.world);
  else if (scenario !== 'empty') seedScenario(simulator.world, 'acme', scenario);
  print(`ConnectWise PSA  ${simulator.connectwiseUrl}`);
  print(`Umbrella API     ${simulator.umbrellaUrl}`);
  print(`Technician       ${simulator.controlUrl}  (open this in a browser)`);
  print(`Robot            ${simulator.robotUrl}  (an automation, for handoffs in tenants.yaml)`);
  if (syncEveryMs !== undefined) print(`Every console syncs each ${syncEveryMs / SECOND} s.`);
  return simulator;
}

function toStandardOutput(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** `500ms`, `5s`, `15m`, `36h`; throws on anything else. */
function milliseconds(text: string): number {
  const match = /^(\d+)(ms|s|m|h)$/.exec(text);
  const unit = { ms: 1, s: SECOND, m: MINUTE, h: HOUR }[match?.[2] ?? ''];
  if (match === null || unit === undefined)
    throw new TypeError(`'${text}' is not a duration like 5s, 15m or 36h`);
  return Number(match[1]) * unit;
}

function scenarioNamed(name: string): 'demo' | 'empty' | Trouble {
  const known = ['demo', 'empty', ...TROUBLES] as const;
  const found = known.find((one) => one === name);
  if (found === undefined) throw new TypeError(`there is no scenario ${name}; known are ${known.join(', ')}`);
  return found;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      port: { type: 'string', default: '9080' },
      host: { type: 'string', default: '127.0.0.1' },
      demo: { type: 'boolean', default: false },
      scenario: { type: 'string' },
      'sync-every': { type: 'string' },
      'no-quotas': { type: 'boolean', default: false },
    },
  });
  const portBase = Number(values.port);
  if (!Number.isInteger(portBase) || portBase < 0 || portBase > 65_532)
    throw new TypeError('--port is not a port');
  const syncEvery = values['sync-every'];
  const simulator = await runSimulator({
    portBase,
    host: values.host,
    scenario: scenarioNamed(values.scenario ?? (values.demo ? 'demo' : 'empty')),
    quotas: !values['no-quotas'],
    ...(syncEvery === undefined ? {} : { syncEveryMs: milliseconds(syncEvery) }),
  });
  const end = () => {
    simulator.close().catch((error: unknown) => {
      process.stderr.write(`${String(error)}\n`);
      process.exitCode = 1;
    });
  };
  process.once('SIGINT', end);
  process.once('SIGTERM', end);
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  main().catch((error: unknown) => {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 2;
  });
}
