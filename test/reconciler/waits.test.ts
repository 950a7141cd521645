import { pino } from 'pino';
import { describe, expect, it, vi } from 'vitest';
import type { Answer, StatusView } from '../../src/reconciler/commands.ts';
import type { TenantRecord } from '../../src/reconciler/ports.ts';
import { createWaits, type Waited } from '../../src/reconciler/waits.ts';
import { specOf, statusOf } from '../store/fixtures.ts';

const NOW = new Date('2026-01-01T00:00:00.000Z');

const recordOf = (id: string, generation: number): TenantRecord => ({
  tenant: {
    id,
    spec: specOf(id),
    generation,
    createdAt: NOW.toISOString(),
    updatedAt: NOW.toISOString(),
    deleting: false,
    deletion: null,
    pause: null,
    brake: null,
    decisions: 0,
    triggerSeq: 1,
    handledSeq: 1,
    failures: 0,
    nextReconcileAt: null,
    waiting: null,
  },
  status: statusOf(),
  credentials: [],
  handoffs: [],
  lastRun: null,
  rotation: null,
  umbrellaRotation: null,
});

/** Tenants in memory, of which the generation is what changes; reads are counted, and may be held up. */
function fleet(...ids: string[]) {
  const generations = new Map(ids.map((id) => [id, 1]));
  const listeners = new Set<(tenant: string | null) => void>();
  let gate: Promise<void> = Promise.resolve();
  const read = vi.fn(async (id: string) => {
    const generation = generations.get(id);
    await gate;
    return generation === undefined ? null : recordOf(id, generation);
  });
  const waits = createWaits(
    {
      desk: {
        tenant: read,
        marks: async (asked) => new Map(asked.map((id) => [id, String(generations.get(id))])),
      },
      async onChange(listen) {
        listeners.add(listen);
        return async () => {
          listeners.delete(listen);
        };
      },
      clock: { now: () => NOW },
      log: pino({ level: 'silent' }),
    },
    { lookEveryMs: 5 },
  );
  return {
    waits,
    read,
    listeners,
    tell: (tenant: string | null) => {
      for (const listen of listeners) listen(tenant);
    },
    change: (id: string, generation: number | null) =>
      generation === null ? generations.delete(id) : generations.set(id, generation),
    /** Reads that begin from now on end when it is called. */
    hold: () => {
      const { promise, resolve } = Promise.withResolvers<void>();
      gate = promise;
      return resolve;
    },
  };
}

const never = new AbortController().signal;
const reaches = (generation: number) => (status: StatusView) => status.generation >= generation;
const told = (answer: Answer<Waited>) =>
  answer.ok ? `${answer.value.end} ${answer.value.status.generation}` : answer.refusal.kind;
/** Until everything that is under way without a timer has come to rest. */
const settled = () => new Promise((resolve) => setImmediate(() => setImmediate(resolve)));

describe('waiting for a status', () => {
  const wanted = { met: reaches(2), ms: 60_000, signal: never };

  it('is over at once where it is so already', async () => {
    const { waits, listeners } = fleet('acme');
    expect(told(await waits.wait('acme', { ...wanted, met: reaches(1) }))).toBe('met 1');
    await settled();
    expect(listeners.size).toBe(0);
  });

  it('is over once a notice says so', async () => {
    const { waits, change, tell } = fleet('acme');
    const waiting = waits.wait('acme', wanted);
    await settled();
    change('acme', 2);
    tell('acme');
    expect(told(await waiting)).toBe('met 2');
  });

  it('costs one read of a tenant that changed, however many wait, and none of the others', async () => {
    const { waits, read, change, tell } = fleet('acme', 'globex');
    const crowd = Array.from({ length: 500 }, () => waits.wait('acme', wanted));
    const other = waits.wait('globex', { ...wanted, ms: 1 });
    await settled();
    read.mockClear();
    change('acme', 2);
    tell('acme');
    const answers = await Promise.all(crowd);
    expect(new Set(answers.map(told))).toEqual(new Set(['met 2']));
    expect(read.mock.calls).toEqual([['acme']]);
    expect(told(await other)).toBe('timed-out 1');
  });

  it('reads again what changed while it was read, so that no change is missed', async () => {
    const { waits, change, tell, hold } = fleet('acme');
    const waiting = waits.wait('acme', wanted);
    await settled();
    const release = hold();
    tell('acme');
    await settled();
    change('acme', 2);
    tell('acme');
    release();
    expect(told(await waiting)).toBe('met 2');
  });

  it('believes nothing that was read before the caller came', async () => {
    const { waits, change, hold } = fleet('acme');
    const release = hold();
    // Of generation 1, and slow; meanwhile somebody applies generation 2 and waits for what was true of 1.
    const first = waits.wait('acme', { ...wanted, met: reaches(9), ms: 1 });
    await settled();
    change('acme', 2);
    const second = waits.wait('acme', { ...wanted, met: ({ generation }) => generation === 1, ms: 1 });
    release();
    expect(told(await second)).toBe('timed-out 2');
    await first;
  });

  it('finds by looking what no notice told', async () => {
    const { waits, change } = fleet('acme');
    const waiting = waits.wait('acme', wanted);
    await settled();
    change('acme', 2);
    expect(told(await waiting)).toBe('met 2');
  });

  it('looks at everything once notices may have been missed', async () => {
    const { waits, change, tell } = fleet('acme', 'globex');
    const waiting = [waits.wait('acme', wanted), waits.wait('globex', wanted)];
    await settled();
    change('acme', 2);
    change('globex', 3);
    tell(null);
    expect((await Promise.all(waiting)).map(told)).toEqual(['met 2', 'met 3']);
  });

  it('tells what is when the time is up', async () => {
    const { waits } = fleet('acme');
    expect(told(await waits.wait('acme', { ...wanted, ms: 1 }))).toBe('timed-out 1');
  });

  it('ends with its caller', async () => {
    const { waits } = fleet('acme');
    const caller = new AbortController();
    const waiting = waits.wait('acme', { ...wanted, signal: caller.signal });
    await settled();
    caller.abort();
    expect(told(await waiting)).toBe('timed-out 1');
  });

  it.each([
    ['that never was', false],
    ['that goes meanwhile', true],
  ])('is of no tenant %s', async (_, was) => {
    const { waits, change, tell } = fleet(...(was ? ['acme'] : []));
    const waiting = waits.wait('acme', wanted);
    await settled();
    change('acme', null);
    tell('acme');
    expect(told(await waiting)).toBe('not-found');
  });

  it('ends when the process does, for those who wait and those who come then', async () => {
    const { waits } = fleet('acme');
    const waiting = waits.wait('acme', wanted);
    await settled();
    waits.end();
    expect(told(await waiting)).toBe('draining 1');
    expect(told(await waits.wait('acme', wanted))).toBe('draining 1');
    expect(told(await waits.wait('acme', { ...wanted, met: reaches(1) }))).toBe('met 1');
  });

  it('fails where it cannot even begin, and outlives a database that is away later', async () => {
    const { waits, read, change, tell } = fleet('acme');
    read.mockRejectedValueOnce(new Error('away'));
    await expect(waits.wait('acme', wanted)).rejects.toThrow('away');
    const waiting = waits.wait('acme', wanted);
    await settled();
    change('acme', 2);
    read.mockRejectedValueOnce(new Error('away'));
    tell('acme');
    expect(told(await waiting)).toBe('met 2');
  });
});
