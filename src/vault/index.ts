export { bootstrapToken, type AdminToken } from './admin-token.ts';
export { checkVault, type CanaryStore } from './canary.ts';
export { VaultError, type VaultAnswer, type VaultReason } from './error.ts';
export { loadKek, parseKek, type Kek, type LoadedKek } from './kek.ts';
export { createVault, fingerprintOf } from './vault.ts';
