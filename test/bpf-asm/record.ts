import { test } from 'uvu'
import * as assert from 'uvu/assert'
import {
  add, address, assemble, at, atomicAdd, atomicAnd, atomicOr, atomicXor, bytes, call, cmpxchg, type Code, copy, exit, fetchAdd, fieldOf, increment,
  interpret, jeq, jne, label, list, load, loadMap, lookup, MapModel, mapOf, mov, ntohl, ntohs, parseBtf, part, r0, r1, r10, r2, r3, r4, r6, r8, readInto, readKernel, record, remove,
  store, text, update, xchg, zero,
} from '../../bpf-asm/index.js'
import { Random } from '../kit/random.js'
import { array, blob, int, struct } from '../kit/blob.js'

const Key = record({ cookie: 'u64', pid: 'u32', port: 'be16' })
const Flow = record({ flags: at(4, 'u32'), key: Key, tx: 'u64', comm: text(16), last: at(60, 's32'), address: bytes(6) }, 80)
const flow = Flow.in(r8)
const frame = record({ key: Key, byte: 'u8', sum: 'u64' }).onStack()

const same = (code: Code, byHand: Code) => assert.equal(list(assemble([code, exit()])), list(assemble([byHand, exit()])))

test('fields are where C would put them, or where one says', () => {
  assert.equal([Key.size, Flow.size, record({ a: 'u8', b: 'u32', c: 'u16' }).size], [16, 80, 12])
  same([flow.flags.load(r1), flow.key.port.load(r1), flow.tx.load(r1), flow.last.load(r1)], [
    load(r1, 'u32', r8, 4), load(r1, 'u16', r8, 20), load(r1, 'u64', r8, 24), load(r1, 's32', r8, 60),
  ])
})

test('a register that knows its fields is still a register', () => same([mov(flow, r0), add(flow, 8), jne(flow, 0, 'end'), label('end')], [
  mov(r8, r0), add(r8, 8), jne(r8, 0, 'end'), label('end'),
]))

test('each way to use a field is one instruction', () => same(
  [
    flow.tx.store(r1), flow.tx.store(-1), flow.key.pid.store(7), flow.tx.add(r2), flow.tx.or(r2), flow.key.pid.and(r2), flow.tx.xor(r2),
    flow.key.pid.fetchAdd(r2), flow.key.pid.exchange(r1), flow.key.pid.compareExchange(r1), flow.last.store(-1),
  ],
  [
    store('u64', r8, 24, r1), store('u64', r8, 24, -1), store('u32', r8, 16, 7), atomicAdd('u64', r8, 24, r2), atomicOr('u64', r8, 24, r2),
    atomicAnd('u32', r8, 16, r2), atomicXor('u64', r8, 24, r2), fetchAdd('u32', r8, 16, r2), xchg('u32', r8, 16, r1), cmpxchg('u32', r8, 16, r1),
    store('u32', r8, 60, -1),
  ],
))

test('a stack frame ends where the stack does', () => same(
  [frame.sum.store(r1), frame.key.port.load(r1), address(r2, frame), address(r3, frame.key.port)],
  [store('u64', r10, -8, r1), load(r1, 'u16', r10, -20), mov(r2, r10), add(r2, -32), mov(r3, r10), add(r3, -20)],
))

test('what is where a register points to needs no addition, and in the same register nothing', () => same(
  [address(r2, flow), address(r2, r6), address(r8, flow), address(r8, flow.tx)], [mov(r2, r8), mov(r2, r6), add(r8, 24)],
))

test('parts of text and bytes are integers', () => {
  same([part(flow.comm, 8, 'u64').store(r1), part(flow.address, 4, 'u16').load(r1)], [store('u64', r8, 40, r1), load(r1, 'u16', r8, 68)])
  assert.throws(() => part(flow.comm, 9, 'u64'), /^8 bytes at 9 are not within 16$/)
  assert.throws(() => part(flow.comm, -1, 'u8'), /^1 bytes at -1 are not within 16$/)
})

test('all of a record is zeroed and copied in words', () => {
  same(zero(frame.key), [store('u64', r10, -32, 0), store('u64', r10, -24, 0)])
  same(copy(frame.key, flow.key, r1), [load(r1, 'u64', r8, 8), store('u64', r10, -32, r1), load(r1, 'u64', r8, 16), store('u64', r10, -24, r1)])
  same(zero(flow.address), [store('u32', r8, 64, 0), store('u16', r8, 68, 0)])
  assert.throws(() => copy(frame.key, flow.comm, r1) && copy(flow.key, flow.address, r1), /^6 bytes cannot be copied to 16$/)
})

test('a port of the network becomes a number', () => {
  const host = (value: number, emit: Code) => interpret(assemble([mov(r0, value), emit, exit()])).result
  assert.is(host(0x5000, ntohs(r0)), 80n)
  assert.is(host(0x0100007f, ntohl(r0)), 0x7f000001n)
})

const counts = mapOf('hash', 'counts', { key: Key, value: record({ sum: 'u64' }), maxEntries: 4 })

test('entries are looked up, made and removed by their key in memory', () => {
  same(lookup(counts, frame.key), [mov(r2, r10), add(r2, -32), loadMap(r1, 'counts'), call('map_lookup_elem')])
  same(update('counts', r1, flow, 'noexist'), [mov(r2, r1), mov(r3, r8), mov(r4, 1), loadMap(r1, 'counts'), call('map_update_elem')])
  same(update('counts', r2, r3, 'exist'), [mov(r4, 2), loadMap(r1, 'counts'), call('map_update_elem')])
  same(remove(counts, frame.key), [mov(r2, r10), add(r2, -32), loadMap(r1, 'counts'), call('map_delete_elem')])
})

test('an increment finds the entry, or makes it, or finds what another processor made', () => {
  const find = [mov(r2, r10), add(r2, -32), loadMap(r1, 'counts'), call('map_lookup_elem')]
  same(increment(counts, frame.key, frame.sum), [
    find, jne(r0, 0, 'add'),
    mov(r2, r10), add(r2, -32), mov(r3, r10), add(r3, -8), mov(r4, 1), loadMap(r1, 'counts'), call('map_update_elem'), jeq(r0, 0, 'counted'),
    find, jeq(r0, 0, 'counted'),
    label('add'), load(r1, 'u64', r10, -8), atomicAdd('u64', r0, 0, r1),
    label('counted'),
  ])
})

test('what does not fit a map of records is refused', () => {
  assert.throws(() => lookup(counts, frame), /^map counts has keys of 16 bytes, not 32$/)
  assert.throws(() => update(counts, frame.key, frame), /^map counts has values of 8 bytes, not 32$/)
  assert.throws(() => update('counts', frame.key, r2), /r2/)
  assert.throws(() => increment('counts', frame.key, frame.byte), /^increment adds a u32 or whole u64 words, not 1 bytes$/)
  assert.throws(() => mapOf('hash', 'a_name_too_long_', { key: Key, value: Key, maxEntries: 1 }), /^the name of a map or program must be 1 to 15 .*"a_name_too_long_"$/)
  assert.throws(() => mapOf('hash', 'a name', { key: Key, value: Key, maxEntries: 1 }), /, got "a name"$/)
  assert.throws(() => mapOf('percpu_hash', 'name', { key: Key, value: Key, maxEntries: 1 }), /^a value of a percpu_hash is one per CPU, no record$/)
  assert.throws(() => record({ register: 'u8' }), /register/)
  assert.throws(() => record({ name: text(0) }), /^field name has 0 bytes/)
  assert.throws(() => record({ a: 'u64' }, 4), /^the fields take 8 bytes of 4$/)
})

test('an increment adds what several programs moved, and loses it when the map is full', () => {
  const Moved = record({ tx: 'u64', rx: 'u64' })
  const flows = mapOf('hash', 'flows', { key: record({ port: 'u32' }), value: Moved, maxEntries: 3 })
  const stack = record({ moved: Moved, port: 'u32' }).onStack()
  const model = new MapModel(flows)
  const expected = new Map<number, { tx: bigint; rx: bigint }>()
  const random = new Random()
  random.repeat(40, () => {
    const [port, tx, rx] = [random.below(5), random.below(100), random.below(100)]
    const known = expected.get(port) ?? (expected.size < 3 ? { tx: 0n, rx: 0n } : undefined)
    if (known !== undefined) expected.set(port, { tx: known.tx + BigInt(tx), rx: known.rx + BigInt(rx) })
    const code = [stack.port.store(port), stack.moved.tx.store(tx), stack.moved.rx.store(rx), increment(flows, stack.port, stack.moved), mov(r0, 0), exit()]
    interpret(assemble(code), { maps: [model] })
  })
  const view = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset)
  const found = [...model.entries()].map(([key, value]) => [flows.key.decode(view(key)).port, flows.value.decode(view(value))] as const)
  assert.equal(new Map(found), expected)
})

test('two that make an entry at once lose nothing', () => {
  const model = new MapModel(counts)
  const code = assemble([zero(frame.key), frame.sum.store(3), increment(counts, frame.key, frame.sum), mov(r0, 0), exit()])
  for (let turn = 0; turn < 20; turn++) {
    const maps = [new MapModel(counts)]
    const meanwhile = (steps: number) => void (steps === turn && interpret(code, { maps }))
    const { steps } = interpret(code, { maps, meanwhile })
    assert.equal([...maps[0]!.entries()].map(([, value]) => value[0]), [turn < steps ? 6 : 3], `another at ${turn} of ${steps}`)
  }
  assert.is(model.size, 0)
})

test('a member of a kernel structure is loaded or copied, as BTF says', () => {
  const btf = parseBtf(blob(
    int('int', 4), int('long', 8), array(1, 4), struct('sock', 40, ['state', 1, 0, 0], ['bits', 1, 32, 3], ['next', 2, 64, 0], ['address', 3, 128, 0]),
  ))
  const sock = (path: string) => fieldOf(btf, 'sock', path)
  same([sock('state').load(r1, r6), sock('next').load(r6, r6)], [load(r1, 'u32', r6, 0), load(r6, 'u64', r6, 8)])
  same([sock('next').read(frame.sum, r6), sock('state').read(frame.key.pid, r6)], [
    mov(r3, r6), add(r3, 8), mov(r2, 8), mov(r1, r10), add(r1, -8), call('probe_read_kernel'),
    mov(r3, r6), mov(r2, 4), mov(r1, r10), add(r1, -24), call('probe_read_kernel'),
  ])
  same(readKernel(-32, 16, r6, 16), readInto(frame.key, r6, 16))
  assert.throws(() => sock('address').load(r1, r6), /^sock.address has 16 bytes, too many for one load$/)
  assert.throws(() => sock('bits').load(r1, r6), /^sock.bits is a bit field/)
  assert.throws(() => sock('state').read(frame.sum, r6), /^sock.state has 4 bytes, and 8 are to be read$/)
  assert.throws(() => sock('gone'), /^this kernel has no gone in struct sock$/)
})

test('what JavaScript encodes, a program reads, and the other way round', () => {
  const All = record({
    u8: 'u8', u16: 'u16', u32: 'u32', u64: 'u64', s8: 's8', s16: 's16', s32: 's32', s64: 's64', be16: 'be16', be32: 'be32', name: text(5), raw: bytes(3),
    inner: record({ port: 'be16' }),
  })
  const values = {
    u8: 255, u16: 65535, u32: 2 ** 32 - 1, u64: 2n ** 64n - 1n, s8: -128, s16: -2, s32: -(2 ** 31), s64: -(2n ** 63n), be16: 80, be32: 0x7f000001,
    name: 'four', raw: Uint8Array.of(1, 2, 3), inner: { port: 443 },
  }
  const encoded = All.encode(values)
  assert.is(encoded.length, All.size)
  assert.equal(All.decode(new DataView(encoded.buffer)), values)
  const within = new Uint8Array(100)
  within.set(encoded, 7)
  assert.equal(All.decode(new DataView(within.buffer, 3), 4), values)
  const context = All.in(r6)
  const read = (code: Code) => interpret(assemble([mov(r6, r1), code, exit()]), { context: encoded }).result
  assert.is(read([context.be16.load(r0), ntohs(r0)]), 80n)
  assert.is(read(context.s32.load(r0)), BigInt.asUintN(64, -(2n ** 31n)))
  assert.is(read(context.inner.port.load(r0)), 443n >> 8n | (443n & 0xffn) << 8n)
  assert.is(read(part(context.raw, 2, 'u8').load(r0)), 3n)
  assert.throws(() => All.encode({ ...values, name: 'too long' }), /^name has 8 bytes, and there are 5$/)
  assert.throws(() => All.encode({ ...values, raw: Uint8Array.of(1) }), /^raw has 1 bytes, and there are 3$/)
  assert.throws(() => All.decode(new DataView(encoded.buffer, 8)), /bounds|not within/)
})

test.run()
