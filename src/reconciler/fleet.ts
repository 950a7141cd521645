import { EVERYBODY } from '../domain/tenant-filter.ts';
import { done, invalid } from './answers.ts';
import { summaryView } from './command-views.ts';
import type { Answer, Page, TenantQuery, TenantSummary } from './commands.ts';
import { cursorOf, placeOf } from './cursor.ts';
import type { Clock, Desk } from './ports.ts';

/** What is asked of many tenants at once. */

interface FleetDeps {
  desk: Desk;
  clock: Clock;
}

/** A page of the tenants that a filter means. */
export async function listTenants(
  { desk, clock }: FleetDeps,
  { sort = 'id', filter = EVERYBODY, after, limit }: TenantQuery,
): Promise<Answer<Page<TenantSummary>>> {
  const place = after === null ? null : placeOf(sort, after);
  if (after !== null && place === null) {
    const message = `is not the \`next\` of a page sorted by ${sort}: begin again without it`;
    return invalid([{ path: 'after', message }]);
  }
  const { items, next } = await desk.page({ sort, filter, after: place, limit });
  const now = clock.now();
  const shown = items
    .map((row) => summaryView(row, now))
    // What was seen of one may have become too old since lists were last looked through.
    .filter(({ ready }) => filter.ready.length === 0 || filter.ready.includes(ready));
  return done({ items: shown, next: next && cursorOf(sort, next) });
}
