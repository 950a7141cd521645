import { startSimulator, type Simulator } from './index.ts';
import { seedDemo, seedScenario, type Trouble } from './scenarios.ts';
import { SECOND } from './time.ts';

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
  /** Where the lines go that say what listens where. */
  print: (line: string) => void;
}

/** Starts a seeded simulator and says what listens where. It runs until `close()`. */
export async function runSimulator(options: RunOptions): Promise<Simulator> {
  const { portBase = 9080, syncEveryMs, quotas = true, scenario = 'demo', host, print } = options;
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
