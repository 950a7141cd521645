import { FUNCTIONS, type Level, type LevelKind } from './catalogue.ts';
import type { ApiMember, ConnectWiseCompany, Info, Row, SecurityRole } from './company.ts';
import { keepText } from './list.ts';

/** One row of `/system/securityRoles/{id}/settings`. */
export interface SettingRow extends Row {
  addLevel: Level | null;
  editLevel: Level | null;
  deleteLevel: Level | null;
  inquireLevel: Level;
  moduleFunctionName: string;
  moduleFunctionDescription: string;
  myAllFlag: boolean;
  moduleFunctionIdentifier: string;
  reportFlag: boolean;
  restrictFlag: boolean;
  customFlag: boolean;
  moduleDescription: string;
  moduleIdentifier: string;
  moduleName: string;
  sortOrder: number;
}

/** One row of `/system/mySecurity`: a setting with the member whose it is. */
export interface MySecurityRow extends SettingRow {
  member: { id: number; identifier: string; name: string };
}

/** The rows of one role as last told; they are made anew when something they tell has changed. */
interface Told {
  revision: number;
  info: Info;
  adminFlag: boolean;
  rows: readonly SettingRow[];
  byMember: Map<string, readonly MySecurityRow[]>;
}

const told = new WeakMap<SecurityRole, Told>();

function tellOf(company: ConnectWiseCompany, role: SecurityRole): Told {
  const { revision } = company.access(role.id);
  const last = told.get(role);
  if (last?.revision === revision && last.info === role._info && last.adminFlag === role.adminFlag)
    return last;
  const rows = keepText(makeRows(company, role));
  const fresh: Told = { revision, info: role._info, adminFlag: role.adminFlag, rows, byMember: new Map() };
  told.set(role, fresh);
  return fresh;
}

/** The rows of a role's settings as the API tells them; ids are of the row, not of the function. */
export function settingRows(company: ConnectWiseCompany, role: SecurityRole): readonly SettingRow[] {
  return tellOf(company, role).rows;
}

/** The same rows as `/system/mySecurity` tells them to a member that has the role. */
export function mySecurityRows(
  company: ConnectWiseCompany,
  role: SecurityRole,
  { id, identifier, name }: ApiMember,
): readonly MySecurityRow[] {
  const { rows, byMember } = tellOf(company, role);
  const key = JSON.stringify([id, identifier, name]);
  let own = byMember.get(key);
  if (own === undefined) {
    const member = { id, identifier, name };
    byMember.set(key, (own = keepText(rows.map((row) => ({ ...row, member })))));
  }
  return own;
}

function makeRows(company: ConnectWiseCompany, role: SecurityRole): SettingRow[] {
  return FUNCTIONS.map((one, index) => {
    const level = (kind: LevelKind) => company.level(role.id, one.key, kind);
    return {
      id: role.id * 1_000 + index + 1,
      addLevel: one.report ? null : level('add'),
      editLevel: one.report ? null : level('edit'),
      deleteLevel: one.report ? null : level('delete'),
      inquireLevel: level('inquire'),
      moduleFunctionName: one.name,
      moduleFunctionDescription: one.name,
      myAllFlag: one.myAll,
      moduleFunctionIdentifier: one.identifier,
      reportFlag: one.report,
      restrictFlag: false,
      customFlag: one.name === 'Table Setup',
      moduleDescription: one.module,
      moduleIdentifier: one.moduleIdentifier,
      moduleName: one.module,
      sortOrder: index + 1,
      _info: role._info,
    };
  });
}
