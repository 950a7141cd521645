import { InvalidArgumentError, Option, type Command } from 'commander';
import type { EventView, RunView } from '../reconciler/commands.ts';
import { ServiceRefused, ServiceUnreachable, type Client, type EventQuery } from './client.ts';
import { duration, Refused, type Context } from './context.ts';
import { eventText, gapText, runsText, runText } from './history-views.ts';
import type { CliIo } from './io.ts';

const LAST = 20;
const RUNS = 30;
/** Ms before a stream that broke is asked for again. */
const AGAIN_MS = 2_000;

interface EventOptions {
  follow?: boolean;
  type: string[];
  label: string[];
  since?: number;
  limit: number;
}

const another = (value: string, before: string[]): string[] => [...before, value];

function count(text: string): number {
  const number = Number(text);
  if (Number.isInteger(number) && number >= 1 && number <= 10_000) return number;
  throw new InvalidArgumentError('It must be a number from 1 to 10000.');
}

/** What happened, and what each run saw and did. */
export function addHistory(program: Command, context: Context): void {
  program
    .command('events')
    .description('what happened, the newest last; -f: and what happens')
    .argument('[tenant]', 'only this tenant’s')
    .option('-f, --follow', 'go on with what happens, until it is interrupted; with --json a line each')
    .addOption(
      new Option('--type <type>', 'only of this type; may be repeated').argParser(another).default([], 'all'),
    )
    .addOption(
      new Option('--label <selector>', 'only of tenants with this label (key=value, or key); may be repeated')
        .argParser(another)
        .default([], 'all'),
    )
    .option('--since <duration>', 'all of that time, such as 2h, instead of the last few', duration)
    .option('--limit <count>', 'how many at most', count, LAST)
    .action((tenant: string | undefined, options: EventOptions) => events(context, tenant, options));
  program
    .command('runs')
    .description('what each run of a tenant saw and did, newest first')
    .argument('<tenant>')
    .argument('[run]', 'one of them, by its id or its last characters')
    .option('--limit <count>', 'how many at most', count, RUNS)
    .action(async (tenant: string, run: string | undefined, { limit }: { limit: number }) => {
      const client = context.client();
      if (run === undefined) context.show(await lastRuns(client, tenant, limit), runsText);
      else context.show(await client.run(tenant, await runNamed(client, tenant, run)), runText);
    });
}

async function events(context: Context, tenant: string | undefined, options: EventOptions): Promise<void> {
  const client = context.client();
  const query = { tenant, type: options.type, label: options.label };
  const since = options.since === undefined ? null : context.io.now().getTime() - options.since;
  const found = await lastEvents(client, query, options.limit, since);
  if (options.follow !== true) {
    context.show(found, (sheet) =>
      found.length === 0 ? 'Nothing happened.' : found.map((event) => eventText(sheet, event)).join('\n'),
    );
    return;
  }
  for (const event of found) context.line(event, eventText);
  await follow(context, client, query, found.at(-1)?.id ?? null);
}

/** The newest events, oldest first: so many, or all since a time. */
async function lastEvents(
  client: Client,
  query: EventQuery,
  limit: number,
  since: number | null,
): Promise<EventView[]> {
  const found: EventView[] = [];
  let before: string | null = null;
  do {
    const page = await client.events(
      query,
      before,
      since === null ? Math.min(limit - found.length, 200) : 200,
    );
    found.push(...page.items);
    before = page.next;
  } while (before !== null && (since === null ? found.length < limit : isSince(found.at(-1), since)));
  return found.filter((event) => since === null || isSince(event, since)).toReversed();
}

const isSince = (event: EventView | undefined, since: number): boolean =>
  event !== undefined && Date.parse(event.at) >= since;

/** Goes on after an event, across broken connections and restarts of the service, until it is interrupted. */
async function follow(
  context: Context,
  client: Client,
  query: EventQuery,
  from: string | null,
): Promise<void> {
  const { io } = context;
  const stop = new AbortController();
  const stopped = io.interrupted().then(() => stop.abort());
  let after = from;
  let told = false;
  while (!stop.signal.aborted) {
    try {
      for await (const { id, name, data } of client.follow(query, after, stop.signal)) {
        after = id ?? after;
        told = false;
        if (data === null) continue;
        if (name === 'gap') context.note(context.errors.paragraph(gapText(JSON.parse(data))));
        else context.line(JSON.parse(data) as EventView, eventText);
      }
    } catch (error) {
      if (stop.signal.aborted) break;
      if (!mayComeBack(error)) throw error;
      if (!told) context.note(context.errors.paragraph(`${(error as Error).message} It is asked for again.`));
      told = true;
    }
    if (!stop.signal.aborted) await Promise.race([pause(io), stopped]);
  }
}

const pause = (io: CliIo): Promise<void> => io.sleep(AGAIN_MS);

const mayComeBack = (error: unknown): boolean =>
  error instanceof ServiceUnreachable || (error instanceof ServiceRefused && error.isWeather);

async function lastRuns(client: Client, tenant: string, limit: number): Promise<RunView[]> {
  const found: RunView[] = [];
  let before: string | null = null;
  do {
    const page = await client.runs(tenant, before, Math.min(limit - found.length, 200));
    found.push(...page.items);
    before = page.next;
  } while (before !== null && found.length < limit);
  return found;
}

/** A run by its id or the end of it, as the table shows it: among the newest ones. */
async function runNamed(client: Client, tenant: string, name: string): Promise<string> {
  if (name.length >= 32) return name;
  const runs = await lastRuns(client, tenant, 1_000);
  const [only, ...more] = runs.filter(({ id }) => id.endsWith(name));
  if (only === undefined) throw new Refused(`${tenant} has no run ${name} among its last ${runs.length}.`);
  if (more.length > 0) throw new Refused(`${more.length + 1} runs end in ${name}: type more of the id.`);
  return only.id;
}
