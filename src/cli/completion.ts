import type { Argument, Command, Option } from 'commander';

/** Scripts for shells, written from the tree of commands: a command that is new is completed. Pure. */

export const SHELLS = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof SHELLS)[number];

export function completionScript(program: Command, shell: Shell): string {
  switch (shell) {
    case 'bash':
      return bashScript(nodesOf(program));
    case 'zsh':
      return ZSH_HEAD + bashScript(nodesOf(program));
    case 'fish':
      return fishScript(nodesOf(program));
  }
}

/** What may stand somewhere: words of our own, or what only the moment tells. */
type Wanted = { kind: 'words'; words: readonly string[] } | { kind: 'tenants' | 'files' | 'anything' };

interface Node {
  /** The words that lead here: `handoffs`, `show`. */
  path: string[];
  description: string;
  commands: { name: string; description: string }[];
  options: { short: string | null; long: string | null; description: string; value: Wanted | null }[];
  /** By place; the last one of a variadic command goes on. */
  args: { wanted: Wanted; goesOn: boolean }[];
}

function nodesOf(program: Command): Node[] {
  const visit = (command: Command, path: string[]): Node[] => {
    const commands = command
      .createHelp()
      .visibleCommands(command)
      .filter((one) => one.name() !== 'help');
    // What the whole program takes is taken after every command.
    const options = path.length === 0 ? command.options : [...command.options, ...program.options];
    const node: Node = {
      path,
      description: command.description(),
      commands: commands.map((one) => ({ name: one.name(), description: one.description() })),
      options: [
        ...options.filter(({ hidden }) => !hidden).map(optionOf),
        { short: '-h', long: '--help', description: 'tell more of it', value: null },
      ],
      args: command.registeredArguments.map((argument) => ({
        wanted: argumentWanted(argument),
        goesOn: argument.variadic,
      })),
    };
    return [node, ...commands.flatMap((one) => visit(one, [...path, one.name()]))];
  };
  return visit(program, []);
}

const optionOf = (option: Option): Node['options'][number] => ({
  short: option.short ?? null,
  long: option.long ?? null,
  description: option.description,
  value: option.required || option.optional ? optionWanted(option) : null,
});

function argumentWanted(argument: Argument): Wanted {
  if (argument.argChoices) return { kind: 'words', words: argument.argChoices };
  return { kind: /^tenants?$/.test(argument.name()) ? 'tenants' : 'anything' };
}

function optionWanted({ argChoices, flags, long }: Option): Wanted {
  if (argChoices) return { kind: 'words', words: argChoices };
  const value = /[<[](\w+)/.exec(flags)?.[1] ?? '';
  if (value === 'tenant') return { kind: 'tenants' };
  return { kind: value === 'folder' || (long ?? value).endsWith('file') ? 'files' : 'anything' };
}

const TENANTS = '@tenants';
const FILES = '@files';

function wordsOf(wanted: Wanted): string {
  switch (wanted.kind) {
    case 'words':
      return wanted.words.join(' ');
    case 'tenants':
      return TENANTS;
    case 'files':
      return FILES;
    case 'anything':
      return '';
  }
}

/** One line of the table that the script looks words up in; `sub`, `opt`, `val` and `arg` of each command. */
function bashTable(nodes: readonly Node[]): string[] {
  const line = (patterns: string[], words: string) =>
    `    ${patterns.map((pattern) => `'${pattern}'`).join('|')}) echo '${words}' ;;`;
  return nodes.flatMap(({ path, commands, options, args }) => {
    const at = path.join(' ');
    return [
      ...(commands.length === 0 ? [] : [line([`sub ${at}`], commands.map(({ name }) => name).join(' '))]),
      line([`opt ${at}`], options.flatMap(({ short, long }) => [long, short].filter(Boolean)).join(' ')),
      ...options.flatMap(({ short, long, value }) =>
        value === null
          ? []
          : [
              line(
                [short, long].filter((flag) => flag !== null).map((flag) => `val ${at} ${flag}`),
                wordsOf(value),
              ),
            ],
      ),
      ...args.map(({ wanted, goesOn }, place) => {
        const exact = line([`arg ${at} ${place}`], wordsOf(wanted));
        return goesOn ? exact.replace(`${place}'`, `'*`) : exact;
      }),
    ];
  });
}

const bashScript = (
  nodes: readonly Node[],
): string => `# Completion of parasol, written by \`parasol completion\`.
_parasol_words() {
  case "$1" in
${bashTable(nodes).join('\n')}
    *) return 1 ;;
  esac
}

_parasol() {
  local cur="\${COMP_WORDS[COMP_CWORD]}" path='' place=0 flag='' plain='' word='' wanted='' i
  # A shell that splits at "=" has it as a word of its own: what follows is the option's value.
  [ "$cur" = '=' ] && cur=''
  for ((i = 1; i < COMP_CWORD; i++)); do
    word="\${COMP_WORDS[i]}"
    if [ -n "$flag" ]; then
      [ "$word" = '=' ] || flag=''
    elif [ -z "$plain" ] && [ "$word" = '--' ]; then
      plain=1
    elif [ -z "$plain" ] && [ "\${word#-}" != "$word" ]; then
      _parasol_words "val $path $word" > /dev/null && flag="$word"
    elif [ "$place" = 0 ] && [[ " $(_parasol_words "sub $path") " == *" $word "* ]]; then
      path="\${path:+$path }$word"
    else
      place=$((place + 1))
    fi
  done
  if [ -n "$flag" ]; then
    wanted="$(_parasol_words "val $path $flag")"
  elif [ -z "$plain" ] && [ "\${cur#-}" != "$cur" ]; then
    wanted="$(_parasol_words "opt $path")"
  else
    [ "$place" = 0 ] && wanted="$(_parasol_words "sub $path") "
    wanted="$wanted$(_parasol_words "arg $path $place")"
  fi
  case " $wanted " in
    *' ${FILES} '*)
      compopt -o filenames 2> /dev/null
      COMPREPLY=($(compgen -f -- "$cur"))
      return
      ;;
    *' ${TENANTS} '*)
      wanted="\${wanted/${TENANTS}/} $("\${COMP_WORDS[0]}" completion tenants "$cur" 2> /dev/null < /dev/null)"
      ;;
  esac
  COMPREPLY=($(compgen -W "$wanted" -- "$cur"))
}
complete -F _parasol parasol
`;

const ZSH_HEAD = `autoload -U +X compinit && compinit
autoload -U +X bashcompinit && bashcompinit
`;

function fishScript(nodes: readonly Node[]): string {
  const quoted = (text: string) => `'${text.replaceAll(/[\\']/g, (sign) => `\\${sign}`)}'`;
  const lines = nodes.flatMap(({ path, commands, options, args }) => {
    const here =
      path.length === 0
        ? '__fish_use_subcommand'
        : path.map((name) => `__fish_seen_subcommand_from ${name}`).join('; and ');
    const at = `complete -c parasol -n ${quoted(here)}`;
    return [
      ...commands.map(({ name, description }) => `${at} -a ${name} -d ${quoted(description)}`),
      ...options.map(({ short, long, description, value }) =>
        [
          at,
          short === null ? '' : `-s ${short.slice(1)}`,
          long === null ? '' : `-l ${long.slice(2)}`,
          value === null ? '' : value.kind === 'files' ? '-r -F' : `-x${fishWords(value)}`,
          `-d ${quoted(description)}`,
        ]
          .filter(Boolean)
          .join(' '),
      ),
      ...[...new Set(args.map(({ wanted }) => fishWords(wanted)))].filter(Boolean).map((words) => at + words),
    ];
  });
  return [
    '# Completion of parasol, written by `parasol completion`.',
    'complete -c parasol -f',
    ...lines,
    '',
  ].join('\n');
}

function fishWords(wanted: Wanted): string {
  if (wanted.kind === 'words') return ` -a '${wanted.words.join(' ')}'`;
  return wanted.kind === 'tenants' ? ` -a '(parasol completion tenants (commandline -ct) 2> /dev/null)'` : '';
}
