import { InvalidArgumentError, Option, type Command } from 'commander';
import { ROLES } from '../domain/access.ts';
import { parseDuration } from '../domain/duration.ts';
import type { TokenView } from '../reconciler/commands.ts';
import { revealToken, type Client } from './client.ts';
import { Refused, type Context } from './context.ts';
import { ago, type Sheet } from './sheet.ts';

/** Tokens of the API: made, listed, revoked. */
export function addTokens(program: Command, context: Context): void {
  const list = async () => context.show(await context.client().tokens(), tokensText);
  const token = program
    .command('token')
    .description('who may use the API: tokens, their roles and tenants')
    .action(list);
  token.command('list').description('tokens by name, and when each was last used').action(list);
  token
    .command('create')
    .description('make a token; it is shown this once, on standard output')
    .argument('<name>')
    .addOption(new Option('--role <role>', 'what it may do').choices(ROLES).makeOptionMandatory())
    .option('--tenant <id>', 'bind it to this tenant; may be given again', collect, [])
    .option('--label <key=value>', 'bind it to tenants with all of these labels', collect, [])
    .option('--expires <duration>', 'such as 90d; absent: when yours does, or never', spelledDuration)
    .option('--reveal', 'it may read a key, once, for a hand-off')
    .option('--reason <text>', 'why, for the audit')
    .addHelpText('after', CREATE_HELP)
    .action((name: string, options: CreateOptions) => create(context, name, options));
  token
    .command('revoke')
    .description('from now on it is no token any more')
    .argument('<token>', 'its name or its id')
    .option('--reason <text>', 'why, for the audit')
    .action(async (named: string, { reason }: { reason?: string }) => {
      const client = context.client();
      const { id } = await tokenNamed(client, named);
      const revoked = await client.revokeToken(id, reason ?? null);
      context.show(revoked, ({ paper }) =>
        paper.paragraph(
          `The token ${revoked.name} is revoked: within two seconds no service knows it any more.`,
        ),
      );
    });
}

const CREATE_HELP = `
No token makes one that is stronger than itself. --reveal is granted by a token
that has it: the one in use, or besides it the one that PARASOL_REVEAL_TOKEN
gives, or PARASOL_REVEAL_TOKEN_FILE.`;

interface CreateOptions {
  role: string;
  tenant: string[];
  label: string[];
  expires?: string;
  reveal?: boolean;
  reason?: string;
}

async function create(context: Context, name: string, options: CreateOptions): Promise<void> {
  const { role, tenant, label, expires, reveal = false, reason } = options;
  const made = await context.client().createToken(
    {
      name,
      role,
      tenants: tenant,
      labels: label,
      mayReveal: reveal,
      ...(expires === undefined ? {} : { expires }),
      ...(reason === undefined ? {} : { reason }),
    },
    reveal ? revealToken(context.io.env) : null,
  );
  const until = made.expiresAt === null ? 'never expires' : `expires at ${made.expiresAt}`;
  context.note(
    context.errors.paragraph(
      `The token ${name} (${role}, ${boundTo(made)}) ${until}. It is shown this once: keep it where secrets are kept.`,
    ),
  );
  context.show(made, (_, { token }) => token);
}

async function tokenNamed(client: Client, named: string): Promise<TokenView> {
  const found = (await client.tokens()).find(({ id, name }) => id === named || name === named);
  if (found) return found;
  throw new Refused(`There is no token ${named}. \`parasol token list\` shows those that there are.`);
}

function tokensText({ paper, now }: Sheet, tokens: TokenView[]): string {
  return paper.table(
    ['NAME', 'ROLE', 'FOR', 'USED', 'EXPIRES'],
    tokens.map((token) => [
      token.name,
      token.mayReveal ? `${token.role}, may reveal` : token.role,
      boundTo(token),
      ago(token.lastUsedAt, now),
      expiry(token, now),
    ]),
  );
}

function expiry({ expiresAt }: TokenView, now: Date) {
  if (expiresAt === null) return 'never';
  const past = Date.parse(expiresAt) <= now.getTime();
  return {
    text: past ? `expired ${ago(expiresAt, now)}` : ago(expiresAt, now),
    colour: past ? 'red' : null,
  } as const;
}

function boundTo({ scope }: TokenView): string {
  if (scope === null) return 'all tenants';
  const labels = scope.labels.length > 0 ? [scope.labels.join(' and ')] : [];
  return [...scope.tenants, ...labels].join(', ');
}

const collect = (value: string, before: string[]): string[] => [...before, value];

function spelledDuration(text: string): string {
  if (parseDuration(text) !== null) return text;
  throw new InvalidArgumentError('It must be a duration such as 90d, 36h or 15m.');
}
