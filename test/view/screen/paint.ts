import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Size } from '../../../src/host/index.js'
import { groupings } from '../../../src/view/grouping.js'
import { endText, shortened } from '../../../src/view/screen/column.js'
import { press } from '../../../src/view/screen/binding.js'
import { farewell, paint } from '../../../src/view/screen/paint.js'
import { startState, type State, withFrame } from '../../../src/view/screen/state.js'
import { styleFor, withoutStyle } from '../../../src/view/screen/style.js'
import { units } from '../../../src/view/screen/unit.js'
import { cells } from '../../../src/trace/index.js'
import { matchesGolden } from '../../kit/golden.js'
import { Random } from '../../kit/random.js'
import { after, frame, longRow, pictureOf, row, start, surface } from './sample.js'

const sizes: readonly Size[] = [{ rows: 10, columns: 40 }, { rows: 24, columns: 80 }, { rows: 40, columns: 120 }, { rows: 50, columns: 200 }]

/** Thirty connections, every third of IPv6, of all magnitudes, over five intervals; the last one lost bytes. */
function busy(): State {
  const rows = Array.from({ length: 30 }, (_, index) =>
    (index % 3 === 0 ? longRow : row)(index, Math.round(1.7 * 10 ** (index % 8)), Math.round(2.3 * 10 ** (3 * index % 8))))
  const some = rows.filter((_, index) => index % 5 !== 0)
  return after(frame(rows), frame(some), frame(rows), frame(rows), frame(some, { lost: { events: 1, rx: 12, tx: 0 }, missed: 3, active: some.length, count: some.length + 12 }))
}

const look = { unit: units[0], isUnicode: true, names: { service: () => undefined, host: () => undefined, command: () => undefined } }

for (const size of sizes) {
  const name = `${size.columns}x${size.rows}`
  test(`the screen at ${name}`, () => {
    const { lines } = pictureOf(busy(), size)
    matchesGolden(lines.map(line => `${line.trimEnd()}\n`).join(''), `screen-${name}.txt`)
  })
}

for (const [name, key] of [['help', '?'], ['detail', 'enter'], ['filter', '/']] as const) {
  test(`${name} at 80x24`, () => {
    const state = busy()
    const { lines } = pictureOf(press(state, { key }, pictureOf(state)).state)
    matchesGolden(lines.map(line => `${line.trimEnd()}\n`).join(''), `screen-${name}.txt`)
  })
}

test('no line is wider than the terminal, none is missing, and none is shown that a larger one could take the place of', () => {
  new Random().repeat(300, () => {
    const random = new Random()
    const size = { rows: 8 + random.below(60), columns: 40 + random.below(200) }
    const rows = Array.from({ length: random.below(80) }, (_, index) => random.pick([row, longRow])(index, random.below(2) * random.below(1e9), random.below(1e6), {
      comm: random.pick(['nginx', '漢字漢字漢字', '\x1b[31mred', 'a'.repeat(15), '']),
    }))
    let state = { ...withFrame(startState({ ...start, grouping: random.pick(groupings) }), frame(rows)), unit: random.pick(units) }
    for (const key of [random.pick(['j', 'G', '?', 'enter', '/', 'x']), random.pick(['1', 'r', 's', 'x'])]) state = press(state, { key }, pictureOf(state, size)).state
    const picture = paint(state, surface(size, { style: styleFor(true), isUnicode: random.chance(0.5) }))
    assert.is(picture.lines.length, size.rows)
    for (const line of picture.lines) {
      const text = withoutStyle(line)
      assert.ok(cells(text) <= size.columns, `${size.columns}: ${JSON.stringify(text)}`)
      assert.not.match(text, /[\x00-\x1f\x7f-\x9f]/)
    }
  })
})

test('the last line says how many rows are not shown and what they moved', () => {
  const rows = Array.from({ length: 30 }, (_, index) => row(index, 1000 * (index + 1), 0))
  const last = pictureOf(after(frame(rows)), { rows: 15, columns: 80 }).lines.at(-1)
  // 10 of 30 are shown, the largest: what is left are 1 to 20 thousand.
  assert.match(last ?? '', /^… 20 more rows, 210 kB\/s/)
})

test('rows that were too many to be picked are counted too', () => {
  const rows = [row(1, 1000, 0)]
  const last = pictureOf(after(frame(rows, { count: 5, total: { rx: 1900, tx: 0 } }))).lines.at(-1)
  assert.match(last ?? '', /^… 4 more rows, 900 B\/s/)
})

test('a terminal that is too small says so, in what it has', () => {
  assert.is(pictureOf(busy(), { rows: 5, columns: 30 }).lines.join(''), 'too small: 40×8 is needed; counting goes on')
  assert.equal(pictureOf(busy(), { rows: 1, columns: 5 }).lines, ['too s'])
})

test('what is lost or missed is red, what is 0 is not', () => {
  const style = styleFor(true)
  const head = (state: State) => paint(state, surface({ rows: 24, columns: 120 }, { style })).lines[2]!
  assert.ok(head(busy()).includes('\x1b[31;1mlost 12 B\x1b[m  \x1b[31;1mmissed 3\x1b[m'), JSON.stringify(head(busy())))
  assert.ok(head(after(frame([]))).includes('\x1b[2mlost 0 B\x1b[m  \x1b[2mmissed 0\x1b[m'))
})

test('without colours, what stands out is reversed or bold', () => {
  assert.is(styleFor(false)('lost', 'red', 'bold'), '\x1b[1mlost\x1b[m')
  assert.is(styleFor(false)('lost', 'red'), 'lost')
})

test('an idle screen says that nothing moved, what is counted and what is open', () => {
  const idle = withFrame(startState({ ...start, restriction: 'pid 12' }), frame([]))
  const text = pictureOf(idle).lines.join('\n')
  for (const part of ['Nothing moved', '1204 connections are open', 'Only pid 12 is counted']) assert.ok(text.includes(part), text)
})

test('ASCII is enough where the locale is not UTF-8', () => {
  for (const size of sizes) assert.match(paint(busy(), surface(size, { isUnicode: false })).lines.join(''), /^[\x20-\x7e]*$/)
})

test('a port is never shortened, and an IPv6 address loses its middle', () => {
  assert.is(endText('2001:db8:1234:5678:9abc:def0:1234:5678', 443, look, 25).length, 25)
  assert.match(endText('2001:db8:1234:5678:9abc:def0:1234:5678', 443, look, 25), /^\[2001:.*….*:5678\]:443$/)
  assert.is(endText('10.0.0.1', 65535, look, 30), '10.0.0.1:65535')
  assert.is(shortened('abcdefgh', 5, true), 'ab…gh')
  assert.is(shortened('abcdefgh', 5, false), 'ab..h')
})

test('the name of a service stands at its own port alone', () => {
  const names = { ...look.names, service: () => 'https' }
  const state: State = { ...after(frame([row(1, 5, 5)])), names: 'services' }
  const text = paint(state, surface({ rows: 24, columns: 120 }, { names })).lines[4]!
  assert.match(text, /192\.168\.100\.12:40001 +10\.0\.0\.1:https/)
})

test('what is left behind is the last frame as plain text with the exact sums', () => {
  const state = after(frame([row(1, 1234, 5678)]))
  const lines = farewell(state, withFrame(state, frame([row(1, 10, 20)], { interval: 0.1 })), surface({ rows: 24, columns: 80 }, { style: styleFor(true) }))
  assert.match(lines.at(-1) ?? '', /^1 s: 1244 bytes received, 5698 sent, 0 lost$/)
  assert.ok(lines.some(line => /worker-1 .* 1\.2 kB\/s +5\.7 kB\/s$/.test(line)), lines.join('\n'))
  assert.not.match(lines.join('\n'), /\x1b|\? help/)
})

test.run()
