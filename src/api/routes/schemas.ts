import { tenantsSchema } from '../../domain/tenants-schema.ts';
import type { Api } from '../types.ts';

/** Schemas for other programs. Editors fetch them with no token, and they tell nothing of any tenant. */
export function schemaRoutes(app: Api): void {
  const schema = tenantsSchema();
  app.get(
    '/schemas/tenants.json',
    { config: { permission: 'public' }, schema: { hide: true } },
    async (_, reply) => reply.type('application/schema+json').send(schema),
  );
}
