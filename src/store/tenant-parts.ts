import type { Hold } from '../domain/brake.ts';
import type { Pause } from '../domain/pause.ts';
import type { UmbrellaRotation } from '../domain/umbrella-rotation.ts';
import { BRAKE_NOW } from './brake-sql.ts';
import { credentials, toCredential } from './credentials.ts';
import { handoffs, toHandoff } from './handoffs.ts';
import { rotations, toRotation } from './rotations.ts';
import { columnsOf, rowOf, type Json } from './rows.ts';
import { PAUSE_NOW } from './tenants.ts';
import { ROTATION_OF_TENANT } from './umbrella-keys.ts';

/**
 * What a run and a person both ask of a tenant beside its row and its status; of a statement that selects from `tenants`.
 * What is sealed goes to runs alone.
 */
export const tenantParts = (withSealed: boolean): string => `
    ${PAUSE_NOW} as pause, ${BRAKE_NOW} as brake,
    (select coalesce(json_agg(c order by created_at, id), '[]')
       from (select ${columnsOf(credentials, withSealed ? [] : [credentials.sealed.name])} from credentials
              where credentials.tenant_id = tenants.id) as c) as credentials,
    (select coalesce(json_agg(h order by deadline, id), '[]') from handoffs as h
      where h.tenant_id = tenants.id and state in ('open', 'claimed', 'submitted')) as handoffs,
    (select row_to_json(r) from rotations as r where r.tenant_id = tenants.id and ended_at is null) as rotation,
    (${ROTATION_OF_TENANT}) as umbrella_rotation`;

/** `tenantParts` as they come. */
export interface PartsRow {
  pause: Pause | null;
  brake: Hold | null;
  credentials: Json[];
  handoffs: Json[];
  rotation: Json | null;
  umbrella_rotation: UmbrellaRotation | null;
}

/** As the ports know them; pause and brake go with the tenant's row. `held`: the credentials with what is sealed. */
export function toParts(row: PartsRow) {
  const held = row.credentials.map((one) => rowOf(credentials, one));
  return {
    held,
    parts: {
      credentials: held.map(toCredential),
      handoffs: row.handoffs.map((one) => toHandoff(rowOf(handoffs, one))),
      rotation: row.rotation && toRotation(rowOf(rotations, row.rotation)),
      umbrellaRotation: row.umbrella_rotation,
    },
  };
}
