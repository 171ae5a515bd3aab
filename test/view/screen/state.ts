import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { groupings } from '../../../src/view/grouping.js'
import { press, type Reaction } from '../../../src/view/screen/binding.js'
import type { Input } from '../../../src/view/screen/key.js'
import { recentLength } from '../../../src/view/screen/ledger.js'
import { startState, type State, withFrame } from '../../../src/view/screen/state.js'
import { after, frame, pictureOf, row, rowsOf, start } from './sample.js'

const [big, middle, small] = [row(1, 9000, 0), row(2, 500, 500), row(3, 0, 10)]
const three = frame([big, middle, small])

function react(state: State, ...inputs: readonly (Input | string)[]): Reaction {
  let reaction: Reaction = { state }
  for (const input of inputs) reaction = press(reaction.state, typeof input === 'string' ? { key: input } : input, pictureOf(reaction.state))
  return reaction
}

const pressed = (state: State, ...inputs: readonly (Input | string)[]): State => react(state, ...inputs).state
/** Numbers of the connections on the screen, from the top. */
const order = (state: State) => rowsOf(pictureOf(state)).map(line => Number(/worker-(\d+)/.exec(line)?.[1]))

test('rows are ordered by the average of three intervals, so that a row stays in its place for a burst of another', () => {
  const state = after(three, three, frame([row(1, 9000, 0), row(2, 500, 500), row(3, 0, 9500)]))
  assert.equal(order(state), [1, 3, 2])
})

test('a row that moves nothing stays for three intervals and is gone after that', () => {
  let state = after(three)
  for (let interval = 0; interval < recentLength; interval++) {
    state = withFrame(state, frame([big]))
    assert.equal(order(state), [1, 2, 3], `${interval}`)
  }
  assert.equal(order(withFrame(state, frame([big]))), [1])
})

test('a row that comes back has its total, and a graph of its own', () => {
  let state = after(three)
  for (let interval = 0; interval < 10; interval++) state = withFrame(state, frame([big]))
  assert.equal(order(state), [1])
  const back = withFrame(state, three).ledger.get(middle.key)!
  assert.equal([back.rxTotal, back.txTotal, back.history], [1000, 1000, [1000]])
})

test('what is remembered of rows has an end', () => {
  let state = after()
  for (let interval = 0; interval < 30; interval++) {
    state = withFrame(state, frame(Array.from({ length: 1000 }, (_, index) => row(1000 * interval + index, 1, 1))))
  }
  assert.ok(state.ledger.size <= 15_000, `${state.ledger.size}`)
  assert.ok(state.ledger.has('connection 29999') && !state.ledger.has('connection 0'))
})

test('the cursor stays on its row when the order changes', () => {
  const state = pressed(after(three), 'j', 'j')
  assert.is(state.cursor, middle.key)
  const later = withFrame(state, frame([big, row(2, 5e6, 0), small]))
  assert.equal(order(later), [2, 1, 3])
  assert.is(later.cursor, middle.key)
})

test('the cursor stays within the rows, and the page follows it', () => {
  const many = after(frame(Array.from({ length: 100 }, (_, index) => row(index, 1000 - index, 0))))
  assert.is(pressed(many, 'j', 'k', 'k', 'k').cursor, 'connection 0')
  const last = pressed(many, 'G')
  assert.is(last.cursor, 'connection 99')
  assert.is(order(last).at(-1), 99)
  assert.is(order(pressed(last, 'g'))[0], 0)
  const { page } = pictureOf(many)
  assert.is(pressed(many, 'j', 'page-down').cursor, `connection ${page}`)
})

test('s goes round all, sent and received; digits and arrows choose columns; r turns the order', () => {
  const state = after(frame([row(1, 100, 5), row(2, 5, 90), row(3, 60, 60)]))
  assert.equal(order(state), [3, 1, 2])
  assert.equal(order(pressed(state, 's')), [2, 3, 1])
  assert.equal(order(pressed(state, 's', 's')), [1, 3, 2])
  assert.is(pressed(state, 's', 's', 's').sort, 'all')
  assert.equal(order(pressed(state, '1')), [1, 2, 3])
  assert.equal(order(pressed(state, '1', '1')), [3, 2, 1])
  assert.equal(order(pressed(state, 'r')), [2, 1, 3])
  assert.is(pressed(state, 'right').sort, 'pid')
  assert.is(pressed(state, 'left').sort, 'tx')
})

test('a click on a header sorts by its column, one elsewhere does nothing', () => {
  const state = after(three)
  const header = pictureOf(state).lines[3]!
  const clicked = (text: string, line = 3) => pressed(state, { click: { row: line, column: header.indexOf(text) } }).sort
  assert.is(clicked('COMM'), 'comm')
  assert.is(clicked('RX'), 'rx')
  assert.is(clicked('COMM', 5), 'all')
})

test('a frozen order stays, with new rows at the end, until it is let go', () => {
  const frozen = pressed(after(three), 'o')
  const later = withFrame(frozen, frame([row(4, 1e6, 0), small, row(2, 1e7, 0), big]))
  assert.equal(order(later), [1, 2, 3, 4])
  assert.equal(order(pressed(later, 'o')), [2, 4, 1, 3])
})

test('the filter applies while it is typed; Enter keeps it, Escape clears it', () => {
  const typing = pressed(after(three), '/', ...'WORKER-2')
  assert.equal(order(typing), [2])
  assert.equal(order(pressed(typing, 'backspace')), [1, 2, 3])
  const kept = pressed(typing, 'enter')
  assert.is(kept.mode, 'table')
  assert.equal(order(kept), [2])
  assert.equal(order(pressed(kept, 'escape')), [1, 2, 3])
  assert.equal(order(pressed(typing, 'escape')), [1, 2, 3])
})

test('every word of the filter must be in some text of the row', () => {
  assert.equal(order(pressed(after(three), '/', ...'10.0.0.3:443 100', 'enter')), [3])
  assert.equal(order(pressed(after(three), '/', ...'10.0.0.3 worker-1', 'enter')), [])
})

test('keys of the table are text in the filter, and a paste goes nowhere else', () => {
  assert.is(pressed(after(three), '/', 'q', 'j', ' ').filter, 'qj ')
  assert.is(pressed(after(three), '/', { pasted: 'a\nb\x1b[31m' }).filter, 'a b?[31m')
  const state = after(three)
  assert.equal(react(state, { pasted: 'q' }), { state })
})

test('q and ctrl-c quit, ctrl-c also while one types', () => {
  const state = after(three)
  assert.is(react(state, 'q').effect, 'quit')
  assert.is(react(state, 'ctrl-c').effect, 'quit')
  assert.is(react(state, '/', 'ctrl-c').effect, 'quit')
  assert.is(react(state, '?', 'q').effect, undefined)
})

test('Space and p pause and go on', () => {
  const paused = react(after(three), ' ')
  assert.equal([paused.state.isPaused, paused.effect], [true, 'interval'])
  assert.is(pressed(paused.state, 'p').isPaused, false)
})

test('b and Tab go round the groupings, each time the rows are picked again', () => {
  let state = after(three)
  for (const { name } of [...groupings.slice(1), groupings[0]!]) {
    const reaction = react(state, 'b')
    assert.equal([reaction.state.grouping.name, reaction.effect], [name, 'regroup'])
    state = reaction.state
  }
})

test('+ and - change the interval within limits', () => {
  const state = after(three)
  assert.equal([react(state, '+').effect, pressed(state, '+').interval], ['interval', 0.5])
  assert.is(pressed(state, ...Array.from({ length: 20 }, () => '+')).interval, 0.1)
  assert.is(pressed(state, ...Array.from({ length: 20 }, () => '-')).interval, 3600)
})

test('4 and 6 show one family, and both when pressed again', () => {
  const state = after(frame([big, row(2, 5, 5, { family: 6, raddr: '2001:db8::1' })]))
  assert.equal(order(pressed(state, '4')), [1])
  assert.equal(order(pressed(state, '6')), [2])
  assert.equal(order(pressed(state, '6', '6')), [1, 2])
})

test('totals are the sums of all frames, and R sets them to 0', () => {
  const state = after(three, three)
  assert.equal([state.rx.bytes, state.tx.bytes, state.ledger.get(big.key)!.rxTotal], [19_000, 1020, 18_000])
  const reset = pressed(state, 'R')
  assert.equal([reset.rx.bytes, reset.tx.bytes, reset.ledger.get(big.key)!.rxTotal], [0, 0, 0])
})

test('a pause ends in one long interval whose rates are right', () => {
  const state = after(frame([row(1, 60_000, 0)], { interval: 60 }))
  assert.is(state.ledger.get(big.key)!.rxRate, 1000)
  assert.is(state.rx.rate, 1000)
})

test('in the tree a process stands above its connections, and Space folds it', () => {
  const process = (number: number, rx: number) => ({ key: `process ${number}`, row: { pid: 1000 + number, comm: `worker-${number}`, rx, tx: 0 } })
  const child = (number: number, of: number, rx: number) => ({ ...row(number, rx, 0, { pid: 1000 + of, comm: `worker-${of}` }), key: `child ${number}` })
  const tree = withFrame({ ...startState(start), isTree: true }, frame([process(1, 300), process(2, 100)], {
    children: [child(11, 1, 100), child(12, 1, 200), child(21, 2, 100)],
  }))
  const shown = (state: State) => pictureOf(state).table.map(({ entry }) => entry.key)
  assert.equal(shown(tree), ['process 1', 'child 12', 'child 11', 'process 2', 'child 21'])
  assert.equal(shown(pressed(tree, 'j', 'j', ' ')), ['process 1', 'process 2', 'child 21'])
  assert.equal(shown(pressed(tree, 'j', 'j', ' ', ' ')), shown(tree))
  assert.equal(shown(pressed(tree, '/', ...':40021', 'enter')), ['process 2', 'child 21'])
})

test('a key that means nothing changes nothing but an old message', () => {
  const state = after(three)
  for (const key of ['x', 'f4', 'ctrl-d', 'é']) assert.equal(react(state, key), { state })
  assert.is(pressed({ ...state, message: 'written' }, 'x').message, undefined)
})

test.run()
