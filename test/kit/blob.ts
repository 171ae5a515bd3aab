/** A word of a type; a string stands for the place of that name among the names. */
type Word = number | string

/** Kinds of a type, include/uapi/linux/btf.h. */
export const Kind = {
  int: 1, ptr: 2, array: 3, struct: 4, union: 5, enum: 6, fwd: 7, typedef: 8, volatile: 9, const: 10, restrict: 11,
  func: 12, funcProto: 13, var: 14, datasec: 15, float: 16, declTag: 17, typeTag: 18, enum64: 19,
} as const

/** A type: `struct btf_type`, of which `count` is vlen and `flag` kind_flag, then `more` words. */
export function type(
  name: string, kind: number, sizeOrType: number, more: readonly Word[] = [], count = 0, flag = false,
): readonly Word[] {
  return [name, (flag ? 0x80000000 : 0) + kind * 2 ** 24 + count, sizeOrType, ...more]
}

export const int = (name: string, size: number, bits = 8 * size, offset = 0) =>
  type(name, Kind.int, size, [offset << 16 | bits])
export const array = (of: number, count: number) => type('', Kind.array, 0, [of, 1, count])
export const refer = (kind: number, to: number, name = '') => type(name, kind, to)

/** A member with its first bit, and in a structure whose flag is set the bits that it has. */
export type BlobMember = readonly [name: string, type: number, bit: number, bits?: number]
const composite = (kind: number) => (name: string, size: number, ...fields: readonly BlobMember[]) => {
  const flag = fields.some(field => field.length === 4)
  const words = fields.flatMap(([field, of, bit, bits = 0]) => [field, of, bits * 2 ** 24 + bit])
  return type(name, kind, size, words, fields.length, flag)
}
export const struct = composite(Kind.struct)
export const union = composite(Kind.union)

/** A function's prototype: names and types of its parameters. */
export const prototype = (returns: number, ...params: readonly (readonly [name: string, type: number])[]) =>
  type('', Kind.funcProto, returns, params.flat(), params.length)

/** A blob of these types, of which the first has the id 1. */
export const blob = (...types: readonly (readonly Word[])[]): Uint8Array => blobAfter('\0', 0, types)

/** A module's blob: its ids and names go on where those of its base end, whose names it uses. */
export function split(base: Uint8Array, ...types: readonly (readonly Word[])[]): Uint8Array {
  const at = 24 + new DataView(base.buffer).getUint32(16, true)
  const known = Buffer.from(base.subarray(at)).toString()
  return blobAfter('', Buffer.byteLength(known), types, new Map(known.split('\0').map(name => [name, known.indexOf(`\0${name}\0`) + 1])))
}

function blobAfter(strings: string, before: number, types: readonly (readonly Word[])[], names = new Map<string, number>()): Uint8Array {
  names.set('', 0)
  const place = (name: string) => {
    if (!names.has(name)) {
      names.set(name, before + Buffer.byteLength(strings))
      strings += `${name}\0`
    }
    return names.get(name) ?? 0
  }
  const words = Uint32Array.from(types.flat(), word => typeof word === 'string' ? place(word) : word)
  return pack(words, Buffer.from(strings))
}

/** Types and names with a header before them. */
export function pack(words: Uint32Array, strings: Uint8Array): Uint8Array {
  // magic and version · header's length · types at, length · names at, length
  const header = Uint32Array.of(0x1eb9f, 24, 0, words.byteLength, words.byteLength, strings.length)
  const parts = [header, words, strings].map(part => new Uint8Array(part.buffer, part.byteOffset, part.byteLength))
  return Uint8Array.from(Buffer.concat(parts))
}
