import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { firstWord, parseCommandLine } from '../../src/option/command-line.js'
import { type Options, optionsOf, specs } from '../../src/option/options.js'
import { UsageError } from '../../src/usage-error.js'
import { csv } from '../../src/view/csv.js'
import { groupings } from '../../src/view/grouping.js'
import { json } from '../../src/view/json.js'
import { seeded } from '../kit/random.js'

async function read(argv: readonly string[]): Promise<Options> {
  return optionsOf(await parseCommandLine(argv, specs), ['doctor', 'help'])
}

const [connection, process, comm, host, port] = groupings as [typeof groupings[0], ...typeof groupings]

test('without options, the defaults are bcc’s', async () => {
  const { format, grouping, ...rest } = await read([])
  assert.is(format.name, 'table')
  assert.is(grouping, connection)
  assert.equal(rest, {
    live: true, summary: true, pids: [], interval: 1, intervalText: '1', verbose: false, backend: 'auto',
    sort: { offset: 96, size: 8, order: 'descending' }, maxFlows: 65536, dumpBpf: false,
  })
})

const good: readonly (readonly [readonly string[], Partial<Options>])[] = [
  [['-C'], { live: false }],
  [['--noclear'], { live: false }],
  [['-C', '-C'], { live: false }],
  [['-S'], { summary: false }],
  [['-CSv'], { live: false, summary: false, verbose: true }],
  [['--nosummary', '--verbose'], { summary: false, verbose: true }],
  [['-p', '1'], { pids: [1] }],
  [['-p', '1', '2'], { pids: [1], interval: 2, intervalText: '2' }],
  [['-p1,2'], { pids: [1, 2] }],
  [['-p=1'], { pids: [1] }],
  [['-Cp', '1,2', '--pid', '3', '--pid=2'], { live: false, pids: [1, 2, 3] }],
  [['-CSp4194304'], { live: false, summary: false, pids: [4194304] }],
  [['-4'], { family: 4 }],
  [['--ipv4'], { family: 4 }],
  [['-6'], { family: 6 }],
  [['-C6', '5'], { live: false, family: 6, interval: 5, intervalText: '5' }],
  [['--btf', 'x'], { btf: 'x' }],
  [['--no-btf'], { btf: false }],
  [['5'], { interval: 5, intervalText: '5' }],
  [['0.5', '10'], { interval: 0.5, intervalText: '0.5', count: 10 }],
  [['.1'], { interval: 0.1, intervalText: '.1' }],
  [['2000000'], { interval: 2_000_000, intervalText: '2000000' }],
  [['5.', '1'], { interval: 5, intervalText: '5.', count: 1 }],
  [['5', '-C', '2'], { interval: 5, intervalText: '5', count: 2, live: false }],
  [['--', '5', '2'], { interval: 5, intervalText: '5', count: 2 }],
  [['-s', 'sent'], { sort: { offset: 112, size: 8, order: 'descending' } }],
  [['-s', 'RX_KB'], { sort: { offset: 104, size: 8, order: 'descending' } }],
  [['-sreceived'], { sort: { offset: 104, size: 8, order: 'descending' } }],
  [['--sort=pid'], { sort: { offset: 0, size: 4, order: 'ascending' } }],
  [['--by', 'process', '-s', 'comm'], { grouping: process!, sort: process!.sorts.get('comm')! }],
  [['-s', 'raddr', '--by', 'host'], { grouping: host!, sort: { offset: 40, size: 16, order: 'ascending' } }],
  [['--by=port', '--sort=port'], { grouping: port!, sort: { offset: 60, size: 2, order: 'ascending' } }],
  [['--by', 'comm,comm'], { grouping: comm! }],
  [['--by=port,port', '-s', 'port'], { grouping: port!, sort: port!.sorts.get('port')! }],
  [['-r', '10'], { rows: 10 }],
  [['-r1000000'], { rows: 1000000 }],
  [['-c', '/sys/fs/cgroup/a b'], { cgroup: '/sys/fs/cgroup/a b' }],
  [['--cgroup=-odd'], { cgroup: '-odd' }],
  [['--cgroupmap', '/sys/fs/bpf/c', '--mntnsmap=m=n'], { cgroupMap: '/sys/fs/bpf/c', mntnsMap: 'm=n' }],
  [['-f', 'json'], { format: json, live: false }],
  [['-fcsv'], { format: csv, live: false }],
  [['--backend', 'auto'], { backend: 'auto' }],
  [['--backend=tracepoint'], { backend: 'tracepoint' }],
  [['--backend', 'fentry'], { backend: 'fentry' }],
  [['--backend', 'kprobe'], { backend: 'kprobe' }],
  [['--max-flows', '1'], { maxFlows: 1 }],
  [['--max-flows=1000000', '--dump-bpf'], { maxFlows: 1000000, dumpBpf: true }],
]

for (const [argv, expected] of good) {
  test(`tcptop ${argv.join(' ')} sets only what it says`, async () => {
    const { grouping, ...rest } = await read(argv)
    const { grouping: wanted, ...others } = { ...await read([]), ...expected }
    assert.is(grouping, wanted)
    assert.equal(rest, others)
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
  [['-f', 'xml'], '--format must be table, json, csv or rows, got "xml"'],
  [['--dump-bpf', '-f', 'csv'], '--format must be table or json with --dump-bpf, got "csv"'],
  [['5', 'doctor'], `${count} "doctor"`],
  [['doctors'], `${interval} "doctors"; did you mean doctor?`],
  [['hlep'], `${interval} "hlep"; did you mean help?`],
  [['--fromat', 'json'], `${unknown} "--fromat"; did you mean --format?`],
  [['-f', 'constructor'], '--format must be table, json, csv or rows, got "constructor"'],
  [['-f', 'JSON'], '--format must be table, json, csv or rows, got "JSON"'],
  [['--by', 'thread'], '--by must be connection, process, comm, host, port or cgroup, got "thread"'],
  [['--by', 'comm,thread'], '--by must be connection, process, comm, host, port or cgroup, got "thread"'],
  [['--by', 'comm,'], '--by must be connection, process, comm, host, port or cgroup, got nothing'],
  [['--by', 'comm;cgroup'], '--by must be connection, process, comm, host, port or cgroup, got "comm;cgroup"'],
  [['--by=comm,cgroup', '-s', 'pid'], '--sort must be all, sent, received, comm, cgroup, rx_kb or tx_kb with --by comm,cgroup, got "pid"'],
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
  test(`tcptop ${JSON.stringify(argv.join(' '))} is refused with one line`, async () => {
    let thrown: unknown
    try {
      await read(argv)
    } catch (error) {
      thrown = error
    }
    assert.instance(thrown, UsageError)
    assert.is((thrown as UsageError).message, message)
    assert.not.match(message, /\n/)
  })
}

test('plain command lines are parsed as yargs parses them', seeded(async random => {
  const words = [
    '-C', '-p', '1', '-p1,2', '--pid=3', '--pid', '-s', 'sent', '-sx', '5', '0.5', '-r', '-r5', '--by', 'host', '-', '-4', '-1', '--rows=', '""', "'x'", '',
    '--no-btf', '--btf', '--cgroup=a=b', '--max-flows', '7', 'a b', '-Sp', '--noclear', 'true', '"-C"', 'doctor',
  ]
  // With a last --, which means nothing, they are left to yargs.
  const outcome = (argv: readonly string[]) => read(argv).then(options => JSON.stringify(options), error => String(error))
  for (let time = 0; time < 1000; time++) {
    const argv = Array.from({ length: random.below(6) }, () => random.pick(words))
    assert.is(await outcome(argv), await outcome([...argv, '--']), JSON.stringify(argv))
  }
}))

test('--by takes a list, and rows sort by what its columns are', async () => {
  const { grouping, sort } = await read(['--by', 'comm,cgroup', '-s', 'CGROUP'])
  assert.equal(grouping.columns.map(({ name }) => name), ['COMM', 'CGROUP', 'RX_KB', 'TX_KB'])
  assert.is(sort, grouping.sorts.get('cgroup'))
  assert.is(grouping.name, 'comm,cgroup')
})

test('parsed options are frozen', async () => {
  const options = await read(['-p', '1'])
  assert.ok(Object.isFrozen(options) && Object.isFrozen(options.pids))
})

test('the first word is the first of what is neither an option nor its value', seeded(async random => {
  const words = ['-C', '-p', '1', '-p1,2', '--pid=3', '--pid', 'doctor', '5', '-', '-4', '-1', '--rows=', '--', '-Sp', '--by', '-Cr7', 'x', '--noclear']
  let found = 0
  for (let time = 0; time < 1000; time++) {
    const argv = Array.from({ length: random.below(6) }, () => random.pick(words))
    const first = await parseCommandLine(argv, specs).then(({ rest: [first] }) => first, () => undefined)
    // What is wrong further on does not matter.
    if (first === undefined) continue
    found++
    assert.is(firstWord(argv, specs), first, JSON.stringify(argv))
  }
  assert.ok(found > 100)
  assert.is(firstWord(['--nope', 'doctor'], specs), undefined)
  assert.is(firstWord(['doctor', '--nope'], specs), 'doctor')
}))

test.run()
