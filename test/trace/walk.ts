import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { entries, walk } from '../../src/trace/index.js'
import { type Random, seeded } from '../kit/random.js'

/** A map of `size` numbers, each with its double, whose buckets have up to `bucket` of them. */
function numbers(size: number, bucket: number, random: Random) {
  return {
    keySize: 4,
    valueSize: 8,
    batch() {
      let at = 0
      let next = 0
      return {
        get done() {
          return at === size
        },
        next(keys: Uint8Array, values: Uint8Array) {
          next ||= Math.min(size - at, 1 + random.below(bucket))
          if (keys.length < 4 * next) throw Object.assign(new Error('too small'), { code: 'ENOSPC' })
          const count = next
          next = 0
          for (let index = 0; index < count; index++, at++) {
            new DataView(keys.buffer).setUint32(4 * index, at, true)
            new DataView(values.buffer).setBigUint64(8 * index, BigInt(2 * at), true)
          }
          return count
        },
      }
    },
  }
}

test('every entry is read once, also in buckets larger than the buffer', seeded(async random => {
  const met = [...entries(numbers(10_000, 5_000, random))].map(([key, value]) => [key.getUint32(0, true), Number(value.getBigUint64(0, true))])
  assert.equal(met, Array.from({ length: 10_000 }, (_, index) => [index, 2 * index]))
}))

test('a buffer that was once too small stays large', seeded(async random => {
  const rooms: number[] = []
  for (const count of walk(numbers(2_000, 500, random), 10, entries => {
    rooms.push(entries)
    return { keys: new Uint8Array(4 * entries), values: new Uint8Array(8 * entries) }
  })) assert.ok(count <= rooms.at(-1)!)
  assert.equal(rooms, [...rooms].sort((a, b) => a - b))
}))

test('reading can stop early, and other errors of the source are thrown', seeded(async random => {
  for (const [key] of entries(numbers(5_000, 10, random))) if (key.getUint32(0, true) === 3) break
  assert.throws(() => [...entries({ keySize: 1, valueSize: 1, batch: () => ({ done: false, next: () => { throw new Error('EIO') } }) })], /^EIO$/)
}))

test.run()
