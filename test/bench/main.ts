import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { format, resolveConfig } from 'prettier';
import { farBench } from './far.ts';
import { growthBench } from './growth.ts';
import { hangingBench } from './hanging.ts';
import { describeMachine, machineText } from './machine.ts';
import { markdown, type Finding } from './measure.ts';
import { memoryBench } from './memory.ts';
import { ROOT } from './processes.ts';
import { readsBench } from './reads.ts';
import { sizeBench } from './size.ts';
import { startBench } from './start.ts';
import { setStage, type Stage } from './stage.ts';
import { steadyBench } from './steady.ts';
import { streamBench } from './stream.ts';
import { sweepBench } from './sweep.ts';
import { takeoverBench } from './takeover.ts';
import { triggerBench } from './trigger.ts';

/**
 * `npm run bench -- [NAME …] [--tenants N] [--profile] [--record]`: the numbers that the product promises, all of them
 * or those of `BENCHES` that are named, each beside a baseline that is measured in the same run. Progress goes to
 * standard error, the table to standard output, everything to `bench/out/`. Ends with 1 if a goal is missed.
 */
const onStage =
  (bench: (stage: Stage) => Promise<Finding[]>) =>
  async (stage: () => Promise<Stage>): Promise<Finding[]> =>
    bench(await stage());

const BENCHES: Record<string, (stage: () => Promise<Stage>) => Promise<Finding[]>> = {
  steady: onStage(steadyBench),
  trigger: onStage(triggerBench),
  sweep: onStage(sweepBench),
  hanging: onStage(hangingBench),
  stream: onStage(streamBench),
  memory: onStage(memoryBench),
  reads: () => readsBench(values.profile ? OUT : null),
  takeover: onStage(takeoverBench),
  start: onStage(startBench),
  growth: onStage(growthBench),
  size: () => sizeBench(say),
  far: () => farBench(say),
};

const OUT = 'bench/out';
/** What `--record` appends to: the numbers of each time that they were worth keeping. */
const HISTORY = 'test/bench/RESULTS.md';
const say = (line: string): void => void process.stderr.write(`${line}\n`);

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    tenants: { type: 'string', default: '2000' },
    profile: { type: 'boolean', default: false },
    record: { type: 'boolean', default: false },
  },
});
const tenants = Number(values.tenants);
const unknown = positionals.filter((name) => !(name in BENCHES));
if (unknown.length > 0 || !Number.isInteger(tenants) || tenants < 1) {
  say(`Benches are ${Object.keys(BENCHES).join(', ')}; --tenants is a whole number above 0.`);
  process.exit(2);
}
const chosen = Object.entries(BENCHES).filter(
  ([name]) => positionals.length === 0 || positionals.includes(name),
);

await mkdir(join(ROOT, OUT), { recursive: true });
await using stack = new AsyncDisposableStack();
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => void stack.disposeAsync().finally(() => process.exit(130)));
}
let set: Promise<Stage> | null = null;
const stage = () => (set ??= setStage(stack, { tenants, profile: values.profile ? OUT : null, say }));
const machine = await describeMachine();
const findings: Finding[] = [];
for (const [name, bench] of chosen) {
  say(`measuring: ${name}`);
  findings.push(...(await bench(stage)));
}
const at = new Date().toISOString();
const file = join(OUT, `${at.replaceAll(':', '-')}.json`);
await writeFile(join(ROOT, file), `${JSON.stringify({ at, machine, tenants, findings }, null, 2)}\n`);
process.stdout.write(`${machineText(machine)}\n\n${markdown(findings)}\n`);
say(`\nwritten to ${file}`);
if (values.record) {
  const history = join(ROOT, HISTORY);
  const text = await readFile(history, 'utf8');
  const news = `\n## ${at.slice(0, 10)}\n\n${machineText(machine)}\n\n${markdown(findings)}\n`;
  // Laid out as `npm run check` wants it.
  const options = await resolveConfig(history);
  await writeFile(history, await format(text + news, { ...options, filepath: history }));
  say(`recorded in ${HISTORY}`);
}
if (findings.some(({ goal }) => goal?.met === false)) process.exitCode = 1;
