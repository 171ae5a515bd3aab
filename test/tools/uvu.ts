import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { closingLine, countOf } from '../../tools/uvu.js'

const closing = (total: number, passed: number, skipped = 0) =>
  `\n  Total:     ${total}\n  Passed:    ${passed}\n  Skipped:   ${skipped}\n  Duration:  1.00ms\n`

test('passed, failed and skipped add up to what uvu ran', () => {
  assert.equal(countOf(closing(5, 5)), { passed: 5, failed: 0, skipped: [] })
  assert.equal(countOf(`• • SKIP two: no such call\n✘ SKIP four: not exact\n${closing(5, 4)}`), {
    passed: 2, failed: 1, skipped: ['two: no such call', 'four: not exact'],
  })
})

test('tests that uvu skipped are counted beside its total', () => {
  assert.equal(countOf(closing(2, 2, 1)), { passed: 2, failed: 0, skipped: ['skipped by test.skip or test.only'] })
})

test('a file that ran nothing, or said nothing, has failed', () => {
  for (const output of ['', 'Error: crashed\n', closing(0, 0)]) assert.equal(countOf(output), { passed: 0, failed: 1, skipped: [] })
})

test('the closing line counts skipped tests only if there are any', () => {
  assert.is(closingLine(3, 0, 0), '3 passed, 0 failed')
  assert.is(closingLine(3, 1, 2), '3 passed, 1 failed, 2 skipped')
})

test.run()
