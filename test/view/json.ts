import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { groupings } from '../../src/view/grouping.js'
import { json } from '../../src/view/json.js'
import { matchesGolden } from '../kit/golden.js'
import { Random } from '../kit/random.js'
import { frameOf, groupingOf, lists, randomRow, samples, screenOf } from './sample.js'

const lost = { events: 3, rx: 1024, tx: 2097152 }

test('nothing comes before the first frame', () => {
  assert.is(json.start({ intervalText: '1', grouping: groupingOf('connection') }), '')
})

for (const name of [...groupings.map(({ name }) => name), ...lists]) {
  test(`rows by ${name} are an object a line, its fields in a fixed order`, () => {
    matchesGolden(json.frame(frameOf(samples[name]!, { lost }), screenOf(name)), `json-${name}.txt`)
  })
}

test('the order of fields is the grouping’s, not the row’s', () => {
  const row = { tx: 1, rport: 2, comm: 'a', lport: 3, raddr: '::2', family: 6, laddr: '::1', rx: 4, cgroup: '/', pid: 5 } as const
  const expected = '[{"pid":5,"comm":"a","family":6,"laddr":"::1","lport":3,"raddr":"::2","rport":2,"cgroup":"/","rx":4,"tx":1}]'
  assert.ok(json.frame(frameOf([row]), screenOf('connection')).includes(expected))
})

test('hostPid is there where the pid is one of a pid namespace, and without a pid of what is outside of it', () => {
  const rows = [{ pid: 1, hostPid: 4711, comm: 'a', rx: 4, tx: 1 }, { hostPid: 7, comm: 'b', rx: 4, tx: 1 }, { pid: 0, comm: 'kernel', rx: 0, tx: 1 }]
  assert.equal((JSON.parse(json.frame(frameOf(rows), screenOf('process'))) as { rows: unknown }).rows, rows)
})

test('the screen changes nothing: JSON is for programs', () => {
  const frame = frameOf(samples.process!)
  const screen = screenOf('process', { clear: true, rows: 2, columns: 10, summary: false })
  assert.is(json.frame(frame, screen), json.frame(frame, screenOf('process')))
})

test('names are escaped where they could do something, and parse as they are', () => {
  const rows = ['\x9b31m', '\x7f', 'a\u202eb', '\u2028', '\u2066', 'データ'].map((comm, pid) => ({ pid, comm, rx: 4, tx: 1 }))
  const text = json.frame(frameOf(rows), screenOf('process'))
  assert.not.match(text.trimEnd(), /[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]/)
  assert.match(text, '\\u202e')
  assert.match(text, 'データ')
  assert.equal((JSON.parse(text) as { rows: unknown }).rows, rows)
})

for (const [interval, expected] of [[1, 1], [1.0003, 1.0003], [0.9999999999999432, 1], [0.2500004999, 0.25]] as const) {
  test(`${interval} seconds are ${expected}, to the microsecond`, () => {
    assert.is(JSON.parse(json.frame(frameOf([], { interval }), screenOf('port'))).interval, expected)
  })
}

test('without /proc/loadavg it is null', () => {
  assert.is(JSON.parse(json.frame(frameOf([], { loadavg: null }), screenOf('port'))).loadavg, null)
})

test('without a count of skipped runs it is null', () => {
  for (const missed of [null, 0, 7]) assert.is(JSON.parse(json.frame(frameOf([], { missed }), screenOf('port'))).missed, missed)
})

test('what is parsed is what was framed', () => {
  const random = new Random()
  random.repeat(500, () => {
    const grouping = random.pick(groupings)
    const rows = Array.from({ length: random.below(20) }, () => randomRow(random, grouping))
    const frame = frameOf(rows, { lost: { events: random.below(9), rx: random.below(2 ** 50), tx: random.below(9) } })
    const text = json.frame(frame, screenOf(grouping.name))
    assert.is(text.indexOf('\n'), text.length - 1, 'one line')
    const { time, loadavg, sinceStart, flows, ...rest } = frame
    assert.equal(JSON.parse(text), { v: 1, time: '2026-01-02T20:27:12.003Z', loadavg: [0.08, 0.02, 0.17], ...rest })
  })
})

test.run()
