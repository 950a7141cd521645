import {
  FUNCTIONS,
  LEVEL_KINDS,
  type Level,
  type LevelChanges,
  type LevelKind,
} from '../connectwise/catalogue.ts';
import { random } from '../secrets.ts';
import { HandError, type World } from '../world.ts';
import { companyPage, type ShownKey } from './company-page.ts';
import { html, type Markup } from './html.ts';
import { layout } from './layout.ts';
import type { ControlReply } from './server.ts';

/** What a form does; a returned key is shown once on the page that follows. */
type Action = (world: World, companyId: string, form: URLSearchParams) => ShownKey | void;

const ACTIONS: Record<string, Action> = {
  'make-key': (world, companyId, form) => {
    const member = field(form, 'member');
    return { member, pair: world.makeKey(companyId, member, form.get('description') ?? '') };
  },
  'delete-key': (world, companyId, form) => world.deleteKey(companyId, field(form, 'publicKey')),
  'create-member': (world, companyId, form) => {
    world.createMember(companyId, { identifier: field(form, 'identifier'), role: field(form, 'role') });
  },
  'activate-member': (world, companyId, form) => world.activateMember(companyId, field(form, 'member')),
  'deactivate-member': (world, companyId, form) => world.deactivateMember(companyId, field(form, 'member')),
  'set-member-role': (world, companyId, form) =>
    world.setMemberRole(companyId, field(form, 'member'), field(form, 'role')),
  'create-role': (world, companyId, form) => {
    world.createRole(companyId, field(form, 'name'));
  },
  'rename-role': (world, companyId, form) => world.renameRole(companyId, role(form), field(form, 'name')),
  'delete-role': (world, companyId, form) => world.deleteRole(companyId, role(form)),
  'set-levels': (world, companyId, form) => world.setLevels(companyId, role(form), levels(form)),
  'set-allow-list': (world, companyId, form) =>
    world.setAllowList(companyId, role(form), form.getAll('item')),
  procedure: (world, companyId, form) => {
    world.setProcedureLevels(companyId, role(form));
    world.setAllowList(companyId, role(form));
  },
  'install-key': (world, companyId, form) =>
    world.installKey(companyId, {
      publicKey: field(form, 'publicKey').trim(),
      privateKey: field(form, 'privateKey').trim(),
    }),
  'clear-key': (world, companyId) => world.clearInstalledKey(companyId),
  'run-sync': (world, companyId) => {
    world.runSync(companyId);
  },
  'map-customer': (world, companyId, form) => {
    const customer = Number(field(form, 'customer'));
    const mappedTo = form.get('mappedTo') ?? '';
    if (mappedTo === '') world.unmapCustomer(companyId, customer);
    else world.mapCustomer(companyId, customer, mappedTo);
  },
  'umbrella-expiry': (world, companyId, form) => {
    const expireAt = (form.get('expireAt') ?? '').trim();
    if (expireAt !== '' && Number.isNaN(Date.parse(expireAt))) {
      throw new HandError(`${expireAt} is not a date like 2026-12-31T00:00:00Z`);
    }
    world.setUmbrellaKeyExpiry(companyId, field(form, 'key'), expireAt);
  },
  'delete-umbrella-key': (world, companyId, form) => world.deleteUmbrellaKey(companyId, field(form, 'key')),
};

function field(form: URLSearchParams, name: string): string {
  const value = form.get(name);
  if (value === null || value === '') throw new HandError(`${name} is missing`);
  return value;
}

function role(form: URLSearchParams): number {
  return Number(field(form, 'role'));
}

function levels(form: URLSearchParams): LevelChanges {
  const changes: LevelChanges = {};
  for (const { key } of FUNCTIONS) {
    const cells = LEVEL_KINDS.map((kind): [LevelKind, string | null] => [kind, form.get(`${key}|${kind}`)]);
    const given = cells.filter((cell): cell is [LevelKind, Level] => cell[1] !== null);
    if (given.length > 0) changes[key] = Object.fromEntries(given);
  }
  return changes;
}

/** The pages on which a newcomer plays the technician; forms post to `/companies/{id}/{action}`. */
export class TechnicianPages {
  readonly #world: World;
  /** Pairs waiting for the one page that shows them. */
  readonly #toShow = new Map<string, ShownKey>();

  constructor(world: World) {
    this.#world = world;
  }

  answer(method: string, url: URL, body: string): ControlReply {
    const [, area = '', companyId = '', action = ''] = url.pathname.split('/');
    if (area === '' && method === 'GET') return page('Companies', [], this.#index());
    if (area !== 'companies' || !this.#world.connectwise.has(companyId)) return this.#absent();
    if (action === '' && method === 'GET') return this.#company(companyId, url.searchParams);
    const act = Object.hasOwn(ACTIONS, action) ? ACTIONS[action] : undefined;
    if (act === undefined || method !== 'POST') return this.#absent();
    return this.#carryOut(act, companyId, new URLSearchParams(body));
  }

  /** Every form redirects back, so that reloading a page never repeats what it did. */
  #carryOut(act: Action, companyId: string, form: URLSearchParams): ControlReply {
    const query = new URLSearchParams();
    const openRole = form.get('role');
    if (openRole !== null && /^\d+$/.test(openRole)) query.set('role', openRole);
    try {
      const shown = act(this.#world, companyId, form);
      if (shown !== undefined) {
        const ticket = random(16);
        this.#toShow.set(ticket, shown);
        query.set('shown', ticket);
      } else {
        query.set('done', '1');
      }
    } catch (error) {
      if (!(error instanceof HandError)) throw error;
      query.set('error', error.message);
    }
    return { status: 303, html: '', location: `/companies/${companyId}?${query.toString()}` };
  }

  #company(companyId: string, query: URLSearchParams): ControlReply {
    const ticket = query.get('shown') ?? '';
    const shown = this.#toShow.get(ticket) ?? null;
    this.#toShow.delete(ticket);
    const notices: Markup[] = [];
    const error = query.get('error');
    if (error !== null) notices.push(html`<section class="notice error">Not done: ${error}</section>`);
    if (query.has('done')) notices.push(html`<section class="notice">Done.</section>`);
    if (ticket !== '' && shown === null) {
      notices.push(
        html`<section class="notice error">That key was shown before; it cannot be shown again.</section>`,
      );
    }
    const view = this.#world.viewCompany(companyId);
    return page(view.name, notices, companyPage(view, shown, Number(query.get('role'))));
  }

  #index(): Markup {
    const rows = this.#world.listCompanies().map(({ companyId, name }) => {
      const console = this.#world.consoles.get(companyId);
      const lastSync = console?.syncs.at(-1);
      return html`<tr>
        <td><a href="/companies/${companyId}">${name}</a></td>
        <td><code>${companyId}</code></td>
        <td>${console === undefined ? 'no console' : console.kind.toUpperCase()}</td>
        <td>${console?.customers.size ?? 0}</td>
        <td class="${lastSync?.outcome === 'failed' ? 'bad' : 'soft'}">
          ${lastSync?.outcome ?? 'not run yet'}
        </td>
      </tr>`;
    });
    return html`<section>
      <h1>Companies</h1>
      <p class="soft">
        Each is one ConnectWise company with one Umbrella console. Open one to edit its role levels, make or
        delete keys, and type a key into Umbrella.
      </p>
      <table>
        <tr>
          <th>Company</th>
          <th>Id</th>
          <th>Console</th>
          <th>Customers</th>
          <th>Last sync</th>
        </tr>
        ${rows}
      </table>
    </section>`;
  }

  #absent(): ControlReply {
    return page(
      'Not found',
      [],
      html`<section>
        <h1>There is no such page</h1>
        <a href="/">Companies</a>
      </section>`,
      404,
    );
  }
}

function page(title: string, notices: readonly Markup[], content: Markup, status = 200): ControlReply {
  return { status, html: layout(title, notices, content) };
}
