import swagger, { type SwaggerTransformObject } from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import type { FastifyInstance } from 'fastify';
import { EXAMPLES } from './examples.ts';
import { jsonSchemaTransform, jsonSchemaTransformObject } from 'fastify-type-provider-zod';

/** Describes the API from its routes: `/openapi.json` for machines, `/docs` for people. */
export function describeApi(app: FastifyInstance, version: string): void {
  void app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Parasol',
        version,
        description: 'Keeps many MSPs’ Cisco Umbrella ↔ ConnectWise PSA integrations healthy.',
      },
      components: { securitySchemes: { token: { type: 'http', scheme: 'bearer' } } },
      security: [{ token: [] }],
    },
    transform: jsonSchemaTransform,
    transformObject: onlyReferred,
  });
  void app.register(swaggerUi, { routePrefix: '/docs', staticCSP: true });
}

type Schemas = Record<string, unknown>;

/** The library writes down every schema twice, as it comes in and as it goes out; only what is used stays. */
const onlyReferred: SwaggerTransformObject = (document) => {
  const api = jsonSchemaTransformObject(document) as { components?: { schemas?: Schemas }; paths?: unknown };
  const schemas = api.components?.schemas ?? {};
  const used = new Set<string>();
  const follow = (part: unknown): void => {
    for (const [, name = ''] of JSON.stringify(part ?? null).matchAll(/"#\/components\/schemas\/([^"]+)"/g)) {
      if (used.has(name)) continue;
      used.add(name);
      follow(schemas[name]);
    }
  };
  follow(api.paths);
  const kept = Object.fromEntries(Object.entries(schemas).filter(([name]) => used.has(name)));
  addExamples(api.paths as Paths);
  return { ...api, components: { ...api.components, schemas: kept } } as ReturnType<SwaggerTransformObject>;
};

type Content = { content?: Record<string, { example?: unknown }> };
type Operation = { operationId?: string; requestBody?: Content; responses?: Record<string, Content> };
type Paths = Record<string, Record<string, Operation>>;

/** Puts the examples where their operations are described. */
function addExamples(paths: Paths): void {
  for (const operation of Object.values(paths).flatMap((path) => Object.values(path))) {
    const { operationId = '', requestBody, responses = {} } = operation;
    const { body, answer } = EXAMPLES[operationId] ?? {};
    const good = Object.entries(responses).find(([status]) => status.startsWith('2'))?.[1];
    const taken = requestBody?.content?.['application/json'];
    const given = good?.content?.['application/json'];
    if (taken && body !== undefined) taken.example = body;
    if (given && answer !== undefined) given.example = answer;
  }
}
