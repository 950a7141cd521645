import { hash } from 'node:crypto';
import { z } from 'zod';
import { CONDITION_TYPES, type ConditionType, type Truth } from '../../domain/condition.ts';
import { parseDuration } from '../../domain/duration.ts';
import { ageless } from '../../domain/told.ts';
import type { StatusView } from '../../reconciler/commands.ts';
import { Problem, refuse, send } from '../problem.ts';
import type { Api } from '../types.ts';
import { answers, atTenant, statusView } from '../views.ts';

/** No wait is longer: proxies cut what is silent for more than a minute. */
const MOST_WAIT_MS = 60_000;

/** What somebody waits for. */
type WaitFor =
  | { kind: 'condition'; type: ConditionType | 'Ready'; status: Truth }
  | { kind: 'trigger'; number: number }
  | { kind: 'generation'; number: number | null }
  | { kind: 'change' };

const FOR_RULE =
  'must be condition=TYPE or condition=TYPE:False (a condition’s type, or Ready), trigger=NUMBER, generation, ' +
  'generation=NUMBER, or change';

const forSchema = z
  .string()
  .transform((text, context): WaitFor => {
    const wanted = parseFor(text);
    if (wanted) return wanted;
    context.addIssue({ code: 'custom', message: FOR_RULE });
    return z.NEVER;
  })
  .describe(
    'What to wait for: condition=Ready, condition=RoleReady:False, trigger=17 (it was answered), generation (it was ' +
      'observed), or change (the ETag differs from If-None-Match).',
  );

const waitSchema = z
  .string()
  .transform((text, context): number => {
    const ms = parseDuration(text);
    if (ms !== null && ms > 0) return ms;
    context.addIssue({ code: 'custom', message: 'must be a duration such as 30s' });
    return z.NEVER;
  })
  .describe(
    'How long to wait at most, such as 30s; never longer than 60s. Then the status is told as it is.',
  );

const waitQuery = z.strictObject({ wait: waitSchema.optional(), for: forSchema.optional() });

const ifNoneMatch = z.looseObject({
  'if-none-match': z
    .string()
    .max(1_000)
    .optional()
    .describe('The ETag of a status that is known: 304 while nothing that matters differs.'),
});

function parseFor(text: string): WaitFor | null {
  const [kind = '', value, ...more] = text.split('=');
  if (more.length > 0) return null;
  if (kind === 'change' && value === undefined) return { kind };
  if (kind === 'generation' && value === undefined) return { kind, number: null };
  if (kind === 'condition' && value !== undefined) return conditionOf(value);
  if ((kind === 'generation' || kind === 'trigger') && /^\d{1,15}$/.test(value ?? '')) {
    return { kind, number: Number(value) };
  }
  return null;
}

const WAITED_TYPES: readonly string[] = ['Ready', ...CONDITION_TYPES];
const TRUTHS: readonly string[] = ['True', 'False', 'Unknown'] satisfies Truth[];

function conditionOf(text: string): WaitFor | null {
  const [type = '', status = 'True', ...more] = text.split(':');
  if (more.length > 0 || !WAITED_TYPES.includes(type) || !TRUTHS.includes(status)) return null;
  return { kind: 'condition', type: type as ConditionType | 'Ready', status: status as Truth };
}

/** A condition counts only where it speaks of the present spec. */
function isMet(wanted: WaitFor, status: StatusView, known: string | undefined): boolean {
  const { generation, observedGeneration, trigger, conditions, ready } = status;
  switch (wanted.kind) {
    case 'condition':
      if (wanted.type === 'Ready') return ready === wanted.status;
      return conditions.some(
        (one) =>
          one.type === wanted.type && one.status === wanted.status && one.observedGeneration === generation,
      );
    case 'trigger':
      return trigger.handled >= wanted.number;
    case 'generation':
      return (observedGeneration ?? 0) >= (wanted.number ?? generation);
    case 'change':
      return !isKnown(status, known);
  }
}

const tags = new WeakMap<StatusView, string>();

/**
 * Names what matters of a status: two with the same tag differ in nothing but when they were looked at, which each
 * run moves, and in ages, which time moves. Weak, since the bytes may differ.
 */
function tagOf(status: StatusView): string {
  let tag = tags.get(status);
  if (tag === undefined) {
    const { lastRun: _l, nextReconcileAt: _n, keys, conditions, ...rest } = status;
    const matters = {
      ...rest,
      keys: keys.map(({ lastProvedAt: _p, ...key }) => key),
      conditions: conditions.map((one) => ({ ...one, message: ageless(one.message) })),
    };
    tag = `W/"${hash('sha256', JSON.stringify(matters), 'base64url').slice(0, 22)}"`;
    tags.set(status, tag);
  }
  return tag;
}

/** Whether `If-None-Match` has the status' tag; weakly, as RFC 9110 compares here. */
function isKnown(status: StatusView, header: string | undefined): boolean {
  const opaque = (tag: string) => tag.trim().replace(/^W\//, '');
  return header?.split(',').some((tag) => opaque(tag) === opaque(tagOf(status))) ?? false;
}

/** How a tenant is, at once or once it is as somebody wants it. */
export function statusRoutes(app: Api): void {
  app.get(
    '/tenants/:id/status',
    {
      config: { permission: 'tenants:read' },
      schema: {
        tags: ['tenants'],
        operationId: 'getStatus',
        summary: 'How the tenant is: conditions, drift, keys, evidence',
        description:
          'With `wait` and `for` it is answered once that is so, or when the time is up: the header Parasol-Wait ' +
          'says met, timed-out or draining (the service ends, ask another replica), and the body is the status ' +
          'as it is then.',
        params: atTenant,
        querystring: waitQuery,
        headers: ifNoneMatch,
        response: answers({ 200: statusView, 304: z.null().describe('Nothing that matters differs') }),
      },
    },
    async ({ params, query, headers, commands }, reply) => {
      const known = headers['if-none-match'];
      const asked = waitOf(query, known);
      if (asked instanceof Problem) return send(reply, asked);
      const answer = asked
        ? await commands.waitForStatus(params.id, {
            met: (status) => isMet(asked.for, status, known),
            ms: asked.ms,
            signal: goneSignal(reply.raw),
          })
        : await commands.status(params.id);
      if (!answer.ok) return refuse(reply, answer.refusal);
      const { status, end } = 'end' in answer.value ? answer.value : { status: answer.value, end: null };
      if (end) reply.header('parasol-wait', end);
      reply.header('etag', tagOf(status));
      return isKnown(status, known) ? reply.code(304).send(null) : reply.send(status);
    },
  );
}

/** What is to be waited for and how long; null: nothing. */
function waitOf(
  { wait, for: wanted }: z.output<typeof waitQuery>,
  known: string | undefined,
): { for: WaitFor; ms: number } | Problem | null {
  if (wait === undefined && wanted === undefined) return null;
  if (wait === undefined) {
    return Problem.invalid([{ path: 'wait', message: 'must say how long to wait for that, such as 30s' }]);
  }
  if (wanted === undefined) return Problem.invalid([{ path: 'for', message: FOR_RULE }]);
  if (wanted.kind === 'change' && known === undefined) {
    return Problem.invalid([{ path: 'if-none-match', message: 'must be the ETag that the status had' }]);
  }
  return { for: wanted, ms: Math.min(wait, MOST_WAIT_MS) };
}

/** Aborted once the client has gone. */
function goneSignal(raw: NodeJS.EventEmitter): AbortSignal {
  const gone = new AbortController();
  raw.once('close', () => gone.abort());
  return gone.signal;
}
