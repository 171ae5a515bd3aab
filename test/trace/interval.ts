import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { intervals, type Span } from '../../src/trace/index.js'
import { fakeClock } from '../kit/clock.js'

const never = new AbortController().signal

async function collect(spans: AsyncGenerator<Span>, each: (index: number) => void = () => {}): Promise<number[]> {
  const lengths: number[] = []
  for await (const { length } of spans) {
    each(lengths.length)
    lengths.push(Math.round(length * 1000))
  }
  return lengths
}

test('intervals are as long as is asked for, however busy the consumer is in between', async () => {
  const { clock, pass } = fakeClock()
  assert.equal(await collect(intervals(1, { clock, count: 3, stop: never }), () => pass(0.4)), [1000, 1000, 1000])
})

test('intervals that passed meanwhile are one', async () => {
  const { clock, pass } = fakeClock()
  assert.equal(await collect(intervals(1, { clock, count: 3, stop: never }), index => index === 0 && pass(2.5)), [1000, 3000, 1000])
})

test('a stop ends the interval at hand, one before the start the first', async () => {
  const { clock, pass } = fakeClock()
  const stop = new AbortController()
  assert.equal(await collect(intervals(1, { clock, stop: stop.signal }), index => {
    pass(0.5)
    if (index === 1) stop.abort()
  }), [1000, 1000, 500])
  assert.equal(await collect(intervals(1, { clock, stop: stop.signal })), [0])
})

test.run()
