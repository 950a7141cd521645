import type { Truth } from '../domain/condition.ts';
import { AUTOMATION, isLive, type Automation, type Handoff, type HandoffContent } from '../domain/handoff.ts';
import type { Drift } from '../domain/drift.ts';
import type { Action, Step } from '../domain/action.ts';
import type {
  CredentialView,
  CustomerView,
  DeletionView,
  KekView,
  KeyView,
  PlanView,
  RekeyReport,
  RunView,
  StatusView,
} from '../reconciler/commands.ts';
import type { Examination } from './io.ts';
import { rotationPart, umbrellaRotationPart } from './rotation-views.ts';
import { ago, heading, labelled, leftUntil, note, shortId, span, type Sheet } from './sheet.ts';
import { clean, type Cell, type Colour, type Paper, type Row } from './table.ts';

/** The service's answers as text for people. Pure. */

export const TRUTH_COLOURS: Record<Truth, Colour> = { True: 'green', False: 'red', Unknown: 'yellow' };

const truth = (status: Truth): Cell => ({ text: status, colour: TRUTH_COLOURS[status] });

function dueIn(at: string | null, now: Date): string {
  if (at === null) return 'not planned';
  const left = leftUntil(at, now);
  return left === 'due now' ? left : `in ${left}`;
}

function deadline(handoff: Pick<Handoff, 'deadline' | 'overdueSince'>, now: Date): Cell {
  const past = handoff.overdueSince !== null || Date.parse(handoff.deadline) < now.getTime();
  return past
    ? { text: `overdue ${span(handoff.deadline, now)}`, colour: 'red' }
    : `in ${span(handoff.deadline, now)}`;
}

/** `parasol status TENANT` */
export function statusText(sheet: Sheet, status: StatusView): string {
  return [
    ...statusHead(sheet, status),
    ...conditionsPart(sheet, status),
    ...driftPart(sheet, status),
    ...keysPart(sheet, status),
    ...evidencePart(sheet, status),
    ...rotationPart(sheet, status.rotation),
    ...umbrellaRotationPart(sheet, status.umbrellaRotation),
    ...handoffsPart(sheet, status),
  ].join('\n');
}

function statusHead(sheet: Sheet, status: StatusView): string[] {
  const { paper, now } = sheet;
  const stale = status.observedGeneration !== status.generation;
  const flags = [status.paused ? 'paused: nothing is changed' : ''].filter(Boolean);
  const run = status.lastRun;
  return [
    paper.paint('bold', paper.paragraph(`${status.tenant}: ${status.name}`)),
    labelled(paper, 'Ready', status.ready, TRUTH_COLOURS[status.ready]),
    labelled(paper, 'Mode', [status.mode, ...flags].join('; ')),
    ...pauseLines(sheet, status.pause),
    labelled(
      paper,
      'Spec',
      `generation ${status.generation}${stale ? `, observed so far: ${status.observedGeneration ?? 'none'}` : ''}`,
    ),
    ...(status.deleting === null
      ? []
      : [labelled(paper, 'Deleting', deletingWords(status.deleting, now), 'yellow')]),
    ...(run === null ? [labelled(paper, 'Last run', 'none yet')] : runLines(sheet, run)),
    labelled(paper, 'Next run', dueIn(status.nextReconcileAt, now)),
    ...(status.waiting === null ? [] : [labelled(paper, '', status.waiting.message, 'yellow')]),
  ];
}

function deletingWords({ since, by, reason, waitsFor }: DeletionView, now: Date): string {
  const who = `${by === null ? '' : `, by ${by}`}${reason === null ? '' : `: ${reason}`}`;
  return `since ${ago(since, now)}${who}. It waits for ${waitsFor}`;
}

function pauseLines({ paper, now }: Sheet, pause: StatusView['pause']): string[] {
  if (pause === null) return [];
  const ends = pause.until === null ? 'until somebody resumes it' : `for ${span(pause.until, now)} more`;
  return [labelled(paper, 'Paused', `by ${pause.by} ${ago(pause.since, now)}, ${ends}: ${pause.reason}`)];
}

function runLines({ paper, now }: Sheet, run: RunView): string[] {
  const counts = `${run.reads} reads, ${run.writes} writes`;
  return [
    labelled(paper, 'Last run', `${run.outcome} ${ago(run.finishedAt, now)} (${run.trigger}), ${counts}`),
    ...(run.summary === '' ? [] : [labelled(paper, '', run.summary)]),
    ...run.actions.map(({ action, outcome }) => labelled(paper, '', `${action}: ${outcome}`)),
  ];
}

function conditionsPart(sheet: Sheet, { conditions }: StatusView): string[] {
  if (conditions.length === 0) return ['', 'Nothing was observed yet.'];
  return [
    heading(sheet, 'Conditions'),
    sheet.paper.table(
      ['CONDITION', 'STATUS', 'SINCE', 'REASON'],
      conditions.flatMap(({ type, status, reason, message, lastTransitionTime }): Row[] => [
        [
          type,
          // The last two are good when they are False.
          type === 'Braked' || type === 'Paused'
            ? { text: status, colour: status === 'True' ? 'yellow' : null }
            : truth(status),
          span(lastTransitionTime, sheet.now),
          reason,
        ],
        ...note(message),
      ]),
    ),
  ];
}

const acceptedNote = ({ by, reason, until }: NonNullable<Drift['accepted']>, now: Date): string =>
  `accepted by ${by} for ${span(until, now)} more: ${reason}`;

function driftPart(sheet: Sheet, { drift }: StatusView): string[] {
  if (drift.length === 0) return [heading(sheet, 'Drift'), 'None that was seen.'];
  return [
    heading(sheet, 'Drift'),
    sheet.paper.table(
      ['PATH', 'DESIRED', 'OBSERVED'],
      drift.flatMap(({ path, kind, desired, observed, since, action, accepted }): Row[] => [
        [path, desired, observed],
        ...note(
          `${kind} for ${span(since, sheet.now)}; ${accepted ? acceptedNote(accepted, sheet.now) : action}`,
        ),
      ]),
    ),
  ];
}

function keysPart(sheet: Sheet, { keys }: StatusView): string[] {
  if (keys.length === 0) return [heading(sheet, 'Keys'), 'Parasol holds none.'];
  return [
    heading(sheet, 'Keys'),
    sheet.paper.table(
      ['PURPOSE', 'MEMBER', 'FINGERPRINT', 'STATE', 'PROVED', 'ROTATE IN'],
      keys.map(({ purpose, slot, member, fingerprint, state, lastProvedAt, rotateBy }) => [
        purpose,
        memberOf({ member, slot }),
        fingerprint,
        keyState(state),
        lastProvedAt === null ? 'never' : span(lastProvedAt, sheet.now),
        rotateBy === null ? '' : leftUntil(rotateBy, sheet.now),
      ]),
    ),
  ];
}

const memberOf = ({ member, slot }: Pick<KeyView, 'member' | 'slot'>): string =>
  member === null ? '' : slot === null ? member : `${member} (${slot})`;

const keyState = (state: string): Cell => ({
  text: state,
  colour: state === 'active' ? 'green' : state === 'dead' ? 'red' : null,
});

function evidencePart(sheet: Sheet, { evidence }: StatusView): string[] {
  const { lastUmbrellaWriteAt: at, by, customers, configurations } = evidence;
  const write =
    at === null
      ? 'No write of Umbrella was seen.'
      : `Umbrella last wrote ${ago(at, sheet.now)}, as ${by ?? 'nobody known'}.`;
  const counted = (count: number | null, what: string) => `${count ?? 'an unknown number of'} ${what}`;
  return [
    heading(sheet, 'Evidence'),
    sheet.paper.paragraph(
      `${write} ${counted(customers, 'customers')}, ${counted(configurations, 'configurations')} written.`,
    ),
  ];
}

function handoffsPart(sheet: Sheet, status: StatusView): string[] {
  if (status.handoffs.length === 0) return [];
  return [
    heading(sheet, 'Hand-offs'),
    ...handoffRows(
      sheet,
      status.handoffs.map((handoff) => ({ ...handoff, tenantId: status.tenant })),
    ),
  ];
}

type HandoffRow = StatusView['handoffs'][number] & Pick<Handoff, 'tenantId'> & { evidence?: string | null };

function handoffRows(sheet: Sheet, handoffs: readonly HandoffRow[]): string[] {
  return [
    sheet.paper.table(
      ['ID', 'TENANT', 'WHAT', 'ABOUT', 'STATE', 'DUE'],
      handoffs.flatMap((handoff): Row[] => [
        [
          shortId(handoff.id),
          handoff.tenantId,
          handoff.kind,
          handoff.subject,
          handoff.claimedBy === null ? handoff.state : `${handoff.state} by ${handoff.claimedBy}`,
          deadline(handoff, sheet.now),
        ],
        ...note(handoff.evidence ?? automationWords(handoff.automation)),
      ]),
    ),
    '',
    'Next:',
    ...handoffs.map((handoff) => `  ${sheet.paper.paint('cyan', nextCommand(sheet, handoff))}`),
  ];
}

/** What to type to bring a hand-off forward. */
function nextCommand(
  sheet: Sheet,
  handoff: Pick<Handoff, 'id' | 'state' | 'tenantId' | 'claimedBy'>,
): string {
  switch (handoff.state) {
    case 'open':
      return `${sheet.command} handoffs claim ${shortId(handoff.id)}`;
    case 'claimed':
      if (handoff.claimedBy === AUTOMATION) return `${sheet.command} handoffs show ${shortId(handoff.id)}`;
      return `${sheet.command} submit ${shortId(handoff.id)}`;
    case 'submitted':
      return `${sheet.command} reconcile ${handoff.tenantId} --wait`;
    case 'closed':
    case 'withdrawn':
      return `${sheet.command} status ${handoff.tenantId}`;
  }
}

/** `parasol handoffs` */
export function handoffsText(sheet: Sheet, handoffs: readonly Handoff[]): string {
  if (handoffs.length === 0) return 'No hand-off waits for anybody.';
  return handoffRows(sheet, handoffs).join('\n');
}

/** What people should know of it: that it failed, or why it is not there yet; null: nothing. */
function automationWords(automation: Automation | null): string | null {
  if (!automation || automation.error === null) return null;
  const { state, error, attempts } = automation;
  return state === 'failed' ? `The automation failed: ${error}` : `Attempt ${attempts} failed: ${error}`;
}

function automationText(automation: Automation, now: Date): string {
  const { state, webhook, attempts, since } = automation;
  const words = automationWords(automation);
  const tried = attempts === 1 ? 'one attempt' : `${attempts} attempts`;
  return `${state} since ${ago(since, now)}, ${tried}, ${webhook}${words === null ? '' : `. ${words}`}`;
}

/** `parasol handoffs show ID` */
export function handoffText(sheet: Sheet, handoff: Handoff): string {
  const { paper, now } = sheet;
  const { claimedBy, claimedAt, submittedBy, submittedAt, revealedTo, revealedAt, evidence, automation } =
    handoff;
  const due = deadline(handoff, now);
  const byWhen = (who: string, at: string | null) => (at === null ? who : `${who}, ${ago(at, now)}`);
  const attested = handoff.attested ? '; attested, which is no evidence' : '';
  return [
    paper.paint('bold', paper.paragraph(handoff.content.title)),
    labelled(paper, 'Hand-off', handoff.id),
    labelled(paper, 'Kind', handoff.kind),
    labelled(paper, 'Tenant', handoff.tenantId),
    labelled(paper, 'State', `${handoff.state}, opened ${ago(handoff.openedAt, now)}`),
    ...(claimedBy === null ? [] : [labelled(paper, 'Claimed', `by ${byWhen(claimedBy, claimedAt)}`)]),
    ...(submittedBy === null
      ? []
      : [labelled(paper, 'Submitted', `by ${byWhen(submittedBy, submittedAt)}${attested}`)]),
    ...(revealedTo === null
      ? []
      : [labelled(paper, 'Shown', `the pair, to ${byWhen(revealedTo, revealedAt)}`)]),
    ...(automation ? [labelled(paper, 'Automation', automationText(automation, now))] : []),
    ...(evidence === null ? [] : [labelled(paper, 'Evidence', evidence)]),
    ...(!isLive(handoff)
      ? []
      : [
          typeof due === 'string'
            ? labelled(paper, 'Due', due)
            : labelled(paper, 'Due', due.text, due.colour),
        ]),
    '',
    contentText(paper, handoff.content, 0),
    ...(isLive(handoff) ? ['', `Next: ${paper.paint('cyan', nextCommand(sheet, handoff))}`] : []),
  ].join('\n');
}

/** Why, the click path, the matrix, what is asked for and what closes it. */
function contentText(paper: Paper, content: HandoffContent, indent: number): string {
  const margin = ' '.repeat(indent);
  return [
    paper.paragraph(`Why: ${content.why}`, indent),
    ...content.steps.map((step, index) =>
      paper.paragraph(step, indent + 4, `${margin}${`${index + 1}.`.padStart(3)} `),
    ),
    ...(content.cells?.length ? [cellsTable(paper, content.cells, indent)] : []),
    ...(content.input === undefined
      ? []
      : [
          paper.paragraph(
            `Parasol asks for the ${content.input.purpose} pair${content.input.member === null ? '' : ` of ${content.input.member}`}.`,
            indent,
          ),
        ]),
    paper.paragraph(`Closed by: ${content.closedBy}`, indent),
  ].join('\n');
}

function cellsTable(paper: Paper, cells: NonNullable<HandoffContent['cells']>, indent: number): string {
  const rows = cells.map((cell) => [
    cell.function,
    cell.right,
    cell.observed,
    { text: cell.desired, colour: 'cyan' as const },
  ]);
  return paper.table(['FUNCTION', 'RIGHT', 'IS', 'SET TO'], rows, indent + 4);
}

const STEP_TITLES = { now: 'Now', later: 'Later', held: 'Held' } as const;

/** `parasol plan TENANT`: exactly the plan's steps. */
export function planText(sheet: Sheet, { tenant, mode, generation, observedAt, plan }: PlanView): string {
  const { paper } = sheet;
  const seen =
    observedAt === null ? 'nothing was observed yet' : `from what was seen ${ago(observedAt, sheet.now)}`;
  const lines = [
    paper.paint('bold', paper.paragraph(`Plan of ${tenant}: generation ${generation}, ${seen}`)),
  ];
  if (mode !== 'repair' && plan.steps.length > 0) {
    lines.push(paper.paragraph(`Mode ${mode}: nothing of this is done. In mode repair it would be.`));
  }
  if (plan.steps.length === 0) lines.push(observedAt === null ? 'No step yet.' : 'Nothing to do.');
  for (const state of ['now', 'later', 'held'] as const) {
    const steps = plan.steps.filter((step) => step.state === state);
    if (steps.length === 0) continue;
    lines.push(heading(sheet, STEP_TITLES[state]), ...steps.map((step) => stepText(paper, step)));
  }
  return lines.join('\n');
}

function stepText(paper: Paper, { action, because, removes }: Step): string {
  const lines = [paper.paragraph(describeAction(action), 4, '  - '), paper.paragraph(because, 4)];
  // A matrix names each cell that it removes.
  const told = action.kind === 'open-handoff' && action.content.cells !== undefined;
  if (removes.length > 0 && !told) lines.push(paper.paragraph(`Removes drift: ${removes.join(', ')}`, 4));
  if (action.kind === 'open-handoff') lines.push(contentText(paper, action.content, 4));
  return lines.join('\n');
}

function describeAction(action: Action): string {
  switch (action.kind) {
    case 'create-role':
      return `api: create the role ${action.name}`;
    case 'create-member': {
      const place = [action.level, action.location].filter(Boolean).join(', ');
      return `api: create the API member ${action.identifier} with the role ${action.roleName} (${place})`;
    }
    case 'change-member':
      return `api: change the API member ${action.identifier}: ${describeChange(action.set)}`;
    case 'open-handoff':
      return `hand-off ${action.handoff}: ${action.content.title}`;
  }
}

function describeChange(set: Extract<Action, { kind: 'change-member' }>['set']): string {
  return [
    set.active === undefined ? '' : set.active ? 'active' : 'inactive',
    set.roleId === undefined ? '' : `role ${set.roleName ?? set.roleId}`,
    set.level === undefined ? '' : `level ${set.level}`,
    set.location === undefined ? '' : `location ${set.location}`,
  ]
    .filter(Boolean)
    .join(', ');
}

/** `parasol customers TENANT` */
export function customersText(sheet: Sheet, customers: readonly CustomerView[]): string {
  if (customers.length === 0) return 'No customer was seen.';
  const synced = customers.filter((customer) => customer.configuration !== null).length;
  return [
    sheet.paper.table(
      ['CUSTOMER', 'CONFIGURATION', 'MATCHED BY', 'LAST WRITE', 'AS'],
      customers.map(({ customer, configuration, matchedBy, lastWriteAt, lastWriteBy }) => [
        customer,
        configuration === null
          ? { text: 'none', colour: 'yellow' }
          : configuration.company === null || configuration.company === configuration.name
            ? configuration.name
            : `${configuration.name} (${configuration.company})`,
        matchedBy === null ? '' : 'equal name',
        ago(lastWriteAt, sheet.now),
        lastWriteBy ?? '',
      ]),
    ),
    '',
    sheet.paper.paragraph(
      `${synced} of ${customers.length} have a configuration. A match is inferred from equal names: ` +
        'Umbrella’s API does not tell the mapping.',
    ),
  ].join('\n');
}

/** `parasol credentials TENANT` */
export function credentialsText({ paper }: Sheet, credentials: readonly CredentialView[]): string {
  if (credentials.length === 0) return 'No key pair was ever given.';
  const destroyed = credentials.filter(({ destroyedAt }) => destroyedAt !== null).length;
  return [
    paper.table(
      ['PURPOSE', 'MEMBER', 'FINGERPRINT', 'STATE'],
      credentials.flatMap((held): Row[] => [
        [held.purpose, memberOf(held), held.fingerprint, keyState(held.state)],
        ...note(historyOf(held)),
      ]),
    ),
    '',
    paper.paragraph(
      `${credentials.length} in all, newest first` +
        (destroyed === 0 ? '.' : `; of ${destroyed} only this history is left.`),
    ),
  ].join('\n');
}

function historyOf({ createdAt, lastProvedAt, state, since, because, destroyedAt }: CredentialView): string {
  return [
    `given on ${day(createdAt)}`,
    lastProvedAt === null ? 'never proved' : `last proved on ${day(lastProvedAt)}`,
    `${state} since ${day(since)}: ${because}`,
    ...(destroyedAt === null ? [] : [`destroyed on ${day(destroyedAt)}`]),
  ].join('; ');
}

const day = (at: string): string => at.slice(0, 10);

/** `parasol vault` */
export function vaultText(sheet: Sheet, keks: readonly KekView[]): string {
  const { paper, now } = sheet;
  if (keks.length === 0) return 'Nothing was ever sealed here.';
  return [
    paper.table(
      ['KEY', 'AGE', 'FIRST USED', 'STATE', 'PAIRS'],
      keks.map(({ kid, createdAt, state, retiredAt, sealed }): Row => [
        kid,
        span(createdAt, now),
        day(createdAt),
        kekState(state, retiredAt),
        String(sealed),
      ]),
    ),
    ...(keks.every(({ state }) => state !== 'being-replaced')
      ? []
      : [
          '',
          paper.paint(
            'yellow',
            paper.paragraph(
              'The key is being changed, and no service starts until that has ended: run ' +
                `\`${sheet.command} vault rekey\` again, with the same two keys.`,
            ),
          ),
        ]),
  ].join('\n');
}

function kekState(state: KekView['state'], retiredAt: string | null): Cell {
  switch (state) {
    case 'in-use':
      return { text: 'in use', colour: 'green' };
    case 'being-replaced':
      return { text: 'being replaced', colour: 'yellow' };
    case 'retired':
      return `retired on ${day(retiredAt ?? '')}`;
  }
}

/** `parasol vault rekey` */
export function rekeyText(sheet: Sheet, report: RekeyReport): string {
  const { from, to, resealed, total, damaged, file } = report;
  const { paper } = sheet;
  const paragraphs = [
    `${total} pairs are sealed under the key ${to} now (${resealed} of them were sealed anew just now), and ` +
      `nothing needs the key ${from} any more.`,
    file === null
      ? 'From now on give the new key as PARASOL_KEK, and PARASOL_NEW_KEK no more.'
      : `The new key is in ${file.kek}. Back it up, apart from the database.`,
    `Backups of the database that were made before now open with the old key only` +
      (file === null
        ? ': keep it as long as you keep them.'
        : `: ${file.old} holds it. Delete it with the last of them.`),
  ];
  return [
    ...paragraphs.map((text) => paper.paragraph(text)),
    ...(damaged.length === 0
      ? []
      : [
          paper.paint(
            'red',
            paper.paragraph(
              `${damaged.length} cannot be opened with any key, and could not before; they were left as they are:`,
            ),
          ),
          ...damaged.map((text) => `  ${text}`),
        ]),
  ].join('\n');
}

const VERDICT_COLOURS = { ok: 'green', warning: 'yellow', failed: 'red', unknown: 'yellow' } as const;

/** `parasol doctor` */
export function examinationText(sheet: Sheet, { checks, samples }: Examination): string {
  return [
    sheet.paper.table(
      ['CHECK', 'VERDICT', 'WHAT WAS SEEN'],
      checks.map(({ name, verdict, detail }) => [
        name,
        { text: verdict, colour: VERDICT_COLOURS[verdict] },
        detail,
      ]),
    ),
    ...samples.flatMap(({ title, text }) => [
      heading(sheet, title),
      // Kept as it is, so that it can be copied into a report.
      ...text.split('\n').map((line) => `  ${clean(line)}`),
    ]),
  ].join('\n');
}
