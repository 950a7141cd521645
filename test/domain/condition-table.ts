import { expect, test } from 'vitest';
import {
  evaluate,
  type Circumstances,
  type Condition,
  type ConditionType,
} from '../../src/domain/condition.ts';
import type { FactName, FactValues, Facts } from '../../src/domain/observation.ts';
import type { Failure } from '../../src/domain/outcome.ts';
import { told } from '../../src/domain/told.ts';
import { ago, at, circumstances, factsWith, failing } from './fixtures.ts';

/** As they are read at once. */
export const evaluated = (parts: Partial<Circumstances> = {}) => {
  const given = circumstances(parts);
  return evaluate(given, 1, []).map((one) => ({ ...one, message: told(one.message, given.now) }));
};
export const condition = (type: ConditionType, parts: Partial<Circumstances> = {}): Condition =>
  evaluated(parts).find((one) => one.type === type)!;
export const short = ({ status, reason }: Condition) => `${status} ${reason}`;

type Values = { [Name in FactName]?: FactValues[Name] | undefined };
export const facts = (values: Values, when?: string) => ({ facts: factsWith(values, when) });
/** Healthy facts, but of one only a failure is known. */
export const onlyFailing = (name: FactName, failure: Failure, credentialId: string | null = null) => ({
  facts: { ...factsWith({ [name]: undefined }), [name]: failing(failure, at, credentialId) },
});
/** Healthy facts, and a failure since in each of those named. */
export const since = (
  failure: Failure,
  credentialId: string | null,
  ...names: FactName[]
): { facts: Facts } => {
  const known = factsWith();
  for (const name of names) {
    Object.assign(known, { [name]: { ...known[name], ...failing(failure, at, credentialId) } });
  }
  return { facts: known };
};
/** Healthy facts just seen, but those named so long ago. */
export const aged = (ms: number, ...names: FactName[]): { facts: Facts } => {
  const old = factsWith({}, ago(ms));
  return { facts: { ...factsWith(), ...Object.fromEntries(names.map((name) => [name, old[name]])) } };
};

/** What is so, what is then said, and words of the message. */
type Case = [sentence: string, said: string, words: RegExp, parts: Partial<Circumstances>];
export const table = (type: ConditionType, cases: Case[]) =>
  test.each(cases)('%s: %s', (_, said, words, parts) => {
    const told = condition(type, parts);
    expect(short(told)).toBe(said);
    expect(told.message).toMatch(words);
  });
