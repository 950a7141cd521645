import type { Truth } from '../domain/condition.ts';
import { formatSpan } from '../domain/duration.ts';
import { isLive, type Handoff, type HandoffContent } from '../domain/handoff.ts';
import type { Action, Step } from '../domain/plan.ts';
import type {
  ApplyChange,
  CustomerView,
  PlanView,
  StatusView,
  TenantSummary,
} from '../reconciler/commands.ts';
import type { Examination } from './io.ts';
import { clean, type Cell, type Colour, type Paper } from './table.ts';

/** The service's answers as text for people. Pure: what a screen shows follows from the answer and the time. */
export interface Sheet {
  paper: Paper;
  now: Date;
  /** How the person calls this program: `parasol`, or `npm run parasol --`. */
  command: string;
}

const TRUTH_COLOURS: Record<Truth, Colour> = { True: 'green', False: 'red', Unknown: 'yellow' };

const truth = (status: Truth): Cell => ({ text: status, colour: TRUTH_COLOURS[status] });

function ago(at: string | null, now: Date): string {
  if (at === null) return 'never';
  const ms = now.getTime() - Date.parse(at);
  return ms < 0 ? `in ${formatSpan(-ms)}` : `${formatSpan(ms)} ago`;
}

const span = (at: string, now: Date): string => formatSpan(Math.abs(now.getTime() - Date.parse(at)));

function dueIn(at: string | null, now: Date): string {
  if (at === null) return 'not planned';
  return Date.parse(at) <= now.getTime() ? 'due now' : `in ${span(at, now)}`;
}

function deadline(handoff: Pick<Handoff, 'deadline' | 'overdueSince'>, now: Date): Cell {
  const past = handoff.overdueSince !== null || Date.parse(handoff.deadline) < now.getTime();
  return past
    ? { text: `overdue ${span(handoff.deadline, now)}`, colour: 'red' }
    : `in ${span(handoff.deadline, now)}`;
}

/** The end of an id, by which people name a hand-off: its beginning is the time, the same for its neighbours. */
export const shortId = (id: string): string => id.slice(-8);

const heading = (sheet: Sheet, text: string): string => `\n${sheet.paper.paint('bold', text)}`;

/** `parasol get` */
export function tenantsText(sheet: Sheet, tenants: readonly TenantSummary[]): string {
  if (tenants.length === 0) return `No tenant yet. Give some: ${sheet.command} apply -f tenants.yaml`;
  const ready = tenants.filter((tenant) => tenant.ready === 'True').length;
  return [
    sheet.paper.table(
      ['TENANT', 'NAME', 'MODE', 'READY', 'SEEN', 'WAITS FOR'],
      tenants.map((tenant) => [
        tenant.id,
        tenant.name,
        tenant.mode,
        truth(tenant.ready),
        tenant.observedAt === null ? 'never' : span(tenant.observedAt, sheet.now),
        tenant.waitsFor ?? '',
      ]),
    ),
    `\n${ready} of ${tenants.length} ready.`,
  ].join('\n');
}

/** `parasol status TENANT` */
export function statusText(sheet: Sheet, status: StatusView): string {
  return [
    ...statusHead(sheet, status),
    ...conditionsPart(sheet, status),
    ...driftPart(sheet, status),
    ...keysPart(sheet, status),
    ...evidencePart(sheet, status),
    ...handoffsPart(sheet, status),
  ].join('\n');
}

function statusHead(sheet: Sheet, status: StatusView): string[] {
  const { paper, now } = sheet;
  const stale = status.observedGeneration !== status.generation;
  const flags = [
    status.paused ? 'paused: nothing is changed' : '',
    status.deleting ? 'being deleted' : '',
  ].filter(Boolean);
  const run = status.lastRun;
  const lines = [
    ['Ready', paper.paint(TRUTH_COLOURS[status.ready], status.ready)],
    ['Mode', [status.mode, ...flags].join('; ')],
    [
      'Spec',
      `generation ${status.generation}${stale ? `, observed so far: ${status.observedGeneration ?? 'none'}` : ''}`,
    ],
    [
      'Last run',
      run === null
        ? 'none yet'
        : `${run.outcome} ${ago(run.finishedAt, now)} (${run.trigger}), ${run.reads} reads, ${run.writes} writes`,
    ],
    ['Next run', dueIn(status.nextReconcileAt, now)],
  ];
  return [
    paper.paint('bold', paper.paragraph(`${status.tenant}: ${status.name}`)),
    ...lines.map(([label = '', text = '']) => `  ${label.padEnd(10)}${text}`),
    ...(run?.summary ? [paper.paragraph(run.summary, 12)] : []),
  ];
}

function conditionsPart(sheet: Sheet, { conditions }: StatusView): string[] {
  if (conditions.length === 0) return ['', 'Nothing was observed yet.'];
  return [
    heading(sheet, 'Conditions'),
    sheet.paper.table(
      ['CONDITION', 'STATUS', 'SINCE', 'REASON'],
      conditions.map(({ type, status, reason, message, lastTransitionTime }) => [
        type,
        // The last two are good when they are False.
        type === 'Braked' || type === 'Paused'
          ? { text: status, colour: status === 'True' ? 'yellow' : null }
          : truth(status),
        span(lastTransitionTime, sheet.now),
        message === '' ? reason : `${reason}\n${message}`,
      ]),
    ),
  ];
}

function driftPart(sheet: Sheet, { drift }: StatusView): string[] {
  if (drift.length === 0) return [heading(sheet, 'Drift'), 'None that was seen.'];
  return [
    heading(sheet, 'Drift'),
    sheet.paper.table(
      ['PATH', 'KIND', 'DESIRED', 'OBSERVED', 'SINCE', 'ACTION'],
      drift.map(({ path, kind, desired, observed, since, action }) => [
        path,
        kind,
        desired,
        observed,
        span(since, sheet.now),
        action,
      ]),
    ),
  ];
}

function keysPart(sheet: Sheet, { keys }: StatusView): string[] {
  if (keys.length === 0) return [heading(sheet, 'Keys'), 'Parasol holds none.'];
  return [
    heading(sheet, 'Keys'),
    sheet.paper.table(
      ['PURPOSE', 'MEMBER', 'FINGERPRINT', 'STATE', 'PROVED', 'ROTATE'],
      keys.map(({ purpose, slot, member, fingerprint, state, lastProvedAt, rotateBy }) => [
        purpose,
        member === null ? '' : slot === null ? member : `${member} (slot ${slot})`,
        fingerprint,
        { text: state, colour: state === 'active' ? 'green' : state === 'dead' ? 'red' : null },
        ago(lastProvedAt, sheet.now),
        rotateBy === null ? '' : dueIn(rotateBy, sheet.now),
      ]),
    ),
  ];
}

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

type HandoffRow = StatusView['handoffs'][number] & Pick<Handoff, 'tenantId'>;

function handoffRows(sheet: Sheet, handoffs: readonly HandoffRow[]): string[] {
  return [
    sheet.paper.table(
      ['ID', 'TENANT', 'WHAT', 'ABOUT', 'STATE', 'DUE'],
      handoffs.map((handoff) => [
        shortId(handoff.id),
        handoff.tenantId,
        handoff.kind,
        handoff.subject,
        handoff.claimedBy === null ? handoff.state : `${handoff.state} by ${handoff.claimedBy}`,
        deadline(handoff, sheet.now),
      ]),
    ),
    '',
    'Next:',
    ...handoffs.map((handoff) => `  ${sheet.paper.paint('cyan', nextCommand(sheet, handoff))}`),
  ];
}

/** What to type to bring a hand-off forward. */
function nextCommand(sheet: Sheet, handoff: Pick<Handoff, 'id' | 'state' | 'tenantId'>): string {
  switch (handoff.state) {
    case 'open':
      return `${sheet.command} handoffs claim ${shortId(handoff.id)}`;
    case 'claimed':
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

/** `parasol handoffs show ID` */
export function handoffText(sheet: Sheet, handoff: Handoff): string {
  const { paper, now } = sheet;
  const told = [
    `Hand-off ${handoff.id} (${handoff.kind}), tenant ${handoff.tenantId}`,
    `State: ${handoff.state}, opened ${ago(handoff.openedAt, now)}`,
    ...(handoff.claimedBy === null || handoff.claimedAt === null
      ? []
      : [`Claimed by ${handoff.claimedBy} ${ago(handoff.claimedAt, now)}`]),
    ...(handoff.submittedBy === null || handoff.submittedAt === null
      ? []
      : [
          `Submitted by ${handoff.submittedBy} ${ago(handoff.submittedAt, now)}` +
            (handoff.attested ? ': attested, not shown by evidence' : ''),
        ]),
    ...(handoff.evidence === null ? [] : [`Evidence: ${handoff.evidence}`]),
  ];
  const due = deadline(handoff, now);
  return [
    paper.paint('bold', paper.paragraph(handoff.content.title)),
    ...told.map((line) => paper.paragraph(line, 2)),
    ...(isLive(handoff) ? [`  Due ${typeof due === 'string' ? due : paper.paint('red', due.text)}`] : []),
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
            `Parasol asks for the ${content.input.purpose} pair of ${content.input.member}.`,
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
  const margin = ' '.repeat(indent + 4);
  return paper
    .table(['FUNCTION', 'RIGHT', 'IS', 'SET TO'], rows, indent + 4)
    .split('\n')
    .map((line) => margin + line)
    .join('\n');
}

const STEP_TITLES = { now: 'Now', later: 'Later', held: 'Held' } as const;

/** `parasol plan TENANT`: exactly the plan's steps. */
export function planText(sheet: Sheet, { tenant, mode, generation, observedAt, plan }: PlanView): string {
  const { paper } = sheet;
  const seen =
    observedAt === null ? 'nothing was observed yet' : `from what was seen ${ago(observedAt, sheet.now)}`;
  const lines = [paper.paint('bold', `Plan of ${tenant}`) + `: generation ${generation}, ${seen}`];
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
  if (removes.length > 0) lines.push(paper.paragraph(`Removes drift: ${removes.join(', ')}`, 4));
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

/** `parasol apply` */
export function applyText(sheet: Sheet, changes: readonly ApplyChange[], dryRun: boolean): string {
  const { paper } = sheet;
  const warnings = changes.flatMap(({ id, warnings }) => warnings.map((warning) => `${id}: ${warning}`));
  return [
    paper.table(
      ['TENANT', 'CHANGE', 'GENERATION', 'WHAT'],
      changes.map(({ id, change, generation, paths }) => [
        id,
        { text: change, colour: change === 'unchanged' ? 'dim' : 'green' },
        String(generation),
        change === 'updated' ? paths.join('\n') : '',
      ]),
    ),
    ...warnings.map((warning) => paper.paint('yellow', paper.paragraph(`Note: ${warning}`))),
    ...(dryRun ? ['\nDry run: nothing was changed.'] : []),
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
