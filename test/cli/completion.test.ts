import { execFile } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it, test } from 'vitest';
import { EXIT } from '../../src/cli/io.ts';
import * as canned from './canned.ts';
import { fakeService, run } from './harness.ts';

const folder = mkdtempSync(join(tmpdir(), 'parasol-completion-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const script = join(folder, 'completion.bash');
const bin = join(folder, 'bin');

beforeAll(async () => {
  writeFileSync(script, (await run(['completion', 'bash'])).out);
  // The program as the script calls it: it knows two tenants, and says when it is asked.
  mkdirSync(bin);
  const parasol = `#!/bin/sh
echo "asked: $*" >> '${folder}/asked'
printf 'acme\\nalder\\n'
`;
  writeFileSync(join(bin, 'parasol'), parasol);
  chmodSync(join(bin, 'parasol'), 0o755);
  mkdirSync(join(folder, 'here'));
  writeFileSync(join(folder, 'here', 'fleet.yaml'), '');
});

/** What a real bash offers after these words; the last one is being typed. */
async function offered(...words: string[]): Promise<string[]> {
  const program = `
source '${script}'
COMP_WORDS=(parasol "$@")
COMP_CWORD=$#
_parasol
printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { stdout, stderr } = await promisify(execFile)('bash', ['--norc', '-c', program, 'bash', ...words], {
    cwd: join(folder, 'here'),
    env: { PATH: `${bin}:${process.env['PATH']}` },
  });
  expect(stderr).toBe('');
  return stdout.split('\n').filter(Boolean);
}

describe('completion in bash', () => {
  it('is a script that bash reads without a word', async () => {
    expect(await promisify(execFile)('bash', ['-n', script])).toEqual({ stdout: '', stderr: '' });
  });

  test.each<[string[], string[]]>([
    [['rot'], ['rotate', 'rotations']],
    [['--js'], ['--json']],
    [['--json', 'sched'], []],
    [['--json', 'sche'], ['schema']],
    [
      ['vault', ''],
      ['status', 'rekey'],
    ],
    [
      ['status', 'a'],
      ['acme', 'alder'],
    ],
    [['status', 'al'], ['alder']],
    [['status', '--json', 'al'], ['alder']],
    [['status', 'acme', ''], []],
    [
      ['credential', 'acme', 'umb'],
      ['umbrella-api', 'umbrella-key-admin'],
    ],
    [
      ['rotate', '--credential', ''],
      ['integration', 'umbrella-api'],
    ],
    [['rotate', '--credential', '=', 'umb'], ['umbrella-api']],
    [
      ['rotate', '--credential', '='],
      ['integration', 'umbrella-api'],
    ],
    [['rotate', '--reason', 'status', 'al'], ['alder']],
    [['rotate', '--reason', ''], []],
    [['rotate', '--comp'], ['--compromised']],
    [['rotate', '--', 'al'], ['alder']],
    [['rotate', '--', '--'], []],
    [['apply', '-f', 'fl'], ['fleet.yaml']],
    [
      ['apply', '--prune', '-f', 'fleet.yaml', '--con'],
      ['--continue', '--confirm-prune'],
    ],
    [
      ['export', ''],
      ['spec', 'acme', 'alder'],
    ],
    [['export', 'spec', 'acme', 'al'], ['alder']],
    [
      ['completion', ''],
      ['bash', 'zsh', 'fish'],
    ],
    [['no-such-command', ''], []],
  ])('%j: %j', async (words, expected) => {
    expect(await offered(...words)).toEqual(expected);
  });

  it('knows every command, and asks the service only where a tenant may stand', async () => {
    const { out } = await run(['--help']);
    const listed = [...out.split('Commands:')[1]!.matchAll(/^  ([a-z]+)/gm)].map(([, name]) => name);
    const commands = listed.filter((name) => name !== 'help');
    expect(commands.length).toBeGreaterThan(20);
    rmSync(join(folder, 'asked'), { force: true });
    expect(new Set(await offered(''))).toEqual(new Set(commands));
    const asked = await promisify(execFile)('bash', [
      '-c',
      `cat '${folder}/asked' 2> /dev/null || echo nothing`,
    ]);
    expect(asked.stdout).toBe('nothing\n');
  });
});

describe('the ids of tenants', () => {
  const [first] = canned.tenants;
  const page = { items: [first, { ...first, id: 'acme-uk' }, { ...first, id: 'not-acme' }], next: null };

  it('are those that begin alike', async () => {
    await using service = await fakeService({ 'GET /tenants': () => ({ body: page }) });
    const env = { PARASOL_URL: service.url };
    expect((await run(['completion', 'tenants', 'acme'], { env })).out).toBe('acme\nacme-uk\n');
    expect((await run(['completion', 'tenants'], { env })).out).toBe('acme\nacme-uk\nnot-acme\n');
    expect(service.asked.map(({ path }) => path)).toEqual([
      '/tenants?q=acme&limit=200',
      '/tenants?limit=200',
    ]);
  });

  test.each([
    ['there is no service', { PARASOL_URL: 'http://127.0.0.1:1' }],
    ['the address is none', { PARASOL_URL: 'nonsense' }],
    ['the file of the token is not there', { PARASOL_TOKEN_FILE: '/nowhere' }],
  ])('are none, and nothing is said, where %s', async (_, env) => {
    expect(await run(['completion', 'tenants', 'a'], { env })).toEqual({ out: '', err: '', code: EXIT.ok });
  });
});

describe('completion elsewhere', () => {
  it('in zsh is that of bash, which zsh understands', async () => {
    const [zsh, bash] = [await run(['completion', 'zsh']), await run(['completion', 'bash'])];
    expect(zsh.out).toContain('bashcompinit');
    expect(zsh.out.endsWith(bash.out)).toBe(true);
  });

  it('in fish is a line for each word that there is, with what it means', async () => {
    const { out } = await run(['completion', 'fish']);
    expect(out).toContain(
      "-n '__fish_use_subcommand' -a rotate -d 'replace a key with overlap: the old one goes last; of a tenant, or of many'",
    );
    expect(out).toContain("-n '__fish_seen_subcommand_from vault; and __fish_seen_subcommand_from rekey'");
    expect(out).toContain(
      "'__fish_seen_subcommand_from status' -a '(parasol completion tenants (commandline -ct) 2> /dev/null)'",
    );
    for (const line of out.trimEnd().split('\n').slice(1)) {
      expect(line).toMatch(/^complete -c parasol( |$)/);
      // Every quote is closed, whatever the words.
      expect(line.replaceAll(String.raw`\'`, '').split("'").length % 2).toBe(1);
    }
  });

  it('is refused for a shell that is not known', async () => {
    expect((await run(['completion', 'tcsh'])).code).toBe(EXIT.refused);
  });
});
