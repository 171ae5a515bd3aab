import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { attrOf, cString, readField, type Layout, stringOf } from '../../syscall/attr.js'
import * as uapi from '../../syscall/uapi.js'
import { Random } from '../kit/random.js'

const layout = {
  size: 48,
  fields: { small: [0, 4], wide: [8, 8], name: [16, 8], buffer: [24, 8], last: [44, 4] },
} as const
const layouts = Object.entries<unknown>(uapi).filter((entry): entry is [string, Layout] =>
  typeof entry[1] === 'object' && entry[1] !== null && 'fields' in entry[1])

test('a field is put at its place in little-endian order, and all others are zero', () => {
  const { bytes, pointers } = attrOf(layout, { small: 0x01020304, wide: 0x1122334455667788n, last: 7 })
  const wanted = new Uint8Array(48)
  wanted.set([4, 3, 2, 1], 0)
  wanted.set([0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11], 8)
  wanted.set([7], 44)
  assert.equal(bytes, wanted)
  assert.equal(pointers, [])
})

test('an undefined field is the same as an absent one', () => {
  assert.equal(attrOf(layout, { small: undefined, name: undefined }), attrOf(layout, {}))
})

test('a string goes into its field with a NUL behind it', () => {
  assert.equal([...attrOf(layout, { name: '1234567' }).bytes.subarray(16, 24)], [49, 50, 51, 52, 53, 54, 55, 0])
  assert.throws(() => attrOf(layout, { name: '12345678' }), /^name must have at most 7 bytes, got "12345678"$/)
  assert.throws(() => attrOf(layout, { name: 'äöüß' }), /at most 7 bytes/)
})

test('of a buffer the address is asked for, with the bytes that may be touched', () => {
  const buffer = new Uint8Array(16)
  assert.equal(attrOf(layout, { buffer }).pointers, [[24, buffer, 16]])
  const { bytes, pointers } = attrOf(layout, { buffer: { buffer, bytes: 5 } })
  assert.equal(pointers, [[24, buffer, 5]])
  assert.is(pointers[0]?.[1], buffer, 'the buffer itself, not a copy')
  assert.ok(bytes.every(byte => byte === 0))
})

test('a number that does not fit its field is refused with the field and the number', () => {
  for (const value of [-1, 2 ** 32, 1.5, NaN, Infinity, -1n, 1n << 32n]) {
    assert.throws(() => attrOf(layout, { small: value }), new RegExp(`^small is a number of 4 bytes, got ${value}$`))
  }
  for (const value of [-1, 2 ** 53, 1n << 64n]) {
    assert.throws(() => attrOf(layout, { wide: value }), new RegExp(`^wide is a number of 8 bytes, got ${value}$`))
  }
  assert.is(readField(layout, attrOf(layout, { small: 2 ** 32 - 1 }).bytes, 'small'), 2 ** 32 - 1)
  assert.is(readField(layout, attrOf(layout, { wide: 2 ** 53 - 1 }).bytes, 'wide'), 2 ** 53 - 1)
})

test('what is put into any structure of the kernel can be read from it, and touches nothing else', () => {
  const random = new Random()
  random.repeat(50, () => {
    for (const [name, layout] of layouts) {
      for (const [field, [offset, width]] of Object.entries(layout.fields)) {
        const value = width === 16 ? 'x'.repeat(1 + random.below(15)) : 1 + random.below(2 ** 32 - 1)
        const { bytes } = attrOf(layout, { [field]: value })
        assert.is((width === 16 ? stringOf : readField)(layout, bytes, field), value)
        bytes.fill(0, offset, offset + width)
        assert.ok(bytes.every(byte => byte === 0), `${name}.${field}`)
      }
    }
  })
})

test('the fields of a structure lie within it', () => {
  assert.ok(layouts.length > 10)
  for (const [name, { size, fields }] of layouts) {
    for (const [field, [offset, width]] of Object.entries(fields)) {
      assert.ok(offset % Math.min(width, 4) === 0 && offset + width <= size, `${name}.${field}`)
    }
  }
})

test('a string is read up to its NUL, or to the end of its field', () => {
  const { bytes } = attrOf(layout, { name: 'abc' })
  assert.is(stringOf(layout, bytes, 'name'), 'abc')
  bytes.set(cString('abcdefgh').subarray(0, 8), 16)
  assert.is(stringOf(layout, bytes, 'name'), 'abcdefgh')
})

test('a structure is also read from within a larger buffer', () => {
  const large = new Uint8Array(100)
  large.set(attrOf(layout, { small: 5, wide: 6, name: 'x' }).bytes, 13)
  const bytes = large.subarray(13, 13 + 48)
  assert.equal([readField(layout, bytes, 'small'), readField(layout, bytes, 'wide')], [5, 6])
  assert.is(stringOf(layout, bytes, 'name'), 'x')
})

test.run()
