import type { TenantInput } from '../domain/tenant.ts';
import { Refused } from './context.ts';
import type { CliIo } from './io.ts';
import { loadTenantsFile, type TenantsFile } from './tenants-file.ts';

export type GoodFile = Extract<TenantsFile, { ok: true }>;

/** A file of tenants, its references resolved; all that is wrong with it is told at once. */
export function readTenants(path: string, io: CliIo): GoodFile {
  let file: TenantsFile;
  try {
    file = loadTenantsFile(path, io.env);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new Refused(`${path} cannot be read${code === undefined ? '' : ` (${code})`}.`);
  }
  if (file.ok) return file;
  const count = file.problems.length;
  throw new Refused(
    `${path} has ${count} problem${count === 1 ? '' : 's'}; nothing was applied.`,
    file.problems,
  );
}

/** One tenant of a file. */
export function tenantOf(io: CliIo, path: string, id: string): TenantInput {
  const { tenants } = readTenants(path, io);
  const tenant = tenants.find((one) => one.id === id);
  if (tenant !== undefined) return tenant;
  throw new Refused(`${path} has no tenant ${id}; it has ${tenants.map((one) => one.id).join(', ')}.`);
}
