import { ConnectWise } from './connectwise/api.ts';
import { LEVEL_KINDS } from './connectwise/catalogue.ts';
import type { ConnectWiseCompany, SecurityRole } from './connectwise/company.ts';
import { ConnectWiseHands } from './connectwise-hands.ts';
import type { FaultRule, HeldCall } from './faults.ts';
import type { CompanyView, NewConsole, NewUmbrellaKey, RoleView, UmbrellaKeyView } from './hand-types.ts';
import { random, type KeyPair } from './secrets.ts';
import { DAY, wireTime } from './time.ts';
import { Umbrella } from './umbrella/api.ts';
import {
  READ_SCOPES,
  UmbrellaConsole,
  type ConsoleOptions,
  type SyncResult,
  type UmbrellaCustomer,
  type UmbrellaKey,
} from './umbrella/console.ts';
import { runSync } from './umbrella/sync.ts';
import { HandError } from './world-state.ts';

export { HandError, type WorldOptions } from './world-state.ts';
export type * from './hand-types.ts';

/**
 * Both vendors' state, and the human hands that change what no API can (domain.md §2). Companies are named by
 * their ConnectWise company id, roles by name (or id), members by identifier. Hands throw `HandError`.
 */
export class World extends ConnectWiseHands {
  readonly connectwiseApi = new ConnectWise(this);
  readonly umbrellaApi = new Umbrella(this);

  /** Everything about one company and its console, without private keys and secrets. */
  viewCompany(companyId: string): CompanyView {
    const company = this.company(companyId);
    const { name, codebase, options } = company;
    const console = this.consoles.get(company.companyId);
    return {
      companyId: company.companyId,
      name,
      codebase,
      options,
      roles: company.roles.values().map((role) => this.#viewRole(company, role)),
      members: company.apiMembers.values(),
      keys: this.listKeys(companyId),
      customers: company.companies.values().map(({ id, identifier, name }) => ({ id, identifier, name })),
      configurations: company.configurations.values(),
      console:
        console === undefined
          ? null
          : {
              organizationId: console.organizationId,
              kind: console.kind,
              options: console.options,
              installedPublicKey: console.installed?.publicKey ?? null,
              customers: [...console.customers.values()],
              keys: this.listUmbrellaKeys(companyId),
              syncs: console.syncs,
            },
    };
  }

  // ---- hands: Umbrella

  /** Gives a company its Umbrella console, empty. */
  addConsole(companyId: string, fields: NewConsole): void {
    const { companyId: id } = this.company(companyId);
    if (this.consolesByOrganization.has(fields.organizationId)) {
      throw new HandError(`the organization ${fields.organizationId} exists already`);
    }
    const kind = fields.kind ?? 'msp';
    const console = new UmbrellaConsole(
      id,
      fields.organizationId,
      kind,
      fields.parentOrganizationId ?? null,
      {
        expiredTokenAnswer: 401,
        configurationType: 'Cisco Umbrella',
        packageName: kind === 'msp' ? 'Umbrella for MSPs' : 'Umbrella for MSSPs',
        status: 'active',
        expiresAt: wireTime(this.now().getTime() + 365 * DAY),
        ...fields.options,
      },
    );
    this.consoles.set(id, console);
    this.consolesByOrganization.set(fields.organizationId, console);
  }

  setConsoleOptions(companyId: string, options: Partial<ConsoleOptions>): void {
    const console = this.console(companyId);
    console.options = { ...console.options, ...options };
  }

  /** Types a pair into "PSA Integration Details" and saves; it is not checked, as nothing here says it is. */
  installKey(companyId: string, pair: KeyPair): void {
    this.console(companyId).installed = { publicKey: pair.publicKey, privateKey: pair.privateKey };
  }

  clearInstalledKey(companyId: string): void {
    this.console(companyId).installed = null;
  }

  /** Adds a customer to the console; answers its id. */
  addUmbrellaCustomer(companyId: string, name: string, mappedTo: string | null = null, seats = 25): number {
    return this.console(companyId).addCustomer(name, seats, mappedTo).customerId;
  }

  removeUmbrellaCustomer(companyId: string, customer: string | number): void {
    const console = this.console(companyId);
    console.customers.delete(this.#customer(console, customer).customerId);
  }

  /** Maps a customer, by name or id, to a ConnectWise company identifier. */
  mapCustomer(companyId: string, customer: string | number, companyIdentifier: string): void {
    this.#customer(this.console(companyId), customer).mappedTo = companyIdentifier;
  }

  unmapCustomer(companyId: string, customer: string | number): void {
    this.#customer(this.console(companyId), customer).mappedTo = null;
  }

  /** Lets the figures change that Umbrella writes about a customer, or about all. */
  changeFigures(companyId: string, customer?: string | number): void {
    const console = this.console(companyId);
    const concerned =
      customer === undefined ? console.customers.values() : [this.#customer(console, customer)];
    for (const one of concerned) one.revision += 1;
  }

  /** Makes an Umbrella API key; answers its client id and secret. */
  addUmbrellaKey(companyId: string, fields: NewUmbrellaKey): { key: string; secret: string } {
    const console = this.console(companyId);
    if ([...console.keys.values()].some((one) => one.name === fields.name)) {
      throw new HandError(`the API key ${fields.name} exists already`);
    }
    const at = wireTime(this.now());
    const key: UmbrellaKey = {
      id: `key-${console.organizationId}-${console.keys.size + 1}-${random(6)}`,
      name: fields.name,
      description: fields.description ?? '',
      clientId: fields.clientId ?? random(32),
      secret: fields.secret ?? random(32),
      creatorKeyId: '',
      createdAt: at,
      modifiedAt: at,
      lastUsedAt: at,
      lastRefreshedAt: at,
      expireAt: fields.expireAt ?? '',
      scopes: [...(fields.scopes ?? READ_SCOPES)],
      allowedIPs: fields.allowedIPs ?? [],
    };
    this.registerUmbrellaKey(console, key);
    return { key: key.clientId, secret: key.secret };
  }

  /** Deletes an Umbrella API key, by name or client id. */
  deleteUmbrellaKey(companyId: string, key: string): void {
    const console = this.console(companyId);
    this.forgetUmbrellaKey(console, this.#umbrellaKey(console, key));
  }

  /** `expireAt`: ISO 8601, or empty: never. */
  setUmbrellaKeyExpiry(companyId: string, key: string, expireAt: string): void {
    this.#umbrellaKey(this.console(companyId), key).expireAt = expireAt;
  }

  setUmbrellaKeyScopes(companyId: string, key: string, scopes: readonly string[]): void {
    this.#umbrellaKey(this.console(companyId), key).scopes = [...scopes];
  }

  listUmbrellaKeys(companyId: string): UmbrellaKeyView[] {
    return [...this.console(companyId).keys.values()].map(
      ({ id, name, clientId, scopes, createdAt, expireAt, lastUsedAt }) => ({
        id,
        name,
        clientId,
        scopes,
        createdAt,
        expireAt,
        lastUsedAt,
      }),
    );
  }

  /** Lets a console's daily sync run now; a refusal by ConnectWise is a result, not an error. */
  runSync(companyId: string): SyncResult {
    const console = this.console(companyId);
    const result = runSync(console, this.connectwiseApi, this.company(companyId).codebase, this.now());
    console.recordSync(result);
    return result;
  }

  /** Lets the daily sync of every console run now; answers how many succeeded and how many failed. */
  runAllSyncs(): { succeeded: number; failed: number } {
    const outcomes = [...this.consoles.keys()].map((companyId) => this.runSync(companyId).outcome);
    return {
      succeeded: outcomes.filter((outcome) => outcome === 'succeeded').length,
      failed: outcomes.filter((outcome) => outcome === 'failed').length,
    };
  }

  // ---- faults; more of them is in `faults`

  /** Puts a fault in force; answers its id. */
  addFault(rule: FaultRule): number {
    return this.faults.add(rule);
  }

  /** Takes all faults out of force; held requests stay held. */
  clearFaults(): void {
    this.faults.clear();
  }

  /** Lets held requests go on, or drops them; answers how many there were. */
  releaseHangs(how: 'answer' | 'drop' = 'answer'): number {
    return this.faults.releaseHangs(how);
  }

  /** Waits until a request is held; null after `timeoutMs` without. */
  waitForHang(timeoutMs?: number): Promise<HeldCall | null> {
    return this.faults.waitForHang(timeoutMs);
  }

  #viewRole(company: ConnectWiseCompany, role: SecurityRole): RoleView {
    const { levels, allowList } = company.access(role.id);
    const notNone = [...levels].filter(([, row]) => LEVEL_KINDS.some((kind) => row[kind] !== 'None'));
    const { id, name, adminFlag, inactiveFlag } = role;
    return { id, name, adminFlag, inactiveFlag, levels: Object.fromEntries(notNone), allowList };
  }

  #customer(console: UmbrellaConsole, customer: string | number): UmbrellaCustomer {
    for (const one of console.customers.values()) {
      if (one.customerId === customer || one.customerName === customer) return one;
    }
    throw new HandError(`the console has no customer ${customer}`);
  }

  #umbrellaKey(console: UmbrellaConsole, key: string): UmbrellaKey {
    for (const one of console.keys.values()) if (one.name === key || one.clientId === key) return one;
    throw new HandError(`the console has no API key ${key}`);
  }
}
