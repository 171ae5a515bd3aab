import { existsSync, readFileSync } from 'node:fs'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { assemble, interpret, leave, lines, MapModel, mov, parseBtf, r6, record, text } from '../../bpf-asm/index.js'
import { connectionSize, emit, emitConnection, eventMaps, eventsOf, send, sendConnection } from '../../src/trace/index.js'
import { unless } from '../kit/privilege.js'

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

const vmlinux = '/sys/kernel/btf/vmlinux'
const several = 'connections are sent any number of times in a program'
test(several, unless(existsSync(vmlinux) ? undefined : 'this kernel has no BTF', several, () => {
  const btf = parseBtf(readFileSync(vmlinux))
  const slots = (code: Parameters<typeof assemble>[0]) => assemble(code).slots
  const one = slots([mov(r6, 0), sendConnection('queue', btf, { pid: 7 }), leave()])
  assert.is(slots([mov(r6, 0), sendConnection('queue', btf, { pid: 7 }), sendConnection('queue', btf, { pid: 7 }), leave()]), 2 * one - 3)
  assert.is(slots([mov(r6, 0), emitConnection('queue', btf, 7)]), one)
  assert.is(connectionSize % 8, 0)
}))

test.run()
