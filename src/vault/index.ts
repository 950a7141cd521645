export { bootstrapToken, type AdminToken } from './admin-token.ts';
export { checkVault } from './canary.ts';
export { VaultError, type VaultAnswer, type VaultReason } from './error.ts';
export { createEnvelopes } from './envelopes.ts';
export { installNextKek, loadKek, nextKek, parseKek, type Kek, type LoadedKek } from './kek.ts';
export { rekey, type Rekeyed } from './rekey.ts';
export { createVault, fingerprintOf } from './vault.ts';
