import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { CredentialState } from '../../src/domain/credential.ts';
import type { Purpose, TenantInput } from '../../src/domain/tenant.ts';
import type { Commands } from '../../src/reconciler/commands.ts';
import {
  applied,
  connectwiseKey,
  EU_SITE,
  input,
  openDesk,
  pair,
  refusal,
  SITE,
  status,
  umbrellaKey,
  value,
  leaving,
} from './commands-fixtures.ts';

let desk: Awaited<ReturnType<typeof openDesk>>;
let commands: Commands;
beforeAll(async () => {
  desk = await openDesk();
  ({ commands } = desk);
});
afterAll(() => desk.close());

const UMBRELLA = 'https://api.umbrella.com';
const ELSEWHERE = 'https://api.eu.umbrella.com';

/** A tenant with one key, at a site. */
const managed = (id: string, name: string | null, site = SITE): TenantInput =>
  input(id, { connectwise: { site, ...(name === null ? {} : { managementKey: connectwiseKey(name) }) } });
const integrated = (id: string, name: string, member = 'umbrella-a'): TenantInput =>
  input(id, { connectwise: { integrationKey: { member, ...connectwiseKey(name) } } });

/** Applies one tenant; its warnings. */
const warned = async (tenant: TenantInput) => (await applied(commands, tenant))[0]!.warnings;

describe('a key in the input is a bootstrap value:', () => {
  test.each<[Purpose, (id: string) => TenantInput, string]>([
    ['management', (id) => managed(id, `${id}-k`), SITE],
    ['integration', (id) => integrated(id, `${id}-k`), SITE],
    ['umbrella-api', (id) => input(id, { umbrella: { apiKey: umbrellaKey(`${id}-k`) } }), UMBRELLA],
    [
      'umbrella-key-admin',
      (id) => input(id, { umbrella: { url: ELSEWHERE, keyAdmin: umbrellaKey(`${id}-k`) } }),
      ELSEWHERE,
    ],
  ])(
    'the first %s key comes into use at once, sealed for the origin of the spec',
    async (purpose, of, origin) => {
      const id = `first-${purpose}`;
      expect(await warned(of(id))).toEqual([]);
      expect(await desk.keys(id, purpose, [`${id}-k`])).toEqual([`active ${id}-k`]);
      expect(await desk.opens(id, purpose, origin)).toBe(`${id}-k`);
      expect(await desk.eventTypes(id)).toEqual(['CredentialReceived', 'TenantCreated']);
    },
  );

  test('a first key that comes later changes no generation, and triggers its proof', async () => {
    await applied(commands, managed('late', null));
    const [change] = await applied(commands, managed('late', 'late-k'));
    expect(change).toEqual({
      id: 'late',
      change: 'updated',
      generation: 1,
      differences: [
        {
          path: 'connectwise.managementKey',
          kind: 'key',
          before: null,
          after: desk.fingerprint('late-k'),
        },
      ],
      warnings: [],
    });
    expect(value(await commands.status('late')).trigger.requested).toBe(2);
  });

  test('another one beside the one in use is ignored, and says how to replace it', async () => {
    await applied(commands, managed('other', 'other-1'), integrated('other-i', 'other-i1', 'umbrella-b'));
    expect(await warned(managed('other', 'other-2'))).toEqual([
      `The management key ${desk.fingerprint('other-2')} of the input is ignored: another one is in use. ` +
        'To replace the one in use: `parasol credential other management`.',
    ]);
    expect(await warned(integrated('other-i', 'other-i2', 'umbrella-b'))).toEqual([
      `The integration key ${desk.fingerprint('other-i2')} of the input is ignored: another one is in use. ` +
        'To replace the one in use: `parasol credential other-i integration --member umbrella-b`.',
    ]);
    expect(await desk.keys('other', 'management', ['other-1', 'other-2'])).toEqual(['active other-1']);
    expect(await desk.keys('other-i', 'integration', ['other-i1'])).toEqual(['active other-i1']);
  });

  test.each<[CredentialState, string]>([
    ['superseded', 'a newer one took its place'],
    ['refused', 'it was proved before, and refused'],
    ['dead', 'the vendor refused it before'],
  ])('one that became %s is ignored with an event, though none is in use', async (state, because) => {
    const id = `spent-${state}`;
    await applied(commands, integrated(id, `${id}-k`));
    await desk.becomes(id, `${id}-k`, state);
    const ignored = `The integration key ${desk.fingerprint(`${id}-k`)} of the input is ignored: ${because}.`;
    expect(await warned(integrated(id, `${id}-k`))).toEqual([
      `${ignored} To replace the one in use: \`parasol credential ${id} integration --member umbrella-a\`.`,
    ]);
    expect(await desk.keys(id, 'integration', [`${id}-k`])).toEqual([`${state} ${id}-k`]);
    const { items } = value(await commands.events(id, { before: null, limit: 1 }));
    expect(items).toMatchObject([{ type: 'CredentialIgnored', message: ignored }]);
  });

  test('one that a replacement superseded does not come back with the next apply', async () => {
    await applied(commands, managed('rotated', 'rotated-1'));
    value(await commands.replaceCredential('rotated', 'management', pair('rotated-2'), null));
    await desk.becomes('rotated', 'rotated-2', 'active');
    expect((await warned(managed('rotated', 'rotated-1')))[0]).toContain('a newer one took its place');
    expect(await desk.keys('rotated', 'management', ['rotated-1', 'rotated-2'])).toEqual([
      'superseded rotated-1',
      'active rotated-2',
    ]);
  });

  test('one that was given before and waits for its proof is not promoted by the file', async () => {
    await applied(commands, input('waits'));
    value(await commands.replaceCredential('waits', 'integration', pair('waits-k'), 'umbrella-a'));
    expect((await warned(integrated('waits', 'waits-k')))[0]).toContain(
      'it was given before, and is to be proved',
    );
    expect(await desk.keys('waits', 'integration', ['waits-k'])).toEqual(['candidate waits-k']);
  });

  test('a member is kept as the spec writes it', async () => {
    await applied(commands, integrated('spelled', 'spelled-k', 'UMBRELLA-B'));
    expect(value(await commands.tenant('spelled')).credentials).toMatchObject([
      { member: 'umbrella-b', slot: 'b' },
    ]);
  });
});

describe('a key is sent nowhere but where it was given for:', () => {
  test('another site asks for it again, and the old pair stays, unused', async () => {
    await applied(commands, managed('moved', 'moved-k'));
    const asks =
      `The management key was given for ${SITE} and is not sent anywhere else: ` +
      'give it again with `parasol credential moved management`.';
    expect(await warned(managed('moved', null, EU_SITE))).toEqual([asks]);
    expect(await warned(managed('moved', null, EU_SITE))).toEqual([asks]);
    expect(await desk.keys('moved', 'management', ['moved-k'])).toEqual(['bound-elsewhere moved-k']);
    expect(await desk.opens('moved', 'management', EU_SITE)).toBeNull();
  });

  test('going back to the old site takes the old pair back into use', async () => {
    await applied(commands, managed('back', 'back-k'));
    await applied(commands, managed('back', null, EU_SITE));
    expect(await warned(managed('back', null))).toEqual([]);
    expect(await desk.keys('back', 'management', ['back-k'])).toEqual(['active back-k']);
  });

  test('the same pair, given again for the new site, is sealed for it, and back again', async () => {
    await applied(commands, managed('again', 'again-k'));
    for (const site of [EU_SITE, SITE, EU_SITE]) {
      expect(await warned(managed('again', 'again-k', site))).toEqual([]);
      expect(await desk.opens('again', 'management', site)).toBe('again-k');
    }
  });

  test('another pair for the new site comes into use there at once', async () => {
    await applied(commands, managed('fresh', 'fresh-1'));
    expect(await warned(managed('fresh', 'fresh-2', EU_SITE))).toEqual([]);
    expect(await desk.opens('fresh', 'management', EU_SITE)).toBe('fresh-2');
  });

  test('a pair that a rotation retired at the old site does not come back at the new one', async () => {
    await applied(commands, managed('stale', 'stale-1'));
    value(await commands.replaceCredential('stale', 'management', pair('stale-2'), null));
    await desk.becomes('stale', 'stale-2', 'active');
    const warnings = await warned(managed('stale', 'stale-1', EU_SITE));
    expect(warnings[0]).toContain('a newer one took its place');
    expect(warnings[1]).toContain(`was given for ${SITE} and is not sent anywhere else`);
    expect(await desk.opens('stale', 'management', EU_SITE)).toBeNull();
  });

  test('another Umbrella address asks for both Umbrella keys, and for no ConnectWise key', async () => {
    const keys = { apiKey: umbrellaKey('umb-u'), keyAdmin: umbrellaKey('umb-ka') };
    const managementKey = connectwiseKey('umb-m');
    await applied(commands, input('umb', { umbrella: keys, connectwise: { managementKey } }));
    const warnings = await warned(input('umb', { umbrella: { url: ELSEWHERE } }));
    expect(warnings.map((text) => text.split(' was given for')[0])).toEqual([
      'The Umbrella API key',
      'The Umbrella KeyAdmin key',
    ]);
    expect(await desk.keys('umb', 'management', ['umb-m'])).toEqual(['active umb-m']);
  });

  test('replacing it by hand seals it for the site of the spec as it is now', async () => {
    await applied(commands, managed('hand', 'hand-k'));
    await applied(commands, managed('hand', null, EU_SITE));
    value(await commands.replaceCredential('hand', 'management', pair('hand-k'), null));
    expect(await desk.opens('hand', 'management', EU_SITE)).toBe('hand-k');
  });
});

describe('a console is one tenant’s:', () => {
  const keyed = (id: string, name: string | null, rest = {}): TenantInput =>
    input(id, { umbrella: { ...(name === null ? {} : { apiKey: umbrellaKey(name) }), ...rest } });

  test('a replacing Umbrella key of another tenant’s console is refused, and not kept', async () => {
    await applied(commands, keyed('console-a', 'console-a-u'), keyed('console-b', 'console-b-u'));
    expect(
      refusal(await commands.replaceCredential('console-b', 'umbrella-api', pair('console-a-u'), null)),
    ).toBe(
      'conflict: console-b and console-a are the same Umbrella console: one console is one tenant. ' +
        'The pair was not kept.',
    );
    expect(await desk.keys('console-b', 'umbrella-api', ['console-b-u'])).toEqual(['active console-b-u']);
  });

  test('a replaced Umbrella key stands for the console from then on, and the old one no longer', async () => {
    await applied(commands, keyed('renewed', 'renewed-1'));
    value(await commands.replaceCredential('renewed', 'umbrella-api', pair('renewed-2'), null));
    expect(refusal(await commands.apply([keyed('x', 'renewed-2')], { dryRun: true }))).toContain('renewed');
    expect((await commands.apply([keyed('x', 'renewed-1')], { dryRun: true })).ok).toBe(true);
  });

  test('organizations under one parent key are consoles of their own', async () => {
    await applied(
      commands,
      keyed('child-a', 'parent', { organizationId: 1 }),
      keyed('child-b', 'parent', { organizationId: 2 }),
    );
    expect(value(await commands.tenant('child-b')).credentials).toHaveLength(1);
  });

  test('the same key id at another Umbrella address is another console', async () => {
    await applied(commands, keyed('here', 'same-id'), keyed('there', 'same-id', { url: ELSEWHERE }));
    expect(value(await commands.tenant('there')).credentials).toHaveLength(1);
  });

  test('a tenant that no longer names its organization is known by the key of its file again', async () => {
    await applied(commands, keyed('unnamed', 'unnamed-u', { organizationId: 9 }));
    await applied(commands, keyed('unnamed', 'unnamed-u'));
    expect((await commands.apply([keyed('x', null, { organizationId: 9 })], { dryRun: true })).ok).toBe(true);
    expect(refusal(await commands.apply([keyed('x', 'unnamed-u')], { dryRun: true }))).toContain('unnamed');
  });

  test('a tenant that names neither its organization nor its key is known by nothing until it does', async () => {
    await applied(commands, keyed('silent', 'silent-u', { organizationId: 11 }));
    await applied(commands, keyed('silent', null));
    const taken = (tenant: TenantInput) => commands.apply([tenant], { dryRun: true }).then(({ ok }) => !ok);
    expect(await taken(keyed('x', null, { organizationId: 11 }))).toBe(false);
    expect(await taken(keyed('x', 'silent-u'))).toBe(false);
    await applied(commands, keyed('silent', 'silent-u'));
    expect(await taken(keyed('x', 'silent-u'))).toBe(true);
  });

  test('a tenant that moved to another Umbrella address no longer stands for its old console', async () => {
    await applied(commands, keyed('emigrant', 'emigrant-u'));
    await applied(commands, keyed('emigrant', null, { url: ELSEWHERE }));
    expect((await commands.apply([keyed('x', 'emigrant-u')], { dryRun: true })).ok).toBe(true);
  });

  test('a key id is in no table in the clear', async () => {
    await applied(commands, keyed('hidden', 'hidden-u'));
    expect(await desk.dump()).not.toContain('hidden-u-public');
  });
});

describe('a credential is replaced', () => {
  test.each<[Purpose, string]>([
    ['umbrella-api', UMBRELLA],
    ['umbrella-key-admin', UMBRELLA],
  ])('at once, where it is the %s key', async (purpose, origin) => {
    const id = `replace-${purpose}`;
    await applied(commands, input(id));
    value(await commands.replaceCredential(id, purpose, pair(`${id}-1`), null));
    const second = value(await commands.replaceCredential(id, purpose, pair(`${id}-2`), null));
    expect(second.fingerprint).toBe(desk.fingerprint(`${id}-2`));
    expect(value(await commands.status(id)).trigger.requested).toBe(second.trigger);
    expect(await desk.keys(id, purpose, [`${id}-1`, `${id}-2`])).toEqual([
      `superseded ${id}-1`,
      `active ${id}-2`,
    ]);
    expect(await desk.opens(id, purpose, origin)).toBe(`${id}-2`);
  });

  test('once it did the same reads, where it is the management key', async () => {
    await applied(commands, input('parasols'));
    value(await commands.replaceCredential('parasols', 'management', pair('parasols-1'), null));
    value(await commands.replaceCredential('parasols', 'management', pair('parasols-2'), null));
    expect(await desk.keys('parasols', 'management', ['parasols-1', 'parasols-2'])).toEqual([
      'active parasols-1',
      'candidate parasols-2',
    ]);
    expect(await desk.opens('parasols', 'management', SITE)).toBe('parasols-1');
  });

  test('after its proof, where it is the integration key', async () => {
    await applied(commands, integrated('candidate', 'candidate-1'));
    value(await commands.replaceCredential('candidate', 'integration', pair('candidate-2'), 'Umbrella-B'));
    expect(await desk.keys('candidate', 'integration', ['candidate-1', 'candidate-2'])).toEqual([
      'active candidate-1',
      'candidate candidate-2',
    ]);
    expect(value(await commands.tenant('candidate')).credentials[1]).toMatchObject({
      member: 'umbrella-b',
      slot: 'b',
    });
    expect(await desk.eventTypes('candidate')).toContain('CredentialReceived');
  });

  test.each<[string, Purpose, string | null]>([
    ['in use', 'management', null],
    ['to be proved', 'integration', 'umbrella-a'],
  ])('once, where the same pair is %s already', async (_, purpose, member) => {
    const id = `once-${purpose}`;
    await applied(commands, input(id));
    const first = value(await commands.replaceCredential(id, purpose, pair(`${id}-k`), member));
    const second = value(await commands.replaceCredential(id, purpose, pair(`${id}-k`), member));
    expect(second).toEqual({ fingerprint: first.fingerprint, trigger: first.trigger + 1 });
    expect(value(await commands.tenant(id)).credentials).toHaveLength(1);
  });

  test('even by one that was taken out of use before: a person says so', async () => {
    await applied(commands, managed('revived', 'revived-1'));
    value(await commands.replaceCredential('revived', 'management', pair('revived-2'), null));
    value(await commands.replaceCredential('revived', 'management', pair('revived-1'), null));
    expect(await desk.opens('revived', 'management', SITE)).toBe('revived-1');
    expect(await warned(managed('revived', 'revived-1'))).toEqual([]);
  });

  test.each<[string, Purpose, string, string | null, string]>([
    [
      'an integration key without a member',
      'integration',
      'any',
      null,
      'member: must be one of the members of the spec: umbrella-a, umbrella-b',
    ],
    [
      'an integration key of a member that the spec does not name',
      'integration',
      'any',
      'someone',
      'member: must be one of the members of the spec: umbrella-a, umbrella-b',
    ],
    [
      'another key with a member',
      'management',
      'any',
      'umbrella-a',
      'member: goes with an integration key only',
    ],
    [
      'Parasol’s own key for Umbrella',
      'integration',
      'no-m',
      'umbrella-a',
      'publicKey: is in use already: Parasol’s management key and Umbrella’s key are two keys of two members',
    ],
    [
      'Umbrella’s key for Parasol',
      'management',
      'no-i',
      null,
      'publicKey: is in use already: Parasol’s management key and Umbrella’s key are two keys of two members',
    ],
  ])('but not by %s', async (_, purpose, name, member, problem) => {
    await applied(
      commands,
      input('no', {
        connectwise: {
          managementKey: connectwiseKey('no-m'),
          integrationKey: { member: 'umbrella-a', ...connectwiseKey('no-i') },
        },
      }),
    );
    expect(refusal(await commands.replaceCredential('no', purpose, pair(name), member))).toBe(problem);
    expect(value(await commands.tenant('no')).credentials).toHaveLength(2);
  });

  test('but not the member of a pair that is being proved', async () => {
    await applied(commands, input('whose'));
    value(await commands.replaceCredential('whose', 'integration', pair('whose-k'), 'umbrella-a'));
    expect(
      refusal(await commands.replaceCredential('whose', 'integration', pair('whose-k'), 'umbrella-b')),
    ).toBe('conflict: That pair was given for umbrella-a and is to be proved first.');
  });

  test('with its own member, where the pair in use was given for another', async () => {
    await applied(commands, integrated('corrected', 'corrected-k', 'umbrella-a'));
    value(await commands.replaceCredential('corrected', 'integration', pair('corrected-k'), 'umbrella-b'));
    const { credentials } = value(await commands.tenant('corrected'));
    expect(credentials.map(({ state, member }) => `${state} ${member}`)).toEqual([
      'active umbrella-a',
      'candidate umbrella-b',
    ]);
  });

  test('again, where it waited for its proof at another site', async () => {
    await applied(commands, managed('moving', null));
    value(await commands.replaceCredential('moving', 'integration', pair('moving-k'), 'umbrella-a'));
    await applied(commands, managed('moving', null, EU_SITE));
    value(await commands.replaceCredential('moving', 'integration', pair('moving-k'), 'umbrella-a'));
    expect(await desk.keys('moving', 'integration', ['moving-k'])).toEqual([
      'bound-elsewhere moving-k',
      'candidate moving-k',
    ]);
  });

  test('but not of a tenant that is going, or that is not there', async () => {
    await applied(commands, input('leaver'));
    value(await commands.deleteTenant('leaver', leaving()));
    expect(refusal(await commands.replaceCredential('leaver', 'management', pair('any'), null))).toBe(
      'conflict: leaver is being deleted: it takes no more keys.',
    );
    expect(refusal(await commands.replaceCredential('nobody', 'management', pair('any'), null))).toBe(
      'not found: There is no tenant nobody.',
    );
  });
});

test('no secret lies in any table in the clear, nor in any answer, whichever way it came', async () => {
  const named = (name: string) => `sentinel-${name}`;
  const of = (name: string) => ({ publicKey: `${named(name)}-public`, privateKey: `${named(name)}-private` });
  const tenant = (managementKey: object, integrationKey: object) =>
    input('sentinel', {
      mode: 'repair',
      connectwise: { managementKey, integrationKey: { member: 'umbrella-a', ...integrationKey } },
      umbrella: { apiKey: umbrellaKey(named('u')), keyAdmin: umbrellaKey(named('ka')) },
    });
  const answers: unknown[] = [
    await commands.apply([tenant(of('m'), of('i'))], { dryRun: true }),
    await commands.apply([tenant(of('m'), of('i'))], { dryRun: false }),
    await commands.apply([tenant(of('ignored'), of('ignored-too'))], { dryRun: false }),
    await commands.replaceCredential('sentinel', 'management', pair(named('m2')), null),
    await commands.apply([tenant(of('m'), of('m2'))], { dryRun: false }),
    await commands.replaceCredential('sentinel', 'integration', pair(named('m2')), 'umbrella-a'),
    await commands.replaceCredential('sentinel', 'umbrella-api', pair(named('u2')), null),
  ];
  const handoff = await desk.handoff('sentinel', 'issue-integration-key', 'umbrella-b', {
    input: { purpose: 'integration', member: 'umbrella-b' },
  });
  const grant = await desk.handoff('sentinel', 'grant-role-levels', 'Umbrella');
  for (const id of [handoff, grant]) {
    answers.push(await commands.submitHandoff(id, { by: 'pat', pair: pair(named('h')), attest: false }));
  }
  await desk.run('sentinel', { status: status() });
  answers.push(
    await commands.tenant('sentinel'),
    await commands.status('sentinel'),
    await commands.plan('sentinel'),
    await commands.events('sentinel', { before: null, limit: 200 }),
    await commands.runs('sentinel', { before: null, limit: 200 }),
    await commands.handoffs({ tenant: null, live: false }),
  );
  expect(await desk.keys('sentinel', 'integration', [named('i'), named('h')])).toEqual([
    'active sentinel-i',
    'candidate sentinel-h',
  ]);

  const dump = await desk.dump();
  expect(dump).toContain('sentinel MSP');
  expect(dump).not.toContain('sentinel-');
  expect(JSON.stringify(answers)).not.toContain('sentinel-');
  // Sealed text is base64url: nothing is only encoded either.
  const decoded = dump.match(/[\w-]{16,}/g)!.map((text) => Buffer.from(text, 'base64url').toString('latin1'));
  expect(decoded.join('\n')).toContain('"purpose":"integration"');
  expect(decoded.join('\n')).not.toContain('sentinel-');
});
