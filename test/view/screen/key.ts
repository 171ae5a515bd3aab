import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { type Input, KeyDecoder } from '../../../src/view/screen/key.js'
import { Random } from '../../kit/random.js'

const keys = (...names: readonly string[]): Input[] => names.map(key => ({ key }))

const cases: readonly (readonly [text: string, inputs: readonly Input[]])[] = [
  ['q', keys('q')],
  ['jk', keys('j', 'k')],
  ['é😀', keys('é', '😀')],
  ['\r\n\t\x7f', keys('enter', 'enter', 'tab', 'backspace')],
  ['\x03\x1a\x0c', keys('ctrl-c', 'ctrl-z', 'ctrl-l')],
  ['\x1b[A\x1b[B\x1b[C\x1b[D', keys('up', 'down', 'right', 'left')],
  ['\x1bOA\x1bOB', keys('up', 'down')],
  ['\x1b[1;5A', keys('up')],
  ['\x1b[5~\x1b[6~\x1b[H\x1b[F\x1b[1~\x1b[4~', keys('page-up', 'page-down', 'home', 'end', 'home', 'end')],
  ['\x1bOP\x1b[11~', keys('f1', 'f1')],
  ['\x1b[200~rm -rf\nq\x1b[201~q', [{ pasted: 'rm -rf\nq' }, { key: 'q' }]],
  ['\x1b[<64;10;5M\x1b[<65;10;5M', [{ wheel: -3 }, { wheel: 3 }]],
  ['\x1b[<0;10;4M\x1b[<0;10;4m', [{ click: { row: 3, column: 9 } }]],
  ['\x1b[?1;2c', []],
  ['\x1b[I', []],
  ['\x1b\x1b[A', keys('escape', 'up')],
  ['\x1bx', keys('escape', 'x')],
  ['\x9b31m', keys('3', '1', 'm')],
]

for (const [text, inputs] of cases) {
  test(`${JSON.stringify(text)} in one piece and byte by byte`, () => {
    assert.equal(new KeyDecoder().decode(text), inputs)
    const decoder = new KeyDecoder()
    assert.equal(Array.from({ length: text.length }, (_, at) => decoder.decode(text[at]!)).flat(), inputs)
  })
}

test('an Escape that nothing follows is a key once the caller has waited', () => {
  const decoder = new KeyDecoder()
  assert.equal(decoder.decode('\x1b'), [])
  assert.ok(decoder.isWaiting)
  assert.equal(decoder.flush(), keys('escape'))
  assert.not.ok(decoder.isWaiting)
})

test('a paste that never ends is cut, and its text is no keys', () => {
  const decoder = new KeyDecoder()
  assert.equal(decoder.decode(`\x1b[200~${'q'.repeat(10_000)}`), [])
  assert.equal(decoder.flush(), [{ pasted: 'q'.repeat(4096) }])
})

test('random bytes never wait for ever, and a key after them is seen', () => {
  const random = new Random()
  random.repeat(500, () => {
    const text = Array.from({ length: 1 + random.below(20) }, () => random.pick(['\x1b', '[', 'O', '<', ';', '2', '0', '~', 'M', 'q', '\x80', '\ud83d'])).join('')
    const decoder = new KeyDecoder()
    decoder.decode(text)
    decoder.flush()
    assert.equal(decoder.decode('x'), keys('x'), JSON.stringify(text))
  })
})

test.run()
