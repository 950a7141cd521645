/** One difference between spec and observation. */
export interface Drift {
  /** `role.levels.Companies/Configurations.edit`, `members.umbrella-a.role`, `integrationKey`. */
  path: string;
  kind: 'missing' | 'excess' | 'different';
  desired: string;
  observed: string;
  /** When it was first seen, ISO 8601. */
  since: string;
  /** `api:create-member`, `handoff:grant-role-levels`, or `none:` and why nobody may repair it. */
  action: string;
  accepted: null;
}
