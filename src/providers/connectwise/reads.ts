import type { ConfigurationFact, LevelRow } from '../../domain/observation.ts';
import { ok, type Outcome } from '../../domain/outcome.ts';
import type { ConnectWiseReads } from '../../reconciler/ports.ts';
import { fitsUrl, type ConnectWiseApi, type Query } from './api.ts';
import { anyOf, contains, equals, split } from './conditions.ts';
import {
  configurationSchema,
  customizeItemSchema,
  idSchema,
  memberSchema,
  mySecuritySchema,
  namedSchema,
  roleSchema,
  settingSchema,
} from './schemas.ts';

/** The dialog System / Table Setup / customize among those whose items are listed (domain.md §2). */
const TABLE_SETUP = 'SystemTableSetup';
const MEMBER_FIELDS = 'id,identifier,name,inactiveFlag,securityRole,structureLevel,securityLocation';
const ROLE_FIELDS = 'id,name,inactiveFlag';
const CONFIGURATION_FIELDS =
  'id,name,type/id,type/name,company/id,company/identifier,company/name,_info/lastUpdated,_info/updatedBy';
const NEWEST_FIRST = '_info/lastUpdated desc';
/** What Umbrella reads with its key (domain.md §1), by what the role and the allow list grant it. */
const UMBRELLA_READS = [
  { path: '/company/companies', what: 'companies' },
  { path: '/company/configurations', what: 'configurations' },
  { path: '/company/configurations/types', what: 'configuration types' },
  { path: '/service/boards', what: 'service boards' },
  { path: '/service/priorities', what: 'priorities' },
  { path: '/service/tickets', what: 'tickets' },
] as const;
/** Pages of 1,000 that are read in order to sort them here, where the server does not sort. */
const MAX_UNSORTED_PAGES = 20;

/** Remembers for a while which companies' servers refuse to order by `_info` ([I], domain.md §4). */
export interface OrderMemory {
  refuses(): boolean;
  note(): void;
}

/** ConnectWise, read with one key; one HTTP call each, where the list fits a page of 1,000. */
export function connectWiseReads(api: ConnectWiseApi, ordering: OrderMemory): ConnectWiseReads {
  return {
    async mySecurity() {
      const rows = await api.rows('/system/mySecurity', mySecuritySchema);
      if (!rows.ok) return rows;
      let told = securities.get(rows.value);
      if (told === undefined) securities.set(rows.value, (told = securityOf(rows.value)));
      return ok(told);
    },

    async tableSetup() {
      const rows = await api.rows('/system/mySecurity/customizeItems/', customizeItemSchema);
      if (!rows.ok) return rows;
      const chosen = rows.value.filter((row) => row.customizeIdentifier === TABLE_SETUP);
      return ok(chosen.map((row) => row.itemIdentifier));
    },

    membersByIdentifier(identifiers) {
      const query = (some: readonly string[]) => ({
        conditions: anyOf('identifier', some),
        fields: MEMBER_FIELDS,
      });
      return inParts(identifiers, query, (part) => api.all('/system/apiMembers', memberSchema, part));
    },

    roles(name, ids) {
      const query = (some: readonly (string | number)[]) => {
        const numbers = some.filter((one) => typeof one === 'number');
        const conditions = [
          ...(some.length > numbers.length ? [equals('name', name)] : []),
          ...(numbers.length > 0 ? [anyOf('id', numbers)] : []),
        ];
        return { conditions: conditions.join(' OR '), fields: ROLE_FIELDS };
      };
      const wanted = [name, ...ids];
      return inParts(wanted, query, (part) => api.all('/system/securityroles', roleSchema, part));
    },

    roleLevels(roleId) {
      return api.rows(`/system/securityRoles/${roleId}/settings`, settingSchema);
    },

    async unreadable() {
      const refused: string[] = [];
      for (const { path, what } of UMBRELLA_READS) {
        // The contract has rows of companies with their names.
        const fields = path === '/company/companies' ? 'id,identifier,name' : 'id';
        const rows = await api.list(path, idSchema, { fields }, { limit: 1 });
        if (rows.ok) continue;
        if (rows.failure.kind !== 'Forbidden') return rows;
        refused.push(what);
      }
      return ok(refused);
    },

    async configurationTypes(nameContains) {
      const query = { conditions: contains('name', nameContains), fields: 'id,name' };
      const types = await api.all('/company/configurations/types', namedSchema, query);
      return types.ok ? ok(types.value.map(({ id, name }) => ({ id, name }))) : types;
    },

    async configurations({ typeId, limit }) {
      const query: Query = {
        ...(typeId === null ? {} : { conditions: equals('type/id', typeId) }),
        fields: CONFIGURATION_FIELDS,
      };
      if (!ordering.refuses()) {
        const ordered = { ...query, orderBy: NEWEST_FIRST };
        const rows = await api.list('/company/configurations', configurationSchema, ordered, { limit });
        if (rows.ok) return ok({ ...rows.value, rows: newestFirst(rows.value.rows) });
        if (rows.failure.kind !== 'Invalid') return rows;
      }
      const all = await api.list('/company/configurations', configurationSchema, query, {
        forwardOnly: true,
        maxPages: MAX_UNSORTED_PAGES,
      });
      if (!all.ok) return all;
      // Only now is it the order that was refused, and not the rest of the query.
      ordering.note();
      const { rows, complete } = all.value;
      return ok({ rows: newestFirst(rows).slice(0, limit), complete: complete && rows.length <= limit });
    },
  };
}

interface Security {
  member: string | null;
  levels: LevelRow[];
}

/** By the list that it was made of, which is the same one as long as a vendor says the same. */
const securities = new WeakMap<object, Security>();

function securityOf(rows: { member: string | null; row: LevelRow }[]): Security {
  const members = new Set(rows.map(({ member }) => member).filter((member) => member !== null));
  const [member = null] = members;
  // Rows of several members are not the answer that the guide promises: then nobody's name is believed.
  return { member: members.size === 1 ? member : null, levels: rows.map(({ row }) => row) };
}

/** As many calls as the length of a URL asks for; rows that several of them told are told once. */
async function inParts<V, T extends { id: number }>(
  values: readonly V[],
  query: (some: readonly V[]) => Query,
  all: (query: Query) => Promise<Outcome<T[]>>,
): Promise<Outcome<T[]>> {
  const found = new Map<number, T>();
  for (const part of split(values, (some) => fitsUrl(query(some)))) {
    const rows = await all(query(part));
    if (!rows.ok) return rows;
    for (const row of rows.value) found.set(row.id, row);
  }
  return ok([...found.values()]);
}

/** Times are all in one form of ISO 8601, so that their text has their order; rows without one come last. */
function newestFirst(rows: readonly ConfigurationFact[]): ConfigurationFact[] {
  return [...rows].sort((a, b) => {
    const [left, right] = [a.lastUpdated ?? '', b.lastUpdated ?? ''];
    return left === right ? a.id - b.id : left < right ? 1 : -1;
  });
}
