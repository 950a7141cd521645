import { expect, test } from 'vitest';
import type { Automation, Handoff } from '../../src/domain/handoff.ts';
import { progress } from '../../src/domain/handoff-progress.ts';
import { groundWith, NOW } from './fixtures.ts';

const at = (hours: number) => new Date(NOW.getTime() + hours * 3_600_000).toISOString();

/** Work on a role that the spec no longer names, as an automation has it. */
const unneeded = (automation: Partial<Automation>): Handoff => ({
  id: 'h-1',
  tenantId: 'acme',
  kind: 'grant-role-levels',
  subject: 'Another role',
  state: 'claimed',
  content: { title: '', why: '', steps: [], closedBy: '' },
  openedAt: at(-1),
  deadline: at(1),
  overdueSince: null,
  claimedBy: 'automation',
  claimedAt: at(-1),
  submittedBy: null,
  submittedAt: null,
  attested: false,
  revealedAt: null,
  revealedTo: null,
  closedAt: null,
  automation: {
    state: 'delivering',
    webhook: 'https://rpa.example/work',
    attempts: 0,
    error: null,
    since: at(-1),
    ...automation,
  },
  evidence: null,
});

test.each([
  ['was not sent yet, is withdrawn', {}, ['withdraw']],
  ['was sent, may have been begun', { attempts: 1 }, []],
  ['was taken, has been begun', { state: 'accepted', attempts: 1 }, []],
] as const)('work that is no longer needed, and %s', (_, automation, changes) => {
  const decided = progress(groundWith(), [unneeded(automation)], { steps: [] }, [], true);
  expect(decided.map(({ change }) => change)).toEqual(changes);
});
