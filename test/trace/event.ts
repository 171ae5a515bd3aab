import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { assemble, interpret, leave, lines, MapModel, record, text } from '../../bpf-asm/index.js'
import { emit, eventMaps, eventsOf, send, type Tracer } from '../../src/trace/index.js'

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

const event = record({ pid: 'u32', comm: text(8) }).onStack()
const [, lost] = eventMaps('queue', 16)

/** Runs a program that sends three events, with a queue that holds so many; what was queued, and how many were lost. */
function sent(room: number): { readonly pids: bigint[]; readonly lost: number } {
  const queued: bigint[] = []
  const code = assemble([[1, 2, 3].map(pid => [event.pid.store(pid), send('queue', event)]), leave()])
  const maps = [new MapModel({ ...lost!, name: 'queue_lost' }), new MapModel({ name: 'queue', type: 'hash', keySize: 4, valueSize: 16, maxEntries: 1 })]
  interpret(code, {
    maps,
    helpers: {
      map_push_elem: ({ memory }, _map: bigint, value: bigint, _flags: bigint) =>
        queued.length < room ? (queued.push(memory.read(value, 4)), 0n) : BigInt.asUintN(64, -7n),
    },
  })
  const tracer = { map: (name: string) => name === 'queue' ? { maxEntries: room } : { lookup: (key: Uint8Array) => maps[0]!.lookup(key) } }
  return { pids: queued, lost: eventsOf(tracer as never, 'queue').lost() }
}

test('events are sent any number of times in a program, and counted when the queue is full', () => {
  assert.equal(sent(3), { pids: [1n, 2n, 3n], lost: 0 })
  assert.equal(sent(1), { pids: [1n], lost: 2 })
})

test('an event at an offset of the stack is the same as one that is located', () => {
  const texts = (code: Parameters<typeof assemble>[0]) => lines(assemble(code)).map(({ text }) => text)
  assert.equal(texts([emit('queue', -16), leave()]), texts([send('queue', event), leave()]))
})

test.run()
