import { describe, expect, test } from 'vitest';
import { Understood } from '../../src/providers/http/understood.ts';
import { contextOf, json, pairOf, serveConnectWise, specFor, TestClock, vendorsFor } from './harness.ts';

const rows = (count: number, more: object = {}) =>
  Array.from({ length: count }, (_, index) => ({ function: `System/Function ${index}`, ...more }));
const bytesOf = (value: unknown) => Buffer.from(JSON.stringify(value));

describe('what an answer was understood as', () => {
  const reader = {};

  test('is known by the bytes, for the reader that read them', () => {
    const understood = new Understood();
    const name = understood.nameOf(bytesOf(rows(200)))!;
    expect(understood.has(name)).toBe(false);
    const kept = understood.keep(name, reader, rows(200));
    expect(understood.get(name, reader)).toBe(kept);
    expect(understood.get(name, {})).toBeUndefined();
    expect(understood.get(understood.nameOf(bytesOf(rows(201)))!, reader)).toBeUndefined();
  });

  test('is not remembered of a short answer', () => {
    expect(new Understood().nameOf(bytesOf(rows(1)))).toBeNull();
  });

  test('is one frozen value for all answers that mean the same', () => {
    const understood = new Understood();
    const first = understood.keep('first', reader, rows(2));
    expect(understood.keep('second', reader, rows(2))).toBe(first);
    expect(Object.isFrozen(first)).toBe(true);
    expect(Object.isFrozen(first[0])).toBe(true);
  });

  test('is forgotten, oldest first, where all of it would be too much', () => {
    const understood = new Understood();
    const large = (id: number) => [{ id, text: 'x'.repeat(1_500_000) }];
    for (let id = 0; id < 8; id += 1) understood.keep(`answer ${id}`, reader, large(id));
    const known = Array.from({ length: 8 }, (_, id) => understood.has(`answer ${id}`));
    expect(known).toEqual([false, false, false, true, true, true, true, true]);
  });

  test('is given up with its last answer only', () => {
    const understood = new Understood();
    const shared = understood.keep('first', reader, rows(2));
    understood.keep('second', reader, rows(2));
    understood.keep('first', reader, rows(3));
    expect(understood.keep('third', reader, rows(2))).toBe(shared);
  });
});

describe('a role’s rows', () => {
  const row = (index: number, inquireLevel: string) => ({
    moduleName: 'System',
    moduleFunctionName: `Function ${index}`,
    inquireLevel,
    member: { identifier: 'parasol' },
  });

  test('are the very same list while a vendor says the same, and another once one cell differs', async () => {
    let level = 'All';
    const server = await serveConnectWise((_, response) =>
      json(
        response,
        Array.from({ length: 100 }, (_, index) => row(index, index === 50 ? level : 'All')),
      ),
    );
    const clock = new TestClock();
    const reads = vendorsFor({ clock })
      .connectwise(specFor(server.url, server.url))
      .reads(pairOf('public', 'private-half'), contextOf(clock));
    const levels = async () => {
      const security = await reads.mySecurity();
      if (!security.ok) throw new Error(security.failure.kind);
      return security.value.levels;
    };
    const first = await levels();
    expect(await levels()).toBe(first);
    level = 'None';
    const changed = await levels();
    expect(changed[50]).toMatchObject({ inquire: 'None' });
    expect(first[50]).toMatchObject({ inquire: 'All' });
    level = 'All';
    expect(await levels()).toEqual(first);
  });
});
