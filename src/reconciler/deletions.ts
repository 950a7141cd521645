import { abandonedKeys, isInFlight, type Deletion } from '../domain/deletion.ts';
import { whyNoWrite } from '../domain/ground.ts';
import type { TenantSpec } from '../domain/tenant.ts';
import { isOver as isUmbrellaOver, type UmbrellaRotation } from '../domain/umbrella-rotation.ts';
import { conflict, done, invalid, noTenant, refused, wayFree } from './answers.ts';
import type { Answer, Commands, DeleteRequest } from './commands.ts';
import type { DeletionWrite, Desk, NewEvent, StoredTenant, TenantRecord } from './ports.ts';

/** The end of a tenant, as people ask for it and take it back (design.md §7, §8). */

const ATTEMPTS = 5;

/**
 * Asks for the end of a tenant. One that could never come is refused: members are switched off by a write, so that
 * what holds writes holds it too. A rotation in flight leaves two keys, so that only force cuts it off.
 */
export async function deleteTenant(
  desk: Desk,
  id: string,
  request: DeleteRequest,
): ReturnType<Commands['deleteTenant']> {
  if ((request.force || request.unseen) && request.reason === null) {
    return invalid([{ path: 'reason', message: 'is needed with force and with unseen' }]);
  }
  for (let left = ATTEMPTS; left > 0; left -= 1) {
    const answer = await tryToDelete(desk, id, request);
    if (answer) return answer;
  }
  return conflict(`${id} is being changed by somebody else at the same time: try again.`);
}

/** Null: something changed between the read and the write. */
async function tryToDelete(
  desk: Desk,
  id: string,
  { ifGeneration, by, reason, force, unseen }: DeleteRequest,
): Promise<Awaited<ReturnType<Commands['deleteTenant']>> | null> {
  const record = await desk.tenant(id);
  if (!record) return noTenant(id);
  const { generation } = record.tenant;
  if (ifGeneration !== null && ifGeneration !== generation) return refused({ kind: 'stale', generation });
  const decided = decideDeletion(record, { by, reason, force, unseen });
  if (!decided.ok) return decided;
  const { request, events, cause } = decided.value;
  const asked = await desk.requestDelete(id, request, events, cause);
  if (asked.ok) return done({ trigger: asked.trigger });
  if (asked.because === 'not-found') return noTenant(id);
  // Who named no generation means the tenant as it is: it is judged again as it is now.
  if (asked.because === 'rotations' || ifGeneration === null) return null;
  return refused({ kind: 'stale', generation: asked.generation });
}

/** What a request for the end of a tenant comes to, as the tenant is: what is to be written, or why it is refused. */
export function decideDeletion(
  record: TenantRecord,
  { by, reason, force, unseen }: Omit<DeleteRequest, 'ifGeneration'>,
): Answer<DeletionWrite> {
  const { id, spec, generation, deletion } = record.tenant;
  if (unseen && !deletion) {
    return conflict(
      `${id} is not being deleted yet, so that it is not known whether anything hinders it: ask first without unseen.`,
    );
  }
  const never = whyNever(record.tenant);
  if (never !== null) return conflict(`${id} ${never}`);
  const integration = isInFlight(record.rotation) ? record.rotation : null;
  const umbrella = underWay(record.umbrellaRotation);
  if (!deletion && !force) {
    const phase = integration ? `key (${integration.phase})` : umbrella && `Umbrella key (${umbrella.phase})`;
    if (phase !== null) {
      return conflict(
        `A rotation of ${id}'s ${phase} is in flight: wait for it, or roll it back. With force and a reason the tenant goes all the same, and both keys stay alive.`,
      );
    }
  }
  return done({
    id,
    request: {
      generation,
      deletion: deletion ? asAsked(deletion, { by, reason, unseen }) : { by, reason, unseen },
      rotations: { integration: integration?.id ?? null, umbrella: umbrella?.number ?? null },
    },
    events: [
      ...requestEvents(record, { by, reason, unseen }),
      ...(deletion ? [] : abandonEvents(spec, { integration, umbrella })),
    ],
    cause: by === null ? 'deletion' : `deletion asked for by ${by}`,
  });
}

type Asked = Omit<Deletion, 'since'>;

/** Asked again, it is still whose it was, until somebody gives up waiting. */
const asAsked = (earlier: Deletion, now: Asked): Asked => (now.unseen ? now : earlier);

/** Why the end would never come, in words that go on after the tenant's id; null: it comes. */
function whyNever(tenant: StoredTenant): string | null {
  if (tenant.spec.onDelete !== 'deactivate-members') return null;
  // A brake is released in the end, and what waits for it goes on.
  const held = whyNoWrite({ ...tenant, brake: null });
  if (held === null) return null;
  return (
    `is to have its members switched off when it goes (onDelete: deactivate-members), and ${held}. ` +
    `${wayFree({ ...tenant, deleting: false })} Or say onDelete: orphan, then delete it.`
  );
}

const underWay = (rotation: UmbrellaRotation | null): UmbrellaRotation | null =>
  rotation && !isUmbrellaOver(rotation) ? rotation : null;

function requestEvents({ tenant: { spec, deletion } }: TenantRecord, asked: Asked): NewEvent[] {
  const { by, reason, unseen } = asked;
  const words = `${by === null ? '' : `, by ${by}`}${reason === null ? '' : `: ${reason}`}`;
  if (unseen) {
    return [
      {
        type: 'DeletionUnseen',
        message: `Its end is final with the next run, whatever that sees${words}`,
        data: { by, reason },
      },
    ];
  }
  if (deletion) return [];
  return [
    {
      type: 'DeletionRequested',
      message: `To be deleted, and its members ${spec.onDelete === 'orphan' ? 'left as they are' : 'switched off'}${words}`,
      data: { by, reason, onDelete: spec.onDelete },
    },
  ];
}

function abandonEvents(
  spec: TenantSpec,
  { integration, umbrella }: { integration: TenantRecord['rotation']; umbrella: UmbrellaRotation | null },
): NewEvent[] {
  return [
    ...(integration
      ? [
          {
            type: 'RotationAbandoned',
            message: `The rotation of the integration key (${integration.phase}) goes no further: ${abandonedKeys(spec, integration)}`,
            data: { rotation: integration.id, phase: integration.phase },
          },
        ]
      : []),
    ...(umbrella
      ? [
          {
            type: 'UmbrellaRotationAbandoned',
            message:
              `The rotation of the Umbrella key (${umbrella.phase}) goes on without this tenant, where others share the key. ` +
              `Else it ends here: ${umbrella.old.fingerprint}${umbrella.fresh ? ` and ${umbrella.fresh.fingerprint}` : ''} stay alive.`,
            data: { number: umbrella.number, phase: umbrella.phase },
          },
        ]
      : []),
  ];
}

/** Takes a deletion back; what it switched off meanwhile is drift from then on, as any other. */
export async function keepTenant(
  desk: Desk,
  id: string,
  { by, reason }: { by: string; reason: string },
): ReturnType<Commands['keepTenant']> {
  const event: NewEvent = {
    type: 'DeletionTakenBack',
    message: `It stays, by ${by}: ${reason}`,
    data: { by, reason },
  };
  const kept = await desk.takeDeletionBack(id, { by, reason }, [event], `deletion taken back by ${by}`);
  if (kept.ok) return done({ trigger: kept.trigger });
  return kept.because === 'not-found' ? noTenant(id) : conflict(`${id} is not being deleted.`);
}

export const beingDeleted = (id: string): string =>
  `${id} is being deleted. To keep it, take the deletion back: parasol undelete ${id}.`;
