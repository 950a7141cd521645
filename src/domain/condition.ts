export const CONDITION_TYPES = [
  'ConnectWiseReachable',
  'ManagementKeyValid',
  'RoleReady',
  'TableSetupReady',
  'MembersReady',
  'IntegrationKeyValid',
  'UmbrellaKeyValid',
  'UmbrellaIntegrated',
  'RotationHealthy',
  'Braked',
  'Paused',
] as const;
export type ConditionType = (typeof CONDITION_TYPES)[number];
export type Truth = 'True' | 'False' | 'Unknown';

export interface Condition {
  type: ConditionType;
  status: Truth;
  reason: string;
  message: string;
  observedGeneration: number;
  /** When `status` last changed, ISO 8601. */
  lastTransitionTime: string;
}
