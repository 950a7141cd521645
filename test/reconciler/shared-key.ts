import { randomBytes } from 'node:crypto';
import { v7 as uuidV7 } from 'uuid';
import { Secret, type KeyPair } from '../../src/domain/secret.ts';
import { tenantSpecSchema, type Purpose } from '../../src/domain/tenant.ts';
import { createVendors, type Timers } from '../../src/providers/index.ts';
import type { BudgetLedger, Clock, Vendors } from '../../src/reconciler/ports.ts';
import type { ReconcileDeps } from '../../src/reconciler/reconcile.ts';
import { scenarioSecrets, seedScenario, startSimulator, type Simulator } from '../../src/simulator/index.ts';
import { createStore, type Store } from '../../src/store/index.ts';
import { createVault } from '../../src/vault/index.ts';
import { sealed } from './sealed.ts';

/** Tenants that share one Umbrella key, its parent `acme` among them, and replicas over one database. */
export class SharedKey implements AsyncDisposable {
  readonly simulator: Simulator;
  readonly tenants: string[];
  readonly clock: Clock;
  readonly vault = createVault({ id: 'test', key: randomBytes(32) });
  readonly #url: string;
  readonly #stores: Store[] = [];
  readonly #vendors: Vendors[] = [];
  readonly #withAdmin: boolean;

  /** `customers`: of the parent; its children have few. `withAdmin`: all may list the parent's API keys. */
  static async of(
    url: string,
    clock: Clock,
    { children, customers, withAdmin = false }: { children: number; customers: number; withAdmin?: boolean },
  ): Promise<SharedKey> {
    const simulator = await startSimulator({ clock: () => clock.now() });
    seedScenario(simulator.world, 'acme', 'healthy', { customers });
    const parentOrganizationId = simulator.world.console('acme').organizationId;
    const names = Array.from({ length: children }, (_, index) => `child${String(index).padStart(2, '0')}`);
    for (const [index, child] of names.entries()) {
      seedScenario(simulator.world, child, 'healthy', {
        organizationId: 900_001 + index,
        parentOrganizationId,
        lean: true,
      });
    }
    return new SharedKey(simulator, url, clock, ['acme', ...names], withAdmin);
  }

  private constructor(
    simulator: Simulator,
    url: string,
    clock: Clock,
    tenants: string[],
    withAdmin: boolean,
  ) {
    this.simulator = simulator;
    this.#url = url;
    this.clock = clock;
    this.tenants = tenants;
    this.#withAdmin = withAdmin;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#vendors.map((vendors) => vendors.close()));
    await Promise.all(this.#stores.map((store) => store.close()));
    await this.simulator.close();
  }

  /** One more replica, with connections and held blocks of its own. */
  replica(ledgerOf: (store: Store) => BudgetLedger, timers?: Timers): ReconcileDeps & { store: Store } {
    const store = createStore(this.#url);
    const { clock, vault } = this;
    const vendors = createVendors({
      clock,
      ledger: ledgerOf(store),
      ...(timers ? { timers } : {}),
      retries: { times: 0, firstDelayMs: 0 },
      breaker: { failures: 1_000, openMs: 0 },
    });
    this.#stores.push(store);
    this.#vendors.push(vendors);
    const { reconciles, claims } = store;
    const ids = { next: () => uuidV7() };
    return { store, reconciles, claims, vault, vendors, clock, ids, random: () => 0.5 };
  }

  /** Stores every tenant with such a period, the new ones with their pairs. */
  async apply({ desk }: Store, every: string): Promise<void> {
    const known = await desk.tenants(this.tenants);
    const writes = this.tenants.map(async (id, index) => {
      const before = known.find(({ tenant }) => tenant.id === id);
      const spec = tenantSpecSchema.parse({
        id,
        name: id,
        mode: 'repair',
        every,
        connectwise: {
          site: this.simulator.connectwiseUrl,
          companyId: id,
          clientId: '0a3e1f64-0000-4000-8000-000000000001',
        },
        umbrella: {
          console: 'msp',
          url: this.simulator.umbrellaUrl,
          ...(index === 0 ? {} : { organizationId: String(900_000 + index) }),
        },
      });
      const { managementKey } = scenarioSecrets(id);
      const { umbrellaApiKey, umbrellaKeyAdmin } = scenarioSecrets('acme');
      const given: [Purpose, KeyPair][] = [
        ['management', pair(managementKey.publicKey, managementKey.privateKey)],
        ['umbrella-api', pair(umbrellaApiKey.key, umbrellaApiKey.secret)],
        ...(this.#withAdmin
          ? [
              ['umbrella-key-admin', pair(umbrellaKeyAdmin.key, umbrellaKeyAdmin.secret)] as [
                Purpose,
                KeyPair,
              ],
            ]
          : []),
      ];
      const credentials = given.map(([purpose, keys]) => sealed(this.vault, spec, uuidV7(), purpose, keys));
      return {
        id,
        expected: before?.tenant.generation ?? null,
        spec,
        credentials: before ? [] : await Promise.all(credentials),
        events: [],
        cause: 'apply',
      };
    });
    const applied = await desk.apply(await Promise.all(writes));
    if (!applied.ok) throw new Error(applied.refusal.because);
  }
}

const pair = (publicHalf: string, privateHalf: string): KeyPair => ({
  publicHalf,
  privateHalf: new Secret(privateHalf),
});
