import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { Scope } from '../../src/trace/index.js'

test('what was opened last is closed first, and everything once', () => {
  const scope = new Scope()
  const closed: number[] = []
  for (const number of [1, 2, 3]) assert.is(scope.own({ number, close: () => void closed.push(number) }).number, number)
  scope.close()
  scope.close()
  assert.equal(closed, [3, 2, 1])
})

test.run()
