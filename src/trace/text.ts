const groups = 8

/**
 * The text of a 16-byte address in network byte order. `::ffff:a.b.c.d`, which is how the program writes IPv4, becomes
 * `a.b.c.d`; everything else is IPv6 in RFC 5952's canonical form: lower case, no leading zeros, the longest run of at
 * least two zero groups (the first one of equals) as `::`.
 */
export function addressText(view: DataView, offset: number): string {
  if (isMapped(view, offset)) return [12, 13, 14, 15].map(byte => view.getUint8(offset + byte)).join('.')
  const values = Array.from({ length: groups }, (_, index) => view.getUint16(offset + 2 * index))
  const hex = (from: number, to: number) => values.slice(from, to).map(value => value.toString(16)).join(':')
  const { start, length } = longestZeros(values)
  return length < 2 ? hex(0, groups) : `${hex(0, start)}::${hex(start + length, groups)}`
}

function isMapped(view: DataView, offset: number): boolean {
  return view.getBigUint64(offset) === 0n && view.getUint32(offset + 8) === 0xffff
}

function longestZeros(values: readonly number[]): { start: number; length: number } {
  let best = { start: 0, length: 0 }
  let length = 0
  for (const [index, value] of values.entries()) {
    length = value === 0 ? length + 1 : 0
    if (length > best.length) best = { start: index - length + 1, length }
  }
  return best
}

const utf8 = new TextDecoder('utf-8', { ignoreBOM: true })

/** The text of a `char[]` of so many bytes, up to its NUL. Bytes that are not UTF-8 become U+FFFD. */
export function cText(view: DataView, offset: number, length: number): string {
  const bytes = new Uint8Array(view.buffer, view.byteOffset + offset, length)
  const end = bytes.indexOf(0)
  return utf8.decode(end < 0 ? bytes : bytes.subarray(0, end))
}
