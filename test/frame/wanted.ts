import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { Wanted } from '../../src/frame/wanted.js'

test('it is over when all have been there and have ended, whenever they came', () => {
  const wanted = new Wanted([5, 6])
  for (const [there, over] of [[[1], false], [[1, 5], false], [[1], false], [[6], false], [[6, 5], false], [[1], true]] as const) {
    wanted.look(new Set(there))
    assert.is(wanted.over, over, there.join())
  }
})

for (const [pids, line] of [
  [[], undefined],
  [[7], 'there is no process 7: it is waited for'],
  [[7, 8], 'there are no processes 7 and 8: they are waited for'],
  [[7, 8, 9], 'there are no processes 7, 8 and 9: they are waited for'],
  [[7, 8, 9, 10], 'there are no processes 7, 8, 9 and 1 more: they are waited for'],
  [Array.from({ length: 50_000 }, (_, index) => index + 7), 'there are no processes 7, 8, 9 and 49997 more: they are waited for'],
] as const) {
  test(`of ${pids.length} that are not there one line says so`, () => {
    const wanted = new Wanted(pids)
    wanted.look(new Set([1, 2]))
    assert.is(wanted.absence, line)
  })
}

test('of those that are there nothing is said', () => {
  const wanted = new Wanted([7])
  wanted.look(new Set([7]))
  assert.is(wanted.absence, undefined)
})

test.run()
