import { z } from 'zod';
import { parseSelector, type LabelSelector } from '../../domain/labels.ts';
import { tenantIdSchema } from '../../domain/tenant.ts';
import { EventStream } from '../event-stream.ts';
import { Problem, refuse, send } from '../problem.ts';
import type { Api } from '../types.ts';
import { answers, atTenant, backwardPage, eventPage, pageLimit } from '../views.ts';

const tags = ['events'];

/** Streams that one process serves; each costs a connection and what it has not sent yet. */
const MOST_STREAMS = 2_000;

const place = z
  .string()
  .regex(/^\d{1,15}$/, 'must be the id of an event')
  .transform(Number);

const several = <T extends z.ZodType<unknown, string>>(item: T) =>
  z.union([item.transform((one) => [one]), z.array(item).max(50)]).default([]);

const label = z.string().transform((text, context): LabelSelector => {
  const selector = parseSelector(text);
  if (selector) return selector;
  context.addIssue({ code: 'custom', message: 'must be key=value, or a key alone' });
  return z.NEVER;
});

const eventQuery = z.strictObject({
  tenant: tenantIdSchema.optional().describe('Only this tenant’s.'),
  type: several(
    z.string().regex(/^[A-Za-z]{1,60}$/, 'must be a type of events, such as DriftFound'),
  ).describe('Only of this type; several: of any of them.'),
  label: several(label).describe(
    'Only of tenants with this label now, `key=value` or `key`; several: with all of them.',
  ),
  after: place
    .optional()
    .describe('Events after the one of this id, in order. A stream takes Last-Event-ID before it.'),
  before: place.optional().describe('A page of events before the one of this id, newest first.'),
  limit: pageLimit,
});

const lastEventId = z.looseObject({
  'last-event-id': place
    .optional()
    .describe('The id of the last event that was read; what came since is told.'),
});

/** A stream unless the client asks for JSON and does not ask for a stream. */
const wantsPage = (accept = ''): boolean =>
  /application\/json/i.test(accept) && !/text\/event-stream/i.test(accept);

/** What happened: in pages, and while it happens. */
export function eventRoutes(app: Api): void {
  let streams = 0;

  app.get(
    '/events',
    {
      config: { permission: 'tenants:read' },
      schema: {
        tags,
        operationId: 'followEvents',
        summary: 'What happens in the fleet, as server-sent events or in pages',
        description:
          'A stream (`Accept: text/event-stream`, and what says nothing) tells each event once, in order of commit, ' +
          'from now on or after the id that is given. What retention took before that is told as an event named ' +
          '`gap`. It ends when the service does, or when the reader is too slow: come back with `Last-Event-ID`. ' +
          '`Accept: application/json` gives a page: newest first, or with `after` in order.',
        querystring: eventQuery,
        headers: lastEventId,
        response: answers({
          200: {
            description: 'The stream, or a page',
            content: {
              'text/event-stream': { schema: z.string() },
              'application/json': { schema: eventPage },
            },
          },
        }),
      },
    },
    async ({ query, headers, commands }, reply) => {
      const { tenant = null, type: types, label: labels, limit, before } = query;
      const filter = { tenant, types, labels };
      const after = headers['last-event-id'] ?? query.after ?? null;
      if (wantsPage(headers['accept'])) {
        if (after !== null && before !== undefined) {
          return send(reply, Problem.invalid([{ path: 'before', message: 'does not go with after' }]));
        }
        const page = after === null ? { before: before ?? null, limit } : { after, limit };
        return reply.type('application/json').send(await commands.fleetEvents(page, filter));
      }
      if (before !== undefined) {
        const message = 'is for pages (Accept: application/json): a stream goes forward';
        return send(reply, Problem.invalid([{ path: 'before', message }]));
      }
      if (streams >= MOST_STREAMS) {
        return send(reply, Problem.unavailable('As many follow the events here as this service can serve.'));
      }
      streams += 1;
      let leave = () => {};
      reply.raw.once('close', () => {
        streams -= 1;
        leave();
      });
      const stream = new EventStream(reply);
      try {
        leave = await commands.followEvents({ after, filter }, stream);
      } catch (error) {
        if (!stream.begun) throw error;
        reply.log.warn({ error: (error as Error).message }, 'a stream of events broke off');
        stream.cut();
        return reply;
      }
      if (reply.raw.destroyed) leave();
      stream.begin();
      return reply;
    },
  );

  app.get(
    '/tenants/:id/events',
    {
      config: { permission: 'tenants:read' },
      schema: {
        tags: ['tenants'],
        operationId: 'listEvents',
        summary: 'What happened to a tenant, newest first',
        params: atTenant,
        querystring: backwardPage,
        response: answers({ 200: eventPage }),
      },
    },
    async ({ params, query, commands }, reply) => {
      const answer = await commands.events(params.id, { before: query.before ?? null, limit: query.limit });
      return answer.ok ? reply.send(answer.value) : refuse(reply, answer.refusal);
    },
  );
}
