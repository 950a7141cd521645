import type { Handoff, HandoffKind } from '../domain/handoff.ts';
import { credentialViews, rotationRecordView, umbrellaRotationView } from './command-views.ts';
import type { EventView, KeyAudit, RotationRecordView } from './commands.ts';
import type { KeyRecord } from './ports.ts';

/** Each hand-off and each event is told once: with the rotation that it belongs to, or with the rest. Pure. */
export function keyAudit(record: KeyRecord, now: Date): KeyAudit {
  const { tenant, credentials, umbrellaRotation } = record;
  const rotations = record.rotations.map((rotation) => rotationRecordView(record, rotation));
  const handoffs = record.handoffs.toSorted((a, b) => b.openedAt.localeCompare(a.openedAt));
  const ofHandoff = new Map(handoffs.map((handoff) => [handoff.id, rotationOf(rotations, handoff)]));
  const ofEvent = (event: EventView) => rotationAt(rotations, ofHandoff, event);
  const eventsBy = Map.groupBy(record.events, ofEvent);
  const handoffsBy = Map.groupBy(handoffs, ({ id }) => ofHandoff.get(id) ?? null);
  return {
    tenant: tenant.id,
    name: tenant.spec.name,
    exportedAt: now.toISOString(),
    rotations: rotations.map((rotation) => ({
      ...rotation,
      handoffs: handoffsBy.get(rotation) ?? [],
      events: eventsBy.get(rotation) ?? [],
    })),
    umbrellaRotation: umbrellaRotation && umbrellaRotationView(tenant.id, umbrellaRotation),
    credentials: credentialViews({ tenant, credentials }),
    handoffs: handoffsBy.get(null) ?? [],
    events: eventsBy.get(null) ?? [],
  };
}

const OF_ROTATIONS: readonly HandoffKind[] = [
  'issue-integration-key',
  'install-integration-key',
  'delete-key',
];

/** One rotation is under way at a time, so that the newest one that was asked for by then is the one meant. */
const newestBy = (
  rotations: RotationRecordView[],
  at: string,
  isMeant: (rotation: RotationRecordView) => boolean,
): RotationRecordView | null =>
  rotations.find((rotation) => rotation.requestedAt <= at && isMeant(rotation)) ?? null;

function rotationOf(rotations: RotationRecordView[], handoff: Handoff): RotationRecordView | null {
  const { kind, subject, openedAt } = handoff;
  if (!OF_ROTATIONS.includes(kind)) return null;
  return newestBy(rotations, openedAt, (rotation) => namesOf(rotation).includes(subject));
}

/** Members and keys that a rotation moves. */
const namesOf = ({ old, new: fresh, member }: RotationRecordView): (string | null)[] => [
  member,
  old?.member ?? null,
  old?.fingerprint ?? null,
  fresh?.member ?? null,
  fresh?.fingerprint ?? null,
];

function rotationAt(
  rotations: RotationRecordView[],
  ofHandoff: ReadonlyMap<string, RotationRecordView | null>,
  { type, at, data }: EventView,
): RotationRecordView | null {
  const { rotation, handoff, fingerprint } = data ?? {};
  if (typeof rotation === 'string') return rotations.find(({ id }) => id === rotation) ?? null;
  if (typeof handoff === 'string') return ofHandoff.get(handoff) ?? null;
  return newestBy(
    rotations,
    at,
    (one) =>
      type === 'RollbackRequested' || (typeof fingerprint === 'string' && namesOf(one).includes(fingerprint)),
  );
}
