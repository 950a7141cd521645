import { z } from 'zod';
import { Secret } from '../../domain/secret.ts';
import { tenantIdSchema } from '../../domain/tenant.ts';
import { refuse } from '../problem.ts';
import { handoffAgain, submittedAgain } from '../repeated.ts';
import type { Api } from '../types.ts';
import { answers, asked, atHandoff, handoffView, revealed } from '../views.ts';

const tags = ['hand-offs'];
const by = z.string().trim().min(1).max(100).describe('The person who does it.');
const half = z.string().trim().min(1).max(4096);

const submission = z
  .strictObject({
    by,
    publicKey: half.optional(),
    privateKey: half.optional(),
    attest: z
      .boolean()
      .default(false)
      .describe('A person vouches for what nothing can show; named as that everywhere.'),
  })
  .superRefine((given, context) => {
    for (const [name, other] of [
      ['publicKey', 'privateKey'],
      ['privateKey', 'publicKey'],
    ] as const) {
      if (given[name] === undefined && given[other] !== undefined) {
        context.addIssue({ code: 'custom', path: [name], message: `is needed with ${other}` });
      }
    }
  });

/** Work that no API can do: who has it, and what came of it. */
export function handoffRoutes(app: Api): void {
  app.get(
    '/handoffs',
    {
      config: { permission: 'handoffs:read' },
      schema: {
        tags,
        operationId: 'listHandoffs',
        summary: 'Hand-offs of one tenant or of all',
        querystring: z.strictObject({
          tenant: tenantIdSchema.optional(),
          live: z
            .stringbool({ truthy: ['true'], falsy: ['false'] })
            .default(true)
            .describe('Only those that wait for a person or for evidence; `false`: all.'),
        }),
        response: answers({ 200: z.object({ items: z.array(handoffView) }) }),
      },
    },
    async ({ query, commands }) => ({
      items: await commands.handoffs({ tenant: query.tenant ?? null, live: query.live }),
    }),
  );

  app.get(
    '/handoffs/:id',
    {
      config: { permission: 'handoffs:read' },
      schema: {
        tags,
        operationId: 'getHandoff',
        summary: 'What is to be done, step by step',
        params: atHandoff,
        response: answers({ 200: handoffView }),
      },
    },
    async ({ params, commands }, reply) => {
      const answer = await commands.handoff(params.id);
      return answer.ok ? reply.send(answer.value) : refuse(reply, answer.refusal);
    },
  );

  for (const [verb, summary] of [
    ['claim', 'Take it, so that nobody else starts it too'],
    ['release', 'Give it back'],
  ] as const) {
    app.post(
      `/handoffs/:id/${verb}`,
      {
        config: { permission: 'handoffs:work', repeated: handoffAgain },
        schema: {
          tags,
          operationId: `${verb}Handoff`,
          summary,
          params: atHandoff,
          body: z.strictObject({ by }),
          response: answers({ 200: handoffView }),
        },
      },
      async ({ params, body, commands }, reply) => {
        const answer =
          verb === 'claim'
            ? await commands.claimHandoff(params.id, body.by)
            : await commands.releaseHandoff(params.id, body.by);
        return answer.ok ? reply.send(answer.value) : refuse(reply, answer.refusal);
      },
    );
  }

  app.post(
    '/handoffs/:id/reveal',
    {
      config: { permission: 'secrets:reveal', repeated: 'shown-once' },
      schema: {
        tags,
        operationId: 'revealHandoff',
        summary:
          'Show the pair that is to be put into Umbrella, once, to the person who claimed the hand-off',
        description:
          'A permission of its own, which the administrator does not have. From then on the key counts as ' +
          'possibly installed.',
        params: atHandoff,
        body: z.strictObject(asked),
        response: answers({ 200: revealed }),
      },
    },
    async ({ params, body, commands }, reply) => {
      const answer = await commands.reveal(params.id, body);
      if (!answer.ok) return refuse(reply, answer.refusal);
      const { handoff, fingerprint, member, pair } = answer.value;
      return reply.send({
        handoff,
        fingerprint,
        member,
        publicKey: pair.publicHalf,
        privateKey: pair.privateHalf.reveal(),
      });
    },
  );

  app.post(
    '/handoffs/:id/submit',
    {
      config: { permission: 'handoffs:work', repeated: submittedAgain },
      schema: {
        tags,
        operationId: 'submitHandoff',
        summary: 'Say that it is done, with the key pair where one is asked for',
        description: 'Evidence closes it, not this call. A pair is sealed before anything else happens.',
        params: atHandoff,
        body: submission,
        response: answers({ 202: z.object({ handoff: handoffView, trigger: z.int() }) }),
      },
    },
    async ({ params, body, commands }, reply) => {
      const { publicKey, privateKey, attest } = body;
      const pair =
        publicKey === undefined || privateKey === undefined
          ? null
          : { publicHalf: publicKey, privateHalf: new Secret(privateKey) };
      const answer = await commands.submitHandoff(params.id, { by: body.by, pair, attest });
      if (!answer.ok) return refuse(reply, answer.refusal);
      return reply.code(202).send(answer.value);
    },
  );
}
