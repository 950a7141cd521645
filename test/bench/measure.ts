/** Repetitions of one measure, summed up. */
export interface Summary {
  median: number;
  least: number;
  most: number;
  repetitions: number;
}

/** One line of the report: what was measured, against what, and whether the goal is met. */
export interface Finding {
  measure: string;
  unit: string;
  value: Summary;
  /** What it is compared with, measured in the same run; null: the goal is an absolute one. */
  baseline: { name: string; value: Summary } | null;
  /** Of the medians, or of pairs that were measured one after the other. */
  ratio: Summary | null;
  goal: { text: string; met: boolean } | null;
  /** What explains the number, for a reader of the JSON and below the table. */
  note: string;
}

/** Throws on none: a measure without a repetition is a mistake of the bench. */
export function summarise(values: readonly number[]): Summary {
  const sorted = values.toSorted((a, b) => a - b);
  const [least] = sorted;
  const most = sorted.at(-1);
  if (least === undefined || most === undefined) throw new Error('nothing was measured');
  const middle = sorted.length / 2;
  const low = sorted[Math.ceil(middle) - 1] ?? least;
  const high = sorted[Math.floor(middle)] ?? most;
  return { median: (low + high) / 2, least, most, repetitions: sorted.length };
}

/** The change of a value from one repetition to the next, by least squares. */
export function slopeOf(values: readonly number[]): number {
  const meanAt = (values.length - 1) / 2;
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  let above = 0;
  let below = 0;
  for (const [at, value] of values.entries()) {
    above += (at - meanAt) * (value - mean);
    below += (at - meanAt) ** 2;
  }
  return above / below;
}

/** Ratios of measures that were taken in pairs, so that what disturbs both disturbs the ratio least. */
export const ratiosOf = (values: readonly number[], baselines: readonly number[]): Summary =>
  summarise(values.map((value, index) => value / (baselines[index] ?? Number.NaN)));

const HEAD = ['measure', 'median (least – most)', 'baseline', 'ratio', 'goal', 'verdict'];

/** A table in Markdown, and what explains its lines below it. */
export function markdown(findings: readonly Finding[]): string {
  const rows = findings.map(({ measure, unit, value, baseline, ratio, goal }) => [
    measure,
    withSpread(value, unit),
    baseline === null ? '' : `${baseline.name}: ${withSpread(baseline.value, unit)}`,
    ratio === null ? '' : withSpread(ratio, '×'),
    goal?.text ?? '',
    goal === null ? 'told' : goal.met ? 'met' : '**missed**',
  ]);
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  const notes = findings
    .filter(({ note }) => note !== '')
    .map(({ measure, note }) => `- ${measure}: ${note}`);
  return [line(HEAD), line(HEAD.map(() => '---')), ...rows.map(line), '', ...notes].join('\n');
}

function withSpread({ median, least, most, repetitions }: Summary, unit: string): string {
  const middle = `${short(median)} ${unit}`.trim();
  return repetitions === 1 || least === most ? middle : `${middle} (${short(least)} – ${short(most)})`;
}

/** Three digits that mean something. */
function short(value: number): string {
  if (Number.isInteger(value)) return String(value);
  return Math.abs(value) >= 100 ? value.toFixed(0) : String(Number(value.toPrecision(3)));
}
