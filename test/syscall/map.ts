import { readFileSync } from 'node:fs'
import { constants } from 'node:os'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { createMap, type MapSpec, openMap } from '../../syscall/map.js'
import { batch as batchLayout, info, mapCreate, mapElem, mapInfo, mapType, object } from '../../syscall/uapi.js'
import { Random } from '../kit/random.js'
import { type Answer, bufferOf, type Call, fakeKernel, numberOf, putField } from '../kit/fake.js'

const { EEXIST, EINVAL, ENOENT, ENOSPC, EPERM, EFAULT } = constants.errno
const spec: MapSpec = { name: 'flows', type: 'hash', keySize: 4, valueSize: 8, maxEntries: 100, flags: 1 }

const key = (number: number) => new Uint8Array(Uint32Array.of(number).buffer)
const value = (number: number) => new Uint8Array(BigUint64Array.of(BigInt(number)).buffer)
const wordOf = (bytes: Uint8Array, offset = 0) => new DataView(bytes.buffer, bytes.byteOffset).getUint32(offset, true)

function withMap(answer?: Answer, changed: Partial<MapSpec> = {}) {
  const kernel = fakeKernel(answer)
  const map = createMap(kernel.descriptors, { ...spec, ...changed })
  kernel.calls.length = 0
  return { ...kernel, map }
}

test('a map is created as it is described', () => {
  const { descriptors, calls } = fakeKernel()
  createMap(descriptors, { ...spec, btf: { fd: 9, keyTypeId: 2, valueTypeId: 3 } })
  const field = (name: keyof typeof mapCreate.fields) => numberOf(calls[0]!, mapCreate, name)
  assert.is(calls[0]!.name, 'MAP_CREATE')
  assert.equal([field('map_type'), field('key_size'), field('value_size')], [mapType.hash, 4, 8])
  assert.equal([field('max_entries'), field('map_flags')], [100, 1])
  assert.equal([field('btf_fd'), field('btf_key_type_id'), field('btf_value_type_id')], [9, 2, 3])
  assert.throws(() => createMap(descriptors, { ...spec, name: 'sixteen_letters_' }), /map_name must have at most 15 bytes/)
})

test('a per-CPU map has a value for each possible CPU, each in whole words', () => {
  const [first = 0, last = first] = readFileSync('/sys/devices/system/cpu/possible', 'latin1').trim().split('-').map(Number)
  const { map, calls } = withMap(undefined, { type: 'percpu_hash', valueSize: 12 })
  assert.is(map.valueSize, 16 * (last - first + 1))
  assert.is(map.lookup(key(1))?.length, map.valueSize)
  assert.is(bufferOf(calls[0]!, mapElem, 'value')?.length, map.valueSize)
  assert.throws(() => map.update(key(1), new Uint8Array(12)), /^a value of map flows has \d+ bytes, got 12$/)
})

test('a map that the kernel refuses is an error, and nothing stays open', () => {
  const { descriptors } = fakeKernel(() => -EPERM)
  assert.throws(() => createMap(descriptors, spec), /^bpf\(BPF_MAP_CREATE\): EPERM$/)
  assert.is(descriptors.open, 0)
})

test('a missing key is not an error; any other refusal is', () => {
  let errno = ENOENT
  const { map } = withMap(({ name }) => name === 'MAP_CREATE' ? undefined : -errno)
  assert.is(map.lookup(key(1)), undefined)
  assert.is(map.delete(key(1)), false)
  assert.throws(() => map.update(key(1), value(1), 'exist'), /^bpf\(BPF_MAP_UPDATE_ELEM\): ENOENT$/)
  errno = EINVAL
  assert.throws(() => map.lookup(key(1)), /^bpf\(BPF_MAP_LOOKUP_ELEM\): EINVAL$/)
  assert.throws(() => map.delete(key(1)), /^bpf\(BPF_MAP_DELETE_ELEM\): EINVAL$/)
  assert.throws(() => map.pin('/x'), /^bpf\(BPF_OBJ_PIN\): EINVAL$/)
})

test('a value that is looked up is the caller’s own', () => {
  const { map } = withMap(call => {
    if (call.name === 'MAP_LOOKUP_ELEM') bufferOf(call, mapElem, 'value')!.fill(7)
  })
  const [one, other] = [map.lookup(key(1)), map.lookup(key(1))]
  assert.equal(one, new Uint8Array(8).fill(7))
  assert.is.not(one, other)
})

test('an update has the flag of its mode, and the map’s descriptor', () => {
  const { map, calls } = withMap()
  for (const mode of [undefined, 'any', 'noexist', 'exist'] as const) map.update(key(1), value(2), mode)
  assert.equal(calls.map(call => numberOf(call, mapElem, 'flags')), [0, 0, 1, 2])
  for (const call of calls) {
    assert.is(numberOf(call, mapElem, 'map_fd'), map.fd)
    assert.equal([bufferOf(call, mapElem, 'key'), bufferOf(call, mapElem, 'value')], [key(1), value(2)])
  }
})

test('a key or value of the wrong size never reaches the kernel', () => {
  const { map, calls } = withMap()
  for (const wrong of [new Uint8Array(3), new Uint8Array(5), new Uint8Array()]) {
    const refusal = new RegExp(`^a key of map flows has 4 bytes, got ${wrong.length}$`)
    assert.throws(() => map.lookup(wrong), refusal)
    assert.throws(() => map.update(wrong, value(1)), refusal)
    assert.throws(() => map.delete(wrong), refusal)
    assert.throws(() => map.update(key(1), wrong), /^a value of map flows has 8 bytes/)
  }
  assert.is(calls.length, 0)
})

/** A view that growing memory has detached. */
function stale(length: number): Uint8Array {
  const buffer = new ArrayBuffer(length)
  const view = new Uint8Array(buffer)
  structuredClone(buffer, { transfer: [buffer] })
  return view
}

test('a view that is detached by growing memory, or too small for an entry, is refused', () => {
  const { map, calls } = withMap()
  for (const [keys, values] of [
    [stale(400), stale(800)], [stale(400), new Uint8Array(800)], [new Uint8Array(400), stale(800)],
    [new Uint8Array(3), new Uint8Array(800)], [new Uint8Array(400), new Uint8Array(7)],
  ] as const) {
    assert.throws(() => map.batch().next(keys, values), /^the buffer is smaller than an entry: was the view detached/)
  }
  assert.throws(() => map.deleteBatch(stale(400), 100), /^100 keys have 400 bytes, got 0$/)
  assert.throws(() => map.deleteBatch(new Uint8Array(399), 100), /got 399$/)
  assert.throws(() => map.lookup(stale(4)), /got 0$/)
  assert.is(calls.length, 0)
})

/** A hash as the kernel walks over it, each bucket whole or not at all (__htab_map_lookup_and_delete_batch). */
function hashOf(buckets: readonly (readonly number[])[]): Answer {
  return call => {
    if (call.name !== 'MAP_LOOKUP_BATCH') return
    const [keys, values] = [bufferOf(call, batchLayout, 'keys')!, bufferOf(call, batchLayout, 'values')!]
    const cursor = bufferOf(call, batchLayout, 'in_batch')
    const room = numberOf(call, batchLayout, 'count')
    let bucket = cursor === undefined ? 0 : wordOf(cursor)
    let count = 0
    for (; bucket < buckets.length && count + buckets[bucket]!.length <= room; bucket++) {
      for (const number of buckets[bucket]!) {
        keys.set(key(number), 4 * count)
        values.set(value(3 * number), 8 * count++)
      }
    }
    bufferOf(call, batchLayout, 'out_batch')!.set(key(bucket))
    putField(call, batchLayout, 'count', count)
    return bucket === buckets.length ? -ENOENT : count === 0 ? -ENOSPC : 0
  }
}

/** Everything that a walk meets, with more room whenever it is refused. */
function walk(map: ReturnType<typeof withMap>['map'], first: number) {
  const met: number[] = []
  let refused = 0
  let room = first
  for (const batch = map.batch(); !batch.done;) {
    const [keys, values] = [new Uint8Array(4 * room), new Uint8Array(8 * room)]
    try {
      const count = batch.next(keys, values)
      for (let index = 0; index < count; index++) {
        met.push(wordOf(keys, 4 * index))
        assert.is(wordOf(values, 8 * index), 3 * met.at(-1)!)
      }
    } catch (error) {
      assert.is((error as NodeJS.ErrnoException).code, 'ENOSPC')
      refused++
      room *= 2
    }
  }
  return { met, refused }
}

/** The same, with the cursors from which it went on. */
function cursorsOf(buckets: readonly (readonly number[])[], first: number) {
  const cursors: (number | undefined)[] = []
  const kernel = hashOf(buckets)
  const { map } = withMap(call => {
    const cursor = bufferOf(call, batchLayout, 'in_batch')
    if (call.name === 'MAP_LOOKUP_BATCH') cursors.push(cursor && wordOf(cursor))
    return kernel(call)
  })
  return { ...walk(map, first), cursors }
}

test('the last batch ends with ENOENT, and its entries count', () => {
  const { map, calls } = withMap(hashOf([[1], [2, 3], [], [4]]))
  const batch = map.batch()
  assert.is(batch.done, false)
  assert.is(batch.next(new Uint8Array(40), new Uint8Array(80)), 4)
  assert.is(batch.done, true)
  assert.is(batch.next(new Uint8Array(40), new Uint8Array(80)), 0, 'a walk that is over stays over')
  assert.is(calls.length, 1)
})

test('reading an empty map ends at once', () => {
  assert.equal(walk(withMap(hashOf([[], []])).map, 1), { met: [], refused: 0 })
})

test('as many entries are asked for as fit into both buffers, and no byte more may be touched', () => {
  const { map, calls } = withMap(hashOf([[1]]))
  map.batch().next(new Uint8Array(4 * 9 + 3), new Uint8Array(8 * 7 + 5))
  const [call] = calls
  assert.is(numberOf(call!, batchLayout, 'count'), 7)
  const bytesOf = (field: 'keys' | 'values') =>
    call!.pointers.find(([offset]) => offset === batchLayout.fields[field][0])?.[2]
  assert.equal([bytesOf('keys'), bytesOf('values')], [28, 56])
})

test('ENOSPC keeps the cursor: with a larger buffer the read continues there and misses nothing', () => {
  const buckets = [[1, 2], [3], [4, 5, 6, 7, 8], [9], [10, 11, 12]]
  assert.equal(cursorsOf(buckets, 2), { met: buckets.flat(), refused: 2, cursors: [undefined, 1, 2, 2, 2, 4] })
  // As long as the walk has not begun there is no cursor.
  const cursors = [undefined, undefined, undefined, 1]
  assert.equal(cursorsOf([[1, 2, 3], [4, 5, 6, 7]], 1), { met: [1, 2, 3, 4, 5, 6, 7], refused: 2, cursors })
})

test('every entry is read once, for any buckets and buffer sizes', () => {
  const random = new Random()
  random.repeat(200, () => {
    let next = 1
    const bucket = () => Array.from({ length: random.below(6) }, () => next++)
    const buckets = Array.from({ length: random.below(20) }, bucket)
    assert.equal(walk(withMap(hashOf(buckets)).map, 1 + random.below(8)).met, buckets.flat())
  })
})

test('the bookmark holds a key, and at least a number', () => {
  for (const [keySize, length] of [[1, 4], [4, 4], [16, 16]] as const) {
    const { map, calls } = withMap(undefined, { keySize })
    const batch = map.batch()
    for (let turn = 0; turn < 3; turn++) batch.next(new Uint8Array(160), new Uint8Array(160))
    assert.equal(calls.map(call => bufferOf(call, batchLayout, 'out_batch')!.length), [length, length, length])
  }
})

test('any other refusal of a batch is an error', () => {
  const { map } = withMap(({ name }) => name.endsWith('_BATCH') ? -EFAULT : undefined)
  assert.throws(() => map.batch().next(new Uint8Array(40), new Uint8Array(80)), /^bpf\(BPF_MAP_LOOKUP_BATCH\): EFAULT$/)
  assert.throws(() => map.deleteBatch(new Uint8Array(40), 10), /^bpf\(BPF_MAP_DELETE_BATCH\): EFAULT$/)
})

/** Deletes up to a key that is not there, and returns the number of those before it (generic_map_delete_batch). */
function deletingFrom(present: Set<number>): Answer {
  return (call: Call) => {
    if (call.name !== 'MAP_DELETE_BATCH') return
    const keys = bufferOf(call, batchLayout, 'keys')!
    const wanted = numberOf(call, batchLayout, 'count')
    let count = 0
    while (count < wanted && present.delete(wordOf(keys, 4 * count))) count++
    putField(call, batchLayout, 'count', count)
    return count < wanted ? -ENOENT : 0
  }
}

test('a batch of deletions steps over keys that are not there, and says how many were', () => {
  const present = new Set([1, 2, 4, 7, 10])
  const { map, calls } = withMap(deletingFrom(present))
  const keys = new Uint8Array(Uint32Array.of(0, 1, 2, 3, 4, 5, 6, 7, 8, 10).buffer)
  assert.is(map.deleteBatch(keys, 9), 4)
  assert.equal([...present], [10], 'only the first keys were asked for')
  assert.equal(calls.map(call => numberOf(call, batchLayout, 'count')), [9, 8, 5, 3, 2])
  assert.is(map.deleteBatch(keys, 0), 0)
  assert.is(map.deleteBatch(keys, 10), 1)
})

test('a batch of deletions deletes what is there, whatever is not', () => {
  const random = new Random()
  random.repeat(200, () => {
    const keys = Array.from({ length: random.below(20) }, (_, index) => index)
    const present = new Set(keys.filter(() => random.chance(0.5)))
    const size = present.size
    const { map } = withMap(deletingFrom(present))
    assert.is(map.deleteBatch(new Uint8Array(Uint32Array.from(keys).buffer), keys.length), size)
    assert.is(present.size, 0)
  })
})

/** What is pinned: answers the probe for a key with `probe`, and describes a map. */
function pinned(type: number, probe = 0): Answer {
  return call => {
    if (call.name === 'MAP_GET_NEXT_KEY') return probe
    if (call.name !== 'OBJ_GET_INFO_BY_FD') return
    const bytes = bufferOf(call, info, 'info')!
    const view = new DataView(bytes.buffer)
    for (const [name, number] of [['type', type], ['key_size', 8], ['value_size', 4], ['max_entries', 64]] as const) {
      view.setUint32(mapInfo.fields[name][0], number, true)
    }
    new TextEncoder().encodeInto('ids', bytes.subarray(mapInfo.fields.name[0]))
    return
  }
}

test('a pinned map is what the kernel says that it is', () => {
  const { descriptors, calls } = fakeKernel(pinned(mapType.lru_hash))
  const map = openMap(descriptors, '/sys/fs/bpf/ids')
  assert.is(new TextDecoder().decode(bufferOf(calls[0]!, object, 'pathname')), '/sys/fs/bpf/ids\0')
  assert.equal([map.name, map.type, map.keySize, map.valueSize, map.maxEntries], ['ids', 'lru_hash', 8, 4, 64])
  assert.is(openMap(descriptors, '/x').lookup(new Uint8Array(8))?.length, 4)
})

test('a type of map that is newer than this program has no name', () => {
  assert.is(openMap(fakeKernel(pinned(999)).descriptors, '/x').type, undefined)
})

test('something else that is pinned is refused and closed, a map without keys is not', () => {
  const other = fakeKernel(pinned(1, -EINVAL))
  assert.throws(() => openMap(other.descriptors, '/x'), /^bpf\(BPF_MAP_GET_NEXT_KEY\): EINVAL$/)
  assert.equal([other.descriptors.open, other.closed], [0, other.made])
  for (const probe of [-ENOENT, -EEXIST, -EFAULT]) {
    assert.is(openMap(fakeKernel(pinned(mapType.hash, probe)).descriptors, '/x').type, 'hash')
  }
})

test('a pinned map that cannot be described is closed', () => {
  const kernel = fakeKernel(({ name }) => name === 'OBJ_GET_INFO_BY_FD' ? -EPERM : undefined)
  assert.throws(() => openMap(kernel.descriptors, '/x'), /^bpf\(BPF_OBJ_GET_INFO_BY_FD\): EPERM$/)
  assert.equal([kernel.descriptors.open, kernel.closed], [0, kernel.made])
})

test.run()
