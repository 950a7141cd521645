import { z } from 'zod';
import { durationSchema } from '../../domain/tenant.ts';
import { refuse } from '../problem.ts';
import type { Api } from '../types.ts';
import { answers, asked, atTenant, time, triggered } from '../views.ts';

const tags = ['holds'];

/** `2h`, or `2026-12-01T06:00:00Z`. */
const moment = z.union([durationSchema, z.iso.datetime({ offset: true })], {
  error: 'must be a duration from now, such as 2h, or a time with its zone, such as 2026-12-01T06:00:00Z',
});

/** What people decide of a tenant apart from its spec, so that applying the spec does not undo it. */
export function holdRoutes(app: Api): void {
  app.post(
    '/tenants/:id/pause',
    {
      config: { permission: 'tenants:hold' },
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
      config: { permission: 'tenants:hold' },
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
}
