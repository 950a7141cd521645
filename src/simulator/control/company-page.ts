import {
  FUNCTIONS,
  LEVEL_KINDS,
  NO_LEVELS,
  PROCEDURE_LEVELS,
  TABLE_SETUP_ITEMS,
  type Levels,
  type ModuleFunction,
} from '../connectwise/catalogue.ts';
import type { KeyPair } from '../secrets.ts';
import type { CompanyView, RoleView } from '../world.ts';
import { html, type Markup } from './html.ts';
import { button, select } from './layout.ts';

/** A pair that was just made, shown on this page and never again. */
export interface ShownKey {
  member: string;
  pair: KeyPair;
}

const LEVELS = ['None', 'My', 'All'];

/** The page of one company: its ConnectWise above, its Umbrella console below; one role is open for editing. */
export function companyPage(view: CompanyView, shown: ShownKey | null, openRole: number | null): Markup {
  const base = `/companies/${view.companyId}`;
  return html`
    <section>
      <h1>${view.name}</h1>
      <p class="soft">
        ConnectWise company <code>${view.companyId}</code>, codebase <code>${view.codebase}</code>
      </p>
    </section>
    ${shown === null ? null : shownKey(base, shown, view.console !== null)} ${keysSection(base, view)}
    ${membersSection(base, view)} ${rolesSection(base, view, openRole)}
    ${view.console === null ? null : consoleSection(base, view.console, view)}
  `;
}

function shownKey(base: string, { member, pair }: ShownKey, hasConsole: boolean): Markup {
  const install = hasConsole
    ? button(`${base}/install-key`, 'Type it into Umbrella now', { ...pair })
    : html``;
  return html`<section class="notice">
    <h2>The new API key of ${member}: shown once</h2>
    <p>Public key <code>${pair.publicKey}</code></p>
    <p>Private key <code>${pair.privateKey}</code></p>
    <p>
      Copy both now: once you leave this page, the private key cannot be seen again. Hand the pair to Parasol
      first and let it prove the pair; then type it into Umbrella's PSA Integration Details.
    </p>
    ${install}
  </section>`;
}

function keysSection(base: string, view: CompanyView): Markup {
  const rows = view.keys.map(
    (key) =>
      html`<tr>
        <td>${key.member}</td>
        <td>${key.description}</td>
        <td><code>${key.publicKey}</code></td>
        <td>${key.createdAt}</td>
        <td>${key.lastUsedAt ?? 'never'}</td>
        <td>${button(`${base}/delete-key`, 'Delete', { publicKey: key.publicKey }, 'danger')}</td>
      </tr>`,
  );
  return html`<section>
    <h2>System / Members / API Keys</h2>
    <table>
      <tr>
        <th>Member</th>
        <th>Description</th>
        <th>Public key</th>
        <th>Made</th>
        <th>Last used</th>
        <th></th>
      </tr>
      ${rows}
    </table>
    <h3>Make a key</h3>
    <form method="post" action="${base}/make-key">
      ${select(
        'member',
        view.members.map((member) => member.identifier),
        'umbrella-a',
      )}
      <input name="description" value="Umbrella" aria-label="description" />
      <button>Make the key</button>
    </form>
  </section>`;
}

function membersSection(base: string, view: CompanyView): Markup {
  const roleNames = view.roles.map((role) => role.name);
  const rows = view.members.map((member) => {
    const { identifier } = member;
    const toggle = member.inactiveFlag
      ? button(`${base}/activate-member`, 'Activate', { member: identifier }, 'plain')
      : button(`${base}/deactivate-member`, 'Deactivate', { member: identifier }, 'plain');
    return html`<tr>
      <td>${identifier}</td>
      <td>${member.name}</td>
      <td class="${member.inactiveFlag ? 'bad' : 'good'}">${member.inactiveFlag ? 'inactive' : 'active'}</td>
      <td>
        <form method="post" action="${base}/set-member-role">
          <input type="hidden" name="member" value="${identifier}" />
          ${select('role', roleNames, member.securityRole?.name ?? '')}<button class="plain">Save</button>
        </form>
      </td>
      <td>${member.structureLevel?.name ?? '-'} / ${member.securityLocation?.name ?? '-'}</td>
      <td>${toggle}</td>
    </tr>`;
  });
  return html`<section>
    <h2>System / Members / API Members</h2>
    <table>
      <tr>
        <th>Identifier</th>
        <th>Name</th>
        <th>State</th>
        <th>Role</th>
        <th>Level / location</th>
        <th></th>
      </tr>
      ${rows}
    </table>
    <h3>New API member</h3>
    <form method="post" action="${base}/create-member">
      <input name="identifier" maxlength="15" required placeholder="identifier" aria-label="identifier" />
      ${select('role', roleNames, 'Umbrella')}<button>Create</button>
    </form>
  </section>`;
}

function rolesSection(base: string, view: CompanyView, openRole: number | null): Markup {
  const rows = view.roles.map((role) => {
    const granted = role.adminFlag
      ? 'everything'
      : `${Object.keys(role.levels).length} of ${FUNCTIONS.length} functions`;
    const holders = view.members.filter((member) => member.securityRole?.id === role.id);
    return html`<tr>
      <td><a href="${base}?role=${role.id}#role">${role.name}</a></td>
      <td>${granted}</td>
      <td>${holders.map((member) => member.identifier).join(', ')}</td>
    </tr>`;
  });
  const open =
    view.roles.find((role) => role.id === openRole) ?? view.roles.find((role) => role.name === 'Umbrella');
  return html`<section>
    <h2>System / Security Roles</h2>
    <table>
      <tr>
        <th>Role (open it to edit)</th>
        <th>Granted</th>
        <th>API members</th>
      </tr>
      ${rows}
    </table>
    <h3>New role</h3>
    <form method="post" action="${base}/create-role">
      <input name="name" maxlength="30" required placeholder="name" aria-label="name" /><button>
        Create
      </button>
    </form>
    ${open === undefined ? null : roleBlock(base, open)}
  </section>`;
}

function roleBlock(base: string, role: RoleView): Markup {
  const id = String(role.id);
  return html`<div id="role" class="opened">
    <h2>Role: ${role.name}</h2>
    ${button(`${base}/procedure`, "Set levels and allow list to Cisco's procedure", { role: id })}
    <form method="post" action="${base}/rename-role">
      <input type="hidden" name="role" value="${id}" />
      <input name="name" maxlength="30" value="${role.name}" aria-label="name" /><button class="plain">
        Rename
      </button>
    </form>
    ${button(`${base}/delete-role`, 'Delete role', { role: id }, 'danger')}
    <h3>Levels</h3>
    ${matrix(base, role)}
    <h3>Table Setup / customize: "Allow Access to these"</h3>
    ${allowList(base, role)}
  </div>`;
}

/** What is granted, or belongs to Cisco's procedure, is in sight; the many other rows fold away. */
function matrix(base: string, role: RoleView): Markup {
  const matters = (key: string) => role.levels[key] !== undefined || PROCEDURE_LEVELS[key] !== undefined;
  const rows = (wanted: boolean) =>
    FUNCTIONS.filter((one) => matters(one.key) === wanted).map((one) => matrixRow(one, role.levels[one.key]));
  const head = html`<tr>
    <th>Module</th>
    <th>Function</th>
    <th>Add</th>
    <th>Edit</th>
    <th>Delete</th>
    <th>Inquire</th>
  </tr>`;
  return html`<form class="block" method="post" action="${base}/set-levels">
    <input type="hidden" name="role" value="${String(role.id)}" />
    <table>
      ${head} ${rows(true)}
    </table>
    <details>
      <summary>All other functions</summary>
      <table>
        ${head} ${rows(false)}
      </table>
    </details>
    <p><button>Save levels</button></p>
  </form>`;
}

function matrixRow(one: ModuleFunction, levels: Levels = NO_LEVELS): Markup {
  const cells = LEVEL_KINDS.map((kind) => {
    const fixed = one.report && kind !== 'inquire';
    return html`<td>${fixed ? null : select(`${one.key}|${kind}`, LEVELS, levels[kind])}</td>`;
  });
  return html`<tr>
    <td>${one.module}</td>
    <td>${one.name}</td>
    ${cells}
  </tr>`;
}

function allowList(base: string, role: RoleView): Markup {
  const items = [...new Set([...TABLE_SETUP_ITEMS, ...role.allowList])].map((item) => {
    const box = role.allowList.includes(item)
      ? html`<input type="checkbox" name="item" value="${item}" checked />`
      : html`<input type="checkbox" name="item" value="${item}" />`;
    return html`<label>${box} ${item}</label>`;
  });
  return html`<form class="block" method="post" action="${base}/set-allow-list">
    <input type="hidden" name="role" value="${String(role.id)}" />
    <div class="items">${items}</div>
    <p><button>Save allow list</button></p>
  </form>`;
}

function consoleSection(
  base: string,
  console: NonNullable<CompanyView['console']>,
  view: CompanyView,
): Markup {
  const lastSync = console.syncs.at(-1);
  const told =
    lastSync === undefined
      ? 'not yet since the simulation began'
      : `${lastSync.at}: ${lastSync.outcome}, ${lastSync.created} created, ${lastSync.refreshed} refreshed` +
        (lastSync.error === null ? '' : ` (${lastSync.error})`);
  return html`<section>
    <h2>Umbrella ${console.kind.toUpperCase()} console, organization ${console.organizationId}</h2>
    <h3>PSA Integration Details / Credentials</h3>
    <p>Installed public key: <code>${console.installedPublicKey ?? 'none'}</code></p>
    <form method="post" action="${base}/install-key">
      <label>Public API Key <input name="publicKey" required autocomplete="off" /></label>
      <label>Private API Key <input name="privateKey" required autocomplete="off" /></label>
      <button>Save</button>
    </form>
    ${button(`${base}/clear-key`, 'Remove the integration', {}, 'danger')}
    <h3>Daily sync</h3>
    <p>Last run: <span class="${lastSync?.outcome === 'failed' ? 'bad' : 'soft'}">${told}</span></p>
    ${button(`${base}/run-sync`, 'Run the daily sync now')}
    <h3>Customers</h3>
    ${customersTable(base, console, view)}
    <h3>API keys</h3>
    ${umbrellaKeysTable(base, console)}
  </section>`;
}

function customersTable(
  base: string,
  console: NonNullable<CompanyView['console']>,
  view: CompanyView,
): Markup {
  const identifiers = ['', ...view.customers.map((customer) => customer.identifier)];
  const rows = console.customers.map((customer) => {
    const written = view.configurations.find((one) => one.name === customer.customerName);
    return html`<tr>
      <td>${customer.customerName}</td>
      <td>${customer.seats}</td>
      <td>
        <form method="post" action="${base}/map-customer">
          <input type="hidden" name="customer" value="${String(customer.customerId)}" />
          ${select('mappedTo', identifiers, customer.mappedTo ?? '')}<button class="plain">Map</button>
        </form>
      </td>
      <td>
        ${written === undefined ? 'never' : `${written._info.lastUpdated} by ${written._info.updatedBy}`}
      </td>
    </tr>`;
  });
  return html`<table>
    <tr>
      <th>Customer</th>
      <th>Seats</th>
      <th>Mapped to</th>
      <th>Configuration last written</th>
    </tr>
    ${rows}
  </table>`;
}

function umbrellaKeysTable(base: string, console: NonNullable<CompanyView['console']>): Markup {
  const rows = console.keys.map(
    (key) =>
      html`<tr>
        <td>${key.name}</td>
        <td><code>${key.clientId}</code></td>
        <td>${key.scopes.join(' ')}</td>
        <td>${key.lastUsedAt}</td>
        <td>
          <form method="post" action="${base}/umbrella-expiry">
            <input type="hidden" name="key" value="${key.clientId}" />
            <input name="expireAt" value="${key.expireAt}" placeholder="never" aria-label="expires" /><button
              class="plain"
            >
              Save
            </button>
          </form>
        </td>
        <td>${button(`${base}/delete-umbrella-key`, 'Delete', { key: key.clientId }, 'danger')}</td>
      </tr>`,
  );
  return html`<table>
    <tr>
      <th>Name</th>
      <th>Key</th>
      <th>Scopes</th>
      <th>Last used</th>
      <th>Expires</th>
      <th></th>
    </tr>
    ${rows}
  </table>`;
}
