import type { Reply } from '../wire.ts';
import { freshInfo, type SecurityRole } from './company.ts';
import { errorReply, invalidObject, invalidParameter, notFound, Refusal } from './errors.ts';
import { FIELDS } from './field-names.ts';
import { countReply, itemReply, listReply } from './list.ts';
import type { Context, Need, Operation } from './operation.ts';
import { readObject } from './patch.ts';
import { mySecurityRows, settingRows, type SettingRow } from './settings.ts';
import { DEPARTMENTS, LOCATIONS, STRUCTURE_LEVELS, TIME_ZONES } from './reference-data.ts';

const MY_COMPANY: Need = { on: 'System/My Company', kind: 'inquire' };
const CALLBACKS: Need = { on: 'System/Table Setup', kind: 'inquire' };

/** Audit trail types that the contract's guide names; there is none for members, roles or keys (domain.md §2). */
const AUDIT_TYPES = new Set([
  'Ticket',
  'Configuration',
  'ProductCatalog',
  'PurchaseOrder',
  'Expense',
  'Company',
]);

function roles(kind: Need['kind']): Need {
  return { on: 'System/Security Roles', kind };
}

function role(context: Context): SecurityRole {
  const id = context.parameters[0] ?? '';
  const found = context.company.roles.get(Number(id));
  if (found === undefined) throw notFound('securityRole', id);
  return found;
}

function settings(context: Context): readonly SettingRow[] {
  return settingRows(context.company, role(context));
}

/** Role names are not unique: a repeated POST makes a second role. All levels start at None (domain.md §2). */
function createRole(context: Context): Reply {
  const { name, adminFlag, inactiveFlag } = readObject('securityRole', context.body);
  if (typeof name !== 'string' || name === '') {
    throw invalidObject('securityRole', [
      { code: 'MissingRequired', message: 'name is required', field: 'name' },
    ]);
  }
  if (name.length > 30) {
    const message = 'name must be at most 30 characters';
    throw invalidObject('securityRole', [{ code: 'MaxLength', message, field: 'name' }]);
  }
  const created = context.company.addRole(name, context.now, context.member.identifier, {
    adminFlag: adminFlag === true,
    inactiveFlag: inactiveFlag === true,
  });
  context.onCreated(created);
  return { status: 201, body: created };
}

function deleteRole(context: Context): Reply {
  const found = role(context);
  const used = (one: { securityRole?: { id: number } }) => one.securityRole?.id === found.id;
  if (
    context.company.apiMembers.find(used) !== undefined ||
    context.company.members.find(used) !== undefined
  ) {
    throw new Refusal(
      errorReply(400, 'InvalidOperation', 'The role is assigned to members and cannot be deleted'),
    );
  }
  context.company.removeRole(found.id);
  return { status: 204 };
}

/** The effective levels of the calling key, each row with its member (domain.md §2). */
function mySecurity(context: Context): Reply {
  const { company, member } = context;
  const role = company.roles.get(member.securityRole?.id ?? -1);
  return listReply(
    context,
    role === undefined ? [] : mySecurityRows(company, role, member),
    FIELDS.MySecurity,
  );
}

/** The Table Setup allow list of the calling key's role, among rows of other dialogs (domain.md §2). */
function customizeItems(context: Context): Reply {
  const roleId = context.member.securityRole?.id;
  const items = roleId === undefined ? [] : context.company.access(roleId).allowList;
  const rows = [
    ...items.map((itemIdentifier) => ({ customizeIdentifier: 'SystemTableSetup', itemIdentifier })),
    { customizeIdentifier: 'SystemReports', itemIdentifier: 'Service / Ticket Summary' },
    { customizeIdentifier: null, itemIdentifier: 'Today / My Calendar' },
  ];
  return listReply(
    context,
    rows.map((row, index) => ({ id: index + 1, ...row })),
    FIELDS.MySecurityCustomizeItem,
  );
}

function auditTrail(context: Context): Reply {
  const type = context.query['type'] ?? '';
  if (!AUDIT_TYPES.has(type)) throw invalidParameter(`type: '${type}' is not valid`);
  return listReply(context, [], FIELDS.AuditTrailEntry);
}

function createCallback(context: Context): Reply {
  const given = readObject('callbackEntry', context.body);
  const missing = ['url', 'objectId', 'type', 'level'].filter((field) => given[field] === undefined);
  if (missing.length > 0) {
    throw invalidObject(
      'callbackEntry',
      missing.map((field) => ({ code: 'MissingRequired', message: `${field} is required`, field })),
    );
  }
  const callback = context.company.callbacks.insert({
    inactiveFlag: false,
    ...(given as { url: string; objectId: number; type: string; level: string }),
    _info: freshInfo(context.now, context.member.identifier),
  });
  context.onCreated(callback);
  return { status: 201, body: callback };
}

function deleteCallback(context: Context): Reply {
  const id = context.parameters[0] ?? '';
  if (!context.company.callbacks.delete(Number(id))) throw notFound('callbackEntry', id);
  return { status: 204 };
}

/** Everything below `/system` but members. */
export const systemOperations: readonly Operation[] = [
  {
    method: 'GET',
    template: '/system/info',
    run: () => ({
      status: 200,
      body: {
        version: 'v2025.1.112233',
        isCloud: true,
        serverTimeZone: 'Eastern Standard Time',
        licenseBits: [{ name: 'APIMembers', activeFlag: true }],
        cloudRegion: 'NA',
        maxWorkFlowRecordsAllowed: 100,
      },
    }),
  },
  {
    method: 'GET',
    template: '/system/securityroles',
    need: roles('inquire'),
    run: (context) => listReply(context, context.company.roles.values(), FIELDS.SecurityRole),
  },
  {
    method: 'GET',
    template: '/system/securityroles/count',
    need: roles('inquire'),
    run: (context) => countReply(context, context.company.roles.values(), FIELDS.SecurityRole),
  },
  {
    method: 'GET',
    template: '/system/securityroles/{id}',
    need: roles('inquire'),
    run: (context) => itemReply(context, role(context), 'securityRole', FIELDS.SecurityRole),
  },
  { method: 'POST', template: '/system/securityroles', need: roles('add'), run: createRole },
  { method: 'DELETE', template: '/system/securityroles/{id}', need: roles('delete'), run: deleteRole },
  {
    method: 'GET',
    template: '/system/securityRoles/{parentId}/settings',
    need: roles('inquire'),
    run: (context) => listReply(context, settings(context), FIELDS.SecurityRoleSetting),
  },
  {
    method: 'GET',
    template: '/system/securityRoles/{parentId}/settings/count',
    need: roles('inquire'),
    run: (context) => countReply(context, settings(context), FIELDS.SecurityRoleSetting),
  },
  {
    method: 'GET',
    template: '/system/securityRoles/{parentId}/settings/{id}',
    need: roles('inquire'),
    run: (context) => {
      const id = Number(context.parameters[1]);
      const row = settings(context).find((one) => one.id === id);
      return itemReply(context, row, 'securityRoleSetting', FIELDS.SecurityRoleSetting);
    },
  },
  { method: 'GET', template: '/system/mySecurity', run: mySecurity },
  { method: 'GET', template: '/system/mySecurity/customizeItems/', run: customizeItems },
  {
    method: 'GET',
    template: '/system/locations',
    need: MY_COMPANY,
    run: (context) => listReply(context, LOCATIONS, FIELDS.Location),
  },
  {
    method: 'GET',
    template: '/system/departments',
    need: MY_COMPANY,
    run: (context) => listReply(context, DEPARTMENTS, FIELDS.Department),
  },
  {
    method: 'GET',
    template: '/system/timeZoneSetups',
    need: MY_COMPANY,
    run: (context) => listReply(context, TIME_ZONES, FIELDS.TimeZoneSetup),
  },
  {
    method: 'GET',
    template: '/system/myCompany/corporateStructureLevels',
    need: MY_COMPANY,
    run: (context) => listReply(context, STRUCTURE_LEVELS, FIELDS.CorporateStructureLevel),
  },
  {
    method: 'GET',
    template: '/system/audittrail',
    need: { on: 'System/Audit Trail', kind: 'inquire' },
    run: auditTrail,
  },
  {
    method: 'GET',
    template: '/system/callbacks',
    need: CALLBACKS,
    run: (context) => listReply(context, context.company.callbacks.values(), FIELDS.CallbackEntry),
  },
  { method: 'POST', template: '/system/callbacks', need: { ...CALLBACKS, kind: 'add' }, run: createCallback },
  {
    method: 'DELETE',
    template: '/system/callbacks/{id}',
    need: { ...CALLBACKS, kind: 'delete' },
    run: deleteCallback,
  },
];
