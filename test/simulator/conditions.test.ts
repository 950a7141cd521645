import { describe, expect, test } from 'vitest';
import { compileConditions, ConditionSyntaxError } from '../../src/simulator/connectwise/conditions.ts';

const FIELDS = new Set(['id', 'name', 'type', 'inactiveFlag', 'seats', '_info']);
const ROW = {
  id: 7,
  name: 'Cisco "Umbrella" \\ MSP',
  type: { id: 3, name: 'Security' },
  inactiveFlag: false,
  seats: null,
  _info: { lastUpdated: '2026-01-31T18:04:26Z', updatedBy: 'umbrella-a' },
};

describe('conditions that match', () => {
  test.each([
    'id = 7',
    'id=7',
    'id != 8',
    'id > 6 and id >= 7 and id < 8 and id <= 7',
    'id in (1, 7)',
    'id not in (1, 2)',
    String.raw`name = "Cisco \"Umbrella\" \\ MSP"`,
    `name contains "umbrella"`,
    `name CONTAINS 'UMB'`,
    `name not contains "Duo"`,
    `name like "cisco*"`,
    `name like "%msp"`,
    `name not like "Duo%"`,
    'type/name = "security"',
    'type/id = 3 AND type/name != "Other"',
    'inactiveFlag = False',
    'not (inactiveFlag = true)',
    'seats = null',
    'id != null',
    '_info/lastUpdated = [2026-01-31T18:04:26Z]',
    '_info/lastUpdated >= [2026-01-31] and _info/lastUpdated < [2026-02-01T00:00:00Z]',
    '_info/updatedBy = "umbrella-a"',
    'id = 1 or id = 2 or id = 7',
    'id = 7 or id = 1 and name = "no"',
    '(id = 1 or id = 7) and inactiveFlag=false',
    `name = "it""s" or id = 7`,
    'id > -1',
  ])('%s', (text) => {
    expect(compileConditions(text, FIELDS)(ROW)).toBe(true);
  });
});

describe('conditions that do not match', () => {
  test.each([
    'id = 8',
    'id not in (7)',
    'seats > 1',
    'seats != null',
    'name > 5',
    'type/colour = "red"',
    '(id = 7 or id = 1) and name = "no"',
    '_info/lastUpdated > [2026-01-31T18:04:26Z]',
    'name like "umbrella"',
    'name like "C.sco%"',
  ])('%s', (text) => {
    expect(compileConditions(text, FIELDS)(ROW)).toBe(false);
  });
});

describe('conditions that are refused', () => {
  test.each([
    '',
    'id',
    'id =',
    'id = 7 and',
    'id == 7',
    'id = 7)',
    '(id = 7',
    'name = Umbrella',
    'name = "open',
    'name like 7',
    'id in 7',
    'id in (7',
    '_info/lastUpdated > [yesterday]',
    '_info/lastUpdated > [2026-01-31',
    'colour = "red"',
    'and = 7',
    'id = 7; drop',
    'id < true',
  ])('%s', (text) => {
    expect(() => compileConditions(text, FIELDS)(ROW)).toThrow(ConditionSyntaxError);
  });
});

test('one text is read anew for a type that lacks its fields', () => {
  compileConditions('seats = null', FIELDS);
  expect(() => compileConditions('seats = null', new Set(['id']))).toThrow(ConditionSyntaxError);
});
