import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { human, sparkline, units } from '../../../src/view/screen/unit.js'

const cases: readonly (readonly [bytes: number, text: string])[] = [
  [0, '0 B/s'], [0.4, '<1 B/s'], [1, '1 B/s'], [60, '60 B/s'], [999, '999 B/s'], [999.6, '1.0 kB/s'], [1000, '1.0 kB/s'], [1234, '1.2 kB/s'],
  [9949, '9.9 kB/s'], [9950, '10 kB/s'], [123_456, '123 kB/s'], [999_499, '999 kB/s'], [999_500, '1.0 MB/s'], [1_200_000, '1.2 MB/s'], [12.5e9, '13 GB/s'],
  [1e21, '1000 EB/s'],
]

for (const [bytes, text] of cases) test(`${bytes} bytes a second are ${text}`, () => assert.is(human(bytes, 'B/s'), text))

test('no unit writes more cells than it says, below 1000 P', () => {
  for (const unit of units) {
    for (let value = 0.3; value < 1e17; value *= 1.07) assert.ok(unit.text(value).length <= unit.width, `${unit.name}: ${unit.text(value)}`)
  }
})

test('a graph has a character for each of the last values, something is never a blank', () => {
  assert.is(sparkline([0, 1, 4, 8], 6, true), '   ▂▅█')
  assert.is(sparkline([0, 0.001, 8], 3, true), ' ▁█')
  assert.is(sparkline([5, 0, 1, 4, 8], 3, false), '_+#')
  assert.is(sparkline([], 3, true), '   ')
  assert.is(sparkline([0, 0], 2, true), '  ')
})

test.run()
