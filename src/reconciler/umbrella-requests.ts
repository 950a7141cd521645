import { whyHeld } from '../domain/ground.ts';
import { conflict, done, invalid, noTenant, wayFree } from './answers.ts';
import type { Answer, Commands, RotationRequest } from './commands.ts';
import type { Desk, KeyRequestRefusal, NewEvent } from './ports.ts';

/** What people ask of the rotation of Umbrella's keys. */

/** Asks for the rotation of the Umbrella key that a tenant uses, for all tenants that share it (rulings 22). */
export async function rotateUmbrellaKey(
  { desk }: { desk: Desk },
  id: string,
  { by, reason, compromised, cutNow }: RotationRequest,
): ReturnType<Commands['rotate']> {
  const record = await desk.tenant(id);
  if (!record) return noTenant(id);
  const held = whyHeld(record.tenant);
  if (held) return conflict(`${id} cannot be rotated: ${held}. ${wayFree(record.tenant)}`);
  if (cutNow) {
    const message = 'is for the integration key only: an Umbrella key is replaced before the old one goes';
    return invalid([{ path: 'cutNow', message }]);
  }
  const what = compromised
    ? 'The Umbrella key is compromised'
    : 'A rotation of the Umbrella key was asked for';
  const why = `${what}, by ${by}: ${reason}`;
  const event: NewEvent = {
    type: 'RotationRequested',
    message: why,
    data: { credential: 'umbrella-api', by, reason, compromised },
  };
  const request = { cause: compromised ? ('compromise' as const) : ('person' as const), tenant: id, by, why };
  const asked = await desk.requestKeyRotation(id, request, [event], `rotation asked for by ${by}`);
  if (asked.ok) return done({ rotation: asked.rotation, trigger: asked.trigger });
  return refusalWords(id, asked.refusal);
}

function refusalWords(id: string, refusal: KeyRequestRefusal): Answer<never> {
  switch (refusal.because) {
    case 'not-found':
      return noTenant(id);
    case 'no-key':
      return conflict(
        `Parasol holds no Umbrella key of ${id}: give it with \`parasol credential ${id} umbrella-api\`.`,
      );
    case 'not-identified':
      return conflict('The Umbrella key was given just now: ask again in some seconds.');
    case 'no-key-admin':
      return conflict(
        `No tenant that uses this Umbrella key has a KeyAdmin key: give one with \`parasol credential ${id} umbrella-key-admin\`, or make a new key in Admin > API Keys and give it with \`parasol credential ${id} umbrella-api\`.`,
      );
    case 'hindered': {
      const { by, held } = refusal;
      const why = held === null ? ', and may not be changed now' : ` (${held})`;
      return conflict(`${by} uses the same Umbrella key${why}: a shared key is rotated for all or none.`);
    }
    case 'under-way': {
      const { number, phase } = refusal.rotation;
      return conflict(`Rotation ${number} of this Umbrella key is under way (${phase}): wait for it.`);
    }
  }
}
