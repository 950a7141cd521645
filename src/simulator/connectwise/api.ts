import { fingerprint } from '../secrets.ts';
import { wireTime } from '../time.ts';
import { Routes, type Route } from '../routes.ts';
import {
  basicCredentials,
  type Call,
  type Identity,
  type Prepared,
  type Reply,
  type Vendor,
} from '../wire.ts';
import type { World } from '../world.ts';
import type { ApiKey, ApiMember, ConnectWiseCompany } from './company.ts';
import { customerOperations } from './customers.ts';
import { cannotRoute, errorReply, Refusal, securityError } from './errors.ts';
import { memberOperations } from './members.ts';
import type { Context, Operation } from './operation.ts';
import { serviceOperations } from './service.ts';
import { systemOperations } from './system.ts';

const routes = new Routes<Operation>([
  ...systemOperations,
  ...memberOperations,
  ...customerOperations,
  ...serviceOperations,
]);

const COMPANY_INFO = '/login/companyinfo/';
const API_PATH = /^\/(.*?)apis\/3\.0(\/.*)$/;
const MAX_URL = 2_000;
const THROTTLE_HINT_SECONDS = 30;
const CONTENT_TYPE = 'application/vnd.connectwise.com+json; version=2025.1';

interface Caller {
  company: ConnectWiseCompany;
  key: ApiKey | undefined;
  member: ApiMember | undefined;
}

/** ConnectWise on the wire (domain.md §4), for all companies of a world. */
export class ConnectWise implements Vendor {
  readonly name = 'connectwise';
  readonly #world: World;

  constructor(world: World) {
    this.#world = world;
  }

  prepare(call: Call): Prepared {
    if (call.path.startsWith(COMPANY_INFO)) return this.#companyInfo(call);
    const match = API_PATH.exec(call.path);
    const route = match === null ? null : routes.find(match[2] ?? '');
    const credentials = basicCredentials(call.headers.authorization);
    const caller = credentials === null ? null : this.#caller(credentials);
    const identity: Identity = {
      company: caller?.company.companyId ?? null,
      actor: caller?.member?.identifier ?? null,
      keyFingerprint:
        caller?.key?.fingerprint ??
        (credentials === null ? null : fingerprint(`${credentials.user}:${credentials.password}`)),
      operation: route?.template ?? null,
    };
    return {
      identity,
      run: (onCreated) => {
        try {
          return this.#run(
            call,
            match?.[1] ?? null,
            route,
            credentials !== null,
            caller,
            onCreated ?? (() => undefined),
          );
        } catch (error) {
          if (error instanceof Refusal) return error.reply;
          throw error;
        }
      },
    };
  }

  rateLimited(retryAfterSeconds: number | null): Reply {
    const seconds = retryAfterSeconds ?? THROTTLE_HINT_SECONDS;
    const body = {
      error: 'ConnectWiseAPI',
      message: `Too many requests. Please try again in ${seconds} seconds.`,
    };
    return retryAfterSeconds === null
      ? { status: 429, body }
      : { status: 429, body, headers: { 'Retry-After': String(seconds) } };
  }

  /** `companyId+publicKey:privateKey`. Null: no such company. */
  #caller({ user, password }: { user: string; password: string }): Caller | null {
    const plus = user.indexOf('+');
    const company = this.#world.connectwise.get(user.slice(0, Math.max(plus, 0)).toLowerCase());
    if (company === undefined) return null;
    const found = company.keys.get(user.slice(plus + 1));
    const key = found?.privateKey === password ? found : undefined;
    return { company, key, member: key === undefined ? undefined : company.apiMembers.get(key.memberId) };
  }

  #companyInfo(call: Call): Prepared {
    const companyId = decodeURIComponent(call.path.slice(COMPANY_INFO.length)).toLowerCase();
    const company = this.#world.connectwise.get(companyId);
    return {
      identity: {
        company: company?.companyId ?? null,
        actor: null,
        keyFingerprint: null,
        operation: '/login/companyinfo/{companyId}',
      },
      run: () => {
        if (call.method !== 'GET') return errorReply(405, 'MethodNotAllowed', 'GET only');
        if (company === undefined) {
          return this.#world.unknownCompanyAnswer(companyId) === '404'
            ? { status: 404, text: '', contentType: 'text/html' }
            : { status: 200, body: null };
        }
        return {
          status: 200,
          body: {
            CompanyName: company.name,
            Codebase: company.codebase,
            VersionCode: company.codebase.replace(/\/$/, ''),
            VersionNumber: 'v2025.1.112233',
            CompanyID: company.companyId,
            IsCloud: company.options.isCloudAsString ? 'True' : true,
          },
        };
      },
    };
  }

  #run(
    call: Call,
    codebase: string | null,
    route: Route<Operation> | null,
    hasCredentials: boolean,
    caller: Caller | null,
    onCreated: (row: object) => void,
  ): Reply {
    if (call.url.length > MAX_URL) {
      return { status: 414, text: 'Request-URI Too Long', contentType: 'text/plain; charset=utf-8' };
    }
    if (codebase === null) return cannotRoute();
    if (!hasCredentials) return errorReply(401, 'Unauthorized', 'Unauthorized');
    if (caller === null || codebase !== caller.company.codebase) return cannotRoute();
    const now = this.#world.now();
    const wait = this.#world.quotas && call.unmetered !== true ? caller.company.quota.take(now.getTime()) : 0;
    if (wait > 0) return this.rateLimited(Math.ceil(wait / 1_000));
    const refused = authenticate(call, caller);
    if (refused !== null) return refused;
    if (route === null) return cannotRoute();
    const operation = route.methods.get(call.method);
    if (operation === undefined) {
      return errorReply(405, 'MethodNotAllowed', `The requested resource does not support ${call.method}`);
    }
    const { company, key, member } = caller;
    if (key === undefined || member === undefined) throw new Error('an authenticated key has a member');
    key.lastUsedAt = wireTime(now);
    const reply = operation.run({
      world: this.#world,
      company,
      member,
      now,
      parameters: route.parameters,
      query: call.query,
      headers: call.headers,
      path: call.path,
      body: call.body,
      onCreated,
      onlyMine: authorize(company, member, operation) === 'My',
    } satisfies Context);
    return { contentType: CONTENT_TYPE, ...reply };
  }
}

/** Null when the key is known, its member active, and the client id given (domain.md §4). */
function authenticate(call: Call, { company, key, member }: Caller): Reply | null {
  if (key === undefined || member === undefined) {
    return company.options.badCredentialsAs404
      ? cannotRoute()
      : errorReply(401, 'Unauthorized', 'Unauthorized');
  }
  if (member.inactiveFlag) {
    return company.options.badCredentialsAs404
      ? cannotRoute()
      : errorReply(401, 'ConnectWiseApi', 'UserNotAuthenticated');
  }
  const clientId = call.headers['clientid'];
  if (clientId === undefined || clientId === '') {
    return errorReply(401, 'Unauthorized', 'The clientId header is missing or invalid');
  }
  return null;
}

/** Refuses what the member's role does not allow; answers the level otherwise. */
function authorize(company: ConnectWiseCompany, member: ApiMember, operation: Operation): 'My' | 'All' {
  const { need } = operation;
  if (need === undefined) return 'All';
  const roleId = member.securityRole?.id;
  const level = company.level(roleId, need.on, need.kind);
  if (level === 'None' || roleId === undefined) throw securityError();
  const isAdministrator = company.roles.get(roleId)?.adminFlag === true;
  if (need.item !== undefined && !isAdministrator && !company.access(roleId).allowList.includes(need.item)) {
    throw securityError();
  }
  return level;
}
