import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { addressText, cText } from '../../src/trace/index.js'
import { Random } from '../kit/random.js'

/** The text of an address that is given as eight groups, read from the middle of a buffer. */
function textOf(groups: readonly number[]): string {
  const view = new DataView(new ArrayBuffer(24))
  groups.forEach((group, index) => view.setUint16(3 + 2 * index, group))
  return addressText(view, 3)
}

for (const [text, groups] of [
  ['10.0.0.1', [0, 0, 0, 0, 0, 0xffff, 0x0a00, 0x0001]],
  ['0.0.0.0', [0, 0, 0, 0, 0, 0xffff, 0, 0]],
  ['255.255.255.255', [0, 0, 0, 0, 0, 0xffff, 0xffff, 0xffff]],
  ['::', [0, 0, 0, 0, 0, 0, 0, 0]],
  ['::1', [0, 0, 0, 0, 0, 0, 0, 1]],
  ['1::', [1, 0, 0, 0, 0, 0, 0, 0]],
  ['::a00:1', [0, 0, 0, 0, 0, 0, 0x0a00, 0x0001]],
  ['64:ff9b::a00:1', [0x64, 0xff9b, 0, 0, 0, 0, 0x0a00, 0x0001]],
  ['::1:ffff:a00:1', [0, 0, 0, 0, 1, 0xffff, 0x0a00, 0x0001]],
  ['::fffe:a00:1', [0, 0, 0, 0, 0, 0xfffe, 0x0a00, 0x0001]],
  ['2001:db8::1', [0x2001, 0xdb8, 0, 0, 0, 0, 0, 1]],
  ['2001:db8:0:1:1:1:1:1', [0x2001, 0xdb8, 0, 1, 1, 1, 1, 1]],
  ['2001:0:0:1::1', [0x2001, 0, 0, 1, 0, 0, 0, 1]],
  ['2001:db8::1:0:0:1', [0x2001, 0xdb8, 0, 0, 1, 0, 0, 1]],
  ['fe80::abcd', [0xfe80, 0, 0, 0, 0, 0, 0, 0xabcd]],
  ['1:2:3:4:5:6::', [1, 2, 3, 4, 5, 6, 0, 0]],
  ['ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff', Array(8).fill(0xffff)],
] as const) {
  test(`an address is written as ${text}`, () => assert.is(textOf(groups), text))
}

test('any IPv6 address is written as the URL standard writes it', () => {
  const random = new Random()
  random.repeat(2000, () => {
    // Mostly zeros, so that there are runs to shorten; never all that would make it IPv4.
    const groups = Array.from({ length: 8 }, () => random.below(3) > 0 ? 0 : random.below(0x10000))
    groups[0] = 0x2000 + random.below(0x1000)
    const { hostname } = new URL(`http://[${groups.map(group => group.toString(16)).join(':')}]`)
    assert.is(`[${textOf(groups)}]`, hostname)
  })
})

test('a C string ends at its NUL, or with its buffer', () => {
  const view = new DataView(Uint8Array.from([0x2e, ...new TextEncoder().encode('näh\0le')]).buffer, 1)
  assert.is(cText(view, 0, 7), 'näh')
  assert.is(cText(view, 1, 2), 'ä')
})

test.run()
