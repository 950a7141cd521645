import { randomUUID } from 'node:crypto';
import { random } from '../secrets.ts';
import { wireTime } from '../time.ts';
import type { Reply } from '../wire.ts';
import type { UmbrellaKey } from './console.ts';
import { refusal } from './errors.ts';
import type { UmbrellaContext, UmbrellaOperation } from './operation.ts';

/** What lists tell of a key: everything but its secret. */
function shown(key: UmbrellaKey) {
  const { secret: _secret, ...rest } = key;
  return { ...rest, creatorName: 'Simulated Administrator', creatorEmail: 'admin@example.com' };
}

function list({ world, console, call }: UmbrellaContext): Reply {
  const offset = Number(call.query['offset'] ?? 0);
  const limit = Number(call.query['limit'] ?? 0);
  if (!Number.isInteger(offset) || !Number.isInteger(limit) || offset < 0 || limit < 0) {
    return refusal('keys', 400, 'offset and limit must not be negative');
  }
  const keys = world.withoutStale([...console.keys.values()]);
  const end = limit === 0 ? undefined : offset + limit;
  const body = {
    message: 'success',
    offset,
    limit,
    total: keys.length,
    keys: keys.slice(offset, end).map(shown),
  };
  return { status: 200, body };
}

function find({ console, parameters }: UmbrellaContext): UmbrellaKey | undefined {
  return console.keys.get(parameters[0] ?? '');
}

function absent(): Reply {
  return refusal('keys', 404, 'API key not found');
}

interface KeyFields {
  name: string;
  scopes: string[];
  description: string | undefined;
  expireAt: string | undefined;
  allowedIPs: string[] | undefined;
}

/** Reads `KeyCreate` or `KeyPatch`; both require name and scopes. */
function readFields(context: UmbrellaContext): KeyFields | Reply {
  if (!(context.call.headers['content-type'] ?? '').startsWith('application/json')) {
    return refusal('keys', 415, 'Content-Type must be application/json');
  }
  let given: Record<string, unknown>;
  try {
    given = Object(JSON.parse(context.call.body)) as Record<string, unknown>;
  } catch {
    return refusal('keys', 400, 'The body is not JSON');
  }
  const { name, scopes, description, expireAt, allowedIPs } = given;
  if (typeof name !== 'string' || name === '' || name.length > 256)
    return refusal('keys', 400, 'name is required');
  if (!isStrings(scopes) || scopes.length === 0) return refusal('keys', 400, 'scopes are required');
  if (description !== undefined && typeof description !== 'string')
    return refusal('keys', 400, 'description');
  if (expireAt !== undefined && !isExpiry(expireAt)) return refusal('keys', 400, 'expireAt is not a date');
  if (allowedIPs !== undefined && !isStrings(allowedIPs))
    return refusal('keys', 400, 'allowedIPs is not a list');
  return { name, scopes, description, expireAt, allowedIPs };
}

function isStrings(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((one) => typeof one === 'string');
}

function isExpiry(value: unknown): value is string {
  return typeof value === 'string' && (value === '' || !Number.isNaN(Date.parse(value)));
}

function isReply(value: KeyFields | Reply): value is Reply {
  return 'status' in value;
}

/** Names are unique (domain.md §5). */
function nameTaken(context: UmbrellaContext, name: string, self?: UmbrellaKey): boolean {
  return [...context.console.keys.values()].some((key) => key !== self && key.name === name);
}

function create(context: UmbrellaContext): Reply {
  const fields = readFields(context);
  if (isReply(fields)) return fields;
  if (nameTaken(context, fields.name)) return refusal('keys', 409, 'An API key of that name exists');
  const at = wireTime(context.now);
  const key: UmbrellaKey = {
    id: randomUUID(),
    name: fields.name,
    description: fields.description ?? '',
    clientId: random(32),
    secret: random(32),
    creatorKeyId: context.key.id,
    createdAt: at,
    modifiedAt: at,
    lastUsedAt: at,
    lastRefreshedAt: at,
    expireAt: fields.expireAt ?? '',
    scopes: fields.scopes,
    allowedIPs: fields.allowedIPs ?? [],
  };
  context.world.registerUmbrellaKey(context.console, key);
  context.onCreated(key);
  return { status: 201, body: { message: 'success', key: { ...shown(key), clientSecret: key.secret } } };
}

function patch(context: UmbrellaContext): Reply {
  const key = find(context);
  if (key === undefined) return absent();
  const fields = readFields(context);
  if (isReply(fields)) return fields;
  if (nameTaken(context, fields.name, key)) return refusal('keys', 409, 'An API key of that name exists');
  key.name = fields.name;
  key.scopes = fields.scopes;
  if (fields.description !== undefined) key.description = fields.description;
  if (fields.allowedIPs !== undefined) key.allowedIPs = fields.allowedIPs;
  key.modifiedAt = wireTime(context.now);
  return { status: 200, body: { message: 'success', key: shown(key) } };
}

function refresh(context: UmbrellaContext): Reply {
  const key = find(context);
  if (key === undefined) return absent();
  key.secret = random(32);
  key.lastRefreshedAt = wireTime(context.now);
  key.modifiedAt = key.lastRefreshedAt;
  return { status: 200, body: { message: 'success', key: { ...shown(key), clientSecret: key.secret } } };
}

function remove(context: UmbrellaContext): Reply {
  const key = find(context);
  if (key === undefined) return absent();
  context.world.forgetUmbrellaKey(context.console, key);
  return { status: 204 };
}

const GROUP = { quota: 'apiKeys', shape: 'keys' } as const;

/** `/admin/v2/apiKeys`, for a KeyAdmin key. */
export const apiKeyOperations: readonly UmbrellaOperation[] = [
  { ...GROUP, method: 'GET', template: '/admin/v2/apiKeys', scope: 'admin.apikeys:read', run: list },
  { ...GROUP, method: 'POST', template: '/admin/v2/apiKeys', scope: 'admin.apikeys:create', run: create },
  {
    ...GROUP,
    method: 'GET',
    template: '/admin/v2/apiKeys/{apiKeyId}',
    scope: 'admin.apikeys:read',
    run: (context) => {
      const key = find(context);
      return key === undefined ? absent() : { status: 200, body: { message: 'success', key: shown(key) } };
    },
  },
  {
    ...GROUP,
    method: 'PATCH',
    template: '/admin/v2/apiKeys/{apiKeyId}',
    scope: 'admin.apikeys:update',
    run: patch,
  },
  {
    ...GROUP,
    method: 'DELETE',
    template: '/admin/v2/apiKeys/{apiKeyId}',
    scope: 'admin.apikeys:delete',
    run: remove,
  },
  {
    ...GROUP,
    method: 'POST',
    template: '/admin/v2/apiKeys/{apiKeyId}/refresh',
    scope: 'admin.apikeys:refresh',
    run: refresh,
  },
];
