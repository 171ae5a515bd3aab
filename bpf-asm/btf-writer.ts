/** Kinds of a BTF type: include/uapi/linux/btf.h; ENUM64 came last, in Linux 6.0. */
export const Kind = {
  int: 1, ptr: 2, array: 3, struct: 4, union: 5, enum: 6, fwd: 7, typedef: 8, volatile: 9, const: 10, restrict: 11, func: 12,
  funcProto: 13, var: 14, datasec: 15, float: 16, declTag: 17, typeTag: 18, enum64: 19,
} as const

/** Writes a BTF blob, type by type. */
export class BtfWriter {
  readonly #words: number[] = []
  readonly #strings = [0]
  readonly #offsets = new Map<string, number>([['', 0]])
  #types = 0

  /** The offset of a string, which is there once. */
  string(text: string): number {
    const known = this.#offsets.get(text)
    if (known !== undefined) return known
    const offset = this.#strings.length
    this.#strings.push(...new TextEncoder().encode(text.replaceAll('\0', ' ')), 0)
    this.#offsets.set(text, offset)
    return offset
  }

  /** Adds a type, with the words that its kind has behind its size or type, and returns its id. */
  type(name: string, kind: number, sizeOrType: number, ...more: readonly number[]): number {
    this.#words.push(this.string(name), kind << 24, sizeOrType, ...more)
    return ++this.#types
  }

  bytes(): Uint8Array {
    const length = 4 * this.#words.length
    // magic and version · header's length · types at, length · strings at, length
    const header = [0x1eb9f, 24, 0, length, length, this.#strings.length]
    const words = new Uint8Array(Uint32Array.from([...header, ...this.#words]).buffer)
    return Uint8Array.from([...words, ...this.#strings])
  }
}

/**
 * The BTF that describes a socket storage map to the kernel, which takes none without (sk_storage_map_check_btf): an int as key, an
 * array of u64 as value. `valueSize` in bytes, a multiple of 8.
 */
export function storageBtf(valueSize: number): { readonly bytes: Uint8Array; readonly keyTypeId: number; readonly valueTypeId: number } {
  if (!Number.isInteger(valueSize) || valueSize <= 0 || valueSize % 8 !== 0) {
    throw new RangeError(`a value must have a positive multiple of 8 bytes, got ${valueSize}`)
  }
  const btf = new BtfWriter()
  const key = btf.type('int', Kind.int, 4, 1 << 24 | 32)
  const word = btf.type('u64', Kind.int, 8, 64)
  const value = btf.type('', Kind.array, 0, word, key, valueSize / 8)
  return { bytes: btf.bytes(), keyTypeId: key, valueTypeId: value }
}
