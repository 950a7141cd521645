import type { FastifyRequest } from 'fastify';
import type { Repeated } from './idempotency.ts';

/** Answers to requests that were done and could not be answered then: from what they changed, as it is now. */

const idOf = ({ params }: FastifyRequest): string => (params as { id: string }).id;

async function triggerOf({ commands }: FastifyRequest, tenant: string | null): Promise<number | null> {
  const status = tenant === null ? null : await commands.status(tenant);
  return status?.ok ? status.value.trigger.requested : null;
}

/** A run was asked for. What else the answer tells comes from the entry in the audit. */
const triggering =
  (told: (done: Parameters<Exclude<Repeated, string>>[1]) => object): Repeated =>
  async (request, done) => {
    const trigger = await triggerOf(request, done.tenantId);
    return trigger === null ? null : { status: 202, body: { ...told(done), trigger } };
  };

export const triggeredAgain = triggering(() => ({}));
export const rotatingAgain = triggering(({ subject }) => ({ rotation: subject }));
export const pausedAgain = triggering(({ after }) => ({ until: after?.['until'] ?? null }));
export const acceptedAgain = triggering(({ after }) => ({ until: after?.['expiresAt'] ?? null }));

export const createdAgain: Repeated = async ({ commands }, { tenantId }) => {
  const found = tenantId === null ? null : await commands.tenant(tenantId);
  return found?.ok ? { status: 201, body: found.value } : null;
};

export const handoffAgain: Repeated = async (request) => {
  const found = await request.commands.handoff(idOf(request));
  return found.ok ? { status: 200, body: found.value } : null;
};

export const submittedAgain: Repeated = async (request, { tenantId }) => {
  const found = await request.commands.handoff(idOf(request));
  const trigger = await triggerOf(request, tenantId);
  return found.ok && trigger !== null ? { status: 202, body: { handoff: found.value, trigger } } : null;
};
