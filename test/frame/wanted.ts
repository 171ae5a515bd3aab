import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { Wanted } from '../../src/frame/wanted.js'

test('tracing is over when all processes have appeared and ended', () => {
  const wanted = new Wanted([5, 6])
  for (const [there, over] of [[[1], false], [[1, 5], false], [[1], false], [[6], false], [[6, 5], false], [[1], true]] as const) {
    wanted.look(new Set(there))
    assert.is(wanted.over, over, there.join())
  }
})

for (const [pids, line] of [
  [[], undefined],
  [[7], 'there is no process 7 yet: waiting for it'],
  [[7, 8], 'there are no processes 7 and 8 yet: waiting for them'],
  [[7, 8, 9], 'there are no processes 7, 8 and 9 yet: waiting for them'],
  [[7, 8, 9, 10], 'there are no processes 7, 8, 9 and 1 more yet: waiting for them'],
  [Array.from({ length: 50_000 }, (_, index) => index + 7), 'there are no processes 7, 8, 9 and 49997 more yet: waiting for them'],
] as const) {
  test(`of ${pids.length} that are not there one line says so`, () => {
    const wanted = new Wanted(pids)
    wanted.look(new Set([1, 2]))
    assert.is(wanted.absence, line)
  })
}

test('existing processes are not mentioned', () => {
  const wanted = new Wanted([7])
  wanted.look(new Set([7]))
  assert.is(wanted.absence, undefined)
})

test.run()
