import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Row } from '../../src/frame/row.js'
import { cells } from '../../src/trace/index.js'
import { groupings } from '../../src/view/grouping.js'
import { table } from '../../src/view/table.js'
import { matchesGolden } from '../kit/golden.js'
import { Random } from '../kit/random.js'
import { frameOf, groupingOf, lists, localTime, noLoss, randomRow, samples, presentationOf } from './sample.js'

const lost = { events: 3, rx: 1024, tx: 2097152 }
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
    matchesGolden(table.frame(frameOf(samples[name]!, { time: localTime, lost }), presentationOf(name)), `table-${name}.txt`)
  })
}

test('short addresses leave the columns as bcc has them', () => {
  const row = { pid: 1234, comm: 'sshd', lport: 22, rport: 50000, rx: 1024, tx: 2097152 }
  const rows: Row[] = [
    { ...row, family: 4, laddr: '10.0.0.1', raddr: '10.0.0.2' },
    { ...row, family: 6, laddr: '2001:db8::1', raddr: '2001:db8::2', pid: 7, comm: 'nginx', rx: 12288, tx: 3072 },
  ]
  matchesGolden(table.frame(frameOf(rows, { time: localTime }), presentationOf('connection')), 'table-short.txt')
})

test('an address that does not fit widens its column for that update only', () => {
  const [narrow, wide] = [samples.connection!.slice(2, 3), samples.connection!.slice(2, 4)]
  const presentation = presentationOf('connection', { summary: false })
  const width = (rows: readonly Row[]) => linesOf(table.frame(frameOf(rows), presentation))[2]!.length
  assert.is(width(narrow), 7 + 12 + 32 + 32 + 6 + 6 + 5)
  assert.is(width(wide), 7 + 12 + 32 + '2001:db8:1111:2222:3333:4444:5555:6666:65535'.length + 6 + 6 + 5)
  assert.is(width(narrow), 7 + 12 + 32 + 32 + 6 + 6 + 5)
})

test('an update starts with an empty line, and has no escape sequence', () => {
  const text = table.frame(frameOf(samples.process!, { time: localTime }), presentationOf('process'))
  assert.is(text.slice(0, 20), '\n20:27:12 loadavg: 0')
  assert.not.ok(text.includes('\x1b'))
})

for (const [title, loadavg, summary, expected] of [
  ['the load average and an empty line', '0.08 0.02 0.17 2/9 1', true, '\n20:27:12 loadavg: 0.08 0.02 0.17 2/9 1\n\n'],
  ['nothing with -S', '0.08 0.02 0.17 2/9 1', false, '\n'],
  ['nothing when there is no /proc/loadavg', null, true, '\n'],
] as const) {
  test(`an update without rows is ${title}`, () => {
    for (const name of [...groupings.map(({ name }) => name), ...lists]) {
      assert.is(table.frame(frameOf([], { time: localTime, loadavg }), presentationOf(name, { summary })), expected)
    }
  })
}

test('IPv6 alone has an empty line before it, as in bcc', () => {
  const lines = linesOf(table.frame(frameOf(samples.connection!.slice(2, 3)), presentationOf('connection')))
  assert.is(lines.length, 6)
  assert.is(lines[2], '')
  assert.is(lines[3], '')
  assert.match(lines[4]!, /^PID {5}COMM {9}LADDR6 /)
})

test('all rows of a table have one width, whatever names processes and cgroups have', () => {
  const names = ['sshd', 'データベース', 'ёлка', 'e\u0301te\u0301', '🐧🐧🐧🐧🐧🐧🐧', '한글한글한글한글', '\u202e\x9b', 'aデータデータデータ', '🇩🇪', 'ก็', '']
  const widths = (by: string, rows: readonly Row[]) =>
    new Set(linesOf(table.frame(frameOf(rows), presentationOf(by, { summary: false }))).slice(1).map(cells))
  assert.equal([...widths('process', names.map((comm, pid) => ({ pid, comm, rx: 1, tx: 1 })))], [7 + 12 + 6 + 6 + 3])
  assert.is(widths('cgroup', names.map(name => ({ cgroup: `/${name.repeat(5)}`, rx: 1, tx: 1 }))).size, 1)
})

test('hours, minutes and seconds have two digits', () => {
  const time = new Date(2026, 0, 2, 3, 4, 5)
  assert.match(table.frame(frameOf([], { time }), presentationOf('port')), /^\n03:04:05 loadavg: /)
})

test('whatever is lost is said, and nothing is said when nothing is', () => {
  for (const part of ['events', 'rx', 'tx'] as const) {
    const frame = frameOf(samples.port!, { lost: { ...noLoss, [part]: 1 } })
    const last = linesOf(table.frame(frame, presentationOf('port'))).at(-1)!
    assert.match(last, /^lost: [01] bytes received and [01] sent \([01] events\); try a larger --max-flows$/)
  }
  assert.not.match(table.frame(frameOf(samples.port!), presentationOf('port')), /lost/)
})

test('skipped runs are said in words, after what is lost, and not when there are none or none are counted', () => {
  const last = linesOf(table.frame(frameOf(samples.port!, { missed: 12, lost }), presentationOf('port'))).slice(-2)
  assert.match(last[0]!, /^lost: /)
  assert.is(last[1], 'missed: the kernel skipped 12 program runs: bytes may show later, or in the row of another process that uses the same socket')
  for (const missed of [0, null]) assert.not.match(table.frame(frameOf(samples.port!, { missed }), presentationOf('port')), /missed|skipped/)
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
    assert.equal(linesOf(table.frame(frameOf(rows), presentationOf('connection', { summary: false }))), expected)
  })
})

test.run()
