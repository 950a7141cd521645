import type { World } from '../world.ts';

/** The methods of `World` that other processes may call, with JSON for arguments and results. */
export const HAND_NAMES = [
  'activateMember',
  'addCompany',
  'addConfiguration',
  'addConsole',
  'addCustomerCompany',
  'addPerson',
  'addUmbrellaCustomer',
  'addUmbrellaKey',
  'advanceClock',
  'changeCodebase',
  'changeFigures',
  'clearInstalledKey',
  'createMember',
  'createRole',
  'deactivateMember',
  'deleteKey',
  'deleteRole',
  'deleteUmbrellaKey',
  'ensureQuestions',
  'installKey',
  'listCompanies',
  'listKeys',
  'listUmbrellaKeys',
  'makeKey',
  'mapCustomer',
  'removeUmbrellaCustomer',
  'renameRole',
  'runAllSyncs',
  'runSync',
  'setAllowList',
  'setCompanyOptions',
  'setConsoleOptions',
  'setLevels',
  'setMemberPlace',
  'setMemberRole',
  'setProcedureLevels',
  'setUmbrellaKeyExpiry',
  'setUmbrellaKeyScopes',
  'setUnknownCompanyAnswer',
  'touchConfiguration',
  'unmapCustomer',
  'viewCompany',
] as const satisfies ReadonlyArray<keyof World>;

export type HandName = (typeof HAND_NAMES)[number];

export function isHandName(name: string): name is HandName {
  return HAND_NAMES.some((one) => one === name);
}

/**
 * Carries out a hand by name. The arguments come from JSON unchecked; what does not fit ends as `HandError`
 * or `TypeError`, and changes nothing but the simulation.
 */
export function callHand(world: World, name: HandName, args: readonly unknown[]): unknown {
  const hand = world[name] as (...args: readonly unknown[]) => unknown;
  return hand.apply(world, args as unknown[]);
}
