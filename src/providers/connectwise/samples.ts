import type { TenantSpec } from '../../domain/tenant.ts';
import type { Sample } from '../../reconciler/ports.ts';
import type { ConnectWiseApi } from './api.ts';

export function connectWiseSamples(_spec: TenantSpec, _api: ConnectWiseApi): Promise<Sample[]> {
  return Promise.resolve([]);
}
