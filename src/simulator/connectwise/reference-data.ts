import type { Board, Info, Priority, Reference, Row } from './company.ts';

/**
 * Tables that no technician edits during a rehearsal; all simulated companies share them, so that thousands
 * of companies stay cheap.
 */
const INFO: Info = {
  lastUpdated: '2024-01-15T08:00:00Z',
  updatedBy: 'zadmin',
  dateEntered: '2019-05-02T09:30:00Z',
  enteredBy: 'zadmin',
};

export interface Location extends Row {
  name: string;
  ownerLevelId: number;
  structureLevel: Reference;
  locationFlag: boolean;
  clientFlag: boolean;
}

export interface Department extends Row {
  identifier: string;
  name: string;
}

export interface TimeZoneSetup extends Row {
  name: string;
  timeZone: Reference;
  offset: number;
  defaultFlag: boolean;
  daylightSavingsFlag: boolean;
}

export const CORPORATE: Reference = { id: 1, name: 'Corporate' };
const LOCATION_LEVEL: Reference = { id: 2, name: 'Location' };

export const STRUCTURE_LEVELS: readonly Reference[] = [
  CORPORATE,
  LOCATION_LEVEL,
  { id: 3, name: 'Department' },
];

export const LOCATIONS: readonly Location[] = [
  { id: 1, name: 'Corporate', level: CORPORATE, owner: 1 },
  { id: 2, name: 'Main Office', level: LOCATION_LEVEL, owner: 2 },
  { id: 11, name: 'North Office', level: LOCATION_LEVEL, owner: 2 },
].map(({ id, name, level, owner }) => ({
  id,
  ownerLevelId: owner,
  structureLevel: level,
  name,
  locationFlag: true,
  clientFlag: false,
  _info: INFO,
}));

export const DEPARTMENTS: readonly Department[] = [
  { id: 10, identifier: 'Services', name: 'Professional Services', _info: INFO },
  { id: 11, identifier: 'Admin', name: 'Administration', _info: INFO },
  { id: 12, identifier: 'Security', name: 'Security Operations', _info: INFO },
];

export const TIME_ZONES: readonly TimeZoneSetup[] = [
  {
    id: 1,
    name: 'US Eastern',
    timeZone: { id: 35, name: 'GMT-5/Eastern Time: US & Canada' },
    offset: -5,
    defaultFlag: true,
    daylightSavingsFlag: true,
    _info: INFO,
  },
  {
    id: 2,
    name: 'Central European',
    timeZone: { id: 95, name: 'GMT+1/Brussels, Copenhagen, Madrid, Paris' },
    offset: 1,
    defaultFlag: false,
    daylightSavingsFlag: true,
    _info: INFO,
  },
];

const BOARD_PLACE = {
  location: { id: 2, name: 'Main Office' },
  department: { id: 10, name: 'Professional Services' },
};

export const BOARDS: readonly Board[] = ['Help Desk', 'Security', 'Alerts'].map((name, index) => ({
  id: index + 1,
  name,
  ...BOARD_PLACE,
  inactiveFlag: false,
  projectFlag: false,
  _info: INFO,
}));

export interface BoardStatus extends Row {
  name: string;
  board: Reference;
  sortOrder: number;
  closedStatus: boolean;
  defaultFlag: boolean;
  inactive: boolean;
}

/** New, In Progress and Closed for every board. */
export const BOARD_STATUSES: readonly BoardStatus[] = BOARDS.flatMap((board) =>
  ['New', 'In Progress', '>Closed'].map((name, index) => ({
    id: board.id * 100 + index,
    name,
    board: { id: board.id, name: board.name },
    sortOrder: index * 10,
    closedStatus: name === '>Closed',
    defaultFlag: index === 0,
    inactive: false,
    _info: INFO,
  })),
);

export const PRIORITIES: readonly Priority[] = [
  { name: 'Priority 1 - Emergency Response', color: 'Red' },
  { name: 'Priority 2 - Quick Response', color: 'Orange' },
  { name: 'Priority 3 - Normal Response', color: 'Yellow' },
  { name: 'Priority 4 - Scheduled Maintenance', color: 'Green' },
].map(({ name, color }, index) => ({
  id: index + 1,
  name,
  color,
  sortOrder: index + 1,
  defaultFlag: index === 2,
  _info: INFO,
}));
