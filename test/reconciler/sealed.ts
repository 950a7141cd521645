import type { KeyPair } from '../../src/domain/secret.ts';
import { originFor, type Purpose, type TenantSpec } from '../../src/domain/tenant.ts';
import type { NewCredential, Vault } from '../../src/reconciler/ports.ts';

/** A pair as it is kept for that tenant: the one in use, unless it is said otherwise. */
export async function sealed(
  vault: Vault,
  spec: TenantSpec,
  id: string,
  purpose: Purpose,
  given: KeyPair,
  { state = 'active', member = null, handoffId = null }: Partial<NewCredential> = {},
): Promise<NewCredential> {
  const origin = originFor(spec, purpose);
  const bound = { tenantId: spec.id, credentialId: id, purpose, origin };
  return {
    id,
    purpose,
    state,
    fingerprint: vault.fingerprint(given),
    member,
    origin,
    sealed: await vault.seal(given, bound),
    handoffId,
  };
}
