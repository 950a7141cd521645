import type { Answer, Refusal } from './commands.ts';

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
