/** Kinds of a BTF type (include/uapi/linux/btf.h). */
const int = 1
const array = 3

/**
 * The BTF that describes a socket storage map to the kernel, which takes none without (sk_storage_map_check_btf): an int as key, an
 * array of u64 as value. `valueSize` in bytes, a multiple of 8.
 */
export function storageBtf(valueSize: number): { readonly bytes: Uint8Array; readonly keyTypeId: number; readonly valueTypeId: number } {
  if (!Number.isInteger(valueSize) || valueSize <= 0 || valueSize % 8 !== 0) {
    throw new RangeError(`a value must have a positive multiple of 8 bytes, got ${valueSize}`)
  }
  const strings = [...new TextEncoder().encode('\0int\0u64\0')]
  const type = (name: number, kind: number, size: number, ...more: number[]) => [name, kind << 24, size, ...more]
  const types = [
    ...type(1, int, 4, 1 << 24 | 32),
    ...type(5, int, 8, 64),
    ...type(0, array, 0, 2, 1, valueSize / 8),
  ]
  // magic and version · header's length · types at, length · strings at, length
  const header = [0x1eb9f, 24, 0, types.length * 4, types.length * 4, strings.length]
  const words = new Uint8Array(Uint32Array.from([...header, ...types]).buffer)
  return { bytes: Uint8Array.from([...words, ...strings]), keyTypeId: 1, valueTypeId: 3 }
}
