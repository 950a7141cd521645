import { randomUUID } from 'node:crypto';
import helmet from '@fastify/helmet';
import rateLimit from '@fastify/rate-limit';
import underPressure from '@fastify/under-pressure';
import fastify, { LogController, type FastifyInstance, type FastifyReply } from 'fastify';
import type { Logger } from 'pino';
import type { Registry } from 'prom-client';
import type { Commands, Requests } from '../reconciler/commands.ts';
import { guard, type Authenticate } from './auth.ts';
import { answerOnce } from './idempotency.ts';
import { apiLogger } from './log.ts';
import { learnMethods } from './methods.ts';
import { describeApi } from './openapi.ts';
import { handleError, Problem, send } from './problem.ts';
import { auditLogRoutes } from './routes/audit-log.ts';
import { auditRoutes } from './routes/audit.ts';
import { automationRoutes } from './routes/automation.ts';
import { brakeRoutes } from './routes/brakes.ts';
import { eventRoutes } from './routes/events.ts';
import { holdRoutes } from './routes/holds.ts';
import { fleetRoutes } from './routes/fleet.ts';
import { handoffRoutes } from './routes/handoffs.ts';
import { runRoutes } from './routes/runs.ts';
import { schemaRoutes } from './routes/schemas.ts';
import { specRoutes } from './routes/specs.ts';
import { serviceRoutes, type Readiness } from './routes/service.ts';
import { statusRoutes } from './routes/status.ts';
import { tenantRoutes } from './routes/tenants.ts';
import { tokenRoutes } from './routes/tokens.ts';
import type { Api } from './types.ts';
import { validateWithZod } from './validation.ts';

export interface ApiDeps {
  /** Routes ask by `request.commands`, which are those of who is calling. */
  commands: Pick<Commands, 'as'>;
  authenticate: Authenticate;
  /** What was asked with an Idempotency-Key. */
  requests: Requests;
  readiness: Readiness;
  metrics: Registry;
  log: Logger;
  version: string;
  /** Names a request in its answer and in the log. Default: a random UUID. */
  requestId?: () => string;
  limits?: Partial<ApiLimits>;
  /** Proxies that say in `X-Forwarded-For` who called; of others the connection's own address counts. */
  trustedProxies?: readonly string[];
}

export interface ApiLimits {
  /** Of one token. */
  requestsPerMinute: number;
  /** How late the event loop may be before calls are turned away; 0: never. */
  eventLoopDelayMs: number;
  bodyBytes: number;
}

const DEFAULT_LIMITS: ApiLimits = {
  requestsPerMinute: 1_200,
  eventLoopDelayMs: 1_000,
  bodyBytes: 1024 * 1024,
};

/**
 * The HTTP API over the commands. Builds and does not listen: `await api.listen({ host, port })`, or
 * `await api.inject(…)` in tests.
 */
export function buildApi(deps: ApiDeps): FastifyInstance {
  const limits = { ...DEFAULT_LIMITS, ...deps.limits };
  const app = fastify({
    loggerInstance: apiLogger(deps.log),
    // Its lines quote addresses with their queries; `logRequests` below has lines of our own.
    logController: new LogController({ disableRequestLogging: true, requestIdLogLabel: 'request' }),
    genReqId: deps.requestId ?? (() => randomUUID()),
    requestIdHeader: false,
    bodyLimit: limits.bodyBytes,
    trustProxy: deps.trustedProxies?.length ? [...deps.trustedProxies] : false,
    requestTimeout: 30_000,
    forceCloseConnections: 'idle',
    frameworkErrors: (error, request, reply) => void handleError(error, request, reply),
  });
  app.setErrorHandler(handleError);
  const methodsAt = learnMethods(app);
  app.setNotFoundHandler(({ url }, reply) => {
    const methods = methodsAt(url);
    return send(reply, methods.length > 0 ? Problem.badMethod(methods) : Problem.nothingHere());
  });
  // What is not JSON is answered with 415, not read as text.
  app.removeContentTypeParser('text/plain');
  validateWithZod(app);

  logRequests(app);
  protect(app, limits);
  guard(app, deps);
  limitRate(app, limits);
  answerOnce(app, deps.requests);
  describeApi(app, deps.version);

  void app.register(async (scope) => {
    const api = scope as unknown as Api;
    serviceRoutes(api, deps);
    fleetRoutes(api);
    tenantRoutes(api);
    statusRoutes(api);
    eventRoutes(api);
    runRoutes(api);
    holdRoutes(api);
    handoffRoutes(api);
    auditRoutes(api);
    automationRoutes(api);
    schemaRoutes(api);
    specRoutes(api);
    brakeRoutes(api);
    tokenRoutes(api, deps);
    auditLogRoutes(api);
  });
  return app;
}

function logRequests(app: FastifyInstance): void {
  app.addHook('onRequest', async (request, reply) => {
    reply.header('x-request-id', request.id).header('cache-control', 'no-store');
  });
  app.addHook('onResponse', async (request, reply) => {
    const { permission, url: route } = request.routeOptions.config;
    // Probes come every few seconds and say nothing as long as they succeed.
    const level = permission === 'public' && reply.statusCode < 400 ? 'debug' : 'info';
    request.log[level](
      {
        method: request.method,
        route: route ?? null,
        status: reply.statusCode,
        ms: Math.round(reply.elapsedTime),
        by: request.identity?.name ?? null,
      },
      'answered',
    );
  });
}

function protect(app: FastifyInstance, limits: ApiLimits): void {
  void app.register(helmet, {
    global: false,
    // Loopback and many an inner network speak plain HTTP: browsers must not be told to upgrade.
    contentSecurityPolicy: { directives: { upgradeInsecureRequests: null } },
  });
  // They are the same for every answer, and helmet makes them anew each time.
  let hardening: Record<string, string> | null = null;
  app.after(() => {
    app.addHook('onRequest', async (_, reply) => {
      hardening ??= hardeningOf(reply);
      reply.headers(hardening);
    });
  });
  void app.register(underPressure, {
    maxEventLoopDelay: limits.eventLoopDelayMs,
    // A busy process is alive: a probe that failed now would have it killed in the middle of its work.
    pressureHandler: async (request) => {
      if (request.routeOptions.config.permission !== 'public') {
        throw Problem.unavailable('Too busy to answer in time.');
      }
    },
  });
}

/** The headers that helmet puts on an answer, taken off it again. */
function hardeningOf(reply: FastifyReply): Record<string, string> {
  void reply.helmet();
  const { raw } = reply;
  return Object.fromEntries(
    raw.getHeaderNames().map((name) => {
      const value = raw.getHeader(name);
      raw.removeHeader(name);
      return [name, String(value)];
    }),
  );
}

function limitRate(app: FastifyInstance, limits: ApiLimits): void {
  void app.register(rateLimit, {
    max: limits.requestsPerMinute,
    timeWindow: 60_000,
    // Runs after the door, so that only identities are counted.
    keyGenerator: (request) => request.identity?.tokenId ?? request.identity?.name ?? request.ip,
    errorResponseBuilder: () => Problem.tooMany(),
  });
}
