import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { parseBtf, storageBtf } from '../../bpf-asm/index.js'

test('a storage map’s types are an int as key and an array of u64 as value, and nothing else', () => {
  const { bytes, keyTypeId, valueTypeId } = storageBtf(24)
  const btf = parseBtf(bytes)
  assert.is(btf.types, 3)
  assert.equal([btf.nameOf(keyTypeId), btf.sizeOf('int')], ['int', 4])
  assert.equal([btf.nameOf(valueTypeId), btf.sizeOf('u64')], ['', 8])
  // include/uapi/linux/btf.h: a name, a kind and a size; of an integer its encoding, here signed, and its bits; of an array
  // the type of its elements and of its index, and how many there are.
  assert.equal([...new Uint32Array(bytes.slice(24, 24 + 4 * 14).buffer)], [
    1, 1 << 24, 4, 1 << 24 | 32,
    5, 1 << 24, 8, 64,
    0, 3 << 24, 0, 2, 1, 3,
  ])
})

test('a value that is no whole number of u64 is refused', () => {
  for (const size of [0, -8, 12, 8.5, Number.NaN, Number.POSITIVE_INFINITY]) {
    assert.throws(() => storageBtf(size), new RegExp(`positive multiple of 8 bytes, got ${size}$`))
  }
})

test.run()
