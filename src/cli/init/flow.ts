import { z } from 'zod';
import { tenantIdSchema, tenantInputSchema, type TenantInput } from '../../domain/tenant.ts';
import type { AdoptionView, Examination } from '../../reconciler/commands.ts';
import { adoptionText } from '../adopt-commands.ts';
import { ServiceUnreachable, type Client } from '../client.ts';
import { codeOfStatus, Refused, type Context } from '../context.ts';
import { EXIT, type ExitCode } from '../io.ts';
import { Progress } from '../progress.ts';
import { BadSecretInput, CONNECTWISE_LABELS, GivenUp, UMBRELLA_LABELS } from '../prompt.ts';
import { tenantOf } from '../read-tenants.ts';
import {
  begunAnswers,
  filesOf,
  forgetAnswers,
  HALVES,
  hasTenant,
  keepAnswers,
  keepPair,
  keptPair,
  variablesOf,
  writeTenant,
  type Answers,
  type PairName,
} from './answers.ts';
import { Asker } from './ask.ts';

/**
 * A first tenant, asked for question by question: each answer is tried at once by the same look as `doctor`'s, and
 * kept, so that a break at any moment loses nothing. Then it is applied in mode `observe`, and what a technician has
 * to click is told and waited for.
 */

type Pairs = Partial<Record<PairName, [string, string]>>;
type Check = Examination['checks'][number];

const SITES = ['na', 'eu', 'au', 'aus', 'za'];
const text = (max: number) =>
  z.string().trim().min(1, 'Type something.').max(max, `At most ${max} characters.`);
const { site: siteSchema, companyId: companySchema } = tenantInputSchema.shape.connectwise.shape;

export async function runInit(
  context: Context,
  { file, umbrella }: { file: string; umbrella?: string | undefined },
): Promise<ExitCode> {
  if (!context.io.stdin.isTTY) {
    throw new Refused('init asks on a terminal. For scripts: write the file, then doctor and apply it.');
  }
  return new Init(context, file, umbrella).run();
}

class Init {
  readonly #context: Context;
  readonly #ask: Asker;
  readonly #file: string;
  readonly #umbrellaUrl: string | undefined;
  readonly #pairs: Pairs = {};

  constructor(context: Context, file: string, umbrellaUrl: string | undefined) {
    this.#context = context;
    this.#ask = new Asker(context);
    this.#file = file;
    this.#umbrellaUrl = umbrellaUrl;
  }

  async run(): Promise<ExitCode> {
    let answers = await this.#begin();
    answers = await this.#where(answers);
    answers = await this.#connectWise(answers);
    answers = await this.#managementKey(answers);
    answers = await this.#objects(answers);
    answers = await this.#integrationKey(answers);
    answers = await this.#umbrella(answers);
    writeTenant(this.#file, answers);
    this.#ask.good(`${this.#file} has ${answers.id}, in mode observe. No key stands in it.`);
    return this.#apply(answers);
  }

  #keep(answers: Answers): Answers {
    keepAnswers(this.#file, answers);
    return answers;
  }

  async #begin(): Promise<Answers> {
    const ask = this.#ask;
    const begun = begunAnswers(this.#file);
    if (begun) {
      ask.say(`Going on with ${begun.id} (${begun.name}): what was answered is not asked again.`);
      return begun;
    }
    ask.say(
      'A first tenant: one ConnectWise company and its Cisco Umbrella console. Each answer is tried at once, and ' +
        'nothing is written to either. Ctrl-C leaves at any moment; init goes on from there.',
    );
    ask.title('The tenant');
    const name = await ask.line('Its name', text(100), 'My MSP');
    for (;;) {
      const id = await ask.line('Its id, for the command line', tenantIdSchema, slugOf(name));
      if (!hasTenant(this.#file, id)) {
        const there = this.#umbrellaUrl === undefined ? {} : { umbrellaUrl: this.#umbrellaUrl };
        return this.#keep({ id, name, ...there, pairs: {}, applied: false });
      }
      ask.bad(`${this.#file} has a tenant ${id} already.`);
    }
  }

  async #where(answers: Answers): Promise<Answers> {
    if (answers.secrets) return answers;
    const [first, second] = filesOf(answers.id, 'managementKey');
    this.#ask.title('Where keys lie');
    this.#ask.say(
      `files: ${first} and the like beside ${this.#file}, readable by you alone; keep them out of git. ` +
        `variables: you set ${variablesOf(answers.id, 'managementKey')[0]} and the like, and nothing is kept (${second} is not made).`,
    );
    const secrets = await this.#ask.choice('Keys in', ['files', 'variables'], 'files');
    return this.#keep({ ...answers, secrets });
  }

  /** Site and company, which only answer together. */
  async #connectWise(answers: Answers): Promise<Answers> {
    if (answers.clientId) return answers;
    const ask = this.#ask;
    ask.title('ConnectWise');
    let now = answers;
    for (;;) {
      const site = await ask.line(
        'The address at which you log in (na, eu, au, aus, za, or your own)',
        z.string().transform(siteOf).pipe(siteSchema),
        now.site ?? 'na',
      );
      const companyId = await ask.line(
        'The company that you type there',
        companySchema,
        now.companyId ?? null,
      );
      now = { ...now, site, companyId };
      const checks = await this.#examine(now, `Asking ${site} for ${companyId}`);
      if (await this.#accepts(checks, ['ConnectWiseReachable'])) break;
    }
    const clientId = await ask.line(
      'The client id of your integration (a GUID, from developer.connectwise.com)',
      z
        .guid('That is no GUID: it looks like 0a3e1f64-1111-4222-8333-000000000001.')
        .refine((id) => new Set(id.replaceAll('-', '')).size > 1, 'That is nobody’s client id.'),
    );
    return this.#keep({ ...now, clientId });
  }

  async #managementKey(answers: Answers): Promise<Answers> {
    if (answers.pairs.managementKey === undefined) {
      this.#ask.title('Parasol’s own key');
      this.#ask.say(
        'Of an API member of its own, not of the one that Umbrella uses; README.md lists its levels.',
      );
    }
    return this.#pair(answers, 'managementKey', [
      'ManagementKeyValid',
      'ManagementKeyLevels',
      'SiteAndClientId',
    ]);
  }

  async #objects(answers: Answers): Promise<Answers> {
    if (answers.members) return answers;
    const ask = this.#ask;
    ask.title('What Umbrella uses in ConnectWise');
    const role = await ask.line('Its security role', text(30), 'Umbrella');
    const members = await ask.line(
      'Its two API members, which take turns (the one in use today first)',
      z
        .string()
        .transform((typed) => typed.split(/[\s,]+/).filter(Boolean))
        .refine(
          (identifiers) =>
            tenantInputSchema.shape.connectwise.shape.members.safeParse({ identifiers }).success,
          'Two different identifiers of at most 15 letters, digits, dots and hyphens.',
        ),
      'umbrella-a umbrella-b',
    );
    const now = this.#keep({ ...answers, role, members });
    const checks = await this.#examine(now, 'Looking for them');
    this.#tell(checks.filter(({ name }) => name === 'RoleReady' || name === 'MembersReady'));
    return now;
  }

  async #integrationKey(answers: Answers): Promise<Answers> {
    const ask = this.#ask;
    if (answers.pairs.integrationKey === undefined) {
      ask.title('The key that is in Umbrella today');
      ask.say('Only it shows the Table Setup list. Without it Parasol waits for the first rotation.');
      if (!(await ask.yes('Do you have both halves of it', false))) {
        return this.#keep({
          ...answers,
          keyMember: null,
          pairs: { ...answers.pairs, integrationKey: false },
        });
      }
      const members = answers.members ?? [];
      const keyMember = await ask.choice('Whose key is it', members, members[0]!);
      return this.#pair(this.#keep({ ...answers, keyMember }), 'integrationKey', [
        'IntegrationKeyValid',
        'TableSetupReady',
      ]);
    }
    return this.#pair(answers, 'integrationKey', ['IntegrationKeyValid', 'TableSetupReady']);
  }

  async #umbrella(answers: Answers): Promise<Answers> {
    const ask = this.#ask;
    let now = answers;
    if (!now.console) {
      ask.title('Umbrella');
      const kind = await ask.choice('The console', ['msp', 'mssp'], 'msp');
      now = this.#keep({ ...now, console: kind });
      ask.say('An API key of Admin / API Keys, with the scope admin.customers:read.');
    }
    now = await this.#pair(now, 'apiKey', ['UmbrellaKeyValid']);
    if (now.pairs.keyAdmin === undefined) {
      ask.say('A KeyAdmin key lets Parasol see when that one expires, and rotate it.');
      if (!(await ask.yes('Do you have a KeyAdmin key', false))) {
        return this.#keep({ ...now, pairs: { ...now.pairs, keyAdmin: false } });
      }
    }
    return this.#pair(now, 'keyAdmin', ['KeyAdminKeyScopes', 'KeyAdminKeyExpiry']);
  }

  /** A pair that is asked for until it works, or until the person wants it all the same. */
  async #pair(answers: Answers, name: PairName, checked: string[]): Promise<Answers> {
    if (answers.pairs[name] === false) return answers;
    const { io } = this.#context;
    const kept = keptPair(this.#file, answers, name, io.env);
    if (answers.pairs[name] && kept) {
      this.#pairs[name] = kept;
      return answers;
    }
    for (let given = kept; ; given = null) {
      const pair = given ?? (await this.#askPair(name));
      this.#pairs[name] = pair;
      const checks = await this.#examine(answers, 'Trying it');
      if (await this.#accepts(checks, checked)) {
        if (answers.secrets === 'files') keepPair(this.#file, answers.id, name, pair);
        else if (!kept)
          this.#ask.warn(`Set ${variablesOf(answers.id, name).join(' and ')} for what comes next.`);
        return this.#keep({ ...answers, pairs: { ...answers.pairs, [name]: true } });
      }
    }
  }

  async #askPair(name: PairName): Promise<[string, string]> {
    const labels = HALVES[name][0] === 'key' ? UMBRELLA_LABELS : CONNECTWISE_LABELS;
    for (;;) {
      try {
        return await this.#ask.pair(labels);
      } catch (error) {
        if (!(error instanceof BadSecretInput) || error instanceof GivenUp) throw error;
        this.#ask.bad(error.message);
      }
    }
  }

  /** Tells what was seen; where it is bad, whether the person keeps the answer all the same. */
  async #accepts(checks: Check[], names: string[]): Promise<boolean> {
    const told = checks.filter(({ name }) => names.includes(name));
    const shown = told.filter(({ name, verdict }) => name === names[0] || verdict !== 'ok');
    this.#tell(shown);
    const missing = !told.some(({ name }) => name === names[0]);
    if (missing) this.#ask.bad('It was refused: nothing that it should show was seen.');
    if (!missing && told.every(({ verdict }) => verdict !== 'failed')) return true;
    return (
      (await this.#ask.choice('Type it again, or keep it as it is', ['again', 'keep'], 'again')) === 'keep'
    );
  }

  #tell(checks: Check[]): void {
    for (const { verdict, detail } of checks) {
      if (verdict === 'ok') this.#ask.good(detail);
      else if (verdict === 'failed') this.#ask.bad(detail);
      else this.#ask.warn(detail);
    }
  }

  async #examine(answers: Answers, words: string): Promise<Check[]> {
    const progress = new Progress(this.#context.io);
    progress.say(words, 0);
    try {
      return (await this.#context.io.doctor({ tenant: answers.id, input: this.#input(answers) })).checks;
    } finally {
      progress.end();
    }
  }

  /** The tenant as far as it is known. */
  #input(answers: Answers): TenantInput {
    const pair = (name: PairName) => {
      const halves = this.#pairs[name];
      if (!halves) return {};
      const [first, second] = HALVES[name];
      const member = name === 'integrationKey' ? { member: answers.keyMember } : {};
      return { [name]: { ...member, [first]: halves[0], [second]: halves[1] } };
    };
    return tenantInputSchema.parse({
      id: answers.id,
      name: answers.name,
      connectwise: {
        site: answers.site,
        companyId: answers.companyId,
        clientId: answers.clientId ?? NOBODY,
        ...pair('managementKey'),
        ...pair('integrationKey'),
        role: { name: answers.role ?? 'Umbrella' },
        members: answers.members ? { identifiers: answers.members } : {},
      },
      umbrella: {
        console: answers.console ?? 'msp',
        ...(answers.umbrellaUrl ? { url: answers.umbrellaUrl } : {}),
        ...pair('apiKey'),
        ...pair('keyAdmin'),
      },
    });
  }

  async #apply(answers: Answers): Promise<ExitCode> {
    const { io } = this.#context;
    const ask = this.#ask;
    const { command } = this.#context.sheet;
    if (!answers.applied) {
      this.#context.show(await io.adopt(this.#input(answers)), adoptionText);
      if (!(await ask.yes('\nApply it to the service now, in mode observe', true))) {
        ask.say(`It is in ${this.#file}: ${command} apply -f ${this.#file}`);
        forgetAnswers(this.#file);
        return EXIT.ok;
      }
      try {
        const input = await tenantOf(io, this.#file, answers.id);
        await this.#context.client().apply([input], false);
      } catch (error) {
        if (!(error instanceof ServiceUnreachable)) throw error;
        ask.bad(error.message);
        ask.say('Once it runs, init goes on from here.');
        return EXIT.error;
      }
      ask.good(`The service has ${answers.id}.`);
    }
    return this.#wait(this.#keep({ ...answers, applied: true }), { told: !answers.applied });
  }

  /** Until nothing is left to click, or the person leaves. */
  async #wait(answers: Answers, { told }: { told: boolean }): Promise<ExitCode> {
    const { io } = this.#context;
    const client = this.#context.client();
    const progress = new Progress(io);
    const left = io.interrupted().then(() => true);
    const start = io.now().getTime();
    let known: string[] | null = null;
    for (;;) {
      const seen = await looked(client, answers.id, io);
      const todo = seen.plan.steps.map(stepName);
      progress.end();
      if (known === null && !told && todo.length > 0) this.#context.show(seen, adoptionText);
      for (const done of known?.filter((name) => !todo.includes(name)) ?? []) this.#ask.good(`Done: ${done}`);
      for (const fresh of todo.filter((name) => known !== null && !known.includes(name)))
        this.#ask.warn(`Next: ${fresh}`);
      known = todo;
      if (todo.length === 0 && seen.observedAt !== null) return this.#end(client, answers);
      for (let seconds = 0; seconds < LOOK_EVERY_S; seconds += 1) {
        progress.say(`Waiting to see it done: ${todo[0] ?? 'the first look'}`, io.now().getTime() - start);
        if (await Promise.race([left, io.sleep(1_000).then(() => false)])) {
          progress.end();
          this.#ask.say(
            `\nLeft as it is. To wait again: ${this.#context.sheet.command} init -f ${this.#file}`,
          );
          return todo.length > 0 ? EXIT.person : EXIT.drift;
        }
      }
    }
  }

  async #end(client: Client, { id }: Answers): Promise<ExitCode> {
    const status = await client.status(id);
    const { command } = this.#context.sheet;
    forgetAnswers(this.#file);
    this.#ask.good(`Nothing is left to click. ${id} is ready: ${status.ready}.`);
    if (status.ready !== 'True') {
      this.#ask.say(`What is not known yet, and why: ${command} status ${id}. Umbrella writes once a day.`);
    }
    this.#ask.say(
      `To let Parasol keep it so: mode: repair in ${this.#file}, then ${command} apply -f ${this.#file}.`,
    );
    return codeOfStatus(status);
  }
}

const LOOK_EVERY_S = 20;
/** Where no client id is known yet; the only call that is made then needs none. */
const NOBODY = '00000000-0000-4000-8000-000000000000';

/** One more look of the service's; in mode observe it writes nothing. */
async function looked(client: Client, id: string, io: Context['io']): Promise<AdoptionView> {
  const { trigger } = await client.reconcile(id, 'init');
  for (let seconds = 0; seconds < LOOK_EVERY_S; seconds += 1) {
    const status = await client.status(id);
    if (status.trigger.handled >= trigger) break;
    await io.sleep(1_000);
  }
  return client.adoption(id);
}

function stepName({ action }: AdoptionView['plan']['steps'][number]): string {
  switch (action.kind) {
    case 'open-handoff':
      return action.content.title;
    case 'create-role':
      return `make the role ${action.name}`;
    case 'create-member':
      return `make the API member ${action.identifier}`;
    case 'change-member':
      return `change the API member ${action.identifier}`;
  }
}

const siteOf = (typed: string): string => {
  const plain = typed.trim().toLowerCase();
  if (SITES.includes(plain)) return `https://${plain}.myconnectwise.net`;
  return /^https?:\/\//.test(plain) ? plain : `https://${plain}`;
};

const slugOf = (name: string): string =>
  name
    .toLowerCase()
    .normalize('NFKD')
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replaceAll(/^-+|-+$/g, '')
    .slice(0, 40) || 'my-msp';
