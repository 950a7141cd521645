import { InvalidArgumentError, Option, type Command } from 'commander';
import { parseSelector } from '../domain/labels.ts';
import { parseMark } from '../domain/tenant-filter.ts';

/** Which tenants are meant, as options say it. */
export interface Selection {
  ready?: string[];
  condition?: string[];
  mode?: string;
  label?: string[];
  drift?: string | true;
  search?: string;
}

/** The options that choose tenants; those that are named differently all hold. */
export const choosing = (command: Command): Command =>
  command
    .addOption(
      new Option('--ready <status>', 'True, False or Unknown; again: any of them').argParser(
        among('True', 'False', 'Unknown'),
      ),
    )
    .option(
      '--condition <condition>',
      'RoleReady=False, RoleReady=False/LevelsMissing; again: all of them',
      checked(
        (text) => parseMark(text) !== null,
        'It must be such as RoleReady=False or RoleReady=False/LevelsMissing.',
      ),
    )
    .addOption(new Option('--mode <mode>', 'of this mode').choices(['observe', 'alert', 'repair']))
    .addOption(labelOption())
    .option('--drift [path]', 'with drift, or with some whose path begins so; false: without any')
    .option('--search <word>', 'with this in the id, the name or the company');

export const labelOption = (): Option =>
  new Option('--label <key=value>', 'with this label; a key alone: any value; again: all of them').argParser(
    checked((text) => parseSelector(text) !== null, 'It must be key=value, or a key alone.'),
  );

type Collect = (text: string, before: string[] | undefined) => string[];

function checked(isGood: (text: string) => boolean, why: string): Collect {
  return (text, before = []) => {
    if (!isGood(text)) throw new InvalidArgumentError(why);
    return [...before, text];
  };
}

const among = (...words: string[]): Collect =>
  checked((text) => words.includes(text), `It must be one of ${words.join(', ')}.`);

/** The same as the query of a list. */
export function queryOf({ ready, condition, mode, label, drift, search }: Selection): [string, string][] {
  const each = (name: string, values: readonly string[] = []) =>
    values.map((value): [string, string] => [name, value]);
  return [
    ...each('ready', ready),
    ...each('condition', condition),
    ...each('mode', mode === undefined ? [] : [mode]),
    ...each('label', label),
    ...each('drift', drift === undefined ? [] : [String(drift)]),
    ...each('q', search === undefined ? [] : [search]),
  ];
}

/** The same as the selector of a command for many; empty: nobody is meant. */
export function selectorOf(
  { ready, condition, mode, label, drift, search }: Selection,
  all: boolean,
): Record<string, unknown> {
  return {
    ...(all ? { all } : {}),
    ...(ready ? { ready } : {}),
    ...(condition ? { conditions: condition } : {}),
    ...(mode === undefined ? {} : { mode }),
    ...(label ? { labels: label } : {}),
    ...(drift === undefined ? {} : { drift: drift === 'true' ? true : drift === 'false' ? false : drift }),
    ...(search === undefined ? {} : { q: search }),
  };
}
