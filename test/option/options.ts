import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { type Options, parseOptions } from '../../src/option/options.js'
import { UsageError } from '../../src/usage-error.js'
import { csv } from '../../src/view/csv.js'
import { groupings } from '../../src/view/grouping.js'
import { json } from '../../src/view/json.js'
import { matchesGolden } from '../kit/golden.js'
import { unless } from '../kit/privilege.js'
import { seeded } from '../kit/random.js'

async function optionsOf(argv: readonly string[]): Promise<Options> {
  const request = await parseOptions(argv)
  if ('text' in request) throw new Error(`an answer: ${request.text}`)
  return request
}

async function textOf(argv: readonly string[]): Promise<string> {
  const request = await parseOptions(argv)
  if ('text' in request) return request.text
  throw new Error('options, not an answer')
}

const [connection, process, , host, port] = groupings as [typeof groupings[0], ...typeof groupings]

test('nothing given, all is as bcc has it', async () => {
  const { format, grouping, ...rest } = await optionsOf([])
  assert.is(format.name, 'table')
  assert.is(grouping, connection)
  assert.equal(rest, {
    clear: true, summary: true, pids: [], interval: 1, intervalText: '1', verbose: false, backend: 'auto',
    sort: { offset: 16, size: 8, order: 'descending' }, maxFlows: 65536, dumpBpf: false, doctor: false,
  })
})

const good: readonly (readonly [readonly string[], Partial<Options>])[] = [
  [['-C'], { clear: false }],
  [['--noclear'], { clear: false }],
  [['-C', '-C'], { clear: false }],
  [['-S'], { summary: false }],
  [['-CSv'], { clear: false, summary: false, verbose: true }],
  [['--nosummary', '--verbose'], { summary: false, verbose: true }],
  [['-p', '1'], { pids: [1] }],
  [['-p', '1', '2'], { pids: [1], interval: 2, intervalText: '2' }],
  [['-p1,2'], { pids: [1, 2] }],
  [['-p=1'], { pids: [1] }],
  [['-Cp', '1,2', '--pid', '3', '--pid=2'], { clear: false, pids: [1, 2, 3] }],
  [['-CSp4194304'], { clear: false, summary: false, pids: [4194304] }],
  [['-4'], { family: 4 }],
  [['--ipv4'], { family: 4 }],
  [['-6'], { family: 6 }],
  [['-C6', '5'], { clear: false, family: 6, interval: 5, intervalText: '5' }],
  [['--btf', 'x'], { btf: 'x' }],
  [['--no-btf'], { btf: false }],
  [['5'], { interval: 5, intervalText: '5' }],
  [['0.5', '10'], { interval: 0.5, intervalText: '0.5', count: 10 }],
  [['.1'], { interval: 0.1, intervalText: '.1' }],
  [['2000000'], { interval: 2_000_000, intervalText: '2000000' }],
  [['5.', '1'], { interval: 5, intervalText: '5.', count: 1 }],
  [['5', '-C', '2'], { interval: 5, intervalText: '5', count: 2, clear: false }],
  [['--', '5', '2'], { interval: 5, intervalText: '5', count: 2 }],
  [['-s', 'sent'], { sort: { offset: 8, size: 8, order: 'descending' } }],
  [['-s', 'RX_KB'], { sort: { offset: 0, size: 8, order: 'descending' } }],
  [['-sreceived'], { sort: { offset: 0, size: 8, order: 'descending' } }],
  [['--sort=pid'], { sort: { offset: 24, size: 4, order: 'ascending' } }],
  [['--by', 'process', '-s', 'comm'], { grouping: process!, sort: { offset: 32, size: 16, order: 'ascending' } }],
  [['-s', 'raddr', '--by', 'host'], { grouping: host!, sort: { offset: 64, size: 16, order: 'ascending' } }],
  [['--by=port', '--sort=port'], { grouping: port!, sort: { offset: 84, size: 2, order: 'ascending' } }],
  [['-r', '10'], { rows: 10 }],
  [['-r1000000'], { rows: 1000000 }],
  [['-c', '/sys/fs/cgroup/a b'], { cgroup: '/sys/fs/cgroup/a b' }],
  [['--cgroup=-odd'], { cgroup: '-odd' }],
  [['--cgroupmap', '/sys/fs/bpf/c', '--mntnsmap=m=n'], { cgroupMap: '/sys/fs/bpf/c', mntnsMap: 'm=n' }],
  [['-f', 'json'], { format: json, clear: false }],
  [['-fcsv'], { format: csv, clear: false }],
  [['--backend', 'auto'], { backend: 'auto' }],
  [['--backend=tracepoint'], { backend: 'tracepoint' }],
  [['--backend', 'fentry'], { backend: 'fentry' }],
  [['--backend', 'kprobe'], { backend: 'kprobe' }],
  [['--max-flows', '1'], { maxFlows: 1 }],
  [['doctor'], { doctor: true }],
  [['-fjson', 'doctor', '--no-btf'], { doctor: true, format: json, clear: false, btf: false }],
  [['--max-flows=1000000', '--dump-bpf'], { maxFlows: 1000000, dumpBpf: true }],
]

for (const [argv, expected] of good) {
  test(`tcptop ${argv.join(' ')} means what it says and nothing else`, async () => {
    assert.equal({ ...await optionsOf(argv) }, { ...await optionsOf([]), ...expected })
  })
}

const pid = '--pid must be process ids from 1 to 4194304, separated by commas, got'
const interval = 'interval must be a number of at least 0.1, got'
const unknown = 'options must be among those that --help lists, got'
const count = 'count must be a whole number of at least 1, got'
const rows = '--rows must be a whole number from 1 to 1000000, got'
const flows = '--max-flows must be a whole number from 1 to 1000000, got'
const family = 'only one of --ipv4 and --ipv6 may be given, got both'

const bad: readonly (readonly [readonly string[], string])[] = [
  [['-p', 'x'], `${pid} "x"`],
  [['-p', '0'], `${pid} "0"`],
  [['-p', '-5'], `${pid} "-5"`],
  [['-p', '1.5'], `${pid} "1.5"`],
  [['-p', '0x10'], `${pid} "0x10"`],
  [['-p', '4194305'], `${pid} "4194305"`],
  [['-p', '1,,2'], `${pid} "1,,2"`],
  [['-p', '1, 2'], `${pid} "1, 2"`],
  [['-p1,2', '-p', '3,'], `${pid} "3,"`],
  [['-p'], `${pid} nothing`],
  [['-p', '-C'], `${pid} nothing`],
  [['-p', '-4'], `${pid} nothing`],
  [['--pid='], `${pid} nothing`],
  [['abc'], `${interval} "abc"`],
  [['0'], `${interval} "0"`],
  [['-1'], `${interval} "-1"`],
  [['-0.5'], `${interval} "-0.5"`],
  [['0.05'], `${interval} "0.05"`],
  [['1e1'], `${interval} "1e1"`],
  [['0x10'], `${interval} "0x10"`],
  [['Infinity'], `${interval} "Infinity"`],
  [['1\n2'], `${interval} "1\\n2"`],
  [['-'], `${interval} "-"`],
  [[''], `${interval} nothing`],
  [['.'], `${interval} "."`],
  [['-C', 'true'], `${interval} "true"`],
  [['--', '-C'], `${interval} "-C"`],
  [['2000001'], 'interval must be a number of at most 2000000, got "2000001"'],
  [['1', '0'], `${count} "0"`],
  [['1', '1.5'], `${count} "1.5"`],
  [['1', 'x'], `${count} "x"`],
  [['1', '-1'], `${count} "-1"`],
  [['1', '99999999999999999999'], `${count} "99999999999999999999"`],
  [['1', '2', '3'], 'only interval and count may stand without an option, got "3" as well'],
  [['1', '2', '-C', '--', '3'], 'only interval and count may stand without an option, got "3" as well'],
  [['-4', '-6'], family],
  [['-64'], family],
  [['--ipv4', '-C', '--ipv6'], family],
  [['--btf', 'x', '--no-btf'], 'only one of --btf and --no-btf may be given, got both'],
  [['-r', '0'], `${rows} "0"`],
  [['-r', 'all'], `${rows} "all"`],
  [['-r', '-1'], `${rows} "-1"`],
  [['-r', '1000001'], `${rows} "1000001"`],
  [['-r'], `${rows} nothing`],
  [['-r', '--', '3'], `${rows} nothing`],
  [['-r', '1', '-r', '1'], '--rows must be given once, got "1" and "1"'],
  [['-s', 'all', '--sort=sent'], '--sort must be given once, got "all" and "sent"'],
  [['--max-flows', '0'], `${flows} "0"`],
  [['--max-flows', '1e3'], `${flows} "1e3"`],
  [['--max-flows', '1000001'], `${flows} "1000001"`],
  [['-f', 'xml'], '--format must be table, json or csv, got "xml"'],
  [['--dump-bpf', '-f', 'csv'], '--format must be table or json with --dump-bpf, got "csv"'],
  [['doctor', '-f', 'csv'], '--format must be table or json with doctor, got "csv"'],
  [['doctor', '5'], 'doctor must stand without interval and count, got "5" as well'],
  [['doctor', '-p', '1'], 'options must be --format, --btf or --no-btf with doctor, got --pid'],
  [['-C', 'doctor'], 'options must be --format, --btf or --no-btf with doctor, got --noclear'],
  [['5', 'doctor'], `${count} "doctor"`],
  [['doctors'], `${interval} "doctors"; did you mean doctor?`],
  [['hlep'], `${interval} "hlep"; did you mean help?`],
  [['--fromat', 'json'], `${unknown} "--fromat"; did you mean --format?`],
  [['completion'], 'completion must be bash, zsh or fish, got nothing'],
  [['completion', 'csh'], 'completion must be bash, zsh or fish, got "csh"'],
  [['completion', 'bash', 'x'], 'completion must stand with a shell alone, got "x" as well'],
  [['-f', 'constructor'], '--format must be table, json or csv, got "constructor"'],
  [['-f', 'JSON'], '--format must be table, json or csv, got "JSON"'],
  [['--by', 'thread'], '--by must be connection, process, comm, host, port or cgroup, got "thread"'],
  [['--backend', 'magic'], '--backend must be auto, fentry, kprobe or tracepoint, got "magic"'],
  [['--sort', 'PID', '--by', 'port'],
    '--sort must be all, sent, received, port, rx_kb or tx_kb with --by port, got "PID"'],
  [['--by=host', '-s', 'pid'], '--sort must be all, sent, received, raddr, rx_kb or tx_kb with --by host, got "pid"'],
  [['-s'], '--sort must be all, sent, received, pid, comm, laddr, lport, raddr, rport, rx_kb or tx_kb'
    + ' with --by connection, got nothing'],
  [['-c', ''], '--cgroup must be the path of a cgroup v2 directory, got nothing'],
  [['--cgroupmap'], '--cgroupmap must be the path of a pinned BPF map, got nothing'],
  [['--mntnsmap', 'a\0b'], '--mntnsmap must be the path of a pinned BPF map, got "a\\u0000b"'],
  [['-x'], `${unknown} "-x"`],
  [['-Cx'], `${unknown} "-x"`],
  [['-C5'], `${unknown} "-5"`],
  [['--foo'], `${unknown} "--foo"`],
  [['--foo=bar'], `${unknown} "--foo"`],
  [['--foo.bar', '1'], `${unknown} "--foo.bar"`],
  [['--no-clear'], `${unknown} "--no-clear"; did you mean --noclear?`],
  [['--no-noclear'], `${unknown} "--no-noclear"; did you mean --noclear?`],
  [['--pi', '1'], `${unknown} "--pi"; did you mean --pid?`],
  [['--C'], `${unknown} "--C"`],
  [['--maxFlows', '1'], `${unknown} "--maxFlows"; did you mean --max-flows?`],
  [['--_', '1'], `${unknown} "--_"`],
  [['--$0=x'], `${unknown} "--$0"`],
  [['--__proto__', 'x'], `${unknown} "--__proto__"`],
  [['--constructor'], `${unknown} "--constructor"`],
  [['---'], `${unknown} "---"`],
  [['--help', '--foo'], `${unknown} "--foo"`],
  [['--noclear=false'], '--noclear must be given without a value, got "false"'],
  [['--ipv4='], '--ipv4 must be given without a value, got ""'],
  [['-C=1'], '-C must be given without a value, got "1"'],
  [['-CS='], '-S must be given without a value, got ""'],
  [['-=1'], `${unknown} "-="`],
]

for (const [argv, message] of bad) {
  test(`tcptop ${JSON.stringify(argv.join(' '))} is refused in one line`, async () => {
    let thrown: unknown
    try {
      await parseOptions(argv)
    } catch (error) {
      thrown = error
    }
    assert.instance(thrown, UsageError)
    assert.is((thrown as UsageError).message, message)
    assert.not.match(message, /\n/)
  })
}

test('common command lines, read without yargs, mean what yargs makes of them', seeded(async random => {
  const words = [
    '-C', '-p', '1', '-p1,2', '--pid=3', '--pid', '-s', 'sent', '-sx', '5', '0.5', '-r', '-r5', '--by', 'host', '-', '-4', '-1', '--rows=', '""', "'x'", '',
    '--no-btf', '--btf', '--cgroup=a=b', '--max-flows', '7', 'a b', '-Sp', '--noclear', 'true', '"-C"', 'doctor',
  ]
  // With a last --, which means nothing, they are left to yargs.
  const outcome = (argv: readonly string[]) => parseOptions(argv).then(options => JSON.stringify(options), error => String(error))
  for (let time = 0; time < 1000; time++) {
    const argv = Array.from({ length: random.below(6) }, () => random.pick(words))
    assert.is(await outcome(argv), await outcome([...argv, '--']), JSON.stringify(argv))
  }
}))

test('options do not change once they are parsed', async () => {
  const options = await optionsOf(['-p', '1'])
  assert.ok(Object.isFrozen(options) && Object.isFrozen(options.pids))
})

test('the help names all options, ends with examples, and fits 80 columns', async () => {
  const help = await textOf(['-h'])
  matchesGolden(help, 'help.txt')
  assert.ok(help.split('\n').every(line => line.length <= 80))
})

test('help comes before everything but unknown options', async () => {
  assert.is(await textOf(['-p', 'x', '1', '2', '3', '-46', '--help']), await textOf(['-h']))
})

test('the examples of the help are understood', async () => {
  const [, examples = ''] = (await textOf(['-h'])).split('Examples:\n')
  const lines = [...examples.matchAll(/^  tcptop(.*?)  /gm)].map(([, line = '']) => line.trim())
  assert.is(lines.length, 7)
  for (const line of lines) await optionsOf(line.split(' ').filter(Boolean))
})

test('help and version have words and letters of their own', async () => {
  assert.is(await textOf(['help']), await textOf(['--help']))
  assert.is(await textOf(['-V']), await textOf(['--version']))
})

for (const shell of ['bash', 'zsh', 'fish']) {
  test(`completions for ${shell} have all options, and the words that may stand first`, async () => {
    const script = await textOf(['completion', shell])
    const names = [...(await textOf(['-h'])).matchAll(/^  (?:-., |    )--([\w-]+)/gm)].map(([, name = '']) => name)
    assert.ok(names.length > 15)
    for (const name of [...names, 'doctor', 'completion', 'help', 'tracepoint']) assert.match(script, new RegExp(`\\b${name}\\b`), name)
  })
}

test('bash completes options, their values and sub-commands', async () => {
  const script = await textOf(['completion', 'bash'])
  const complete = (...words: readonly string[]) => {
    const ask = `COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _tcptop; echo "\${COMPREPLY[@]}"`
    return execFileSync('bash', ['-c', `${script}${ask}`, 'bash', 'tcptop', ...words], { encoding: 'utf8' }).trim()
  }
  assert.is(complete('--by', 'p'), 'process port')
  assert.is(complete('doc'), 'doctor')
  assert.is(complete('-C', '--no'), '--noclear --nosummary --no-btf')
  assert.is(complete('--btf', '/proc/self/com'), '/proc/self/comm')
})

const without = (shell: string) => spawnSync(shell, ['--version']).error === undefined ? undefined : `${shell} is not here`

const inFish = 'fish completes options, their values and sub-commands'
test(inFish, unless(without('fish'), inFish, async () => {
  const script = await textOf(['completion', 'fish'])
  const complete = (line: string) =>
    execFileSync('fish', ['--no-config', '-c', `${script}complete -C "$argv"`, line], { encoding: 'utf8' }).trim().split('\n').map(text => text.split('\t')[0])
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

test('the version is the package’s', async () => {
  const { version } = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')) as { readonly version: string }
  assert.is(await textOf(['--version']), `tcptop ${version}\n`)
})

test('the help does not depend on the language or the width of the terminal', async () => {
  const help = await textOf(['-h'])
  const { env } = globalThis.process
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
