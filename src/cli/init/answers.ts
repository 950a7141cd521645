import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { isMap, isSeq, parseDocument, stringify } from 'yaml';
import { z } from 'zod';
import { Refused } from '../context.ts';

/** What a person has answered so far: kept beside the file of tenants, so that a break loses nothing. */

const pairSchema = z.enum(['managementKey', 'integrationKey', 'apiKey', 'keyAdmin']);
/** A key pair by its place in tenants.yaml. */
export type PairName = z.infer<typeof pairSchema>;

const answersSchema = z.strictObject({
  id: z.string(),
  name: z.string(),
  /** Where keys lie: files that only this person may read, or variables that they set. */
  secrets: z.enum(['files', 'variables']).optional(),
  site: z.string().optional(),
  companyId: z.string().optional(),
  clientId: z.string().optional(),
  role: z.string().optional(),
  members: z.array(z.string()).optional(),
  /** The member whose key is in Umbrella today; null: nobody has that key. */
  keyMember: z.string().nullable().optional(),
  console: z.enum(['msp', 'mssp']).optional(),
  /** Where Umbrella's API is, if not where Cisco has it: a rehearsal. */
  umbrellaUrl: z.string().optional(),
  /** Pairs that were seen to work; false: there is none to be given. */
  pairs: z.partialRecord(pairSchema, z.boolean()).default({}),
  applied: z.boolean().default(false),
});
export type Answers = z.infer<typeof answersSchema>;

const besides = (file: string): string => `${file}.init`;

/** Null: nothing was begun, or it was finished. */
export function begunAnswers(file: string): Answers | null {
  if (!existsSync(besides(file))) return null;
  const read = answersSchema.safeParse(parsedJson(readFileSync(besides(file), 'utf8')));
  if (read.success) return read.data;
  throw new Refused(`${besides(file)} is not what init wrote: remove it to start anew.`);
}

function parsedJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

export const keepAnswers = (file: string, answers: Answers): void =>
  writeWhole(besides(file), `${JSON.stringify(answers, null, 2)}\n`, 0o600);

export const forgetAnswers = (file: string): void => rmSync(besides(file), { force: true });

/** The halves of a pair, as tenants.yaml calls them. */
export const HALVES: Record<PairName, readonly [string, string]> = {
  managementKey: ['publicKey', 'privateKey'],
  integrationKey: ['publicKey', 'privateKey'],
  apiKey: ['key', 'secret'],
  keyAdmin: ['key', 'secret'],
};

const WORDS: Record<PairName, string> = {
  managementKey: 'cw',
  integrationKey: 'umbrella-member',
  apiKey: 'umbrella',
  keyAdmin: 'umbrella-key-admin',
};

/** The variables that hold a pair: `ACME_CW_PUBLIC_KEY`. */
export function variablesOf(id: string, pair: PairName): [string, string] {
  const named = (half: string) =>
    `${id}-${WORDS[pair]}-${half.replace(/Key$/, '-key')}`.toUpperCase().replaceAll('-', '_');
  const [first, second] = HALVES[pair];
  return [named(first), named(second)];
}

/** The files that hold a pair, relative to the file of tenants. */
export function filesOf(id: string, pair: PairName): [string, string] {
  const named = (half: string) => join('secrets', id, `${WORDS[pair]}-${half.replace(/Key$/, '-key')}`);
  const [first, second] = HALVES[pair];
  return [named(first), named(second)];
}

/** Writes both halves, each to a file of mode 0600 in a folder of mode 0700. */
export function keepPair(file: string, id: string, pair: PairName, halves: readonly [string, string]): void {
  for (const [index, name] of filesOf(id, pair).entries()) {
    const path = resolve(dirname(resolve(file)), name);
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    writeWhole(path, `${halves[index]}\n`, 0o600);
  }
}

/** A pair that was kept before; null: it is not there. */
export function keptPair(
  file: string,
  { id, secrets }: Answers,
  pair: PairName,
  env: Readonly<Record<string, string | undefined>>,
): [string, string] | null {
  const [first, second] =
    secrets === 'variables'
      ? variablesOf(id, pair).map((name) => env[name])
      : filesOf(id, pair).map((name) => {
          const path = resolve(dirname(resolve(file)), name);
          return existsSync(path) ? readFileSync(path, 'utf8').trim() : undefined;
        });
  return first && second ? [first, second] : null;
}

/** Whole or not at all: a file that a break left half would be read as a tenant. */
function writeWhole(path: string, text: string, mode: number): void {
  const draft = `${path}.draft`;
  writeFileSync(draft, text, { mode });
  renameSync(draft, path);
}

const HEAD = `# What Parasol keeps: \`parasol apply -f\` makes it so. Every key is a reference, never the key itself.\n`;

/** Adds the tenant to the file, or puts it in its place there; comments of others stay as they are. */
export function writeTenant(file: string, answers: Answers): void {
  const tenant = tenantOf(answers);
  if (!existsSync(file)) {
    return writeWhole(file, HEAD + stringify({ tenants: [tenant] }, { lineWidth: 100 }), 0o644);
  }
  const document = parseDocument(readFileSync(file, 'utf8'));
  const tenants = document.get('tenants');
  if (document.errors.length > 0 || !isSeq(tenants)) {
    throw new Refused(`${file} is not a file of tenants: name another with -f, or mend it.`);
  }
  const place = tenants.items.findIndex((item) => isMap(item) && item.get('id') === answers.id);
  const node = document.createNode(tenant);
  if (place >= 0) tenants.items[place] = node;
  else tenants.add(node);
  return writeWhole(file, document.toString({ lineWidth: 100 }), 0o644);
}

/** Whether the file has a tenant of that id. */
export function hasTenant(file: string, id: string): boolean {
  if (!existsSync(file)) return false;
  const tenants = parseDocument(readFileSync(file, 'utf8')).get('tenants');
  return isSeq(tenants) && tenants.items.some((item) => isMap(item) && item.get('id') === id);
}

function tenantOf(answers: Answers): Record<string, unknown> {
  const { id, name, site, companyId, clientId, role, members, keyMember, console: kind } = answers;
  const pair = (which: PairName) => (answers.pairs[which] ? { [which]: references(answers, which) } : {});
  return {
    id,
    name,
    mode: 'observe',
    connectwise: {
      site,
      companyId,
      clientId,
      ...pair('managementKey'),
      role: { name: role },
      members: { identifiers: members },
      ...(keyMember == null
        ? {}
        : { integrationKey: { member: keyMember, ...references(answers, 'integrationKey') } }),
    },
    umbrella: {
      console: kind,
      ...(answers.umbrellaUrl ? { url: answers.umbrellaUrl } : {}),
      ...pair('apiKey'),
      ...pair('keyAdmin'),
    },
  };
}

function references({ id, secrets }: Answers, pair: PairName): Record<string, string> {
  const names =
    secrets === 'variables'
      ? variablesOf(id, pair).map((name) => `\${env:${name}}`)
      : filesOf(id, pair).map((name) => `\${file:${name}}`);
  const [first, second] = HALVES[pair];
  return { [first]: names[0]!, [second]: names[1]! };
}
