import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { csv } from '../../src/view/csv.js'
import { groupings } from '../../src/view/grouping.js'
import { matchesGolden } from '../kit/golden.js'
import { Random } from '../kit/random.js'
import { frameOf, groupingOf, lists, noLoss, randomRow, samples, screenOf } from './sample.js'

const lost = { events: 3, rx: 1024, tx: 2097152 }

/** A small reader of RFC 4180, without line breaks in quotes. */
function parse(text: string): string[][] {
  return text.split('\n').slice(0, -1).map(line => {
    const cells: string[] = []
    for (const [, quoted, plain] of line.matchAll(/(?:^|,)(?:"((?:[^"]|"")*)"|([^",]*))(?=,|$)/g)) {
      cells.push(quoted === undefined ? plain! : quoted.replaceAll('""', '"'))
    }
    return cells
  })
}

for (const name of [...groupings.map(({ name }) => name), ...lists]) {
  test(`rows by ${name} are records under one header`, () => {
    const grouping = groupingOf(name)
    const header = csv.start({ intervalText: '1', grouping })
    matchesGolden(header + csv.frame(frameOf(samples[name]!, { lost }), screenOf(name)), `csv-${name}.txt`)
  })
}

test('a frame without rows and losses is empty', () => assert.is(csv.frame(frameOf([]), screenOf('connection')), ''))

test('the screen changes nothing: CSV is for programs', () => {
  const frame = frameOf(samples.process!)
  const screen = screenOf('process', { clear: true, rows: 2, columns: 10, summary: false })
  assert.is(csv.frame(frame, screen), csv.frame(frame, screenOf('process')))
})

test('a name cannot end its record or its cell', () => {
  const row = { pid: 1, comm: 'a,"b"\r\n\x1b[m', rx: 1, tx: 2 }
  assert.is(csv.frame(frameOf([row]), screenOf('process')), '2026-01-02T20:27:12.003Z,1.0003,1,"a,""b""???[m",1,2\n')
})

for (const comm of ['=1+1', '+1', '-bash', '@SUM(1)', '\tx', '\rx', '\nx', '＝1', '-1+1|cmd']) {
  test(`a spreadsheet takes the name ${JSON.stringify(comm)} for text`, () => {
    const [, , , cell] = parse(csv.frame(frameOf([{ pid: 1, comm, rx: 1, tx: 2 }]), screenOf('process')))[0]!
    assert.is(cell, `'${comm.replace(/[\t\r\n]/, '?')}`)
  })
}

test('numbers and the sign for what is not known are as they are', () => {
  assert.is(csv.frame(frameOf([{ cgroup: '-', rx: 1, tx: 2 }]), screenOf('cgroup')), '2026-01-02T20:27:12.003Z,1.0003,-,1,2\n')
})

for (const part of ['events', 'rx', 'tx'] as const) {
  test(`a loss of ${part} alone is a record`, () => {
    const text = csv.frame(frameOf([], { lost: { ...noLoss, [part]: 1 } }), screenOf('connection'))
    assert.is(text, `2026-01-02T20:27:12.003Z,1.0003,,lost,,,,,,,${part === 'rx' ? 1 : 0},${part === 'tx' ? 1 : 0}\n`)
  })
}

test('records read back as the rows, and their sums are all bytes', () => {
  const random = new Random()
  random.repeat(300, () => {
    const grouping = random.pick(groupings)
    const rows = Array.from({ length: random.below(20) }, () => randomRow(random, grouping))
    const loss = { events: 1, rx: random.below(2 ** 40), tx: random.below(2 ** 40) }
    const frame = frameOf(rows, { lost: loss })
    const text = csv.start({ intervalText: '1', grouping }) + csv.frame(frame, screenOf(grouping.name))
    const [header = [], ...records] = parse(text)
    assert.equal(header, ['time', 'interval', ...grouping.fields.map(({ name }) => name)])
    assert.ok(records.every(record => record.length === header.length))
    const clean = (value: string) => `${/^[\n\r\t]/.test(value) ? "'" : ''}${value.replace(/[\n\r\t\x1b\x7f]/g, '?')}`
    assert.equal(records.slice(0, -1), rows.map(row => [
      '2026-01-02T20:27:12.003Z', '1.0003', ...grouping.fields.map(({ name }) => clean(`${row[name]}`)),
    ]))
    for (const name of ['rx', 'tx'] as const) {
      const sum = records.reduce((sum, record) => sum + BigInt(record[header.indexOf(name)]!), 0n)
      assert.is(sum, rows.reduce((sum, row) => sum + BigInt(row[name]), BigInt(loss[name])))
    }
  })
})

test.run()
