import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Row, Shown as Frame } from '../../src/frame/index.js'
import { compare, differenceJson, differenceText, type Keys, only, ordered, type RecordedFrame, Recording, Sum, sums } from '../../src/recording/index.js'
import { Random } from '../kit/random.js'
import { inFolder, randomFrame, record } from './frame.js'
import { frames, run, Traffic } from './traffic.js'

const start = new Date('2026-02-03T04:00:00Z')
const at = (seconds: number) => new Date(start.getTime() + 1000 * seconds)
const keysOf = (...names: string[]): Keys => ({ compared: names, shown: names })

function recorded(frame: Frame): RecordedFrame {
  const identities = frame.rows.map(({ rx: _, tx: __, ...identity }) => identity)
  return { ...frame, origin: run, identities, values: ['rx', 'tx'], entries: frame.rows.map(({ rx, tx }, index) => [index, rx, tx]) }
}

function sumOf(frames: Iterable<Frame>, keys: Keys): Sum {
  const sum = new Sum(keys)
  for (const frame of frames) sum.add(recorded(frame))
  return sum
}

const rowsOf = (...rows: Row[]): Frame => {
  const total = { rx: rows.reduce((sum, { rx }) => sum + rx, 0), tx: rows.reduce((sum, { tx }) => sum + tx, 0) }
  return { ...new Traffic(1).frame(at(1)), interval: 1, rows, total }
}

test('a recording sums to what its frames have, by any fields', () => inFolder(async folder => {
  const random = new Random()
  const all = Array.from({ length: 130 }, (_, index) => randomFrame(random, at(index))).map(frame => ({
    ...frame, rows: frame.rows.map(row => ({ ...row, rx: row.rx % 2 ** 40, tx: row.tx % 2 ** 40 })), total: { rx: frame.total.rx % 2 ** 40, tx: frame.total.tx % 2 ** 40 },
  }))
  const path = join(folder, 'x')
  await record(path, all)
  const recording = Recording.open('FILE', path, assert.unreachable)
  for (const names of [[], ['comm'], ['raddr', 'family'], ['rport'], ['cgroup'], ['pid', 'hostPid', 'comm'], ['comm', 'laddr', 'lport', 'raddr', 'rport']] as const) {
    const [sum, ...others] = sums(recording.frames(), keysOf(...names))
    assert.equal(others, [])
    const expected = new Map<string, { rx: bigint; tx: bigint }>()
    const keyOf = (row: Row) => JSON.stringify(names.map(name => row[name] ?? null))
    for (const row of all.flatMap(({ rows }) => rows)) {
      const { rx, tx } = expected.get(keyOf(row)) ?? { rx: 0n, tx: 0n }
      expected.set(keyOf(row), { rx: rx + BigInt(row.rx), tx: tx + BigInt(row.tx) })
    }
    assert.equal(new Map(sum!.rows.map(row => [keyOf(row), { rx: BigInt(row.rx), tx: BigInt(row.tx) }])), expected, names.join())
    for (const name of ['rx', 'tx'] as const) {
      assert.is(BigInt(sum!.total[name]), all.reduce((sum, { total }) => sum + BigInt(total[name]), 0n))
      assert.is(sum!.lost[name], all.reduce((sum, { lost }) => sum + lost[name], 0))
    }
    assert.is(sum!.lost.events, all.reduce((sum, { lost }) => sum + lost.events, 0))
    assert.equal(sum!.time, at(129))
  }
  recording.close()
}))

test('what is not known of one frame is not known of the sum', () => {
  const frame = rowsOf()
  const missed = (...values: (number | null)[]) => sumOf(values.map(missed => ({ ...frame, missed })), keysOf()).frame!.missed
  assert.is(missed(1, 2), 3)
  assert.is(missed(1, null, 2), null)
  const cost = (...costs: Frame['cost'][]) => sumOf(costs.map(cost => ({ ...frame, cost })), keysOf()).frame!.cost
  assert.equal(cost({ cpu: 0.5, drain: 1, runs: 1, run: 0.5 }, { cpu: 0.25, drain: 2, runs: 2, run: 0.25 }), { cpu: 0.375, drain: 3, runs: 3, run: 0.75 })
  assert.equal(cost({ cpu: 0, drain: 0, runs: null, run: null }, { cpu: 0, drain: 0, runs: 2, run: 1 }), { cpu: 0, drain: 0, runs: null, run: null })
})

test('totals have what the rows leave out; of a part of the rows they are those', () => {
  const frame = { ...rowsOf({ comm: 'a', rx: 1, tx: 2 }, { comm: 'b', rx: 4, tx: 8 }), total: { rx: 100, tx: 200 } }
  assert.equal(sumOf([frame, frame], keysOf('comm')).frame!.total, { rx: 200, tx: 400 })
  const part = only(recorded(frame), ({ comm }) => comm === 'b')
  assert.equal(part.total, { rx: 4, tx: 8 })
  assert.equal(part.rows, [{ comm: 'b', rx: 4, tx: 8 }])
})

test('a group has the latest of what is shown and not compared', () => {
  const keys: Keys = { compared: ['pid'], shown: ['pid', 'comm'] }
  const named = (comm: string) => rowsOf({ pid: 1, comm, rx: 1, tx: 0 })
  assert.equal(sumOf([named('sh'), named('nginx')], keys).frame!.rows, [{ pid: 1, comm: 'nginx', rx: 2, tx: 0 }])
})

test('a sum that would not be exact is refused', () => {
  const large = rowsOf({ comm: 'a', rx: 2 ** 52, tx: 0 })
  assert.is(sumOf([large], keysOf()).frame!.total.rx, 2 ** 52)
  assert.throws(() => sumOf([large, large], keysOf()), /^the sum is more than 2\^53 - 1 bytes/)
  assert.is(sumOf([large, rowsOf({ comm: 'a', rx: 2 ** 52 - 1, tx: 0 })], keysOf()).frame!.total.rx, Number.MAX_SAFE_INTEGER)
})

test('parts are of whole multiples of their length, and those without frames are skipped', () => {
  const times = [1, 59, 60, 61, 120, 121, 400]
  const parts = [...sums(times.map(seconds => recorded({ ...rowsOf({ comm: 'a', rx: 1, tx: 0 }), time: at(seconds) })), keysOf('comm'), 60)]
  assert.equal(parts.map(({ time, total: { rx } }) => [time, rx]), [[at(60), 3], [at(120), 2], [at(121), 1], [at(400), 1]])
})

test('there is no sum of no frames', () => {
  assert.equal([...sums([], keysOf('comm'))], [])
  assert.is(new Sum(keysOf()).frame, undefined)
})

test('rows are in order, of each family or of all', () => {
  const [a, b, c, d] = [
    { comm: 'a', family: 6, raddr: '2001:db8::1', rx: 9, tx: 1 }, { comm: 'b', family: 4, raddr: '10.0.0.9', rx: 1, tx: 7 },
    { comm: 'c', family: 4, raddr: '10.0.0.10', rx: 2, tx: 2 }, { comm: 'd', family: 6, raddr: '::1', rx: 0, tx: 10 },
  ] as const
  const names = (rows: readonly Row[]) => rows.map(({ comm }) => comm).join('')
  assert.is(names(ordered([a, b, c, d], { by: 'all', order: 'descending' })), 'adbc')
  assert.is(names(ordered([a, b, c, d], { by: 'rx', order: 'descending' }, 2)), 'ac')
  assert.is(names(ordered([a, b, c, d], { by: 'tx', order: 'descending' }, 1, true)), 'bd')
  assert.is(names(ordered([d, c, b, a], { by: 'comm', order: 'ascending' })), 'abcd')
  assert.is(names(ordered([a, b, c, d], { by: 'raddr', order: 'ascending' }, Infinity, true)), 'bcda')
})

const before = sumOf([rowsOf({ comm: 'same', rx: 5, tx: 5 }, { comm: 'big', rx: 0, tx: 2048 }, { comm: 'gone', rx: 1024, tx: 1024 }, { comm: 'turned', rx: 1, tx: 2 })], keysOf('comm'))
const after = sumOf([rowsOf({ comm: 'same', rx: 5, tx: 5 }, { comm: 'big', rx: 0, tx: 1024 }, { comm: '\x1b[2Jnew', rx: 8192, tx: 0 }, { comm: 'turned', rx: 2, tx: 1 })], keysOf('comm'))

test('a comparison has what changed, the largest change first', () => {
  assert.equal(compare(before, after)!.changes.map(({ kind, row: { comm }, change, percent }) => [kind, comm, change, percent]), [
    ['appeared', '\x1b[2Jnew', 8192, null], ['vanished', 'gone', -2048, -100], ['shrank', 'big', -1024, -50], ['shifted', 'turned', 0, 0],
  ])
  assert.equal(compare(after, before)!.changes.map(({ kind, change, percent }) => [kind, change, percent]), [
    ['vanished', -8192, -100], ['appeared', 2048, null], ['grew', 1024, 100], ['shifted', 0, 0],
  ])
  assert.equal(compare(before, before)!.changes, [])
  assert.is(compare(before, new Sum(keysOf('comm'))), undefined)
})

test('a comparison is JSON', () => {
  const text = differenceJson(compare(before, after)!, keysOf('comm'))
  assert.match(text, /^[\x20-\x7e]*\n$/)
  const { v, before: { begin, end, seconds, total }, rows } = JSON.parse(text)
  assert.equal([v, begin, end, seconds, total], [1, at(0).toISOString(), at(1).toISOString(), 1, { rx: 1030, tx: 3079 }])
  assert.equal(rows[2], { kind: 'shrank', comm: 'big', before: { rx: 0, tx: 2048 }, after: { rx: 0, tx: 1024 }, change: -1024, percent: -50 })
})

test('a comparison is a table', () => {
  assert.is(differenceText(compare(before, after)!, keysOf('comm')), `\
before 2026-02-03T04:00:00.000Z to 2026-02-03T04:00:01.000Z: 1.0 s, 1 KB received and 3 KB sent
after  2026-02-03T04:00:00.000Z to 2026-02-03T04:00:01.000Z: 1.0 s, 8 KB received and 1 KB sent

COMM    BEFORE_KB AFTER_KB CHANGE_KB CHANGE_% WHAT
?[2Jnew         0        8        +8        - appeared
gone            2        0        -2   -100.0 vanished
big             2        1        -1    -50.0 shrank
turned          0        0         0      0.0 shifted
`)
  assert.match(differenceText(compare(before, before)!, keysOf('comm')), /\n\nnothing changed\n$/)
  const twice = sumOf([rowsOf({ comm: 'a', rx: 1, tx: 1 }), rowsOf({ comm: 'a', rx: 1, tx: 1 })], keysOf('comm'))
  assert.match(differenceText(compare(before, twice)!, keysOf('comm'), 1), /\nnote: after is 2\.00 times as long as before\n/)
})

test('many members sum up, and the rows to the total', () => inFolder(async folder => {
  const path = join(folder, 'x')
  await record(path, frames(new Traffic(50), start, 600))
  const recording = Recording.open('FILE', path, assert.unreachable)
  const [sum] = sums(recording.frames(), keysOf('comm'))
  const expected = [...frames(new Traffic(50), start, 600)].reduce((sum, { total }) => sum + total.rx, 0)
  assert.is(sum!.total.rx, expected)
  assert.is(sum!.rows.reduce((sum, { rx }) => sum + rx, 0), expected)
  recording.close()
}))

test.run()
