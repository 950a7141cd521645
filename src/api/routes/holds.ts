import { z } from 'zod';
import { durationSchema } from '../../domain/tenant.ts';
import { refuse } from '../problem.ts';
import { acceptedAgain, pausedAgain, triggeredAgain } from '../repeated.ts';
import type { Api } from '../types.ts';
import { answers, asked, atTenant, time, triggered } from '../views.ts';

const tags = ['holds'];

/** `2h`, or `2026-12-01T06:00:00Z`. */
const moment = z.union([durationSchema, z.iso.datetime({ offset: true })], {
  error: 'must be a duration from now, such as 2h, or a time with its zone, such as 2026-12-01T06:00:00Z',
});

const path = z
  .string()
  .trim()
  .min(1)
  .max(300)
  .describe('As the status tells it: `role.levels.Companies/Configurations.delete`.');

const acceptanceView = z
  .object({
    id: z.string(),
    path: z.string(),
    kind: z.enum(['missing', 'excess', 'different']),
    desired: z.string(),
    observed: z.string().describe('What was accepted: another value is drift.'),
    by: z.string(),
    reason: z.string(),
    acceptedAt: time,
    expiresAt: time,
    state: z
      .enum(['in-force', 'withdrawn', 'replaced', 'expired', 'void'])
      .describe('`void`: it became another, or went away; `replaced`: it was accepted anew.'),
    endedAt: time.nullable(),
    because: z.string().nullable().describe('Why it ended.'),
  })
  .meta({ id: 'Acceptance' });

/** What people decide of a tenant apart from its spec, so that applying the spec does not undo it. */
export function holdRoutes(app: Api): void {
  app.post(
    '/tenants/:id/pause',
    {
      config: { permission: 'tenants:hold', repeated: pausedAgain },
      schema: {
        tags,
        operationId: 'pauseTenant',
        summary: 'Change nothing of the tenant, and go on observing it',
        description:
          'Whatever is under way stops before its next effect, and both keys stay alive. It ends by itself at ' +
          '`until`. It takes the place of an earlier pause; `paused` of the spec is another one.',
        params: atTenant,
        body: z.strictObject({
          ...asked,
          until: moment.optional().describe('A duration from now, or a time; absent: until it is resumed.'),
        }),
        response: answers({ 202: triggered.extend({ until: time.nullable() }) }),
      },
    },
    async ({ params, body, commands }, reply) => {
      const answer = await commands.pause(params.id, { ...body, until: body.until ?? null });
      return answer.ok ? reply.code(202).send(answer.value) : refuse(reply, answer.refusal);
    },
  );

  app.post(
    '/tenants/:id/resume',
    {
      config: { permission: 'tenants:hold', repeated: triggeredAgain },
      schema: {
        tags,
        operationId: 'resumeTenant',
        summary: 'End a pause that a person set',
        description: 'One of the spec (`paused: true`) is ended there.',
        params: atTenant,
        body: z.strictObject(asked),
        response: answers({ 202: triggered }),
      },
    },
    async ({ params, body, commands }, reply) => {
      const answer = await commands.resume(params.id, body);
      return answer.ok ? reply.code(202).send(answer.value) : refuse(reply, answer.refusal);
    },
  );

  app.get(
    '/tenants/:id/acceptances',
    {
      config: { permission: 'tenants:read' },
      schema: {
        tags,
        operationId: 'listAcceptances',
        summary: 'Drift that people accepted, newest first; what has ended too',
        params: atTenant,
        response: answers({ 200: z.object({ items: z.array(acceptanceView) }) }),
      },
    },
    async ({ params, commands }, reply) => {
      const answer = await commands.acceptances(params.id);
      return answer.ok ? reply.send({ items: answer.value }) : refuse(reply, answer.refusal);
    },
  );

  app.post(
    '/tenants/:id/accept',
    {
      config: { permission: 'tenants:hold', repeated: acceptedAgain },
      schema: {
        tags,
        operationId: 'acceptDrift',
        summary: 'Take one drift as it is, for a time',
        description:
          'Of that path and the value that was observed, and of nothing else: once it is another one, it is drift ' +
          'again. Until then nobody repairs it and it makes no condition False. A key that does not work, and what ' +
          'it rests on, cannot be accepted.',
        params: atTenant,
        body: z.strictObject({
          ...asked,
          path,
          expires: moment.describe('A duration from now, or a time; at most 365d.'),
          observed: z.string().max(500).optional().describe('Refused where it is not that any more.'),
        }),
        response: answers({ 202: triggered.extend({ until: time }) }),
      },
    },
    async ({ params, body, commands }, reply) => {
      const answer = await commands.accept(params.id, { ...body, observed: body.observed ?? null });
      return answer.ok ? reply.code(202).send(answer.value) : refuse(reply, answer.refusal);
    },
  );

  app.post(
    '/tenants/:id/accept/withdraw',
    {
      config: { permission: 'tenants:hold', repeated: triggeredAgain },
      schema: {
        tags,
        operationId: 'withdrawAcceptance',
        summary: 'End an acceptance: what it accepted is drift again',
        params: atTenant,
        body: z.strictObject({ ...asked, path }),
        response: answers({ 202: triggered }),
      },
    },
    async ({ params, body, commands }, reply) => {
      const answer = await commands.withdrawAcceptance(params.id, body);
      return answer.ok ? reply.code(202).send(answer.value) : refuse(reply, answer.refusal);
    },
  );
}
