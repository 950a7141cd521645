import type { Call, OnCreated, Reply } from '../wire.ts';
import type { World } from '../world.ts';
import type { QuotaGroup, UmbrellaConsole, UmbrellaKey } from './console.ts';
import type { ErrorShape } from './errors.ts';

/** Everything an operation of Umbrella may look at. */
export interface UmbrellaContext {
  world: World;
  /** The organisation that the bearer token speaks for. */
  console: UmbrellaConsole;
  key: UmbrellaKey;
  call: Call;
  now: Date;
  parameters: readonly string[];
  onCreated: OnCreated;
}

export interface UmbrellaOperation {
  method: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  template: string;
  scope: string;
  quota: QuotaGroup;
  shape: ErrorShape;
  run(context: UmbrellaContext): Reply;
}
