import { spawnSync } from 'node:child_process';

/** Holds the import rules, and fails when the checker read no module: a check that read nothing proves nothing. */
const run = spawnSync('npx', ['--no-install', 'depcruise', 'src', '--output-type', 'json'], {
  encoding: 'utf8',
  maxBuffer: 256 * 1024 * 1024,
});
if (run.error) throw run.error;
const { summary } = JSON.parse(run.stdout) as {
  summary: {
    totalCruised: number;
    violations: { rule: { name: string }; from: string; to: string }[];
  };
};
for (const { rule, from, to } of summary.violations) console.error(`${rule.name}: ${from} -> ${to}`);
if (summary.totalCruised === 0) console.error('the import checker read no module');
else console.log(`import rules: ${summary.totalCruised} modules, ${summary.violations.length} violations`);
process.exit(summary.totalCruised > 0 && summary.violations.length === 0 ? 0 : 1);
