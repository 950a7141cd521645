import type { HandName } from './control/hands.ts';
import type { SeedRequest } from './control/server.ts';
import type { FaultRule, HeldCall } from './faults.ts';
import type { JournalCounts, JournalEntry, JournalQuery } from './journal.ts';
import type { ScenarioOptions, ScenarioSecrets, Trouble } from './scenarios.ts';
import { HandError, type World } from './world.ts';

type Args<N extends HandName> = Parameters<World[N]>;
type Result<N extends HandName> = Promise<ReturnType<World[N]>>;

/**
 * The simulator's hands, faults and journal from another process, over its control server. The methods are
 * those of `World`, asynchronous; what cannot be done rejects with `HandError`.
 *
 * ```ts
 * const control = new SimulatorControl('http://127.0.0.1:9082');
 * const pair = await control.makeKey('acme', 'umbrella-b');
 * await control.installKey('acme', pair);
 * ```
 */
export class SimulatorControl {
  readonly #url: string;

  constructor(controlUrl: string) {
    this.#url = controlUrl.replace(/\/$/, '');
  }

  activateMember(...args: Args<'activateMember'>): Result<'activateMember'> {
    return this.#hand('activateMember', args);
  }

  addCompany(...args: Args<'addCompany'>): Result<'addCompany'> {
    return this.#hand('addCompany', args);
  }

  addConfiguration(...args: Args<'addConfiguration'>): Result<'addConfiguration'> {
    return this.#hand('addConfiguration', args);
  }

  addConsole(...args: Args<'addConsole'>): Result<'addConsole'> {
    return this.#hand('addConsole', args);
  }

  addCustomerCompany(...args: Args<'addCustomerCompany'>): Result<'addCustomerCompany'> {
    return this.#hand('addCustomerCompany', args);
  }

  addPerson(...args: Args<'addPerson'>): Result<'addPerson'> {
    return this.#hand('addPerson', args);
  }

  addUmbrellaCustomer(...args: Args<'addUmbrellaCustomer'>): Result<'addUmbrellaCustomer'> {
    return this.#hand('addUmbrellaCustomer', args);
  }

  addUmbrellaKey(...args: Args<'addUmbrellaKey'>): Result<'addUmbrellaKey'> {
    return this.#hand('addUmbrellaKey', args);
  }

  advanceClock(...args: Args<'advanceClock'>): Result<'advanceClock'> {
    return this.#hand('advanceClock', args);
  }

  changeCodebase(...args: Args<'changeCodebase'>): Result<'changeCodebase'> {
    return this.#hand('changeCodebase', args);
  }

  changeFigures(...args: Args<'changeFigures'>): Result<'changeFigures'> {
    return this.#hand('changeFigures', args);
  }

  clearInstalledKey(...args: Args<'clearInstalledKey'>): Result<'clearInstalledKey'> {
    return this.#hand('clearInstalledKey', args);
  }

  createMember(...args: Args<'createMember'>): Result<'createMember'> {
    return this.#hand('createMember', args);
  }

  createRole(...args: Args<'createRole'>): Result<'createRole'> {
    return this.#hand('createRole', args);
  }

  deactivateMember(...args: Args<'deactivateMember'>): Result<'deactivateMember'> {
    return this.#hand('deactivateMember', args);
  }

  deleteKey(...args: Args<'deleteKey'>): Result<'deleteKey'> {
    return this.#hand('deleteKey', args);
  }

  deleteRole(...args: Args<'deleteRole'>): Result<'deleteRole'> {
    return this.#hand('deleteRole', args);
  }

  deleteUmbrellaKey(...args: Args<'deleteUmbrellaKey'>): Result<'deleteUmbrellaKey'> {
    return this.#hand('deleteUmbrellaKey', args);
  }

  ensureQuestions(...args: Args<'ensureQuestions'>): Result<'ensureQuestions'> {
    return this.#hand('ensureQuestions', args);
  }

  installKey(...args: Args<'installKey'>): Result<'installKey'> {
    return this.#hand('installKey', args);
  }

  listCompanies(...args: Args<'listCompanies'>): Result<'listCompanies'> {
    return this.#hand('listCompanies', args);
  }

  listKeys(...args: Args<'listKeys'>): Result<'listKeys'> {
    return this.#hand('listKeys', args);
  }

  listUmbrellaKeys(...args: Args<'listUmbrellaKeys'>): Result<'listUmbrellaKeys'> {
    return this.#hand('listUmbrellaKeys', args);
  }

  makeKey(...args: Args<'makeKey'>): Result<'makeKey'> {
    return this.#hand('makeKey', args);
  }

  mapCustomer(...args: Args<'mapCustomer'>): Result<'mapCustomer'> {
    return this.#hand('mapCustomer', args);
  }

  removeUmbrellaCustomer(...args: Args<'removeUmbrellaCustomer'>): Result<'removeUmbrellaCustomer'> {
    return this.#hand('removeUmbrellaCustomer', args);
  }

  renameRole(...args: Args<'renameRole'>): Result<'renameRole'> {
    return this.#hand('renameRole', args);
  }

  runAllSyncs(...args: Args<'runAllSyncs'>): Result<'runAllSyncs'> {
    return this.#hand('runAllSyncs', args);
  }

  runSync(...args: Args<'runSync'>): Result<'runSync'> {
    return this.#hand('runSync', args);
  }

  setAllowList(...args: Args<'setAllowList'>): Result<'setAllowList'> {
    return this.#hand('setAllowList', args);
  }

  setCompanyOptions(...args: Args<'setCompanyOptions'>): Result<'setCompanyOptions'> {
    return this.#hand('setCompanyOptions', args);
  }

  setConsoleOptions(...args: Args<'setConsoleOptions'>): Result<'setConsoleOptions'> {
    return this.#hand('setConsoleOptions', args);
  }

  setLevels(...args: Args<'setLevels'>): Result<'setLevels'> {
    return this.#hand('setLevels', args);
  }

  setMemberPlace(...args: Args<'setMemberPlace'>): Result<'setMemberPlace'> {
    return this.#hand('setMemberPlace', args);
  }

  setMemberRole(...args: Args<'setMemberRole'>): Result<'setMemberRole'> {
    return this.#hand('setMemberRole', args);
  }

  setProcedureLevels(...args: Args<'setProcedureLevels'>): Result<'setProcedureLevels'> {
    return this.#hand('setProcedureLevels', args);
  }

  setUmbrellaKeyExpiry(...args: Args<'setUmbrellaKeyExpiry'>): Result<'setUmbrellaKeyExpiry'> {
    return this.#hand('setUmbrellaKeyExpiry', args);
  }

  setUmbrellaKeyScopes(...args: Args<'setUmbrellaKeyScopes'>): Result<'setUmbrellaKeyScopes'> {
    return this.#hand('setUmbrellaKeyScopes', args);
  }

  setUnknownCompanyAnswer(...args: Args<'setUnknownCompanyAnswer'>): Result<'setUnknownCompanyAnswer'> {
    return this.#hand('setUnknownCompanyAnswer', args);
  }

  touchConfiguration(...args: Args<'touchConfiguration'>): Result<'touchConfiguration'> {
    return this.#hand('touchConfiguration', args);
  }

  unmapCustomer(...args: Args<'unmapCustomer'>): Result<'unmapCustomer'> {
    return this.#hand('unmapCustomer', args);
  }

  viewCompany(...args: Args<'viewCompany'>): Result<'viewCompany'> {
    return this.#hand('viewCompany', args);
  }

  /** See `seedScenario`; answers the company's credentials. */
  seedScenario(companyId: string, trouble: Trouble, options?: ScenarioOptions): Promise<ScenarioSecrets> {
    const request: SeedRequest = { companyId, trouble, ...(options === undefined ? {} : { options }) };
    return this.#call('POST', '/api/seed', request);
  }

  /** Seeds the tenants of the demo. */
  seedDemo(): Promise<null> {
    return this.#call('POST', '/api/seed', { demo: true } satisfies SeedRequest);
  }

  /** Seeds `n` small healthy companies; answers their ids. */
  seedMany(n: number, options?: ScenarioOptions): Promise<string[]> {
    const request: SeedRequest = { many: n, ...(options === undefined ? {} : { options }) };
    return this.#call('POST', '/api/seed', request);
  }

  /** Puts a fault in force; answers its id. */
  addFault(rule: FaultRule): Promise<number> {
    return this.#call('POST', '/api/faults', rule);
  }

  /** The faults in force, with how often each was applied. */
  listFaults(): Promise<Array<FaultRule & { id: number; used: number }>> {
    return this.#call('GET', '/api/faults');
  }

  removeFault(id: number): Promise<boolean> {
    return this.#call('DELETE', `/api/faults/${id}`);
  }

  /** Takes all faults out of force; held requests stay held. */
  clearFaults(): Promise<null> {
    return this.#call('DELETE', '/api/faults');
  }

  /** Lets held requests go on, or drops them; answers how many there were. */
  releaseHangs(how: 'answer' | 'drop' = 'answer'): Promise<number> {
    return this.#call('DELETE', `/api/hangs?how=${how}`);
  }

  /** Waits until a request is held; null after `timeoutMs` without. */
  waitForHang(timeoutMs = 30_000): Promise<HeldCall | null> {
    return this.#call('GET', `/api/hangs?timeoutMs=${timeoutMs}`);
  }

  /** The remembered calls that match, oldest first. */
  journal(query: JournalQuery = {}): Promise<JournalEntry[]> {
    const parts = Object.fromEntries(Object.entries(query).map(([name, value]) => [name, String(value)]));
    return this.#call('GET', `/api/journal?${new URLSearchParams(parts).toString()}`);
  }

  /** Exact numbers of calls since the last clear. */
  counts(): Promise<JournalCounts> {
    return this.#call('GET', '/api/counts');
  }

  clearJournal(): Promise<null> {
    return this.#call('DELETE', '/api/journal');
  }

  #hand<N extends HandName>(name: N, args: Args<N>): Result<N> {
    return this.#call('POST', `/api/hands/${name}`, args);
  }

  async #call<T>(method: string, path: string, body?: unknown): Promise<T> {
    const response = await fetch(this.#url + path, {
      method,
      ...(body === undefined
        ? {}
        : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
    });
    const answer = (await response.json()) as { result: T; error?: string };
    if (!response.ok) throw new HandError(answer.error ?? `the control server answered ${response.status}`);
    return answer.result;
  }
}
