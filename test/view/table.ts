import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Row } from '../../src/frame/row.js'
import { cells } from '../../src/trace/index.js'
import { groupings } from '../../src/view/grouping.js'
import { table } from '../../src/view/table.js'
import { matchesGolden } from '../kit/golden.js'
import { Random } from '../kit/random.js'
import { frameOf, groupingOf, lists, localTime, noLoss, randomRow, samples, screenOf } from './sample.js'

const lost = { events: 3, rx: 1024, tx: 2097152 }
const clearScreen = '\x1b[H\x1b[2J'
const linesOf = (text: string) => text.split('\n').slice(0, -1)

/** What C's and Python's printf do, for `%-12.12s`, `%6d` and the like, in cells: of all characters here, penguins have two. */
function printf(format: string, ...values: readonly (string | number)[]): string {
  const rest = [...values]
  return format.replace(/%(-?)(\d+)(?:\.(\d+))?[sd]/g, (_, left: string, width: string, most?: string) => {
    const text = [...`${rest.shift()}`]
    const length = () => text.length + text.filter(character => character === '🐧').length
    while (length() > Number(most ?? Infinity)) text.pop()
    const space = Array<string>(Math.max(0, Number(width) - length())).fill(' ')
    return (left ? [...text, ...space] : [...space, ...text]).join('')
  })
}

test('the first line is bcc’s, with the interval as it was given', () => {
  const grouping = groupingOf('connection')
  assert.is(table.start({ intervalText: '1', grouping }), 'Tracing... Output every 1 secs. Hit Ctrl-C to end\n')
  assert.is(table.start({ intervalText: '.50', grouping }), 'Tracing... Output every .50 secs. Hit Ctrl-C to end\n')
})

for (const name of [...groupings.map(({ name }) => name), ...lists]) {
  test(`rows by ${name} are printed as they were`, () => {
    matchesGolden(table.frame(frameOf(samples[name]!, { time: localTime, lost }), screenOf(name)), `table-${name}.txt`)
  })
}

test('short addresses leave the columns as bcc has them', () => {
  const row = { pid: 1234, comm: 'sshd', lport: 22, rport: 50000, rx: 1024, tx: 2097152 }
  const rows: Row[] = [
    { ...row, family: 4, laddr: '10.0.0.1', raddr: '10.0.0.2' },
    { ...row, family: 6, laddr: '2001:db8::1', raddr: '2001:db8::2', pid: 7, comm: 'nginx', rx: 12288, tx: 3072 },
  ]
  matchesGolden(table.frame(frameOf(rows, { time: localTime }), screenOf('connection')), 'table-short.txt')
})

test('an address that does not fit widens its column for that update only', () => {
  const [narrow, wide] = [samples.connection!.slice(2, 3), samples.connection!.slice(2, 4)]
  const screen = screenOf('connection', { summary: false })
  const width = (rows: readonly Row[]) => linesOf(table.frame(frameOf(rows), screen))[2]!.length
  assert.is(width(narrow), 7 + 12 + 32 + 32 + 6 + 6 + 5)
  assert.is(width(wide), 7 + 12 + 32 + '2001:db8:1111:2222:3333:4444:5555:6666:65535'.length + 6 + 6 + 5)
  assert.is(width(narrow), 7 + 12 + 32 + 32 + 6 + 6 + 5)
})

for (const [title, clear, start] of [
  ['an empty line without clearing', false, '\n20:27:12 loadavg: '],
  ['the screen cleared in the same text', true, '\x1b[H\x1b[2J20:27:12 loadavg: '],
] as const) {
  test(`an update starts with ${title}`, () => {
    const text = table.frame(frameOf(samples.process!, { time: localTime }), screenOf('process', { clear }))
    assert.is(text.slice(0, start.length), start)
    assert.is(text.split('\x1b').length - 1, clear ? 2 : 0, 'no other escape sequence')
  })
}

for (const [title, loadavg, summary, expected] of [
  ['the load average and an empty line', '0.08 0.02 0.17 2/9 1', true, '\n20:27:12 loadavg: 0.08 0.02 0.17 2/9 1\n\n'],
  ['nothing with -S', '0.08 0.02 0.17 2/9 1', false, '\n'],
  ['nothing when there is no /proc/loadavg', null, true, '\n'],
] as const) {
  test(`an update without rows is ${title}`, () => {
    for (const name of [...groupings.map(({ name }) => name), ...lists]) {
      assert.is(table.frame(frameOf([], { time: localTime, loadavg }), screenOf(name, { summary })), expected)
    }
  })
}

test('IPv6 alone has an empty line before it, as in bcc', () => {
  const lines = linesOf(table.frame(frameOf(samples.connection!.slice(2, 3)), screenOf('connection')))
  assert.is(lines.length, 6)
  assert.is(lines[2], '')
  assert.is(lines[3], '')
  assert.match(lines[4]!, /^PID {5}COMM {9}LADDR6 /)
})

test('all rows of a table have one width, whatever names processes and cgroups have', () => {
  const names = ['sshd', 'データベース', 'ёлка', 'e\u0301te\u0301', '🐧🐧🐧🐧🐧🐧🐧', '한글한글한글한글', '\u202e\x9b', 'aデータデータデータ', '🇩🇪', 'ก็', '']
  const widths = (by: string, rows: readonly Row[]) =>
    new Set(linesOf(table.frame(frameOf(rows), screenOf(by, { summary: false }))).slice(1).map(cells))
  assert.equal([...widths('process', names.map((comm, pid) => ({ pid, comm, rx: 1, tx: 1 })))], [7 + 12 + 6 + 6 + 3])
  assert.is(widths('cgroup', names.map(name => ({ cgroup: `/${name.repeat(5)}`, rx: 1, tx: 1 }))).size, 1)
})

test('a wide name takes up as many lines of the screen as it has cells for', () => {
  const rows = [{ cgroup: `/${'データ'.repeat(10)}`, rx: 1, tx: 1 }, { cgroup: '/a', rx: 1, tx: 1 }]
  const shown = (columns: number) => linesOf(table.frame(frameOf(rows), screenOf('cgroup', { summary: false, clear: true, rows: 4, columns }))).length
  assert.equal([shown(80), shown(70)], [3, 0])
})

test('hours, minutes and seconds have two digits', () => {
  const time = new Date(2026, 0, 2, 3, 4, 5)
  assert.match(table.frame(frameOf([], { time }), screenOf('port')), /^\n03:04:05 loadavg: /)
})

test('whatever is lost is said, and nothing is said when nothing is', () => {
  for (const part of ['events', 'rx', 'tx'] as const) {
    const frame = frameOf(samples.port!, { lost: { ...noLoss, [part]: 1 } })
    const last = linesOf(table.frame(frame, screenOf('port'))).at(-1)!
    assert.match(last, /^lost: [01] bytes received and [01] sent \([01] events\); try a larger --max-flows$/)
  }
  assert.not.match(table.frame(frameOf(samples.port!), screenOf('port')), /lost/)
})

test('skipped runs are said in words, after what is lost, and not when there are none or none are counted', () => {
  const last = linesOf(table.frame(frameOf(samples.port!, { missed: 12, lost }), screenOf('port'))).slice(-2)
  assert.match(last[0]!, /^lost: /)
  assert.is(last[1], 'missed: the kernel skipped 12 program runs: bytes may show later, or in the row of another process that uses the same socket')
  for (const missed of [0, null]) assert.not.match(table.frame(frameOf(samples.port!, { missed }), screenOf('port')), /missed|skipped/)
})

test('lines are what printf makes of rows', () => {
  const random = new Random()
  random.repeat(300, () => {
    const rows = Array.from({ length: random.below(12) }, () => randomRow(random, groupingOf('connection')))
    const clean = (comm: string) => comm.replace(/[\n\r\t\x1b\x7f]/g, '?')
    const expected: string[] = ['']
    for (const [family, most, suffix] of [[4, 21, ''], [6, 32, '6']] as const) {
      const shown = rows.filter(row => row.family === family)
      if (shown.length === 0) continue
      const ends = shown.map(row => [`${row.laddr}:${row.lport}`, `${row.raddr}:${row.rport}`] as const)
      const [laddr, raddr] = [0, 1].map(end => Math.max(most, ...ends.map(texts => texts[end]!.length)))
      const cells = `%-${laddr}s %-${raddr}s`
      if (family === 6) expected.push('')
      const heads = ['PID', 'COMM', `LADDR${suffix}`, `RADDR${suffix}`, 'RX_KB', 'TX_KB']
      expected.push(printf(`%-7s %-12s ${cells} %6s %6s`, ...heads))
      for (const [index, { pid, comm, rx, tx }] of shown.entries()) {
        const kilobytes = [rx, tx].map(bytes => (bytes - bytes % 1024) / 1024)
        expected.push(printf(`%-7d %-12.12s ${cells} %6d %6d`, pid!, clean(comm!), ...ends[index]!, ...kilobytes))
      }
    }
    assert.equal(linesOf(table.frame(frameOf(rows), screenOf('connection', { summary: false }))), expected)
  })
})

const hosts = (count: number, family: 4 | 6, network: string) =>
  Array.from({ length: count }, (_, index): Row => ({ raddr: `${network}${index}`, family, rx: 0, tx: 0 }))
const ipv4 = (count: number) => hosts(count, 4, '10.0.0.')
const ipv6 = (count: number) => hosts(count, 6, '2001::')

/** What is shown on a screen: load average, rows of each family, what is lost. */
function shape(rows: readonly Row[], height: number, loss = noLoss) {
  const text = table.frame(frameOf(rows, { lost: loss }), screenOf('host', { clear: true, rows: height }))
  const lines = linesOf(text.slice(clearScreen.length))
  const count = (pattern: RegExp) => lines.filter(line => pattern.test(line)).length
  return {
    lines: lines.length,
    load: count(/loadavg/),
    ipv4: count(/^10\./),
    ipv6: count(/^2001:/),
    lost: count(/^lost/),
  }
}

for (const [title, rows, height, [load, ipv4Rows, ipv6Rows]] of [
  ['all when it fits to the line', [...ipv4(3), ...ipv6(3)], 12, [1, 3, 3]],
  ['no more than fits, as much of each family', [...ipv4(9), ...ipv6(9)], 12, [1, 3, 3]],
  ['IPv4 in the odd line', [...ipv4(9), ...ipv6(9)], 13, [1, 4, 3]],
  ['IPv6 where IPv4 needs less', [...ipv4(1), ...ipv6(9)], 12, [1, 1, 5]],
  ['IPv4 where IPv6 needs less', [...ipv4(9), ...ipv6(1)], 12, [1, 5, 1]],
  ['no load average in the place of a row of each', [...ipv4(9), ...ipv6(9)], 6, [0, 1, 1]],
  ['one family when there is only room for a row of it', [...ipv4(9), ...ipv6(9)], 3, [0, 1, 0]],
  ['nothing when there is only room for the cursor', [...ipv4(9), ...ipv6(9)], 1, [0, 0, 0]],
] as const) {
  test(`a screen of ${height} lines shows ${title}`, () => {
    const { lines, ...shown } = shape(rows, height)
    assert.equal(shown, { load, ipv4: ipv4Rows, ipv6: ipv6Rows, lost: 0 })
    assert.is(lines, height - 1, 'and is full')
  })
}

test('the first rows are those that are shown', () => {
  const text = table.frame(frameOf(ipv4(9)), screenOf('host', { rows: 6 }))
  assert.equal([...text.matchAll(/^10\.0\.0\.\d/gm)].map(([row]) => row), ['10.0.0.0', '10.0.0.1'])
})

test('what is lost stays on the screen as long as there is a line for it', () => {
  for (let height = 2; height <= 20; height++) assert.is(shape([...ipv4(9), ...ipv6(9)], height, lost).lost, 1)
})

test('no screen is ever overrun, and none that could show more is left half empty', () => {
  const random = new Random()
  random.repeat(1500, () => {
    const grouping = random.pick(groupings)
    const rows = Array.from({ length: random.below(16) }, () => randomRow(random, grouping))
    const [height, columns] = [1 + random.below(24), random.pick([undefined, 40, 80, 132])]
    const frame = frameOf(rows, { lost: random.pick([noLoss, lost]) })
    const summary = random.pick([true, false])
    const all = linesOf(table.frame(frame, screenOf(grouping.name, { summary }))).slice(1)
    const screen = screenOf(grouping.name, { summary, clear: true, rows: height, columns })
    const shown = linesOf(table.frame(frame, screen).slice(clearScreen.length))
    const high = (lines: readonly string[]) =>
      lines.reduce((sum, line) => sum + Math.max(1, Math.ceil(cells(line) / (columns ?? Infinity))), 0)
    const used = high(shown)
    assert.ok(used <= height - 1, `${used} lines on a screen of ${height}`)
    if (high(all) <= height - 1) assert.equal(shown, all, 'all that fits is shown')
    // Every line is one of all, in their order: nothing is made up to fit.
    let from = 0
    for (const line of shown) {
      from = all.indexOf(line, from) + 1
      assert.ok(from > 0, line)
    }
    // What is next to be shown has at most three lines: an empty one, a head and a row.
    if (columns === undefined && high(all) > height - 1) assert.ok(height - 1 - used < 3, `${used} lines of ${height}`)
  })
})

test.run()
