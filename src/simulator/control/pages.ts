import type { World } from '../world.ts';
import type { ControlReply } from './server.ts';

/** The pages on which a newcomer plays the technician. */
export class TechnicianPages {
  readonly #world: World;

  constructor(world: World) {
    this.#world = world;
  }

  answer(_method: string, _url: URL, _body: string): ControlReply {
    const names = this.#world.listCompanies().map((one) => one.companyId);
    return { status: 200, json: names };
  }
}
