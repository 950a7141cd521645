import { z } from 'zod';
import { Secret, secretPair, type KeyPair } from '../../domain/secret.ts';
import { signingSecretSchema, type Purpose } from '../../domain/tenant.ts';
import { Problem, refuse, send } from '../problem.ts';
import { createdAgain, rotatingAgain, triggeredAgain } from '../repeated.ts';
import type { Api } from '../types.ts';
import {
  adoptionView,
  answers,
  applied,
  applyBody,
  asked,
  atTenant,
  credentialView,
  customerView,
  ifMatch,
  leaving,
  planView,
  rotating,
  rotationRecord,
  tenantBody,
  tenantView,
  triggered,
} from '../views.ts';

const tags = ['tenants'];
const etag = (generation: number): string => `"${generation}"`;

/** `*` and no header at all ask for nothing; the schema has refused everything but `"<generation>"`. */
const generationOf = (header: string | undefined): number | null =>
  header === undefined || header === '*' ? null : Number(header.slice(1, -1));

/** Tenants: what they should be, how they are, and what happened to them. */
export function tenantRoutes(app: Api): void {
  app.post(
    '/tenants',
    {
      config: { permission: 'tenants:write', repeated: createdAgain },
      schema: {
        tags,
        operationId: 'createTenant',
        summary: 'Make a tenant',
        body: tenantBody,
        response: answers({ 201: tenantView }),
      },
    },
    async ({ body, commands }, reply) => {
      const answer = await commands.createTenant(body);
      if (!answer.ok) return refuse(reply, answer.refusal);
      return reply
        .code(201)
        .header('location', `/tenants/${answer.value.id}`)
        .header('etag', etag(answer.value.generation))
        .send(answer.value);
    },
  );

  app.get(
    '/tenants/:id',
    {
      config: { permission: 'tenants:read' },
      schema: {
        tags,
        operationId: 'getTenant',
        summary: 'The spec; its ETag is the generation',
        params: atTenant,
        response: answers({ 200: tenantView }),
      },
    },
    async ({ params, commands }, reply) => {
      const answer = await commands.tenant(params.id);
      if (!answer.ok) return refuse(reply, answer.refusal);
      return reply.header('etag', etag(answer.value.generation)).send(answer.value);
    },
  );

  app.put(
    '/tenants/:id',
    {
      config: { permission: 'tenants:write' },
      schema: {
        tags,
        operationId: 'replaceTenant',
        summary: 'Replace the spec',
        description: 'What is not given falls back to its default. Keys that are already held stay held.',
        params: atTenant,
        headers: ifMatch,
        body: tenantBody,
        response: answers({ 200: tenantView }),
      },
    },
    async ({ params, headers, body, commands }, reply) => {
      if (body.id !== params.id) {
        return send(
          reply,
          Problem.invalid([{ path: 'id', message: 'must be the id of the address: a tenant keeps its id' }]),
        );
      }
      const answer = await commands.replaceTenant(body, generationOf(headers['if-match']));
      if (!answer.ok) return refuse(reply, answer.refusal);
      return reply.header('etag', etag(answer.value.generation)).send(answer.value);
    },
  );

  app.delete(
    '/tenants/:id',
    {
      config: { permission: 'tenants:write' },
      schema: {
        tags,
        operationId: 'deleteTenant',
        summary: 'Remove a tenant, as its onDelete says',
        description:
          'It is gone once it was observed a last time; until then its status says what that waits for. Refused (409) while a rotation is in flight.',
        params: atTenant,
        querystring: leaving,
        headers: ifMatch,
        response: answers({ 202: triggered }),
      },
    },
    async ({ params, query, headers, commands }, reply) => {
      const { by = null, reason = null, force, unseen } = query;
      const ifGeneration = generationOf(headers['if-match']);
      const answer = await commands.deleteTenant(params.id, { ifGeneration, by, reason, force, unseen });
      if (!answer.ok) return refuse(reply, answer.refusal);
      return reply.code(202).send(answer.value);
    },
  );

  app.post(
    '/tenants/:id/undelete',
    {
      config: { permission: 'tenants:write', repeated: triggeredAgain },
      schema: {
        tags,
        operationId: 'keepTenant',
        summary: 'Take a deletion back that still waits',
        description: 'What it switched off meanwhile is drift from then on, as any other.',
        params: atTenant,
        body: z.strictObject(asked),
        response: answers({ 202: triggered }),
      },
    },
    async ({ params, body, commands }, reply) => {
      const answer = await commands.keepTenant(params.id, body);
      if (!answer.ok) return refuse(reply, answer.refusal);
      return reply.code(202).send(answer.value);
    },
  );

  // A fleet is larger than one tenant: 10,000 of them fit.
  const FLEET_BYTES = 32 * 1024 * 1024;
  app.post(
    '/fleet/apply',
    {
      config: { permission: 'tenants:write', repeated: 'run-again' },
      bodyLimit: FLEET_BYTES,
      schema: {
        tags: ['fleet'],
        operationId: 'applyFleet',
        summary: 'Make or replace many tenants: all of them or none',
        description: 'Tells of each what differs, setting by setting.',
        body: applyBody,
        response: answers({ 200: applied }),
      },
    },
    async ({ body, commands }, reply) => {
      const { tenants, dryRun, continue: keepGoing } = body;
      const asked = body.prune;
      const prune = asked ? { ...asked, count: asked.count ?? null, by: asked.by ?? null } : null;
      const answer = await commands.apply(tenants, { dryRun, keepGoing, prune });
      if (!answer.ok) return refuse(reply, answer.refusal);
      return reply.send({ dryRun, ...answer.value });
    },
  );

  app.get(
    '/tenants/:id/plan',
    {
      config: { permission: 'tenants:read' },
      schema: {
        tags,
        operationId: 'getPlan',
        summary: 'What mode repair would do next',
        params: atTenant,
        response: answers({ 200: planView }),
      },
    },
    async ({ params, commands }, reply) => {
      const answer = await commands.plan(params.id);
      return answer.ok ? reply.send(answer.value) : refuse(reply, answer.refusal);
    },
  );

  app.get(
    '/tenants/:id/adoption',
    {
      config: { permission: 'tenants:read' },
      schema: {
        tags,
        operationId: 'getAdoption',
        summary: 'What was there before Parasol, and what of it is Parasol’s',
        description: 'By what the last run saw. Members are taken in by being seen exactly as specified.',
        params: atTenant,
        response: answers({ 200: adoptionView }),
      },
    },
    async ({ params, commands }, reply) => {
      const answer = await commands.adoption(params.id);
      return answer.ok ? reply.send(answer.value) : refuse(reply, answer.refusal);
    },
  );

  app.get(
    '/tenants/:id/customers',
    {
      config: { permission: 'tenants:read' },
      schema: {
        tags,
        operationId: 'listCustomers',
        summary: 'Which customer syncs and which does not',
        params: atTenant,
        response: answers({ 200: z.object({ items: z.array(customerView) }) }),
      },
    },
    async ({ params, commands }, reply) => {
      const answer = await commands.customers(params.id);
      return answer.ok ? reply.send({ items: answer.value }) : refuse(reply, answer.refusal);
    },
  );

  app.get(
    '/tenants/:id/credentials',
    {
      config: { permission: 'tenants:read' },
      schema: {
        tags,
        operationId: 'listCredentials',
        summary: 'Every key pair that was ever held, newest first: by fingerprint, never a value',
        params: atTenant,
        response: answers({ 200: z.object({ items: z.array(credentialView) }) }),
      },
    },
    async ({ params, commands }, reply) => {
      const answer = await commands.credentials(params.id);
      return answer.ok ? reply.send({ items: answer.value }) : refuse(reply, answer.refusal);
    },
  );

  app.post(
    '/tenants/:id/reconcile',
    {
      config: { permission: 'tenants:reconcile', repeated: triggeredAgain },
      schema: {
        tags,
        operationId: 'reconcileTenant',
        summary: 'Reconcile now',
        params: atTenant,
        body: z
          .strictObject({ reason: z.string().trim().min(1).max(200).optional() })
          .nullish()
          .describe('Why, for the run’s record.'),
        response: answers({ 202: triggered }),
      },
    },
    async ({ params, body, commands }, reply) => {
      const answer = await commands.reconcile(params.id, body?.reason ?? 'manual');
      if (!answer.ok) return refuse(reply, answer.refusal);
      return reply.code(202).send(answer.value);
    },
  );

  rotationRoutes(app);
  credentialRoutes(app);
}

function rotationRoutes(app: Api): void {
  app.get(
    '/tenants/:id/rotations',
    {
      config: { permission: 'tenants:read' },
      schema: {
        tags: ['rotations'],
        operationId: 'listRotations',
        summary: 'Rotations of the integration key, newest first, with all that was seen',
        params: atTenant,
        response: answers({ 200: z.object({ items: z.array(rotationRecord) }) }),
      },
    },
    async ({ params, commands }, reply) => {
      const answer = await commands.rotations(params.id);
      return answer.ok ? reply.send({ items: answer.value }) : refuse(reply, answer.refusal);
    },
  );

  app.post(
    '/tenants/:id/rotations',
    {
      config: { permission: 'rotations:write', repeated: rotatingAgain },
      schema: {
        tags: ['rotations'],
        operationId: 'rotate',
        summary: 'Rotate the integration key or the Umbrella key, with overlap',
        description: 'Mode `repair` only. Of a compromised key window and overlap are ignored.',
        params: atTenant,
        body: z.strictObject({
          credential: z
            .enum(['integration', 'umbrella-api'])
            .default('integration')
            .describe('An Umbrella key is rotated once for all tenants that share it.'),
          ...asked,
          compromised: z.boolean().default(false),
          cutNow: z
            .boolean()
            .default(false)
            .describe('The old key is cut before there is a new one: an outage. Goes with `compromised`.'),
        }),
        response: answers({ 202: rotating }),
      },
    },
    async ({ params, body, commands }, reply) => {
      const answer = await commands.rotate(params.id, body);
      return answer.ok ? reply.code(202).send(answer.value) : refuse(reply, answer.refusal);
    },
  );

  app.post(
    '/tenants/:id/rollback',
    {
      config: { permission: 'rotations:write', repeated: rotatingAgain },
      schema: {
        tags: ['rotations'],
        operationId: 'rollback',
        summary: 'Take the rotation under way back, at any phase',
        params: atTenant,
        body: z.strictObject(asked),
        response: answers({ 202: rotating }),
      },
    },
    async ({ params, body, commands }, reply) => {
      const answer = await commands.rollback(params.id, body);
      return answer.ok ? reply.code(202).send(answer.value) : refuse(reply, answer.refusal);
    },
  );
}

// Pasted keys bring a line break along; no key has white space around it.
const half = z.string().trim().min(1).max(4096);

/** ConnectWise and Umbrella name the halves of a pair differently, and so does each route. */
const CREDENTIALS = {
  management: pairBody({ publicKey: half, privateKey: half }, (it) => ({
    pair: { publicHalf: it.publicKey, privateHalf: new Secret(it.privateKey) },
    member: null,
  })),
  integration: pairBody(
    {
      publicKey: half,
      privateKey: half,
      member: z.string().trim().min(1).max(15).describe('The API member that the key was made on.'),
    },
    (it) => ({
      pair: { publicHalf: it.publicKey, privateHalf: new Secret(it.privateKey) },
      member: it.member,
    }),
  ),
  'umbrella-api': pairBody({ key: half, secret: half }, umbrellaPair),
  'umbrella-key-admin': pairBody({ key: half, secret: half }, umbrellaPair),
  automation: pairBody({ secret: signingSecretSchema }, ({ secret }) => ({
    pair: secretPair(secret),
    member: null,
  })),
} satisfies Record<Purpose, z.ZodType<GivenPair>>;

interface GivenPair {
  pair: KeyPair;
  member: string | null;
}

function pairBody<Shape extends z.ZodRawShape>(
  shape: Shape,
  pairOf: (given: z.output<z.ZodObject<Shape, z.core.$strict>>) => GivenPair,
) {
  return z.strictObject(shape).transform(pairOf);
}

function umbrellaPair(given: { key: string; secret: string }): GivenPair {
  return { pair: { publicHalf: given.key, privateHalf: new Secret(given.secret) }, member: null };
}

function credentialRoutes(app: Api): void {
  for (const [purpose, body] of Object.entries(CREDENTIALS) as [Purpose, z.ZodType<GivenPair>][]) {
    app.put(
      `/tenants/:id/credentials/${purpose}`,
      {
        config: { permission: 'credentials:write' },
        schema: {
          tags: ['credentials'],
          operationId: `replaceCredential-${purpose}`,
          summary: `Replace the ${purpose} credential; it can never be read back`,
          params: atTenant,
          body,
          response: answers({ 202: triggered.extend({ fingerprint: z.string() }) }),
        },
      },
      async ({ params, body, commands }, reply) => {
        const answer = await commands.replaceCredential(params.id, purpose, body.pair, body.member);
        if (!answer.ok) return refuse(reply, answer.refusal);
        return reply.code(202).send(answer.value);
      },
    );
  }
}
