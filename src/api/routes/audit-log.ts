import { z } from 'zod';
import { tenantIdSchema } from '../../domain/tenant.ts';
import type { Api } from '../types.ts';
import { answers, pageLimit } from '../views.ts';

const time = z.iso.datetime({ offset: true });
const change = z.record(z.string(), z.unknown()).nullable();

const auditRecord = z
  .object({
    id: z.string(),
    at: time,
    actor: z.string().describe('The name of the token; `parasol` is the service itself.'),
    tokenId: z.string().nullable(),
    role: z.string().nullable(),
    address: z.string().nullable().describe('Where the request came from.'),
    requestId: z.string().nullable().describe('As in X-Request-Id and in the log.'),
    action: z.string(),
    tenantId: z.string().nullable(),
    subject: z.string().nullable().describe('A hand-off, a rotation, a purpose, a token.'),
    reason: z.string().nullable(),
    before: change,
    after: change.describe('Keys are told by fingerprint.'),
  })
  .meta({ id: 'AuditRecord' });

/** Who changed what. */
export function auditLogRoutes(app: Api): void {
  app.get(
    '/audit',
    {
      config: { permission: 'audit:read' },
      schema: {
        tags: ['audit'],
        operationId: 'listAudit',
        summary: 'Who changed what, when and from where, newest first',
        querystring: z.strictObject({
          before: z
            .string()
            .regex(/^\d{1,15}$/, 'must be the id of an entry')
            .transform(Number)
            .optional()
            .describe('Entries before the one of this id.'),
          limit: pageLimit,
          tenant: tenantIdSchema.optional(),
          actor: z.string().min(1).max(200).optional().describe('The name of a token.'),
          action: z.string().min(1).max(100).optional().describe('Such as `tenant.replace`, or `refused`.'),
          since: time.optional(),
        }),
        response: answers({ 200: z.object({ items: z.array(auditRecord), next: z.string().nullable() }) }),
      },
    },
    ({ query, commands }) => {
      const { before = null, limit, tenant = null, actor = null, action = null, since = null } = query;
      return commands.auditLog({ before, limit, tenant, actor, action, since });
    },
  );
}
