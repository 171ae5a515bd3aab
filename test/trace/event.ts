import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { eventsOf, type Tracer } from '../../src/trace/index.js'

/** The maps of a tracer: a queue of so much capacity, from which `pop` takes, and the count of what was lost. */
function eventsFrom(pop: () => Uint8Array | undefined, capacity: number, lost: () => bigint = () => 0n) {
  const maps: Readonly<Record<string, object>> = {
    sent: { maxEntries: capacity, pop },
    sent_lost: { lookup: () => new Uint8Array(BigUint64Array.of(lost()).buffer) },
  }
  return eventsOf({ map: (name: string) => maps[name] } as unknown as Tracer, 'sent')
}

test('events are taken in their order, until there is none', () => {
  const waiting = [1, 2, 3].map(number => Uint8Array.of(number))
  const events = eventsFrom(() => waiting.shift(), 16)
  assert.equal([...events.take()].map(event => event.getUint8(0)), [1, 2, 3])
  assert.equal([...events.take()], [])
})

test('no more events are taken at once than the queue holds, however fast others come', () => {
  let taken = 0
  const events = eventsFrom(() => {
    if (++taken > 1000) throw new Error('it does not end')
    return Uint8Array.of(0)
  }, 16)
  for (const times of [1, 2]) {
    assert.is([...events.take()].length, 16)
    assert.is(taken, 16 * times)
  }
})

test('lost events are reported once', () => {
  const counts = [3n, 3n, 5n]
  const events = eventsFrom(() => undefined, 16, () => counts.shift()!)
  assert.equal([events.lost(), events.lost(), events.lost()], [3, 0, 2])
})

test.run()
