import { createHash } from 'node:crypto';
import { describe, expect, it, test } from 'vitest';
import { auditPage } from '../../src/api/audit-page.ts';
import type { KeyAudit, RotationAudit } from '../../src/reconciler/commands.ts';
import { audit, handoff, rotation, startApi } from './harness.ts';

/** The evidence of a tenant's keys, for machines and as a page. */

const AT = '2026-11-24T08:00:00.000Z';

describe('an export', () => {
  it('is JSON with all that there is', async () => {
    const { call, commands } = startApi();
    const answer = await call('GET', '/tenants/acme/export');
    expect(answer.headers['content-type']).toMatch(/^application\/json/);
    expect(answer.json()).toEqual(audit);
    expect(commands.audit).toHaveBeenCalledWith('acme');
  });

  test.each([
    ['?format=html', undefined, 'text/html; charset=utf-8'],
    ['?format=json', 'text/html', 'application/json; charset=utf-8'],
    ['', 'text/html,application/xhtml+xml,*/*;q=0.8', 'text/html; charset=utf-8'],
    ['', 'text/html;q=0.5, application/json', 'application/json; charset=utf-8'],
    ['', 'text/html;q=0, */*', 'application/json; charset=utf-8'],
    ['', '*/*', 'application/json; charset=utf-8'],
    ['', 'image/png', 'application/json; charset=utf-8'],
    ['', 'text/html;q=nonsense', 'application/json; charset=utf-8'],
  ])('asked for as %s with Accept %s is %s', async (query, accept, type) => {
    const { call } = startApi();
    const headers = accept === undefined ? {} : { accept };
    const answer = await call('GET', `/tenants/acme/export${query}`, { headers });
    expect(answer.statusCode).toBe(200);
    expect(answer.headers).toMatchObject({ 'content-type': type, vary: expect.stringMatching(/accept/i) });
  });

  it('of a tenant that nobody knows is a problem, as a page too', async () => {
    const { call, commands } = startApi();
    const refusal = { kind: 'not-found' as const, what: 'There is no tenant acme.' };
    commands.audit.mockResolvedValue({ ok: false, refusal });
    const answer = await call('GET', '/tenants/acme/export?format=html');
    expect(answer.statusCode).toBe(404);
    expect(answer.json()).toMatchObject({ detail: 'There is no tenant acme.' });
  });
});

const page = (change: Partial<KeyAudit> = {}): string => auditPage({ ...audit, ...change });
const ofRotation = (change: Partial<RotationAudit>): string =>
  textOf(page({ rotations: [{ ...rotation, handoffs: [], events: [], ...change }] }));

/** What a reader sees. */
const textOf = (html: string): string =>
  html
    .replace(/<style>[^]*<\/style>/, '')
    .replaceAll(/<[^>]*>/g, ' ')
    .replaceAll('&#39;', "'")
    .replaceAll(/\s+/g, ' ')
    .replaceAll(/ ([:,.])/g, '$1');

const VOID = ['meta', 'br'];

/** Elements that were opened and never closed, or closed and never opened. */
function unbalanced(html: string): string[] {
  const open: string[] = [];
  const wrong: string[] = [];
  for (const [, slash, name = ''] of html.matchAll(/<(\/?)([a-z][a-z0-9]*)[^>]*>/g)) {
    if (VOID.includes(name)) continue;
    if (slash === '') open.push(name);
    else if (open.pop() !== name) wrong.push(`/${name}`);
  }
  return [...wrong, ...open];
}

const EVIL = `<script>alert("x")</script><img src=x onerror='x'>&`;

describe('the page', () => {
  const full: RotationAudit = {
    ...rotation,
    phase: 'Completed',
    cause: 'compromise',
    cutNow: true,
    old: {
      fingerprint: '00112233aabbccdd',
      member: 'umbrella-a',
      deadSince: AT,
      lastWrite: { at: AT, configuration: 'Globex' },
    },
    new: { fingerprint: 'ffeeddcc00112233', member: 'umbrella-b' },
    installable: { at: AT, how: 'revealed' },
    adopted: { at: AT, how: 'attested', evidence: 'Attested by Ada.' },
    history: [
      { phase: 'Pending', at: AT, evidence: 'audit' },
      {
        phase: 'AwaitingInstall',
        at: AT,
        evidence: 'The key ffeeddcc00112233: it authenticates as umbrella-b.',
      },
    ],
    notices: [{ kind: 'Late', at: AT, message: 'The window was not open.' }],
    outcome: 'The old key was seen dead.',
    endedAt: AT,
    handoffs: [
      handoff({
        kind: 'install-integration-key',
        state: 'closed',
        claimedBy: 'Ada',
        claimedAt: AT,
        submittedBy: 'Ada',
        submittedAt: AT,
        attested: true,
        revealedAt: AT,
        revealedTo: 'Ada',
        closedAt: AT,
        evidence: 'Attested by Ada.',
      }),
    ],
    events: [
      {
        id: '9',
        tenant: 'acme',
        at: AT,
        type: 'SecretRevealed',
        message: 'The pair was shown to Ada: lost window',
        data: {},
      },
    ],
  };

  it('tells who, when, why, both keys, the proofs, what was observed and when the old key was seen dead', () => {
    const text = textOf(page({ rotations: [full] }));
    for (const words of [
      'Tenant acme. Exported by Parasol at 2026-11-24 08:00:00.',
      'Why compromise: audit',
      'Who asked Ada, at 2026-11-24 08:00:00',
      'Old key 00112233aabbccdd of umbrella-a',
      'New key ffeeddcc00112233 of umbrella-b',
      'New key proved 2026-11-24 08:00:00: The key ffeeddcc00112233: it authenticates as umbrella-b.',
      'May be in Umbrella since 2026-11-24 08:00:00: the pair was shown to a person',
      'Seen in use 2026-11-24 08:00:00, attested: Attested by Ada.',
      'Old key last used 2026-11-24 08:00:00: Globex',
      'Old key seen dead 2026-11-24 08:00:00: ConnectWise refused it while its member was active',
      'Cut at once yes: the old key went before there was a new one',
      'Outcome Completed at 2026-11-24 08:00:00. The old key was seen dead.',
      'Late The window was not open.',
      'Make a key on umbrella-b install-integration-key Ada, 2026-11-24 08:00:00 Ada, 2026-11-24 08:00:00 attested Ada, 2026-11-24 08:00:00 closed',
      'SecretRevealed The pair was shown to Ada: lost window',
      'ffeeddcc00112233 integration umbrella-b',
    ]) {
      expect(text).toContain(words);
    }
  });

  test.each([
    [
      'whose old key was not seen dead',
      { ...full, old: { ...full.old!, deadSince: null } },
      'Old key seen dead not seen',
    ],
    [
      'of a key that was never given',
      { ...full, old: { ...full.old!, fingerprint: null } },
      'a key that Parasol was never given of umbrella-a',
    ],
    ['with nothing to retire', { ...full, old: null }, 'Old key seen dead there was nothing to retire'],
    ['that waits', {}, 'AwaitingKey, under way. A person makes a key on umbrella-b and gives it.'],
    ['begun by Parasol', { by: null, reason: null }, 'Who asked Parasol itself'],
    ['rolled back', { rollingBack: true }, 'Taken back yes: if the new key'],
    [
      'whose use was observed',
      { adopted: { at: AT, how: 'observed' as const, evidence: 'umbrella-b wrote.' } },
      'Seen in use 2026-11-24 08:00:00, observed: umbrella-b wrote.',
    ],
  ])('says of one %s so', (_, change, words) => {
    expect(ofRotation(change)).toContain(words);
  });

  it('says what is empty', () => {
    const text = textOf(page({ rotations: [], credentials: [] }));
    expect(text).toContain('No key was rotated yet.');
    expect(text).toContain('Parasol holds none.');
    expect(text).toContain('Nobody was asked for anything.');
  });

  it('tells the rotation of the Umbrella key', () => {
    const text = textOf(
      page({
        umbrellaRotation: {
          number: 4,
          phase: 'Resting',
          since: AT,
          startedAt: AT,
          cause: 'age',
          why: 'It is old.',
          by: null,
          old: 'aa112233aabbccdd',
          new: 'bb112233aabbccdd',
          tenants: ['acme', 'birch'],
          others: 0,
          held: null,
          stuck: 'Somebody uses it.',
          evidence: [{ at: AT, what: 'A token was had with the new key.' }],
        },
      }),
    );
    expect(text).toContain('Rotation 4 of the Umbrella key');
    expect(text).toContain('Shared by acme, birch');
    expect(text).toContain('Somebody uses it.');
    expect(text).toContain('A token was had with the new key.');
  });

  it('is whole: each element that is opened is closed', () => {
    expect(unbalanced(page({ rotations: [full, { ...rotation, handoffs: [], events: [] }] }))).toEqual([]);
    expect(unbalanced('<p><b></p>')).not.toEqual([]);
  });

  it('shows what comes from outside as text, wherever it stands', () => {
    const evil = JSON.parse(
      JSON.stringify(
        { ...audit, rotations: [full], handoffs: full.handoffs, events: full.events },
        (name, value: unknown) =>
          typeof value === 'string' &&
          !/^(at|.*At|since|.*Since|deadline|exportedAt|how|phase|id)$/i.test(name)
            ? EVIL
            : value,
      ),
    ) as KeyAudit;
    const html = auditPage(evil);
    expect(html.match(/<(script|img)/g)).toBeNull();
    expect(unbalanced(html)).toEqual([]);
    expect(html).toContain('&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt;');
  });

  it('loads nothing and runs nothing, and its policy lets its one style in', async () => {
    const { call } = startApi();
    const { body, headers } = await call('GET', '/tenants/acme/export?format=html');
    expect(
      body.match(/<(script|link|img|iframe|object|form)|\b(src|href|on[a-z]+)=|url\(|@import/g),
    ).toBeNull();
    const style = /<style>([^]*?)<\/style>/.exec(body)?.[1] ?? '';
    const hash = createHash('sha256').update(style).digest('base64');
    expect(headers['content-security-policy']).toContain(`default-src 'none'; style-src 'sha256-${hash}'`);
    expect(body.replaceAll('&#39;', "'")).toContain(
      `content="default-src 'none'; style-src 'sha256-${hash}'`,
    );
  });
});
