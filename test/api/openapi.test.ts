import { validate as lint } from '@readme/openapi-parser';
import type { ValidateFunction } from 'ajv';
import { Ajv2020 } from 'ajv/dist/2020.js';
import formats from 'ajv-formats';
import { pino } from 'pino';
import { Registry } from 'prom-client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildApi, hashToken, oneToken } from '../../src/api/index.ts';
import { EXAMPLES } from '../../src/api/examples.ts';
import { AUTOMATION } from '../../src/domain/handoff.ts';
import {
  applied,
  input,
  leaving,
  openDesk,
  pair,
  status,
  value as valueOf,
} from '../reconciler/commands-fixtures.ts';
import { openApi, TOKEN } from './harness.ts';

interface Content {
  content?: Record<string, { schema?: object; example?: unknown }>;
}
interface Operation {
  operationId?: string;
  summary?: string;
  tags?: string[];
  security?: object[];
  parameters?: { name: string; in: string; required?: boolean }[];
  requestBody?: Content;
  responses: Record<string, Content & { description?: string }>;
}
interface Document {
  openapi: string;
  info: { title: string; version: string; description?: string };
  security: object[];
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, object>; securitySchemes: object };
}

const document: Document = await (async () => {
  const { app, call } = openApi();
  try {
    return (await call('GET', '/openapi.json')).json<Document>();
  } finally {
    await app.close();
  }
})();

interface Described {
  id: string;
  method: string;
  path: string;
  operation: Operation;
}
const operations: Described[] = Object.entries(document.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({
    id: operation.operationId ?? `${method} ${path}`,
    method,
    path,
    operation,
  })),
);
const each = operations.map((one) => [one.id, one] as const);
const jsonOf = (content: Content | undefined) => content?.content?.['application/json'];
const goodOf = ({ operation }: Described): Content | undefined =>
  Object.entries(operation.responses).find(([status]) => status.startsWith('2'))?.[1];

const ajv = new Ajv2020({ strict: false, allErrors: true });
formats.default(ajv);
ajv.addSchema({ $id: 'api', components: document.components });

/** The schema with its references pointing into the document. */
const compiled = (schema: object): ValidateFunction =>
  ajv.compile(JSON.parse(JSON.stringify(schema).replaceAll('"#/components/', '"api#/components/')) as object);

const problemsOf = (schema: object, value: unknown): unknown[] => {
  const validate = compiled(schema);
  return validate(value) ? [] : (validate.errors ?? []);
};

function wrongExamples(described: Described): unknown[] {
  const taken = jsonOf(described.operation.requestBody);
  const given = jsonOf(goodOf(described));
  return [
    ...(taken ? problemsOf(taken.schema ?? {}, taken.example) : []),
    ...(given?.example === undefined ? [] : problemsOf(given.schema ?? {}, given.example)),
  ];
}

describe('the description of the API', () => {
  it('says what it is, and that it wants a token', () => {
    expect(document.openapi).toMatch(/^3\.1\./);
    expect(document.info).toMatchObject({ title: 'Parasol', version: '0.0.0-test' });
    expect(document.security).toEqual([{ token: [] }]);
    expect(operations.length).toBeGreaterThan(35);
  });

  it('is what OpenAPI asks for, by the word of somebody else’s linter', async () => {
    const read = structuredClone(document);
    expect(await lint(read as never)).toEqual({ valid: true, warnings: [], specification: 'OpenAPI' });
    // A linter that reads nothing would agree to this, too.
    const wrong = structuredClone(document);
    wrong.paths['/tenants/{id}']!['get']!.operationId = 'listTenants';
    expect(await lint(wrong as never)).toMatchObject({
      valid: false,
      errors: [{ message: expect.stringContaining('`listTenants` is duplicated') }],
    });
  });

  it('names no operation twice', () => {
    const ids = operations.map(({ id }) => id);
    expect(ids.filter((id, at) => ids.indexOf(id) !== at)).toEqual([]);
  });

  it('has a schema for every reference, and one for all that is referred to', () => {
    const named = [...JSON.stringify(document).matchAll(/"\$ref":"#\/components\/schemas\/([^"]+)"/g)];
    const names = new Set(named.map(([, name = '']) => name));
    expect(Object.keys(document.components.schemas).toSorted()).toEqual([...names].toSorted());
  });

  it.each(Object.entries(document.components.schemas))('has a schema %s that can be used', (_, schema) => {
    expect(() => compiled(schema)).not.toThrow();
  });

  describe.each(each)('of %s', (_, described) => {
    const { path, operation, id } = described;

    it('is told in a line, under a heading', () => {
      expect(id).toMatch(/^[a-z][A-Za-z]+(-[a-z-]+)?$/);
      expect(operation.summary).toMatch(/^[A-Z].{3,100}[^.]$/);
      expect(operation.tags).toHaveLength(1);
    });

    it('has all parts of its address, and no other ones', () => {
      const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => name);
      const told = (operation.parameters ?? []).filter((one) => one.in === 'path');
      expect(told.map(({ name }) => name).toSorted()).toEqual(inPath.toSorted());
      expect(told.every(({ required }) => required === true)).toBe(true);
    });

    it('tells what is good and what goes wrong, with schemas that can be used', () => {
      expect(goodOf(described)).toBeDefined();
      const problem = operation.responses['default']?.content?.['application/problem+json'];
      expect(problem?.schema).toEqual({ $ref: '#/components/schemas/Problem' });
      for (const { content = {} } of Object.values(operation.responses)) {
        for (const { schema } of Object.values(content)) expect(() => compiled(schema ?? {})).not.toThrow();
      }
    });

    it('wants a token, unless it is for probes', () => {
      expect(operation.security).toEqual(
        ['alive', 'ready', 'answerAutomation'].includes(id) ? [] : undefined,
      );
    });

    it('has an example of what it takes, and examples that are as their schemas say', () => {
      expect(wrongExamples(described)).toEqual([]);
    });
  });

  it('has no example of what is not there', () => {
    const ids = new Set(operations.map(({ id }) => id));
    expect(Object.keys(EXAMPLES).filter((id) => !ids.has(id))).toEqual([]);
  });
});

/** What a value is made of: names and kinds; null, and an empty list, may be anything. */
function sameShape(example: unknown, value: unknown, at = ''): string[] {
  if (example === null || value === null) return [];
  if (Array.isArray(example) && Array.isArray(value)) {
    return example.length === 0 || value.length === 0 ? [] : sameShape(example[0], value[0], `${at}[]`);
  }
  if (typeof example !== typeof value || Array.isArray(example) !== Array.isArray(value)) {
    return [`${at}: ${typeof example} in the example, ${typeof value} in the answer`];
  }
  if (typeof example !== 'object' || FREE.has(at)) return [];
  const [told, given] = [example as Record<string, unknown>, value as Record<string, unknown>];
  return [...new Set([...Object.keys(told), ...Object.keys(given)])].flatMap((name) =>
    name in told && name in given
      ? sameShape(told[name], given[name], `${at}.${name}`)
      : [`${at}.${name} is in one of them only`],
  );
}
/** Whose names are data. */
const FREE = new Set(['.calls', '.items[].data', '.items[].labels']);

describe('the examples, played against the API over a database', () => {
  let desk: Awaited<ReturnType<typeof openDesk>>;
  let app: ReturnType<typeof buildApi>;
  beforeAll(async () => {
    desk = await openDesk();
    app = buildApi({
      commands: desk.commands,
      requests: desk.store.requests,
      // No role may see a pair: that is granted besides.
      authenticate: oneToken(hashToken(TOKEN), {
        name: 'admin',
        tokenId: null,
        role: 'admin',
        scope: null,
        mayReveal: true,
      }),
      readiness: async () => [],
      metrics: new Registry(),
      log: pino({ level: 'silent' }),
      version: '0.0.0-test',
      limits: { eventLoopDelayMs: 0 },
    });
  });
  afterAll(async () => {
    await app.close();
    await desk.close();
  });

  /** Sends an operation's example, and compares what comes back with its schema and its example. */
  async function play(
    id: string,
    params: Record<string, string> = { id: 'acme' },
    token = TOKEN,
  ): Promise<unknown> {
    const described = operations.find((one) => one.id === id);
    if (!described) throw new Error(`there is no operation ${id}`);
    const taken = jsonOf(described.operation.requestBody);
    const answer = await app.inject({
      method: described.method.toUpperCase() as 'GET',
      url: described.path.replaceAll(/\{(\w+)\}/g, (_, name: string) => params[name] ?? ''),
      headers: { authorization: `Bearer ${token}`, accept: 'application/json' },
      ...(taken ? { payload: taken.example as object } : {}),
    });
    if (answer.statusCode >= 300) throw new Error(`${id} was answered ${answer.statusCode}: ${answer.body}`);
    const value: unknown = answer.json();
    const given = jsonOf(goodOf(described));
    const differs = given?.example === undefined ? [] : sameShape(given.example, value);
    expect({ id, wrong: problemsOf(given?.schema ?? {}, value), differs }).toEqual({
      id,
      wrong: [],
      differs: [],
    });
    played.add(id);
    return value;
  }
  const played = new Set<string>();

  /** Those that a tenant alone does not do for: with drift, a deletion, a brake, a pair, an automation. */
  async function playInTheirStates(): Promise<void> {
    const DRIFT = {
      path: 'role.levels.Companies/Configurations.delete',
      kind: 'excess' as const,
      desired: 'None',
      observed: 'All',
    };
    await applied(desk.commands, input('drifting', { mode: 'repair' }));
    const drift = [{ ...DRIFT, since: '2026-01-01T00:00:00Z', action: 'none:x', accepted: null }];
    await desk.run('drifting', { status: status({ drift }) });
    await play('acceptDrift', { id: 'drifting' });
    await play('withdrawAcceptance', { id: 'drifting' });

    await applied(desk.commands, input('leaving'));
    valueOf(await desk.commands.deleteTenant('leaving', leaving()));
    await play('keepTenant', { id: 'leaving' });

    const brake = '019ab3f0-7c00-7000-8000-000000000004';
    await desk.store.pool.query(
      `insert into brakes (id, signatures, counted, fleet) values ($1, '{role.active different}', 5, 20)`,
      [brake],
    );
    // For all it is released once the run of one went well.
    await desk.store.pool.query(
      `insert into brake_releases (brake_id, tenant_id, at, by, reason, trigger)
       values ($1, 'drifting', '2020-01-01', 'Ada', 'looked', 0)`,
      [brake],
    );
    await play('releaseBrake', { id: brake });

    const [install, work] = ['019ab3f0-7c00-7000-8000-000000000005', '019ab3f0-7c00-7000-8000-000000000006'];
    await applied(desk.commands, input('handed', { mode: 'repair' }));
    const made = await desk.handoff('handed', 'issue-integration-key', 'umbrella-a', {
      input: { purpose: 'integration', member: 'umbrella-a' },
    });
    valueOf(await desk.commands.submitHandoff(made, { by: 'Bob', pair: pair('handed'), attest: false }));
    const open = { change: 'open', deadline: '2099-01-01T00:00:00.000Z' } as const;
    const content = { title: 'Do it', why: '', steps: [], closedBy: '' };
    await desk.run('handed', {
      handoffs: [
        {
          ...open,
          id: install,
          kind: 'install-integration-key',
          subject: desk.fingerprint('handed'),
          content,
        },
        { ...open, id: work, kind: 'delete-key', subject: 'umbrella-b', content },
      ],
    });
    valueOf(await desk.commands.claimHandoff(install, 'Ada'));
    await play('revealHandoff', { id: install });

    const token = 'one-time-token';
    await desk.store.pool.query(
      `update handoffs set state = 'claimed', claimed_by = $2, claimed_at = now(), automation = $3 where id = $1`,
      [
        work,
        AUTOMATION,
        { webhook: 'https://rpa.example/parasol', state: 'accepted', attempts: 1, error: null },
      ],
    );
    await desk.store.pool.query(
      `insert into answer_keys (id, token_hash, sealed) values ($1, $2, 'sealed')`,
      [work, hashToken(token)],
    );
    await play('answerAutomation', {}, token);
  }

  it('are taken, and their answers are as they say', async () => {
    await play('createTenant');
    await play('applyFleet');
    await play('replaceTenant');
    await play('reconcileTenant');
    await play('reconcileFleet');
    await play('rotateFleet');
    await play('pauseTenant');
    await play('resumeTenant');
    await play('createToken');
    const handoff = '019ab3f0-7c00-7000-8000-000000000001';
    const input = { purpose: 'integration' as const, member: 'umbrella-b' };
    await desk.run('acme', {
      handoffs: [
        {
          change: 'open',
          id: handoff,
          kind: 'issue-integration-key',
          subject: 'umbrella-b',
          content: { title: 'Make a key', why: '', steps: [], closedBy: '', input },
          deadline: '2099-01-01T00:00:00.000Z',
        },
      ],
    });
    await play('listTenants');
    await play('getStatus');
    await play('listEvents');
    await play('followEvents');
    const runs = (await play('listRuns')) as { items: { id: string }[] };
    await play('getRun', { id: 'acme', run: runs.items[0]!.id });
    await play('claimHandoff', { id: handoff });
    await play('releaseHandoff', { id: handoff });
    await play('submitHandoff', { id: handoff });
    await play('rotate');
    await play('rollback');
    for (const purpose of ['management', 'integration', 'umbrella-api', 'umbrella-key-admin', 'automation']) {
      await play(`replaceCredential-${purpose}`);
    }
    await playInTheirStates();
    expect(Object.keys(EXAMPLES).filter((id) => !played.has(id))).toEqual([]);
  });
});
