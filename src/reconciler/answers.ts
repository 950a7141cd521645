import { isOn } from '../domain/pause.ts';
import type { Answer, Refusal } from './commands.ts';
import type { StoredTenant } from './ports.ts';

/** How a command answers, in the fewest words. */

export type Problem = Extract<Refusal, { kind: 'invalid' }>['problems'][number];
type Refused = { ok: false; refusal: Refusal };

export const done = <T>(value: T): Answer<T> => ({ ok: true, value });

export const refused = (refusal: Refusal): Refused => ({ ok: false, refusal });
export const conflict = (message: string): Refused => refused({ kind: 'conflict', message });
export const invalid = (problems: Problem[]): Refused => refused({ kind: 'invalid', problems });
export const noTenant = (id: string): Refused =>
  refused({ kind: 'not-found', what: `There is no tenant ${id}.` });
export const noHandoff = (id: string): Refused =>
  refused({ kind: 'not-found', what: `There is no hand-off ${id}.` });

/** What lets a tenant be changed again, as whoever was refused is told it. */
export function wayFree({ id, spec, pause, brake, deleting }: StoredTenant): string {
  if (deleting) return 'Make it anew once it is gone.';
  const say = [spec.mode === 'repair' ? '' : 'mode: repair', spec.paused ? 'paused: false' : ''].filter(
    Boolean,
  );
  return [
    ...(isOn(pause) ? [`Resume it first: \`parasol resume ${id}\`.`] : []),
    ...(say.length > 0 ? [`Say ${say.join(' and ')} first.`] : []),
    ...(brake ? [`Look at the brake (\`parasol brake\`), and release it.`] : []),
  ].join(' ');
}
