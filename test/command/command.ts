import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { commands, type World } from '../../src/command/index.js'
import { main } from '../../src/main.js'
import { checkCommand, type Command, helpOf, readCommand } from '../../src/option/command.js'
import { optionsOf, specs } from '../../src/option/options.js'
import { shells } from '../../src/option/completion.js'
import { matchesGolden } from '../kit/golden.js'
import { unless } from '../kit/privilege.js'

/** Runs the program where nothing but its output may be touched. */
async function ask(argv: readonly string[]) {
  const [written, told]: [string[], string[]] = [[], []]
  const out = { isTerminal: false, size: () => undefined, write: async (text: string) => void written.push(text) }
  const world = { out, log: (line: string) => void told.push(line), readText: () => undefined } as unknown as World
  const status = await main(argv, world)
  return { status, text: written.join(''), told: told.join('\n') }
}

async function textOf(argv: readonly string[]): Promise<string> {
  const { status, text, told } = await ask(argv)
  assert.equal([status, told], [0, ''])
  return text
}

test('the help names all options, ends with examples, and fits 80 columns', async () => {
  const help = await textOf(['-h'])
  matchesGolden(help, 'help.txt')
  assert.ok(help.split('\n').every(line => line.length <= 80))
})

test('help wins over everything except unknown options', async () => {
  assert.is(await textOf(['-p', 'x', '1', '2', '3', '-46', '--help']), await textOf(['-h']))
  assert.is(await textOf(['doctor', '-p', '1', '5', '-h']), await textOf(['doctor', '-h']))
})

test('the examples of the help parse', async () => {
  const [, examples = ''] = (await textOf(['-h'])).split('Examples:\n')
  const lines = [...examples.matchAll(/^  tcptop(.*?)  /gm)].map(([, line = '']) => line.trim())
  assert.is(lines.length, 7)
  const watch: Command = { name: '', summary: '', help: '', options: specs, positionals: [{ name: 'interval' }, { name: 'count' }], examples: [], run: async () => 0 }
  for (const line of lines) {
    const asked = await readCommand<never>(line.split(' ').filter(Boolean), watch, commands)
    checkCommand(asked)
    if (asked.command === watch) optionsOf(asked.line)
  }
})

test('help and version have a word and a letter', async () => {
  assert.is(await textOf(['help']), await textOf(['--help']))
  assert.is(await textOf(['-V']), await textOf(['--version']))
})

test('the version is the package’s', async () => {
  const { version } = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')) as { readonly version: string }
  assert.is(await textOf(['--version']), `tcptop ${version}\n`)
})

test('every command has a help of its own, with its options and no others, by -h and by help', async () => {
  for (const { name, options } of commands) {
    const help = await textOf([name, '-h'])
    assert.is(await textOf(['help', name]), help)
    matchesGolden(help, `help-${name}.txt`)
    assert.ok(help.split('\n').every(line => line.length <= 80))
    const shown = [...help.matchAll(/^  (?:-., |    )--([\w-]+)/gm)].map(([, option]) => option)
    assert.equal(shown, [...Object.keys(options), 'help', 'version'])
  }
})

const interval = 'interval must be a number of at least 0.1, got'
for (const [argv, message] of [
  [['1', '2', '3'], 'only interval and count may be given without an option, got "3" as well'],
  [['1', '2', '-C', '--', '3'], 'only interval and count may be given without an option, got "3" as well'],
  [['doctor', '-f', 'csv'], '--format must be table or json with doctor, got "csv"'],
  [['doctor', '5'], 'doctor must stand without interval and count, got "5" as well'],
  [['doctor', '-p', '1'], 'options must be --format, --btf or --no-btf with doctor, got --pid'],
  [['-C', 'doctor'], 'options must be --format, --btf or --no-btf with doctor, got --noclear'],
  [['doctor', '--btf', 'x', '--no-btf'], 'only one of --btf and --no-btf may be given, got both'],
  [['doctor', '--nope'], 'options must be among those that --help lists, got "--nope"'],
  [['5', 'doctor'], 'count must be a whole number of at least 1, got "doctor"'],
  [['-p', 'doctor', '5'], '--pid must be process ids from 1 to 4194304, separated by commas, got "doctor"'],
  [['doctors'], `${interval} "doctors"; did you mean doctor?`],
  [['hlep'], `${interval} "hlep"; did you mean help?`],
  [['completion'], 'completion must be bash, zsh or fish, got nothing'],
  [['completion', 'csh'], 'completion must be bash, zsh or fish, got "csh"'],
  [['completion', 'bash', 'x'], 'completion must stand with one shell, got "x" as well'],
  [['completion', 'bash', '-C'], 'completion must stand without options, got --noclear'],
  [['help', 'docter'], 'help must be record, replay, dump, diff, doctor, completion or help, got "docter"'],
] as const) {
  test(`tcptop ${JSON.stringify(argv.join(' '))} is refused with one line`, async () => {
    assert.equal(await ask(argv), { status: 2, text: '', told: `tcptop: ${message}` })
  })
}

/** A command as one may be added to the list: letters and names of its own, some of which others have for something else. */
const record: Command<string[]> = {
  name: 'record', summary: 'write it down', usage: '[-o FILE]', help: 'Writes frames to a file.',
  options: { output: { letter: 'o', value: 'FILE', describe: 'where to' }, sort: { letter: 's', flag: true, describe: 'in order' }, pid: specs.pid },
  positionals: [{ name: 'interval' }, { name: 'mode', choices: ['fast', 'slow'] }], examples: [['$0 record', 'all of it']],
  run: async (line, said) => said.push(`${line.value('output')} ${line.has('sort')} ${line.values('pid')} ${line.rest}`),
}
const watch: Command<string[]> = { ...record, name: '', usage: '[options]', options: { ...specs, columns: { letter: 'o', value: 'LIST', describe: 'which' } } }

test('one entry is a command: its options come before those of others, and only as the first word it is one', async () => {
  const run = async (...argv: readonly string[]) => {
    const asked = await readCommand(argv, watch, [record])
    checkCommand(asked)
    const said: string[] = []
    await asked.command.run(asked.line, said)
    return [asked.command.name, ...said]
  }
  assert.equal(await run('record', '-so', 'f', '-p1', '5', 'fast'), ['record', 'f true 1 5,fast'])
  assert.equal(await run('-p', '1', 'record', '--output=f'), ['record', 'f false 1 '])
  assert.is((await readCommand(['5', 'record'], watch, [record])).command, watch)
  assert.is((await readCommand(['-o', 'record', '5'], watch, [record])).command, watch)
  for (const [argv, message] of [
    [['record', '-C'], /^options must be --output, --sort or --pid with record, got --noclear$/],
    [['record', '1', '2', '3'], /^record must stand with interval and mode alone, got "3" as well$/],
  ] as const) {
    let thrown = ''
    await run(...argv).catch(error => (thrown = error.message))
    assert.match(thrown, message)
  }
  assert.is(helpOf('x', record), `Usage: x record [-o FILE]

Writes frames to a file.

Options:
  -o, --output FILE  where to
  -s, --sort         in order
  -p, --pid PID      only this process; several: -p 1,2 or repeated
  -h, --help         print this help
  -V, --version      print the version

Examples:
  x record  all of it
`)
  assert.match(helpOf('x', watch, [record]), /^Usage: x \[options\]\nor: {4}x record \[-o FILE\]\n/)
})

for (const shell of ['bash', 'zsh', 'fish']) {
  test(`completions for ${shell} have all options and sub-commands`, async () => {
    const script = await textOf(['completion', shell])
    const names = [...(await textOf(['-h'])).matchAll(/^  (?:-., |    )--([\w-]+)/gm)].map(([, name = '']) => name)
    assert.ok(names.length > 15)
    for (const name of [...names, 'doctor', 'completion', 'help', 'tracepoint']) assert.match(script, new RegExp(`\\b${name}\\b`), name)
  })
}

const bash = (script: string, ...words: readonly string[]) => {
  const ask = `COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _tcptop; echo "\${COMPREPLY[@]}"`
  return execFileSync('bash', ['-c', `${script}\n${ask}`, 'bash', 'tcptop', ...words], { encoding: 'utf8' }).trim()
}

test('bash completes options, their values and sub-commands', async () => {
  const script = await textOf(['completion', 'bash'])
  for (const [words, answer] of [
    [['--by', 'p'], 'process port'],
    [['doc'], 'doctor'],
    [['-C', '--no'], '--noclear --nosummary --no-btf'],
    [['--btf', '/proc/self/com'], '/proc/self/comm'],
    [['doctor', '--'], '--format --btf --no-btf --help --version'],
    [['doctor', '-f', ''], 'table json'],
    [['doctor', ''], ''],
    [['completion', ''], 'bash zsh fish'],
    [['completion', 'bash', ''], ''],
    [['5', ''], ''],
  ] as const) assert.is(bash(script, ...words), answer, words.join(' '))
})

const without = (shell: string) => spawnSync(shell, ['--version']).error === undefined ? undefined : `${shell} is not here`

const inFish = 'fish completes options, their values and sub-commands'
test(inFish, unless(without('fish'), inFish, async () => {
  const script = await textOf(['completion', 'fish'])
  const complete = (line: string) =>
    execFileSync('fish', ['--no-config', '-c', `${script}\ncomplete -C "$argv"`, line], { encoding: 'utf8' }).trim().split('\n').map(text => text.split('\t')[0])
  assert.equal(complete('tcptop --by p').sort(), ['port', 'process'])
  assert.equal(complete('tcptop doc'), ['doctor'])
  assert.equal(complete('tcptop -C --no').sort(), ['--no-btf', '--noclear', '--nosummary'])
  assert.equal(complete('tcptop --btf /proc/self/com'), ['/proc/self/comm'])
}))

/** Types lines into an interactive zsh, each with a tab behind it, and prints what they have become. Arguments: the folder, how to load, lines. */
const typed = `
zmodload zsh/zpty
folder=$1 load=$2
shift 2
zpty shell zsh -f -i
zpty -w shell "show() { print -r -- \\"\\$BUFFER\\" >> $folder/shown; BUFFER=; }; zle -N show; bindkey '^X' show; fpath=($folder \\$fpath)"
zpty -w shell "autoload -Uz compinit; compinit -u -d $folder/dump; $load; touch $folder/loaded"
wait_for() { for turn in {1..300}; do eval $1 && return; sleep 0.1; done; exit 1; }
wait_for '[[ -e $folder/loaded ]]'
for line; do
  count=$((count + 1))
  zpty -w -n shell "$line"$'\\t\\x18'
  wait_for '[[ -e $folder/shown ]] && (( $(wc -l < $folder/shown) == count ))'
done
cat $folder/shown
`

const inZsh = 'zsh completes options, their values and sub-commands, from a file of its path and sourced'
test(inZsh, unless(without('zsh'), inZsh, async () => {
  const script = await textOf(['completion', 'zsh'])
  for (const [name, load] of [['_tcptop', ':'], ['script', 'source $folder/script']] as const) {
    const folder = mkdtempSync(join(tmpdir(), 'tcptop-zsh-'))
    try {
      writeFileSync(join(folder, name), script)
      const lines = ['tcptop --by pr', 'tcptop doc', 'tcptop -C --nos', 'tcptop --btf /proc/self/com']
      const out = execFileSync('zsh', ['-f', '-c', typed, 'zsh', folder, load.replace('$folder', folder), ...lines], { encoding: 'utf8' })
      assert.equal(out.trimEnd().split('\n').map(line => line.trimEnd()), [
        'tcptop --by process', 'tcptop doctor', 'tcptop -C --nosummary', 'tcptop --btf /proc/self/comm',
      ], name)
    } finally {
      rmSync(folder, { recursive: true })
    }
  }
}))

test('a command that is added completes its own options and words', () => {
  const script = shells[0]!.script('tcptop', watch, [record])
  assert.is(bash(script, 'rec'), 'record')
  assert.is(bash(script, 'record', '--o'), '--output')
  assert.is(bash(script, 'record', '5', ''), 'fast slow')
  assert.is(bash(script, 'record', '-o', '/proc/self/com'), '/proc/self/comm')
})

test('the help does not depend on the language or the width of the terminal', async () => {
  const help = await textOf(['-h'])
  const { env } = process
  const before = { LC_ALL: env.LC_ALL, COLUMNS: env.COLUMNS }
  Object.assign(env, { LC_ALL: 'de_DE.UTF-8', COLUMNS: '40' })
  try {
    assert.is(await textOf(['-h']), help)
  } finally {
    for (const [name, value] of Object.entries(before)) {
      if (value === undefined) delete env[name]
      else env[name] = value
    }
  }
})

test.run()
