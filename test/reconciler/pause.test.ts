import { describe, expect, it, test } from 'vitest';
import type { Answer, Commands } from '../../src/reconciler/commands.ts';
import { leaving } from './commands-fixtures.ts';
import { scene, useStore, type Scene } from './harness.ts';

useStore();

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

const broken = async () => (await scene('member-missing')).apply();
const pause = (acme: Scene, until: string | null = null, reason = 'a freeze') =>
  acme.ask((commands) => commands.pause('acme', { by: 'ann', reason, until }));
const resume = (acme: Scene) =>
  acme.ask((commands) => commands.resume('acme', { by: 'bob', reason: 'it thawed' }));
const statusOf = async (acme: Scene) => value(await acme.ask((commands) => commands.status('acme')));
const ofPause = async (acme: Scene) =>
  (await acme.events()).filter((event) => /^(Paused|Resumed|PauseEnded):/.test(event)).toReversed();

function value<T>(answer: Answer<T>): T {
  if (!answer.ok) throw new Error(JSON.stringify(answer.refusal));
  return answer.value;
}

describe('a tenant that a person paused', () => {
  it('is observed, and nothing of it is changed; status and condition say who, until when and why', async () => {
    const acme = await broken();
    value(await pause(acme, '2h'));
    const until = new Date(acme.clock.now().getTime() + 2 * HOUR).toISOString();
    await acme.reconcile();
    expect(acme.writes()).toEqual([]);
    expect(acme.result.handoffs).toEqual([]);
    expect((await acme.told()).drift).toContain('members.umbrella-a is none');
    expect(await acme.condition('Paused')).toMatchObject({
      status: 'True',
      reason: 'PausedByOperator',
      message: `ann paused it until ${until} (a freeze): Parasol observes and changes nothing.`,
    });
    expect(await statusOf(acme)).toMatchObject({
      mode: 'repair',
      paused: true,
      pause: { by: 'ann', reason: 'a freeze', until },
    });
  });

  it('has no hand-off opened by a run that began before', async () => {
    const acme = await (await scene('level-missing')).apply();
    acme.interfere('record', () => pause(acme));
    await acme.settle();
    expect(await acme.liveHandoffs()).toEqual([]);
    await acme.later();
    expect(await acme.allHandoffs()).toEqual([]);
    value(await resume(acme));
    await acme.settle();
    expect((await acme.liveHandoffs()).map(({ kind }) => kind)).toEqual(['grant-role-levels']);
  });

  it('stays paused whatever spec is applied', async () => {
    const acme = await broken();
    value(await pause(acme));
    await acme.change({ every: '30m', paused: false });
    await acme.reconcile();
    expect(acme.writes()).toEqual([]);
    expect(await statusOf(acme)).toMatchObject({ generation: 2, paused: true, pause: { by: 'ann' } });
  });

  it('goes on when a person resumes it', async () => {
    const acme = await broken();
    value(await pause(acme));
    await acme.reconcile();
    value(await resume(acme));
    await acme.reconcile();
    expect(acme.writes()).toEqual(['POST /system/apiMembers']);
    expect(await acme.verdict('Paused')).toBe('False NotPaused');
    expect(await statusOf(acme)).toMatchObject({ paused: false, pause: null });
    expect(await ofPause(acme)).toEqual([
      'Paused: ann paused it: a freeze',
      'Resumed: bob resumed it: it thawed',
    ]);
  });

  it('is due when its time is up, goes on by itself then, and that is told once', async () => {
    const acme = await broken();
    const { until } = value(await pause(acme, '4m'));
    await acme.reconcile();
    expect(acme.result.next.inMs).toBe(4 * MINUTE);
    acme.clock.advance(3 * MINUTE);
    await acme.reconcile();
    expect(acme.result.next.inMs).toBe(MINUTE);
    expect(acme.writes()).toEqual([]);
    await acme.later(MINUTE);
    expect(acme.writes()).toEqual(['POST /system/apiMembers']);
    await acme.later();
    expect(await ofPause(acme)).toEqual([
      `Paused: ann paused it until ${until}: a freeze`,
      `PauseEnded: The pause that ann set ended at ${until} (a freeze).`,
    ]);
    expect(await statusOf(acme)).toMatchObject({ paused: false, pause: null });
  });

  it('that is paused anew while a run tells that the pause before ended stays paused', async () => {
    const acme = await broken();
    value(await pause(acme, '1m'));
    acme.clock.advance(MINUTE);
    acme.interfere('record', () => pause(acme, null, 'again'));
    await acme.reconcile();
    const before = acme.writes();
    await acme.reconcile();
    expect(acme.writes()).toEqual(before);
    expect(await statusOf(acme)).toMatchObject({ pause: { reason: 'again', until: null } });
  });

  it('keeps the pause of its spec when a person’s ends', async () => {
    const acme = await broken();
    await acme.change({ paused: true });
    value(await pause(acme, '1m'));
    await acme.later(MINUTE);
    expect(acme.writes()).toEqual([]);
    expect(await acme.verdict('Paused')).toBe('True PausedBySpec');
    expect(await statusOf(acme)).toMatchObject({ paused: true, pause: null });
  });

  it('is not rotated, and says how it could be', async () => {
    const acme = await (await scene('healthy')).apply();
    await acme.settle();
    value(await pause(acme));
    for (const credential of ['integration', 'umbrella-api'] as const) {
      const asked = { by: 'ann', reason: 'x', credential, compromised: false, cutNow: false };
      expect(await acme.ask((commands) => commands.rotate('acme', asked))).toMatchObject({
        ok: false,
        refusal: {
          kind: 'conflict',
          message:
            'acme cannot be rotated: ann paused it (a freeze). Resume it first: `parasol resume acme`.',
        },
      });
    }
  });

  it('keeps a rotation where it is, and both keys alive', async () => {
    const acme = await (await scene('healthy')).apply();
    await acme.settle();
    const asked = { by: 'ann', reason: 'x', compromised: false, cutNow: false } as const;
    value(await acme.ask((commands) => commands.rotate('acme', { ...asked, credential: 'integration' })));
    value(await pause(acme));
    await acme.settle();
    await acme.later(HOUR);
    expect(acme.writes()).toEqual([]);
    expect((await statusOf(acme)).rotation).toMatchObject({
      phase: 'Pending',
      next: expect.stringContaining('ann paused it (a freeze)') as string,
    });
    expect(acme.umbrellaWorks()).toBe(true);
    value(await resume(acme));
    await acme.settle();
    expect((await statusOf(acme)).rotation?.phase).toBe('AwaitingKey');
  });

  it('has no member switched off, though it is to be deleted', async () => {
    const acme = await (await scene('healthy')).apply();
    await acme.change({
      onDelete: 'deactivate-members',
      connectwise: { members: { adopt: true, dedicated: true } },
    });
    await acme.settle();
    value(await acme.ask((commands) => commands.deleteTenant('acme', leaving())));
    value(await pause(acme));
    await acme.reconcile();
    expect(acme.writes()).toEqual([]);
    expect((await statusOf(acme)).deleting).not.toBeNull();
    value(await resume(acme));
    await acme.reconcile();
    expect(acme.writes()).toEqual(['PATCH /system/apiMembers/{id}']);
  });
});

describe('what is refused', () => {
  const asked = { by: 'ann', reason: 'x' };
  test.each<[string, (commands: Commands, now: Date) => Promise<Answer<unknown>>, object]>([
    [
      'a pause that is over',
      (commands, now) => commands.pause('acme', { ...asked, until: now.toISOString() }),
      {
        kind: 'invalid',
        problems: [{ path: 'until', message: expect.stringMatching(/^is over: it is/) as string }],
      },
    ],
    [
      'a pause of nobody',
      (commands) => commands.pause('nobody', { ...asked, until: null }),
      { kind: 'not-found' },
    ],
    ['an end of nobody’s pause', (commands) => commands.resume('nobody', asked), { kind: 'not-found' }],
    [
      'an end where there is no pause',
      (commands) => commands.resume('acme', asked),
      { kind: 'conflict', message: 'acme is not paused.' },
    ],
  ])('%s', async (_, what, refusal) => {
    const acme = await broken();
    const now = acme.clock.now();
    expect(await acme.ask((commands) => what(commands, now))).toMatchObject({ ok: false, refusal });
    expect(await ofPause(acme)).toEqual([]);
  });

  it('an end of what the spec says, which is ended there', async () => {
    const acme = await broken();
    await acme.change({ paused: true });
    expect(await resume(acme)).toMatchObject({
      ok: false,
      refusal: { message: 'Nobody paused acme: its spec says paused: true. Change it there.' },
    });
  });
});
