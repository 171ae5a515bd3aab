import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { difference, intersection, type Range, union } from '../../src/filter/range.js'
import { Random } from '../kit/random.js'

test('sets of numbers are joined, intersected and subtracted as numbers one by one', () => {
  const random = new Random()
  const numbers = Array.from({ length: 20 }, (_, index) => index)
  const has = (ranges: readonly Range[], number: number) => ranges.some(({ from, to }) => from <= number && number <= to)
  const ranges = () => Array.from({ length: random.below(5) }, () => {
    const from = random.below(20)
    return { from, to: from + random.below(20 - from) }
  })
  random.repeat(2000, () => {
    const [one, other] = [union(ranges()), union(ranges())]
    for (const [set, holds] of [
      [union([...one, ...other]), (number: number) => has(one, number) || has(other, number)],
      [intersection(one, other), (number: number) => has(one, number) && has(other, number)],
      [difference(one, other), (number: number) => has(one, number) && !has(other, number)],
    ] as const) {
      assert.equal(numbers.filter(number => has(set, number)), numbers.filter(holds), JSON.stringify([one, other]))
      assert.ok(set.every(({ from, to }, index) => from <= to && (index === 0 || from > set[index - 1]!.to + 1)), JSON.stringify(set))
    }
  })
})

test.run()
