import type { Want } from '../../domain/budget.ts';
import type { TenantSpec } from '../../domain/tenant.ts';
import type { Clock, ConnectWise, ExpectedLook } from '../../reconciler/ports.ts';
import type { HttpClient } from '../http/client.ts';
import { Shared } from '../http/shared.ts';
import { ConnectWiseApi } from './api.ts';
import { lastDoor } from './door.ts';
import { connectWiseReads, type OrderMemory } from './reads.ts';
import { connectWiseSamples } from './samples.ts';
import { Site, type KnownCompany } from './site.ts';
import { connectWiseWrites } from './writes.ts';

/** A server is asked again after that time whether it orders by `_info` now. */
const ORDER_MEMORY_MS = 24 * 60 * 60_000;

/** Calls of a look: the management key reads members, roles, levels, types and writes; another pair what it is. */
const CALLS = { management: 6, members: 1, pair: 2 } as const;

/** ConnectWise for all tenants: what is known of a company is shared by its runs. */
export class ConnectWiseVendor {
  readonly #http: HttpClient;
  readonly #clock: Clock;
  readonly #companies: Shared<KnownCompany>;
  readonly #refusedOrder = new Map<string, number>();

  constructor(http: HttpClient, clock: Clock) {
    this.#http = http;
    this.#clock = clock;
    this.#companies = new Shared(clock);
  }

  of(spec: TenantSpec): ConnectWise {
    const site = new Site(spec.connectwise, this.#http, this.#companies);
    return {
      companyInfo: (context) => site.askCompany(context),
      reads: (key, context) =>
        connectWiseReads(new ConnectWiseApi(site, this.#http, key, context), this.#ordering(site)),
      writes: (key, context, pass) =>
        connectWiseWrites(
          new ConnectWiseApi(site, this.#http, key, context),
          lastDoor(spec, pass, () => this.#http.hasTimeFor(context)),
        ),
      samples: (key, context) => connectWiseSamples(spec, new ConnectWiseApi(site, this.#http, key, context)),
    };
  }

  /** What a look costs at most, if nothing is wrong; the codebase is asked for where it is not known. */
  wants({ spec, management, pairs, leaves }: ExpectedLook): Want[] {
    const site = new Site(spec.connectwise, this.#http, this.#companies);
    const own = leaves.has('settings') ? CALLS.members : CALLS.management;
    const calls = 1 + (management ? own : 0) + pairs * CALLS.pair;
    return [{ ...site.budget, calls }];
  }

  #ordering(site: Site): OrderMemory {
    const now = () => this.#clock.now().getTime();
    return {
      refuses: () => (this.#refusedOrder.get(site.name) ?? 0) > now(),
      note: () => this.#refusedOrder.set(site.name, now() + ORDER_MEMORY_MS),
    };
  }
}
