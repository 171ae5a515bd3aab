import { addressText } from '../trace/index.js'

/** An address, or all that begin with the same bits. IPv4 mapped into IPv6 is IPv4, and no IPv6 network contains it. */
export type Network =
  | { readonly family: 4; readonly bits: number; readonly length: number }
  | { readonly family: 6; readonly bits: bigint; readonly length: number }

const [width4, width6] = [32, 128]
/** The upper bits of an IPv4-mapped address. */
const mapped = 0xffffn
const mappedLength = 96

/** The 32 bits of four decimal numbers, without leading zeros, which some read as octal; -1 of any other text. */
export function bits4(text: string): number {
  let [bits, parts, value, digits] = [0, 1, 0, 0]
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index)
    if (code === 46 && digits > 0) {
      bits = bits * 256 + value
      parts++
      value = digits = 0
    } else if (code >= 48 && code <= 57 && !(digits > 0 && value === 0)) {
      value = value * 10 + code - 48
      digits++
      if (value > 255) return -1
    } else return -1
  }
  return parts === 4 && digits > 0 ? bits * 256 + value : -1
}

/** The 128 bits of an IPv6 address in any of its notations; undefined of any other text. */
export function bits6(text: string): bigint | undefined {
  const [head, tail, more] = text.split('::')
  if (head === undefined || more !== undefined) return undefined
  const before = groups(head, tail === undefined)
  const after = tail === undefined ? [] : groups(tail, true)
  if (before === undefined || after === undefined) return undefined
  const missing = 8 - before.length - after.length
  if (tail === undefined ? missing !== 0 : missing < 1) return undefined
  return [...before, ...Array<number>(missing).fill(0), ...after].reduce((bits, group) => bits << 16n | BigInt(group), 0n)
}

/** Groups of 16 bits; IPv4 at the end stands for two. */
function groups(text: string, isEnd: boolean): readonly number[] | undefined {
  if (text === '') return []
  const values: number[] = []
  const parts = text.split(':')
  for (const [index, part] of parts.entries()) {
    if (/^[\da-f]{1,4}$/i.test(part)) values.push(parseInt(part, 16))
    else {
      const bits = isEnd && index === parts.length - 1 ? bits4(part) : -1
      if (bits < 0) return undefined
      values.push(Math.floor(bits / 65_536), bits % 65_536)
    }
  }
  return values
}

/** The IPv4 address that is mapped into an IPv6 one; undefined when none is. */
export function unmapped(bits: bigint): number | undefined {
  return bits >> BigInt(width4) === mapped ? Number(BigInt.asUintN(width4, bits)) : undefined
}

/** `10.1` and `10.0.0.0/8` alike: an IPv4 network whose length is that of the parts given, or as said. */
function network4(text: string, length: number | undefined, mayBePartial: boolean): Network | undefined {
  const parts = text.split('.').length
  if (parts < 4 && !mayBePartial) return undefined
  const bits = bits4(text + '.0'.repeat(Math.max(0, 4 - parts)))
  const most = length ?? 8 * parts
  return bits < 0 || most > width4 ? undefined : { family: 4, bits: first4(bits, most), length: most }
}

/**
 * An address, or a network such as `10.0.0.0/8`, `10/8` and `fe80::/10`; undefined of any other text. Bits behind the length do not matter.
 * With `mayBePartial`, `10.1` is 10.1.0.0/16.
 */
export function readNetwork(text: string, mayBePartial: boolean): Network | undefined {
  const [, address, lengthText] = /^([^/]+)(?:\/(\d{1,3}))?$/.exec(text) ?? []
  if (address === undefined) return undefined
  const length = lengthText === undefined ? undefined : Number(lengthText)
  if (!address.includes(':')) return network4(address, length, mayBePartial || length !== undefined)
  const bits = bits6(address)
  if (bits === undefined || (length ?? 0) > width6) return undefined
  const most = length ?? width6
  const inside = most >= mappedLength ? unmapped(bits) : undefined
  return inside === undefined ? { family: 6, bits: first6(bits, most), length: most }
    : { family: 4, bits: first4(inside, most - mappedLength), length: most - mappedLength }
}

function first4(bits: number, length: number): number {
  return bits - bits % 2 ** (width4 - length)
}

function first6(bits: bigint, length: number): bigint {
  return bits >> BigInt(width6 - length) << BigInt(width6 - length)
}

/** RFC 5952's text, and the length of a network that is more than one address. */
export function networkText({ family, bits, length }: Network): string {
  const view = new DataView(new ArrayBuffer(16))
  const all = family === 4 ? mapped << BigInt(width4) | BigInt(bits) : bits
  view.setBigUint64(0, all >> 64n)
  view.setBigUint64(8, BigInt.asUintN(64, all))
  return `${addressText(view, 0)}${length < (family === 4 ? width4 : width6) ? `/${length}` : ''}`
}

/** Half of a network twice its size. */
interface Half {
  readonly bits: bigint
  readonly length: number
}

/** The fewest networks that contain the same addresses, in ascending order, IPv4 first. */
export function joinNetworks(networks: readonly Network[]): readonly Network[] {
  const of = (family: 4 | 6, width: number) =>
    joinHalves(networks.filter(network => network.family === family).map(({ bits, length }) => ({ bits: BigInt(bits), length })), width)
  return [
    ...of(4, width4).map(({ bits, length }) => ({ family: 4 as const, bits: Number(bits), length })),
    ...of(6, width6).map(({ bits, length }) => ({ family: 6 as const, bits, length })),
  ]
}

function joinHalves(networks: readonly Half[], width: number): readonly Half[] {
  const joined: Half[] = []
  const ascending = [...networks].sort((one, other) => one.bits < other.bits ? -1 : one.bits > other.bits ? 1 : one.length - other.length)
  const contains = (outer: Half, inner: Half) =>
    outer.length <= inner.length && (outer.bits ^ inner.bits) >> BigInt(width - outer.length) === 0n
  for (let next of ascending) {
    const last = joined.at(-1)
    if (last !== undefined && contains(last, next)) continue
    for (let half = joined.at(-1); half !== undefined && half.length === next.length; half = joined.at(-1)) {
      const twice = { bits: half.bits, length: half.length - 1 }
      if (twice.length < 0 || !contains(twice, next)) break
      joined.pop()
      next = twice
    }
    joined.push(next)
  }
  return joined
}
