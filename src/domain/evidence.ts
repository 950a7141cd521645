import type { IntegrationMemory } from './condition.ts';
import { toMs } from './duration.ts';
import type { ConfigurationFact, CustomerFact, WritesFact } from './observation.ts';
import { oncePer } from './once.ts';
import { slotOf, type TenantSpec } from './tenant.ts';

/**
 * Umbrella's own writes in ConnectWise: the one evidence that the integration works (domain.md §2, §3).
 * A write counts by who made it; what a technician touched last says nothing of Umbrella (rulings 3).
 */

const MAX_BURSTS = 12;

export interface Write {
  at: string;
  by: string;
  configuration: string;
}

/** Writes by a member that this tenant's integration may write as, newest first. */
export function expectedWrites(spec: TenantSpec, writes: WritesFact): Write[] {
  return allWrites(writes).filter(({ by }) => slotOf(spec, by) !== null);
}

/** Every dated write of the configurations that were read, newest first; times in one form of ISO 8601. */
export const allWrites: (writes: WritesFact) => readonly Write[] = oncePer(({ configurations }) => {
  const dated = configurations.flatMap(({ lastUpdated, updatedBy, name }) => {
    const time = Date.parse(lastUpdated ?? '');
    return updatedBy && !Number.isNaN(time)
      ? [{ at: new Date(time).toISOString(), by: updatedBy, configuration: name }]
      : [];
  });
  return newestFirst(dated);
});

/**
 * What a look at the configurations teaches (rulings 3). A write that is dated ahead of the clock is kept out:
 * it would count as the newest until that day.
 */
export function learn(
  spec: TenantSpec,
  memory: IntegrationMemory,
  writes: WritesFact,
  now: Date,
): IntegrationMemory {
  const seen = expectedWrites(spec, writes).filter(({ at }) => Date.parse(at) <= now.getTime());
  const [last] = newestFirst([...seen, ...(memory.lastWrite ? [memory.lastWrite] : [])]);
  return {
    ...memory,
    type: writes.type ?? memory.type,
    bursts: learnBursts(spec, memory.bursts, seen),
    ...(last ? { lastWrite: last } : {}),
  };
}

const newestFirst = (writes: Write[]): Write[] =>
  writes.toSorted((a, b) => Date.parse(b.at) - Date.parse(a.at));

/**
 * The newest write of Umbrella's that was ever seen, as a member of this spec; where a technician touched the
 * configuration since, only memory tells it (rulings 3).
 */
export function newestWrite(spec: TenantSpec, memory: IntegrationMemory, seen: Write[]): Write | null {
  const { lastWrite } = memory;
  const known = lastWrite && slotOf(spec, lastWrite.by) !== null ? [lastWrite] : [];
  return newestFirst([...seen, ...known])[0] ?? null;
}

/**
 * The times of distinct bursts of writes, oldest first. Umbrella refreshes all of a tenant's configurations
 * in one sweep, so writes closer together than a tenth of `staleAfter` are one burst; an unchanged refresh
 * may not move a date, so bursts are collected over many looks.
 */
export function learnBursts(spec: TenantSpec, known: string[], seen: Write[]): string[] {
  const gap = toMs(spec.integration.staleAfter) / 10;
  const times = [...known, ...seen.map((write) => write.at)]
    .map((at) => Date.parse(at))
    .toSorted((a, b) => a - b);
  const bursts: number[] = [];
  for (const time of times) {
    const last = bursts.at(-1);
    if (last !== undefined && time - last < gap) continue;
    bursts.push(time);
  }
  return bursts.slice(-MAX_BURSTS).map((time) => new Date(time).toISOString());
}

/** The longest pause between bursts, in ms; null until three bursts prove that there is a cadence. */
export function provedCadence(bursts: string[]): number | null {
  if (bursts.length < 3) return null;
  const times = bursts.map((at) => Date.parse(at));
  return Math.max(...times.slice(1).map((time, index) => time - times[index]!));
}

/** One Umbrella customer and the configuration that it was matched to (rulings 5). */
export interface MatchedCustomer {
  customer: CustomerFact | null;
  configuration: ConfigurationFact | null;
}

/** What a configuration may have of a customer's name, the most telling first. */
const NAMES: ((configuration: ConfigurationFact) => string | undefined)[] = [
  ({ name }) => name,
  ({ company }) => company?.name,
  ({ company }) => company?.identifier,
];

/**
 * Customers are matched to configurations by equal names, without case, spacing or punctuation: an
 * inference, since no API tells the mapping (domain.md §2). Each configuration speaks for one customer;
 * those that match none follow. Where Umbrella's type is not known, no configuration is known to be its work.
 */
export function matchCustomers(customers: CustomerFact[], writes: WritesFact | undefined): MatchedCustomer[] {
  const configurations = writes?.type ? writes.configurations : [];
  const matched = new Map<CustomerFact, ConfigurationFact>();
  const used = new Set<ConfigurationFact>();
  for (const nameOf of NAMES) {
    const byName = Map.groupBy(
      configurations.filter((configuration) => !used.has(configuration)),
      (configuration) => plainName(nameOf(configuration) ?? ''),
    );
    byName.delete('');
    for (const customer of customers) {
      const found = matched.has(customer) ? undefined : byName.get(plainName(customer.name))?.shift();
      if (!found) continue;
      matched.set(customer, found);
      used.add(found);
    }
  }
  return [
    ...customers.map((customer) => ({ customer, configuration: matched.get(customer) ?? null })),
    ...configurations
      .filter((configuration) => !used.has(configuration))
      .map((configuration) => ({ customer: null, configuration })),
  ];
}

const plainName = (name: string): string => name.toLowerCase().replaceAll(/[^\p{L}\p{N}]/gu, '');
