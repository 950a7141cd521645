import { z } from 'zod';
import { AUDIT_PAGE_POLICY, auditPage } from '../audit-page.ts';
import { refuse } from '../problem.ts';
import type { Api } from '../types.ts';
import { answers, atTenant, keyAudit } from '../views.ts';

/** What an auditor is given: the same evidence for machines and as a page. */
export function auditRoutes(app: Api): void {
  app.get(
    '/tenants/:id/export',
    {
      config: { permission: 'tenants:read' },
      schema: {
        tags: ['rotations'],
        operationId: 'exportKeys',
        summary: 'The evidence of each rotation and of all keys, as JSON or as a page to print',
        params: atTenant,
        querystring: z.strictObject({
          format: z.enum(['json', 'html']).optional().describe('Absent: what Accept prefers, else JSON.'),
        }),
        response: answers({
          200: {
            description: 'Who, when, why, fingerprints, proofs, and what was observed',
            content: { 'application/json': { schema: keyAudit }, 'text/html': { schema: z.string() } },
          },
        }),
      },
    },
    async ({ params, query, headers, commands }, reply) => {
      const answer = await commands.audit(params.id);
      if (!answer.ok) return refuse(reply, answer.refusal);
      reply.header('vary', 'accept');
      const format = query.format ?? preferred(headers.accept);
      if (format === 'json') return reply.type('application/json').send(answer.value);
      return reply
        .type('text/html; charset=utf-8')
        .header('content-security-policy', AUDIT_PAGE_POLICY)
        .send(auditPage(answer.value));
    },
  );
}

const FORMATS = { 'text/html': 'html', 'application/json': 'json', '*/*': 'json' } as const;

/** The format that an `Accept` header likes most; the first of equals. */
function preferred(accept = '*/*'): 'json' | 'html' {
  const liked = accept
    .split(',')
    .map((range) => {
      const [type = '', ...parameters] = range.split(';').map((part) => part.trim().toLowerCase());
      const weight = parameters.find((part) => part.startsWith('q='))?.slice(2) ?? '1';
      return { format: FORMATS[type as keyof typeof FORMATS], weight: Number(weight) || 0 };
    })
    .filter(({ format, weight }) => format !== undefined && weight > 0)
    .toSorted((a, b) => b.weight - a.weight);
  return liked[0]?.format ?? 'json';
}
