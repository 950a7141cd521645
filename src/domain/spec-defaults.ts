import { isDeepStrictEqual } from 'node:util';
import { tenantSpecSchema, type TenantSpec } from './tenant.ts';

/** What of a spec a person has to say, since the rest is as it is by default. */

/** These are one value each: who gives some of them gives all. */
const WHOLE: ReadonlySet<string> = new Set(['labels', 'levels']);

type Group = Record<string, unknown>;

/**
 * The spec without what is as it is by default; read again it is the same spec.
 *
 * ```ts
 * tenantSpecSchema.parse(withoutDefaults(spec)); // spec
 * ```
 */
export const withoutDefaults = (spec: TenantSpec): Group => strip(spec, DEFAULTS);

/** Only what must be said is not in it. */
const DEFAULTS: Group = (() => {
  const {
    id: _id,
    name: _name,
    ...rest
  } = tenantSpecSchema.parse({
    id: 'x',
    name: 'x',
    connectwise: { site: 'https://x', companyId: 'x', clientId: '00000000-0000-4000-8000-000000000000' },
    umbrella: { console: 'msp' },
  });
  const { site: _site, companyId: _company, clientId: _client, ...connectwise } = rest.connectwise;
  const { console: _console, ...umbrella } = rest.umbrella;
  return { ...rest, connectwise, umbrella };
})();

function strip(given: Group, usual: Group): Group {
  return Object.fromEntries(
    Object.entries(given).flatMap(([name, value]): [string, unknown][] => {
      const byDefault = usual[name];
      if (value === undefined || isDeepStrictEqual(value, byDefault)) return [];
      if (WHOLE.has(name) || !isGroup(value) || !isGroup(byDefault)) return [[name, value]];
      return [[name, strip(value, byDefault)]];
    }),
  );
}

const isGroup = (value: unknown): value is Group =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
