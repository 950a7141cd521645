/** Every table, for drizzle-kit. */
export { audit } from './audit.ts';
export { acceptances } from './acceptances.ts';
export { brakeReleases, brakes, sightings } from './brakes.ts';
export { credentials } from './credentials.ts';
export { eventLog } from './event-log.ts';
export { events } from './events.ts';
export { answerKeys, handoffs } from './handoffs.ts';
export { intents } from './intents.ts';
export { listings } from './listings.ts';
export { ownedObjects } from './owned.ts';
export { rotations } from './rotations.ts';
export { runFindings } from './run-findings.ts';
export { runs } from './runs.ts';
export { statuses } from './statuses.ts';
export { tenants } from './tenants.ts';
export { tokens } from './tokens.ts';
export { umbrellaKeys } from './umbrella-keys.ts';
export { vaultChecks } from './vault-checks.ts';
