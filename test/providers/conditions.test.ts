import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { bench, contextOf } from './harness.ts';

/** Any text that a name may have, and texts that would like to be more than a string. */
const anyText = fc.oneof(
  fc.string({ unit: 'binary', minLength: 1, maxLength: 40 }),
  fc.string({ unit: fc.constantFrom('"', "'", '\\', ' ', '%', '&', '#', '+', ',', '(', ')', '[', ']', 'a') }),
  fc.constantFrom(
    '" OR id > 0 OR name = "',
    '\\" OR id > 0 OR name = \\"',
    '\\',
    '\\\\"',
    '%',
    '*',
    'a"),("b',
    'x" or name contains "',
    'x&conditions=id>0',
    'True',
    'null',
    '[2026-01-31T18:04:26Z]',
    '7',
    '\ud800',
    'half of a pair \udfff',
  ),
);

/** What can be sent of a text: half of a surrogate pair is no character. */
const written = (text: string) => text.toWellFormed();

describe('text in a condition means itself, whatever it holds', () => {
  test('as the name of a role', async () => {
    const { world, connectwise, keys, clock } = await bench();
    const decoys = world.company('acme').roles.values().length;
    expect(decoys).toBeGreaterThan(3);
    const made = new Map<string, number>();
    await fc.assert(
      fc.asyncProperty(anyText, async (name) => {
        const key = written(name).toLowerCase();
        if (!made.has(key)) made.set(key, world.createRole('acme', written(name)));
        clock.advance(60_000);
        const roles = await connectwise.reads(keys.management, contextOf(clock)).roles(name, []);
        expect(roles).toMatchObject({ ok: true });
        const found = roles.ok ? roles.value : [];
        expect(found.map(({ id }) => id)).toContain(made.get(key));
        expect([...new Set(found.map((role) => role.name.toLowerCase()))]).toEqual([key]);
      }),
      { numRuns: 150 },
    );
  });

  test('as one of several identifiers', async () => {
    const { connectwise, keys, clock } = await bench();
    await fc.assert(
      fc.asyncProperty(fc.array(anyText, { maxLength: 4 }), async (others) => {
        const strangers = others.filter((text) => !/^(parasol|umbrella-a)$/i.test(text.trim()));
        clock.advance(60_000);
        const reads = connectwise.reads(keys.management, contextOf(clock));
        const members = await reads.membersByIdentifier([...strangers, 'umbrella-a', ...strangers]);
        expect(members.ok && members.value.map(({ identifier }) => identifier)).toEqual(['umbrella-a']);
      }),
      { numRuns: 100 },
    );
  });

  test('as a part of the name of a type', async () => {
    const { world, connectwise, keys, clock } = await bench();
    const made = new Map<string, string>();
    await fc.assert(
      fc.asyncProperty(anyText, async (part) => {
        const name = `Type ${written(part)} of ${made.size}`;
        if (!made.has(part)) {
          made.set(part, name);
          world.addConfiguration('acme', { name: 'x', type: name, customer: 'NorthwindDental', by: 'x' });
        }
        clock.advance(60_000);
        const types = await connectwise.reads(keys.management, contextOf(clock)).configurationTypes(part);
        expect(types).toMatchObject({ ok: true });
        const names = types.ok ? types.value.map((type) => type.name) : [];
        expect(names).toContain(made.get(part));
        const wanted = written(part).toLowerCase();
        expect(names.filter((one) => !one.toLowerCase().includes(wanted))).toEqual([]);
      }),
      { numRuns: 100 },
    );
  });
});

test('a company id is one segment of a path, whatever it holds', async () => {
  const { vendors, spec, clock, sent } = await bench();
  await fc.assert(
    fc.asyncProperty(anyText, async (companyId) => {
      const connectwise = { ...spec.connectwise, companyId };
      const { length } = sent();
      const info = await vendors.connectwise({ ...spec, connectwise }).companyInfo(contextOf(clock));
      expect(info).toMatchObject({ ok: true });
      expect(sent()[length]?.path.split('/')).toHaveLength(4);
    }),
    { numRuns: 100 },
  );
});
