/** What the brake says of a tenant, as SQL: for snapshots and for the last doors. */

/** Brakes that hold the tenant of the row: it differs as they say, and was not released. */
export const HOLDING = `
  from brakes
  where released_at is null and ended_at is null
    and exists (
      select from sightings
       where sightings.tenant_id = tenants.id and sightings.signature = any(brakes.signatures) and gone_at is null)
    and not exists (
      select from brake_releases
       where brake_releases.brake_id = brakes.id and brake_releases.tenant_id = tenants.id)`;

/** Whether the brake holds the tenant of the row. */
export const HELD_BY_BRAKE = `exists (select ${HOLDING})`;

/** The oldest brake that holds the tenant of the row, as a `Hold` in JSON. */
export const BRAKE_NOW = `(
  select jsonb_build_object('id', id, 'signatures', signatures, 'setAt',
           to_char(set_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'))
  ${HOLDING} order by set_at, id limit 1)`;

/** In which ways the tenant of the row was last seen to differ, as JSON. */
export const SIGHTED = `(
  select coalesce(json_agg(signature), '[]') from sightings
   where sightings.tenant_id = tenants.id and gone_at is null)`;
