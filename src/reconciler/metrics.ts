import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { Waiting } from '../domain/waiting.ts';
import type { Census, Housekeeping } from './ports.ts';
import type { Loop, RunListener } from './loop.ts';

export interface Metrics {
  registry: Registry;
  onRun: RunListener;
  onDeferred: (waiting: Waiting) => void;
  /** Counts the runs under way from then on. */
  watch(loop: Loop): void;
}

/** A census is kept so long: scrapes are many, and each would otherwise count the fleet anew. */
const CENSUS_MS = 5_000;

/** What Prometheus reads: counters of this process, and the fleet as the database has it. No secret, no name of a person. */
export function createMetrics(housekeeping: Housekeeping, clock: { now(): Date }): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const registers = [registry];

  const runs = new Counter({
    name: 'parasol_runs_total',
    help: 'Reconciles that this process recorded.',
    labelNames: ['outcome'],
    registers,
  });
  const seconds = new Histogram({
    name: 'parasol_run_seconds',
    help: 'How long a reconcile took.',
    buckets: [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60],
    registers,
  });
  const calls = new Counter({
    name: 'parasol_vendor_calls_total',
    help: 'Calls to both vendors.',
    labelNames: ['kind'],
    registers,
  });
  const deferrals = new Counter({
    name: 'parasol_deferrals_total',
    help: 'Reconciles that this process put off since a vendor’s budget was used up.',
    labelNames: ['budget'],
    registers,
  });
  const actions = new Counter({
    name: 'parasol_actions_total',
    help: 'Repairs, by whether they were done.',
    labelNames: ['outcome'],
    registers,
  });

  let known: { at: number; census: Promise<Census> } | null = null;
  const census = (): Promise<Census> => {
    const now = clock.now().getTime();
    if (!known || now - known.at > CENSUS_MS) known = { at: now, census: housekeeping.census() };
    return known.census;
  };
  const gauge = <L extends string>(
    name: string,
    help: string,
    labelNames: L[],
    fill: (gauge: Gauge<L>, census: Census) => void,
  ) =>
    new Gauge<L>({
      name,
      help,
      labelNames,
      registers,
      async collect() {
        this.reset();
        // Without the database there is nothing to tell; the scrape still has the process's own numbers.
        await census().then(
          (found) => fill(this, found),
          () => undefined,
        );
      },
    });
  gauge('parasol_tenants', 'Tenants, by mode and readiness.', ['mode', 'ready'], (self, { tenants }) => {
    for (const { mode, ready, count } of tenants) self.inc({ mode, ready: ready ?? 'NotSeen' }, count);
  });
  gauge('parasol_handoffs', 'Live hand-offs.', ['kind', 'state', 'overdue'], (self, { handoffs }) => {
    for (const { kind, state, overdue, count } of handoffs) {
      self.inc({ kind, state, overdue: String(overdue) }, count);
    }
  });
  gauge('parasol_rotations', 'Rotations that have not ended.', ['phase', 'stuck'], (self, { rotations }) => {
    for (const { phase, stuck, count } of rotations) self.inc({ phase, stuck: String(stuck) }, count);
  });
  gauge('parasol_tenants_late', 'Tenants that have been due for over a minute.', [], (self, { late }) =>
    self.set(late),
  );
  gauge(
    'parasol_tenants_waiting',
    'Tenants that wait for a vendor’s budget; stretched: so long that they are looked at less often than wanted.',
    ['budget', 'stretched'],
    (self, { waiting }) => {
      for (const { budget, stretched, count } of waiting)
        self.set({ budget, stretched: String(stretched) }, count);
    },
  );
  gauge('parasol_intents_open', 'Effects of which it is not known yet what became.', [], (self, found) =>
    self.set(found.openIntents),
  );
  gauge('parasol_braked', 'Brakes of the fleet that are on.', [], (self, { braked }) => self.set(braked));
  gauge(
    'parasol_kek_age_seconds',
    'Age of each key-encryption key that something may be sealed under.',
    ['kid'],
    (self, { keks }) => {
      for (const { kid, createdAt } of keks) {
        self.set({ kid }, (clock.now().getTime() - Date.parse(createdAt)) / 1_000);
      }
    },
  );

  return {
    registry,
    onDeferred: ({ kind }) => deferrals.inc({ budget: kind }),
    onRun(_, run) {
      runs.inc({ outcome: run.outcome });
      seconds.observe((Date.parse(run.finishedAt) - Date.parse(run.startedAt)) / 1_000);
      calls.inc({ kind: 'read' }, run.reads);
      calls.inc({ kind: 'write' }, run.writes);
      for (const { outcome } of run.actions)
        actions.inc({ outcome: outcome === 'done' ? 'done' : 'not-done' });
    },
    watch(loop) {
      const underWay = new Gauge({
        name: 'parasol_runs_under_way',
        help: 'Reconciles that run in this process now.',
        registers: [],
        collect() {
          this.set(loop.running());
        },
      });
      registry.registerMetric(underWay);
    },
  };
}
