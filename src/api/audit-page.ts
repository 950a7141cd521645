import { createHash } from 'node:crypto';
import type { Handoff } from '../domain/handoff.ts';
import type {
  CredentialView,
  EventView,
  KeyAudit,
  RotationAudit,
  UmbrellaRotationView,
} from '../reconciler/commands.ts';
import { html, Markup } from './html.ts';

/** The evidence of a tenant's keys as a page to read and to print. It loads nothing and runs nothing. */

const STYLE = `
:root { --ink:#1b2430; --soft:#566270; --line:#d6dde5 }
* { box-sizing:border-box }
body { margin:0 auto; padding:2rem 1.5rem; max-width:62rem; color:var(--ink); font:15px/1.45 system-ui,sans-serif }
h1 { font-size:1.6rem; margin:0 } h2 { font-size:1.25rem; margin:2.4rem 0 .4rem; border-top:2px solid var(--ink); padding-top:.7rem }
h3 { font-size:1rem; margin:1.3rem 0 .3rem } p { margin:.35rem 0; max-width:46rem } .soft { color:var(--soft) }
table { border-collapse:collapse; width:100%; margin:.3rem 0; font-size:.88rem }
th,td { text-align:left; vertical-align:top; padding:.28rem .6rem .28rem 0; border-bottom:1px solid var(--line); overflow-wrap:anywhere }
thead th { color:var(--soft); font-weight:600 } tbody th { width:11rem; font-weight:600 }
code { font:.92em ui-monospace,monospace } time { white-space:nowrap } .bad { font-weight:700 }
@media print { body { padding:0; max-width:none; font-size:10.5pt } h2 { break-before:page } h3 { break-after:avoid } tr { break-inside:avoid } thead { display:table-header-group } }
`;

const HASH = createHash('sha256').update(STYLE).digest('base64');
/** Stands in the page too, so that it holds for a saved one. */
const SAVED_POLICY = `default-src 'none'; style-src 'sha256-${HASH}'; base-uri 'none'; form-action 'none'`;

/** Goes with the page: its one style is let in by its hash, and nothing else is. */
export const AUDIT_PAGE_POLICY = `${SAVED_POLICY}; frame-ancestors 'none'`;

// Byte for byte what the hash is of.
const STYLE_ELEMENT = new Markup(`<style>${STYLE}</style>`);

/** A whole HTML document. */
export function auditPage(audit: KeyAudit): string {
  const { tenant, name, exportedAt, rotations, umbrellaRotation, credentials, handoffs, events } = audit;
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta http-equiv="content-security-policy" content="${SAVED_POLICY}" />
        <title>Keys of ${tenant}, ${day(exportedAt)}</title>
        ${STYLE_ELEMENT}
      </head>
      <body>
        <h1>Keys of ${name}</h1>
        <p>Tenant <code>${tenant}</code>. Exported by Parasol at ${moment(exportedAt)}. All times are UTC.</p>
        <p class="soft">
          A key is named by its fingerprint, from which it cannot be told. “Observed” means that the vendor’s
          own answer showed it to Parasol; “attested” means that a person vouched for what nothing can show.
          What a rotation recorded itself is kept as long as the tenant; events go when their time of
          retention is over.
        </p>
        ${section('Rotations', rotationTable(rotations))} ${rotations.map(rotationSection)}
        ${umbrellaRotation === null ? '' : umbrellaSection(umbrellaRotation)}
        ${section('Key pairs that were ever held', credentialTable(credentials))}
        ${section('Other hand-offs', handoffTable(handoffs))} ${section('Other events', eventTable(events))}
      </body>
    </html> `.text;
}

const section = (title: string, content: Markup): Markup =>
  html`<h2>${title}</h2>
    ${content}`;

const day = (at: string): string => at.slice(0, 10);

/** `2026-11-24 08:00:00`, which people read, with the whole of it for machines. */
function moment(at: string | null, absent = 'never'): Markup {
  if (at === null) return html`${absent}`;
  return html`<time datetime="${at}">${at.slice(0, 19).replace('T', ' ')}</time>`;
}

const key = (fingerprint: string | null | undefined, absent: string): Markup =>
  fingerprint ? html`<code>${fingerprint}</code>` : html`${absent}`;

const NOT_GIVEN = 'a key that Parasol was never given';

type Cell = Markup | string;

function table(head: readonly string[], rows: readonly (readonly Cell[])[], empty: string): Markup {
  if (rows.length === 0) return html`<p class="soft">${empty}</p>`;
  return html`<table>
    <thead>
      <tr>
        ${head.map((title) => html`<th scope="col">${title}</th>`)}
      </tr>
    </thead>
    <tbody>
      ${rows.map(
        (cells) =>
          html`<tr>
            ${cells.map((cell) => html`<td>${cell}</td>`)}
          </tr> `,
      )}
    </tbody>
  </table>`;
}

/** What is known of one thing, fact by fact. */
const facts = (rows: readonly (readonly [string, Cell])[]): Markup =>
  html`<table>
    <tbody>
      ${rows.map(
        ([name, value]) =>
          html`<tr>
            <th scope="row">${name}</th>
            <td>${value}</td>
          </tr> `,
      )}
    </tbody>
  </table>`;

const rotationTable = (rotations: readonly RotationAudit[]): Markup =>
  table(
    ['Asked for', 'Cause', 'By', 'Old key', 'New key', 'Old key seen dead', 'Outcome'],
    rotations.map(({ requestedAt, cause, by, old, new: fresh, phase, endedAt }) => [
      moment(requestedAt),
      cause,
      by ?? 'Parasol',
      old === null ? 'none' : key(old.fingerprint, NOT_GIVEN),
      key(fresh?.fingerprint, 'none yet'),
      old === null ? 'nothing to retire' : moment(old.deadSince, 'not seen'),
      endedAt === null ? `${phase}, under way` : html`${phase} at ${moment(endedAt)}`,
    ]),
    'No key was rotated yet.',
  );

function rotationSection(rotation: RotationAudit): Markup {
  const { id, requestedAt, history, notices, handoffs, events } = rotation;
  return html`<h2>Rotation of ${moment(requestedAt)}</h2>
    <p class="soft"><code>${id}</code></p>
    ${facts(rotationFacts(rotation))}
    <h3>What was done and seen</h3>
    ${table(
      ['When', 'Phase', 'Evidence'],
      history.map(({ phase, at, evidence }) => [moment(at), phase, evidence]),
      'Nothing yet.',
    )}
    ${
      notices.length === 0
        ? ''
        : html`<h3>What was worth an alert</h3>
            ${table(
              ['When', 'What', 'Words'],
              notices.map(({ at, kind, message }) => [moment(at), kind, message]),
              '',
            )}`
    }
    <h3>What people did</h3>
    ${handoffTable(handoffs)}
    <h3>Events</h3>
    ${eventTable(events)}`;
}

function rotationFacts(rotation: RotationAudit): [string, Cell][] {
  const { cause, by, reason, old, new: fresh, member, cutNow, rollingBack } = rotation;
  const { requestedAt, admittedAt, installable, adopted, phase, outcome, endedAt, next } = rotation;
  const proof = rotation.history.findLast((entry) => entry.phase === 'AwaitingInstall');
  return [
    ['Why', html`${cause}${reason === null ? '' : `: ${reason}`}`],
    ['Who asked', html`${by ?? 'Parasol itself'}, at ${moment(requestedAt)}`],
    ['Began', moment(admittedAt, 'not yet')],
    ['Old key', oldKey(old)],
    [
      'New key',
      html`${key(fresh?.fingerprint, 'none yet')} of ${fresh?.member ?? member ?? 'no member yet'}`,
    ],
    ['New key proved', proof ? html`${moment(proof.at)}: ${proof.evidence}` : 'not yet'],
    [
      'May be in Umbrella',
      installable ? html`since ${moment(installable.at)}: ${HOW[installable.how]}` : 'no',
    ],
    [
      'Seen in use',
      adopted ? html`${moment(adopted.at)}, <b>${adopted.how}</b>: ${adopted.evidence}` : 'not yet',
    ],
    ['Old key last used', lastUse(old)],
    ['Old key seen dead', deadKey(old)],
    ['Cut at once', cutNow ? 'yes: the old key went before there was a new one, as was confirmed' : 'no'],
    ['Taken back', rollingBack ? BACK : 'no'],
    [
      'Outcome',
      endedAt === null
        ? html`${phase}, under way. ${next}`
        : html`${phase} at ${moment(endedAt)}. ${outcome ?? ''}`,
    ],
  ];
}

const BACK =
  'yes: if the new key could be in Umbrella by then, the two changed places, and “new” names the one that was put back';

const HOW = {
  revealed: 'the pair was shown to a person',
  claimed: 'a person began to put it in',
  submitted: 'a person says so',
  written: 'Umbrella wrote with it',
} as const;

type Old = RotationAudit['old'];

const oldKey = (old: Old): Cell =>
  old === null
    ? 'none: there was nothing to retire'
    : html`${key(old.fingerprint, NOT_GIVEN)} of ${old.member ?? 'no member known'}`;

function lastUse(old: Old): Cell {
  if (!old?.lastWrite) return 'no write by its member was seen';
  return html`${moment(old.lastWrite.at)}: ${old.lastWrite.configuration}`;
}

function deadKey(old: Old): Cell {
  if (old === null) return 'there was nothing to retire';
  if (old.deadSince === null) return html`<span class="bad">not seen</span>`;
  return html`${moment(old.deadSince)}: ConnectWise refused it while its member was active`;
}

const umbrellaSection = (rotation: UmbrellaRotationView): Markup =>
  html`<h2>Rotation ${rotation.number} of the Umbrella key</h2>
    ${facts([
      ['Why', html`${rotation.cause}: ${rotation.why}`],
      ['Who asked', html`${rotation.by ?? 'Parasol itself'}, at ${moment(rotation.startedAt)}`],
      ['Old key', key(rotation.old, 'none')],
      ['New key', key(rotation.new, 'none yet')],
      ['Shared by', rotation.tenants.join(', ') || 'nobody yet'],
      [
        'Phase',
        html`${rotation.phase} since ${moment(rotation.since)}. ${rotation.stuck ?? rotation.held ?? ''}`,
      ],
    ])}
    ${table(
      ['When', 'Evidence'],
      rotation.evidence.map(({ at, what }) => [moment(at), what]),
      'Nothing yet.',
    )}`;

const credentialTable = (credentials: readonly CredentialView[]): Markup =>
  table(
    ['Fingerprint', 'Purpose', 'Member', 'Given', 'Last proved', 'State', 'Because', 'Destroyed'],
    credentials.map((held) => [
      key(held.fingerprint, ''),
      held.purpose,
      held.member ?? '',
      moment(held.createdAt),
      moment(held.lastProvedAt),
      html`${held.state} since ${moment(held.since)}`,
      held.because,
      moment(held.destroyedAt, ''),
    ]),
    'Parasol holds none.',
  );

const handoffTable = (handoffs: readonly Handoff[]): Markup =>
  table(
    ['Opened', 'Work', 'Claimed', 'Done', 'Pair shown', 'State'],
    handoffs.map((handoff) => [
      moment(handoff.openedAt),
      html`${handoff.content.title}<br /><span class="soft">${handoff.kind}</span>`,
      person(handoff.claimedBy, handoff.claimedAt),
      html`${person(handoff.submittedBy, handoff.submittedAt)}${handoff.attested ? html` <b>attested</b>` : ''}`,
      person(handoff.revealedTo, handoff.revealedAt),
      html`${handoff.state}${handoff.closedAt === null ? '' : html` ${moment(handoff.closedAt)}`}${
        handoff.evidence === null ? '' : `: ${handoff.evidence}`
      }`,
    ]),
    'Nobody was asked for anything.',
  );

const person = (who: string | null, at: string | null): Markup =>
  who === null ? html`` : html`${who}, ${moment(at)}`;

const eventTable = (events: readonly EventView[]): Markup =>
  table(
    ['When', 'Event', 'Words'],
    events.map(({ at, type, message }) => [moment(at), type, message]),
    'None that is still kept.',
  );
