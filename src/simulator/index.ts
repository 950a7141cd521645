import { controlServer } from './control/server.ts';
import { listen, vendorServer, type Listener } from './listener.ts';
import { Robot } from './robot.ts';
import { World, type WorldOptions } from './world.ts';

export { HandError, World } from './world.ts';
export { robotIdentity, type Robot } from './robot.ts';
export { SimulatorControl } from './control-client.ts';
export { demoCompanies, scenarioSecrets, seedDemo, seedMany, seedScenario, TROUBLES } from './scenarios.ts';
export { randomOf } from './random.ts';
export type { FaultEffect } from './faults.ts';
export type { JournalEntry } from './journal.ts';
export type { ScenarioOptions, Trouble } from './scenarios.ts';
export type { KeyPair } from './secrets.ts';

export interface SimulatorOptions extends WorldOptions {
  /** Default 127.0.0.1. */
  host?: string;
  /** 0, and absent: any free port. */
  ports?: { connectwise?: number; umbrella?: number; control?: number; robot?: number };
  /** Every console runs its daily sync this often; absent: only by hand. */
  syncEveryMs?: number;
  /** Added to every answer of both vendors. Default 0. */
  latencyMs?: number;
}

export interface Simulator {
  connectwiseUrl: string;
  umbrellaUrl: string;
  controlUrl: string;
  /** An automation that does what hand-offs ask of people. */
  robotUrl: string;
  robot: Robot;
  world: World;
  /** Ends all four servers, and every connection and held request with them. */
  close(): Promise<void>;
}

/**
 * Starts both vendors, the control server and a robot, each on a port of its own, so that vendors fail independently.
 *
 * ```ts
 * const simulator = await startSimulator({ clock: () => new Date('2026-11-24T08:00:00Z') });
 * seedScenario(simulator.world, 'acme', 'healthy');
 * ```
 */
export async function startSimulator(options: SimulatorOptions = {}): Promise<Simulator> {
  const { host = '127.0.0.1', ports = {}, latencyMs = 0, syncEveryMs } = options;
  const world = new World(options);
  const robot = new Robot(world);
  const listeners: Listener[] = [];
  const closeAll = async () => {
    world.faults.shutdown();
    await Promise.all(listeners.map((listener) => listener.close()));
  };
  try {
    listeners.push(
      await listen(vendorServer(world, world.connectwiseApi, latencyMs), host, ports.connectwise ?? 0),
    );
    listeners.push(
      await listen(vendorServer(world, world.umbrellaApi, latencyMs), host, ports.umbrella ?? 0),
    );
    listeners.push(await listen(controlServer(world), host, ports.control ?? 0));
    listeners.push(await listen(robot.server(), host, ports.robot ?? 0));
  } catch (error) {
    // A port in use must not leave the other servers behind.
    await closeAll();
    throw error;
  }
  const [connectwiseUrl = '', umbrellaUrl = '', controlUrl = '', robotUrl = ''] = listeners.map(
    (listener) => listener.url,
  );
  const timer = syncEveryMs === undefined ? null : setInterval(() => world.runAllSyncs(), syncEveryMs);
  return {
    connectwiseUrl,
    umbrellaUrl,
    controlUrl,
    robotUrl,
    robot,
    world,
    close: async () => {
      if (timer !== null) clearInterval(timer);
      await closeAll();
    },
  };
}
