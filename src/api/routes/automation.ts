import { z } from 'zod';
import { automationAnswerSchema } from '../../domain/automation.ts';
import { bearerOf } from '../auth.ts';
import { Problem, refuse, send } from '../problem.ts';
import type { Api } from '../types.ts';
import { answers } from '../views.ts';

/** Where automations answer: public, since the token of the request is all that an answer is known by. */
export function automationRoutes(app: Api): void {
  app.post(
    '/automation/answers',
    {
      config: { permission: 'public' },
      bodyLimit: 64 * 1024,
      schema: {
        tags: ['automation'],
        operationId: 'answerAutomation',
        summary: 'What a tenant’s automation did, with the one-time token of the request',
        description:
          'A token is used once, and ends with the deadline of its hand-off. A pair is encrypted to the key that ' +
          'the request carried.',
        security: [],
        body: automationAnswerSchema,
        response: answers({ 202: z.object({ taken: z.literal(true) }) }),
      },
    },
    async ({ headers, body, commands }, reply) => {
      const token = bearerOf(headers.authorization);
      if (token === null) return send(reply, Problem.unauthorized(false));
      const answer = await commands.answerAutomation(token, body);
      if (!answer.ok) return refuse(reply, answer.refusal);
      return reply.code(202).send(answer.value);
    },
  );
}
