export { hashToken, oneToken, type Authenticate, type Identity } from './auth.ts';
export { buildApi, type ApiDeps, type ApiLimits } from './build.ts';
export type { Readiness, ReadyPart } from './routes/service.ts';
