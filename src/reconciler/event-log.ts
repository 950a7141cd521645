import { inScope, type Scope } from '../domain/access.ts';
import type { Labels, LabelSelector } from '../domain/labels.ts';
import { selects } from '../domain/labels.ts';
import type { EventView, Page } from './commands.ts';

/**
 * The log of all events, as it is followed. An event has its place (`position`, in an `EventView` its `id`) from
 * the moment somebody reads it: places are given to what is committed, one after the other, so that whoever has
 * read up to a place misses nothing before it, however long a transaction before it takes.
 */
export interface EventLog {
  /** Gives every committed event its place; how far the log goes now. */
  head(): Promise<LogHead>;
  /** Up to `limit` events after a place that the head has reached, in order. */
  after(place: number, head: LogHead, filter: EventFilter, limit: number): Promise<Stretch>;
  /** Newest first; `next` is the `before` of the next page. */
  page(page: { before: number | null; limit: number }, filter: EventFilter): Promise<Page<EventView>>;
  /**
   * Calls back with a tenant once something of it was committed: an event, or the end of a run that somebody asked
   * for; with null when anything may have been missed. What it returns takes it back.
   */
  onChange(listen: (tenant: string | null) => void): Promise<() => Promise<void>>;
}

export interface LogHead {
  /** The last place that was given. */
  placed: number;
  /** The last place that retention has taken; 0: none. */
  pruned: number;
}

export interface LoggedEvent {
  place: number;
  event: EventView;
  /** Of its tenant, as they are now; null: the tenant is gone. */
  labels: Labels | null;
}

export interface Stretch {
  events: LoggedEvent[];
  /** Everything up to this place was looked at. */
  through: number;
}

/** Which events are wanted; what is null or empty asks for nothing. */
export interface EventFilter {
  tenant: string | null;
  /** Any of these. */
  types: readonly string[];
  /** All of these, of the event's tenant as it is now; events of a tenant that is gone have none. */
  labels: readonly LabelSelector[];
  /** Those of the tenants that exist for who asks; null: all. */
  scope: Scope | null;
}

/** What somebody may ask for; the scope is not theirs to say. */
export type EventWish = Omit<EventFilter, 'scope'>;

export const EVERY_EVENT: EventFilter = { tenant: null, types: [], labels: [], scope: null };

/** Whether an event is wanted: what the store asks of its rows, asked of one that is at hand. */
export const passes = (
  { tenant, types, labels: selectors, scope }: EventFilter,
  { event, labels }: LoggedEvent,
): boolean =>
  (tenant === null || event.tenant === tenant) &&
  (types.length === 0 || types.includes(event.type)) &&
  (selectors.length === 0 || (labels !== null && selects(selectors, labels))) &&
  // The fleet's own are not for who is bound to some of its tenants.
  (event.tenant === null ? scope === null : inScope(scope, { id: event.tenant, labels: labels ?? {} }));
