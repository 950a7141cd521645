/** The four kinds of permission on one module function. */
export type LevelKind = 'add' | 'edit' | 'delete' | 'inquire';
export type Level = 'None' | 'My' | 'All';
export type Levels = Record<LevelKind, Level>;
export const LEVEL_KINDS: readonly LevelKind[] = ['add', 'edit', 'delete', 'inquire'];

/** One row of the levels matrix of a security role. `key` is `Module/Function`. */
export interface ModuleFunction {
  key: string;
  module: string;
  name: string;
  moduleIdentifier: string;
  identifier: string;
  /** Reports know only `inquire`; the other cells are null on the wire. */
  report: boolean;
  /** Whether the level `My` may be chosen. */
  myAll: boolean;
}

const MODULES: ReadonlyArray<readonly [module: string, identifier: string, functions: readonly string[]]> = [
  [
    'Companies',
    'CO',
    [
      'Company Maintenance',
      'Configurations',
      'Contacts',
      'CRM/Sales Activities',
      'Company/Contact Group Maintenance',
      'Manage Attachments',
      'Notes',
      'Reports',
      'Site Maintenance',
      'Tracks',
      'Team Members',
      'Configurations - Display Passwords',
    ],
  ],
  [
    'Finance',
    'FI',
    [
      'Accounting Interface',
      'Agreements',
      'Agreement Additions',
      'Agreement Invoicing',
      'Agreement Sales',
      'Billing View Additions',
      'Billing View Expense',
      'Billing View Product',
      'Billing View Time',
      'Company Finance',
      'Invoices',
      'Invoicing',
      'Reports',
    ],
  ],
  [
    'Marketing',
    'MK',
    ['Campaigns', 'Groups', 'Marketing Management', 'Marketing Manager', 'Surveys', 'Reports'],
  ],
  [
    'Procurement',
    'PR',
    [
      'Inventory',
      'Inventory Adjustments',
      'Inventory Transfers',
      'Pricing Schedules',
      'Product Catalog',
      'Products',
      'Purchase Orders',
      'Purchasing Approvals',
      'RMA',
      'Reports',
    ],
  ],
  [
    'Project',
    'PM',
    [
      'Close Project Tickets',
      'Project Billing',
      'Project Headers',
      'Project Phase',
      'Project Scheduling',
      'Project Tickets',
      'Project Templates',
      'Reports',
    ],
  ],
  [
    'Sales',
    'SA',
    ['Closed Opportunity', 'Opportunity', 'Sales Funnel', 'Sales Orders', 'Sales Quotas', 'Reports'],
  ],
  [
    'Service Desk',
    'SD',
    [
      'Change Approvals',
      'Close Service Tickets',
      'Knowledge Base',
      'Merge Tickets',
      'Resource Scheduling',
      'Service Tickets',
      'Service Tickets - Dependencies',
      'Service Tickets - Finance',
      'SLA Dashboard',
      'Ticket Templates',
      'Reports',
    ],
  ],
  [
    'System',
    'SY',
    [
      'API Reports',
      'Audit Trail',
      'Campaign Tracking',
      'Copy Column Layouts',
      'Custom Menu Entry',
      'Email Connectors',
      'Instant Messaging',
      'Mass Maintenance',
      'Member Maintenance - Rates',
      'Members',
      'My Account',
      'My Company',
      'Portal Configuration',
      'Report Writer',
      'Security Roles',
      'System Reports',
      'Table Setup',
      'Today Links',
      'View Reports',
      'Workflow Rules',
    ],
  ],
  [
    'Time & Expense',
    'TE',
    [
      'Expense Approvals',
      'Expense Billing',
      'Expense Entry',
      'Expense Reporting',
      'Time Approvals',
      'Time Billing',
      'Time Entry',
      'Time Sheets',
      'Reports',
    ],
  ],
];

const WITHOUT_MY = new Set(['Table Setup', 'Security Roles', 'My Company', 'Members', 'Audit Trail']);

/** Every row of the levels matrix, in the order in which ConnectWise sorts it. */
export const FUNCTIONS: readonly ModuleFunction[] = MODULES.flatMap(([module, moduleIdentifier, names]) =>
  names.map((name) => ({
    key: `${module}/${name}`,
    module,
    name,
    moduleIdentifier,
    identifier: `${moduleIdentifier}_${name.replace(/[^A-Za-z]+/g, '').toUpperCase()}`,
    report: name === 'Reports' || name === 'View Reports',
    myAll: !WITHOUT_MY.has(name) && name !== 'Reports',
  })),
);

export const FUNCTION_KEYS: ReadonlySet<string> = new Set(FUNCTIONS.map((one) => one.key));

/** Levels by `Module/Function`; what is not named is `None`. */
export type LevelChanges = Record<string, Partial<Levels>>;

/** Cisco's procedure: exactly these levels, everything else `None` (domain.md §1). */
export const PROCEDURE_LEVELS: LevelChanges = {
  'Companies/Company Maintenance': { inquire: 'All' },
  'Companies/Configurations': { add: 'All', edit: 'All', inquire: 'All' },
  'Service Desk/Service Tickets': { add: 'All', edit: 'All', inquire: 'All' },
  'System/Table Setup': { add: 'All', edit: 'All', inquire: 'All' },
};

/** Cisco's procedure: "Allow Access to these" of System / Table Setup / customize (domain.md §1). */
export const PROCEDURE_ALLOW_LIST: readonly string[] = [
  'Company / Configuration',
  'Service / Priority',
  'Service / Service Board',
];

/** What Parasol's own management key needs (rulings 28). */
export const MANAGEMENT_LEVELS: LevelChanges = {
  'System/Members': { add: 'All', edit: 'All', inquire: 'All' },
  'System/Security Roles': { add: 'All', inquire: 'All' },
  'System/My Company': { inquire: 'All' },
  'System/Table Setup': { inquire: 'All' },
  'Companies/Configurations': { inquire: 'All' },
  'Companies/Company Maintenance': { inquire: 'All' },
};

/** All items that the customize dialog of Table Setup offers here. */
export const TABLE_SETUP_ITEMS: readonly string[] = [
  'Agreements / Agreement Type',
  'Company / Company Status',
  'Company / Company Type',
  'Company / Configuration',
  'Company / Note Type',
  'General / Integrator Login',
  'General / Workflow Rules',
  'Members / Work Role',
  'Products / Product Category',
  'Service / Priority',
  'Service / Service Board',
  'Service / SLA',
  'Service / Source',
  'Service / Standard Notes',
  'Time / Work Type',
];

export const NO_LEVELS: Readonly<Levels> = { add: 'None', edit: 'None', delete: 'None', inquire: 'None' };
