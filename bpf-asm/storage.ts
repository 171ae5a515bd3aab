import { BtfWriter, Kind } from './btf-writer.js'

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
