import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { Pace, paced } from '../../src/frame/pace.js'
import type { Clock } from '../../src/trace/index.js'
import { fakeClock } from '../kit/clock.js'

const never = new AbortController().signal

/** A clock on which things happen at times while one sleeps. */
function eventful(events: readonly (readonly [time: number, act: () => void])[]): Clock {
  const waiting = events.map(([time, act]) => ({ time, act }))
  let now = 0
  return {
    now: () => now,
    sleep: async (seconds, signal) => {
      const end = now + seconds
      while (!signal.aborted && now < end) {
        const next = waiting[0]
        if (next === undefined || next.time > end) {
          now = end
        } else {
          now = next.time
          waiting.shift()
          next.act()
        }
      }
    },
  }
}

/** When intervals ended and how long they were. */
async function collect(pace: Pace, clock: Clock, count: number, stop: AbortSignal = never): Promise<[time: number, length: number][]> {
  const spans: [number, number][] = []
  for await (const { time, length } of paced(pace, { clock, count, stop })) spans.push([time, length])
  return spans
}

test('without changes intervals are as long as is asked for', async () => {
  assert.equal(await collect(new Pace(2), eventful([]), 3), [[2, 2], [4, 2], [6, 2]])
})

test('nothing adds up while the consumer is busy, and what passed is one interval', async () => {
  const { clock, pass } = fakeClock()
  const lengths: number[] = []
  for await (const { length } of paced(new Pace(1), { clock, count: 4, stop: never })) {
    lengths.push(Math.round(length * 1000))
    pass(lengths.length === 1 ? 0.4 : lengths.length === 2 ? 2.5 : 0)
  }
  assert.equal(lengths, [1000, 1000, 3000, 1000])
})

test('a shorter interval ends the one that runs once it is as long', async () => {
  const pace = new Pace(10)
  assert.equal(await collect(pace, eventful([[3, () => pace.set(5, false)]]), 2), [[5, 5], [10, 5]])
  const other = new Pace(10)
  assert.equal(await collect(other, eventful([[7, () => other.set(5, false)]]), 2), [[7, 7], [12, 5]])
})

test('a longer interval applies at once', async () => {
  const pace = new Pace(1)
  assert.equal(await collect(pace, eventful([[1.5, () => pace.set(4, false)]]), 2), [[1, 1], [5, 4]])
})

test('a pause is one long interval that ends with it', async () => {
  const pace = new Pace(1)
  const clock = eventful([[1.25, () => pace.set(1, true)], [60.5, () => pace.set(1, false)]])
  assert.equal(await collect(pace, clock, 3), [[1, 1], [60.5, 59.5], [61.5, 1]])
})

test('the seconds may change in a pause', async () => {
  const pace = new Pace(1)
  const clock = eventful([[1.25, () => pace.set(1, true)], [30, () => pace.set(5, true)], [60.5, () => pace.set(5, false)]])
  assert.equal(await collect(pace, clock, 3), [[1, 1], [60.5, 59.5], [65.5, 5]])
})

test('a stop ends the interval at hand, in a pause too', async () => {
  for (const isPaused of [false, true]) {
    const [pace, stop] = [new Pace(10), new AbortController()]
    assert.equal(await collect(pace, eventful([[2, () => pace.set(10, isPaused)], [3, () => stop.abort()]]), 5, stop.signal), [[3, 3]])
  }
})

test.run()
