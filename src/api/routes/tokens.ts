import { z } from 'zod';
import { ROLES } from '../../domain/access.ts';
import { parseSelector } from '../../domain/labels.ts';
import { durationSchema, tenantIdSchema } from '../../domain/tenant.ts';
import { bearerOf, hashToken, newToken, type Authenticate } from '../auth.ts';
import { Problem, refuse, send } from '../problem.ts';
import type { Api } from '../types.ts';
import { answers } from '../views.ts';

const tags = ['tokens'];
const time = z.iso.datetime();
const reason = z.string().trim().min(1).max(200).optional().describe('Why, for the audit.');

const tokenName = z
  .string()
  .regex(
    /^[a-z0-9](?:[a-z0-9._-]{0,61}[a-z0-9])?$/,
    'must be a-z, 0-9 and inner dots, hyphens or underscores',
  )
  .describe('Names it in the list and in the audit; no two have the same.');

const labelSchema = z
  .string()
  .refine((text) => parseSelector(text) !== null, 'must be key=value, or key for any value');

const tokenView = z
  .object({
    id: z.string(),
    name: z.string(),
    role: z.enum([...ROLES, 'revealer']),
    scope: z
      .object({ tenants: z.array(z.string()), labels: z.array(z.string()) })
      .nullable()
      .describe('The tenants that it is bound to; null: it sees all.'),
    mayReveal: z.boolean(),
    createdAt: time,
    createdBy: z.string().nullable().describe('The token that made it; null: the configuration.'),
    expiresAt: time.nullable(),
    lastUsedAt: time.nullable().describe('To the minute.'),
  })
  .meta({ id: 'Token' });

const tokenBody = z.strictObject({
  name: tokenName,
  role: z.enum(ROLES),
  tenants: z.array(tenantIdSchema).max(1_000).default([]).describe('Binds it to these tenants.'),
  labels: z
    .array(labelSchema)
    .max(32)
    .default([])
    .describe('Binds it to tenants that carry all of these: `key=value`, or `key`.'),
  expires: durationSchema.optional().describe('Absent: when the token that makes it does, or never.'),
  mayReveal: z.boolean().default(false).describe('Whether it may read a pair, once, for a hand-off.'),
  reason,
});

/** Tokens of the API: made, told, revoked. Their values are known to their bearers alone. */
export function tokenRoutes(app: Api, { authenticate }: { authenticate: Authenticate }): void {
  app.get(
    '/tokens',
    {
      config: { permission: 'tokens:read' },
      schema: {
        tags,
        operationId: 'listTokens',
        summary: 'Tokens by name: what each may do, and when it was last used',
        response: answers({ 200: z.object({ items: z.array(tokenView) }) }),
      },
    },
    async ({ commands }) => ({ items: await commands.tokens() }),
  );

  app.post(
    '/tokens',
    {
      config: { permission: 'tokens:write', repeated: 'shown-once' },
      schema: {
        tags,
        operationId: 'createToken',
        summary: 'Make a token that is no stronger than the one that asks; it is shown this once',
        description:
          'The right to reveal is granted by a token that has it: by the one that asks, or by a second one in the ' +
          'header Parasol-Reveal-Token.',
        headers: z.looseObject({ 'parasol-reveal-token': z.string().max(600).optional() }),
        body: tokenBody,
        response: answers({ 201: tokenView.extend({ token: z.string().describe('Kept nowhere.') }) }),
      },
    },
    async ({ body, headers, commands }, reply) => {
      const { tenants, labels, expires, reason: why, ...grant } = body;
      const witness = await witnessOf(headers['parasol-reveal-token'], authenticate);
      if (witness === undefined) {
        const message = 'is no token that is known';
        return send(reply, Problem.invalid([{ path: 'parasol-reveal-token', message }]));
      }
      const token = newToken();
      const bound = tenants.length > 0 || labels.length > 0;
      const answer = await commands.createToken({
        ...grant,
        scope: bound ? { tenants, labels: labels.flatMap((label) => parseSelector(label) ?? []) } : null,
        hash: hashToken(token),
        expires: expires ?? null,
        witness,
        reason: why ?? null,
      });
      if (!answer.ok) return refuse(reply, answer.refusal);
      return reply.code(201).send({ ...answer.value, token });
    },
  );

  app.delete(
    '/tokens/:id',
    {
      config: { permission: 'tokens:write' },
      schema: {
        tags,
        operationId: 'revokeToken',
        summary: 'Revoke a token: within two seconds no replica knows it any more',
        params: z.object({ id: z.guid() }),
        querystring: z.strictObject({ reason }),
        response: answers({ 200: tokenView }),
      },
    },
    async ({ params, query, commands }, reply) => {
      const answer = await commands.revokeToken(params.id, query.reason ?? null);
      return answer.ok ? reply.send(answer.value) : refuse(reply, answer.refusal);
    },
  );
}

/** The id of the second token; null: there is none, undefined: it is none. */
async function witnessOf(
  header: string | undefined,
  authenticate: Authenticate,
): Promise<string | null | undefined> {
  if (header === undefined) return null;
  const token = bearerOf(`Bearer ${header.trim()}`);
  const identity = token === null ? null : await authenticate(hashToken(token));
  return identity ? identity.tokenId : undefined;
}
