import { describe, expect, test } from 'vitest';
import { DEFAULT_SHARES, HELD_MS } from '../../src/domain/budget.ts';
import { createOwnLedger } from '../../src/providers/http/own-ledger.ts';
import type { BudgetLedger } from '../../src/reconciler/ports.ts';
import { bench, contextOf, vendorsFor, type TestClock } from './harness.ts';

/** A ledger that several processes share, which hear of what is closed, and how often it was asked. */
function sharedLedger(clock: TestClock, shares = DEFAULT_SHARES): BudgetLedger & { asked(): number } {
  const ledger = createOwnLedger(clock, shares);
  const listeners: ((scope: string | null) => void)[] = [];
  let asked = 0;
  return {
    take: (wanted) => {
      asked += 1;
      return ledger.take(wanted);
    },
    close: (budget, forMs) => {
      for (const listen of listeners) listen(budget.scope);
      return ledger.close(budget, forMs);
    },
    onClosed: (listen) => {
      listeners.push(listen);
      return Promise.resolve(() => Promise.resolve());
    },
    asked: () => asked,
  };
}

/** Two processes that call the vendors of one simulator, whose quotas count. */
async function twoProcesses(shares = DEFAULT_SHARES) {
  const at = await bench();
  const { clock, timers, spec, keys } = at;
  const ledger = sharedLedger(clock, shares);
  const processes = [1, 2].map(() => {
    const vendors = vendorsFor({ clock, timers, ledger });
    const context = (urgent = false) =>
      contextOf(clock, { urgent, deadline: new Date(clock.now().getTime() + 60_000) });
    return {
      vendors,
      context,
      mySecurity: (urgent = false) =>
        vendors.connectwise(spec).reads(keys.management, context(urgent)).mySecurity(),
      apiKeys: (urgent = false) => vendors.umbrella(spec).apiKeys(keys.keyAdmin, context(urgent)),
    };
  });
  return { ...at, ledger, processes: processes as [(typeof processes)[0], (typeof processes)[0]] };
}

const kinds = (outcomes: { ok: boolean; failure?: { kind: string } }[]) =>
  Object.groupBy(outcomes, ({ ok, failure }) => (ok ? 'ok' : failure!.kind));

describe('the budgets that two processes share', () => {
  test('are never exceeded as the vendors count, and used nearly as far as they go', async () => {
    const { clock, processes, sent } = await twoProcesses({ connectwise: 1, umbrella: 1 });
    for (let second = 0; second < 180; second += 1) {
      clock.advance(1_000);
      for (const { mySecurity, apiKeys } of processes) {
        await Promise.all([
          ...Array.from({ length: 12 }, (_, index) => mySecurity(index % 2 === 0)),
          apiKeys(true),
        ]);
      }
    }
    const calls = sent();
    expect(calls.filter(({ status }) => status === 429)).toEqual([]);
    const to = (part: string) => calls.filter(({ path }) => path.includes(part)).length;
    expect(to('mySecurity') / 3_000).toBeGreaterThan(0.8);
    expect(to('apiKeys') / 42).toBeGreaterThan(0.8);
  }, 60_000);

  test('are ours by a share only, and what is held back is told as a wait, not as an answer', async () => {
    const { processes, sent } = await twoProcesses({ connectwise: 0.05, umbrella: 1 });
    const outcomes = await Promise.all(
      Array.from({ length: 100 }, (_, index) => processes[index % 2]!.mySecurity()),
    );
    const { ok = [], RateLimited = [] } = kinds(outcomes);
    expect(ok.length).toBeGreaterThan(30);
    expect(ok.length).toBeLessThanOrEqual(50);
    expect(ok.length + RateLimited.length).toBe(100);
    expect(RateLimited[0]).toMatchObject({
      failure: { detail: expect.stringContaining('not sent, its budget is used up') },
    });
    expect(sent().filter(({ path }) => path.includes('mySecurity'))).toHaveLength(ok.length);
  });

  test('keep a part for calls that must not wait', async () => {
    const { processes } = await twoProcesses({ connectwise: 0.05, umbrella: 1 });
    const [one] = processes;
    const ordinary = await Promise.all(Array.from({ length: 60 }, () => one.mySecurity()));
    expect(kinds(ordinary).RateLimited).toBeDefined();
    expect(await one.mySecurity(true)).toMatchObject({ ok: true });
    expect(await one.mySecurity()).toMatchObject({ ok: false, failure: { kind: 'RateLimited' } });
  });

  test('cost the ledger one question for many calls', async () => {
    const { processes, ledger, sent } = await twoProcesses();
    for (let call = 0; call < 60; call += 1) {
      await processes[0].mySecurity();
    }
    expect(sent().length).toBeGreaterThanOrEqual(60);
    expect(ledger.asked()).toBeLessThanOrEqual(7);
  });

  test('are asked for anew once what is held of them is too old', async () => {
    const { processes, ledger, clock } = await twoProcesses();
    await processes[0].mySecurity();
    const asked = ledger.asked();
    clock.advance(HELD_MS - 1);
    await processes[0].mySecurity();
    expect(ledger.asked()).toBe(asked);
    clock.advance(1);
    await processes[0].mySecurity();
    expect(ledger.asked()).toBe(asked + 1);
  });

  test('are closed for both by what one of them is told, held blocks included', async () => {
    const { processes, world, sent, clock } = await twoProcesses();
    const [one, other] = processes;
    expect(await other.mySecurity()).toMatchObject({ ok: true });
    await one.mySecurity();
    world.addFault({
      when: { times: 1 },
      effect: { kind: 'rateLimit', retryAfterSeconds: 20 },
    });
    const limited = { ok: false, failure: { kind: 'RateLimited', retryAfterMs: 20_000 } };
    expect(await one.mySecurity()).toMatchObject(limited);
    const { length } = sent();
    expect(await other.mySecurity(true)).toMatchObject(limited);
    expect(sent()).toHaveLength(length);
    clock.advance(20_000);
    expect(await other.mySecurity()).toMatchObject({ ok: true });
  });
});
