import { describe, expect, test } from 'vitest';
import type { Sample } from '../../src/reconciler/ports.ts';
import { bench, pairOf } from './harness.ts';

const find = (samples: Sample[], title: string): string => {
  const found = samples.find((sample) => sample.title.startsWith(title));
  return found?.text ?? `no sample ${title}`;
};

describe('what a live tenant answers', () => {
  test('is shown as it came: levels, dialog items, role, member, type, and a configuration with its questions', async () => {
    const { connectwise, keys, context, world } = await bench();
    world.runSync('acme');
    const samples = await connectwise.samples(keys.management, context);
    expect(samples.map(({ title }) => title.replace(/\/\d+/g, '/{id}'))).toEqual([
      'Levels of this key (GET /system/mySecurity)',
      'Module functions of this server',
      'Dialog items of this key (GET /system/mySecurity/customizeItems/)',
      'The role Umbrella (GET /system/securityroles)',
      'Levels of Umbrella (GET /system/securityRoles/{id}/settings)',
      'API members (GET /system/apiMembers)',
      'Configuration types like Umbrella (GET /company/configurations/types)',
      'A configuration of that type (GET /company/configurations/{id})',
    ]);
    expect(find(samples, 'Levels of Umbrella')).toMatch(/^95 rows\n\[\n {2}\{\n {4}"id": \d+/);
    expect(find(samples, 'Levels of Umbrella')).toContain('"… and 92 more"');
    expect(find(samples, 'Levels of this key')).toContain('"identifier": "parasol"');
    expect(find(samples, 'Module functions')).toContain('Companies/Configurations\n');
    expect(find(samples, 'Dialog items')).toContain('"customizeIdentifier": "SystemTableSetup"');
    expect(find(samples, 'API members')).toContain('"identifier": "umbrella-a"');
    expect(find(samples, 'Configuration types')).toContain('"name": "Cisco Umbrella"');
    const configuration = find(samples, 'A configuration');
    expect(configuration).toContain('"question": "Umbrella Organization ID"');
    expect(configuration).toContain('"updatedBy": "umbrella-a"');
  });

  test('is read and never written', async () => {
    const { connectwise, keys, context, sent } = await bench();
    await connectwise.samples(keys.management, context);
    expect(sent().length).toBeGreaterThan(7);
    expect(sent().every(({ method }) => method === 'GET')).toBe(true);
  });

  test('is told to be refused where it is, and the rest is read all the same', async () => {
    const { connectwise, keys, context } = await bench();
    const samples = await connectwise.samples(keys.integration, context);
    expect(find(samples, 'The role Umbrella')).toMatch(/^key lacks the right: /);
    expect(find(samples, 'API members')).toMatch(/^key lacks the right: /);
    expect(find(samples, 'Levels of this key')).toContain('"identifier": "umbrella-a"');
    expect(find(samples, 'Configuration types')).toContain('Cisco Umbrella');
  });

  test('may be nothing: no role, no type, no configuration', async () => {
    const none = await bench('role-missing', { lean: true });
    const samples = await none.connectwise.samples(none.keys.management, none.context);
    expect(find(samples, 'The role Umbrella')).toBe('0 rows\n[]');
    expect(find(samples, 'Configuration types')).toBe('0 rows\n[]');
    const { connectwise, keys, context, world } = await bench();
    world.addFault({
      when: { operation: '/company/configurations' },
      effect: { kind: 'status', status: 200, body: [] },
    });
    expect(find(await connectwise.samples(keys.management, context), 'A configuration')).toBe(
      'There is none.',
    );
  });

  test('is shown also where it is of an unexpected shape', async () => {
    const { connectwise, keys, context, world } = await bench();
    const body = { rows: 'elsewhere' };
    world.addFault({
      when: { operation: '/system/mySecurity' },
      effect: { kind: 'status', status: 200, body },
    });
    const samples = await connectwise.samples(keys.management, context);
    expect(JSON.parse(find(samples, 'Levels of this key'))).toEqual(body);
  });

  test('holds the type that the spec names', async () => {
    const { vendors, spec, keys, context } = await bench();
    const named = { ...spec, integration: { ...spec.integration, configurationType: 'Managed Server' } };
    const samples = await vendors.connectwise(named).samples(keys.management, context);
    expect(find(samples, 'Configuration types like Managed Server')).toContain('"Managed Server"');
  });

  test('is cut: strings, lists and the whole', async () => {
    const { connectwise, keys, context, world } = await bench();
    const row = (index: number) => ({ id: index, notes: null, text: 'x'.repeat(500), many: 'y'.repeat(500) });
    const wide = Object.fromEntries(
      Array.from({ length: 100 }, (_, index) => [`field${index}`, 'z'.repeat(90)]),
    );
    const body = [{ ...row(1), ...wide }, row(2)];
    world.addFault({
      when: { operation: '/system/apiMembers' },
      effect: { kind: 'status', status: 200, body },
    });
    const text = find(await connectwise.samples(keys.management, context), 'API members');
    expect(text.length).toBeLessThanOrEqual(4_002);
    expect(text).toContain(`"${'x'.repeat(200)}…"`);
    expect(text.endsWith('\n…')).toBe(true);
  });
});

describe('what must not be pasted anywhere', () => {
  test('the key in any form, echoed in values, names and refusals, also where a string is cut', async () => {
    const { connectwise, world, context } = await bench();
    const pair = pairOf('PublicSentinel+/=1', 'PrivateSentinel"\\ä<&');
    const whole = `acme+${pair.publicHalf}:${pair.privateHalf.reveal()}`;
    const forms = [
      whole,
      Buffer.from(whole).toString('base64'),
      Buffer.from(whole).toString('base64url'),
      encodeURIComponent(whole),
      new URLSearchParams({ a: whole }).toString(),
      pair.privateHalf.reveal(),
    ];
    const echo = [
      { id: 1, [whole]: forms, text: 'x'.repeat(180) + whole, authorization: `Basic ${forms[1]}` },
    ];
    const effect = (status: number, body: unknown) => ({ kind: 'status', status, body }) as const;
    world.addFault({ when: { operation: '/system/apiMembers' }, effect: effect(403, { message: forms }) });
    world.addFault({
      when: { operation: '/system/securityroles' },
      effect: effect(403, { code: whole, message: forms.join(' ') }),
    });
    world.addFault({ when: { path: '/v2025_1' }, effect: effect(200, echo) });
    const told = JSON.stringify(await connectwise.samples(pair, context));
    expect(told).toContain('[redacted]');
    for (const form of [...forms, 'PublicSentinel', 'PrivateSentinel', 'Public', forms[1]!.slice(0, 24)]) {
      expect(told).not.toContain(form);
    }
  });

  test('secrets of others: by the name of the field, of the question, or by what the answer looks like', async () => {
    const { connectwise, keys, context, world } = await bench();
    const configuration = {
      id: 500,
      notes: 'ask Joe, hunter2',
      emailAddress: 'joe@example.com',
      questions: [
        { question: 'Seats', answer: 25 },
        { question: 'Admin password', answer: 'hunter2' },
        { question: 'Deployment', answer: 'a1B2c3D4e5F6a7B8c9' },
        { question: 'Organization', answer: 'Acme Managed IT' },
      ],
      customFields: [{ caption: 'API key', value: 'hunter2' }],
    };
    world.addFault({
      when: { operation: '/company/configurations/{id}' },
      effect: { kind: 'status', status: 200, body: configuration },
    });
    const text = find(await connectwise.samples(keys.management, context), 'A configuration');
    expect(JSON.parse(text)).toEqual({
      id: 500,
      notes: '[removed]',
      emailAddress: '[removed]',
      questions: [
        { question: 'Seats', answer: 25 },
        { question: 'Admin password', answer: '[removed]' },
        { question: 'Deployment', answer: '[removed]' },
        { question: 'Organization', answer: 'Acme Managed IT' },
      ],
      customFields: [{ caption: 'API key', value: '[removed]' }],
    });
  });
});
