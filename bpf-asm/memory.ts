/** Every piece is so far from others that no offset of an instruction leads from one into the next; nothing is near 0. */
const distance = 1n << 32n
const middle = 1n << 31n

/** What an interpreted program can reach: pieces of memory with a name each, and nothing between them. */
export class Memory {
  readonly #pieces = new Map<bigint, { readonly name: string; readonly bytes: Uint8Array }>()
  readonly #addresses = new Map<Uint8Array, bigint>()
  #next = 1n

  /** The address of `bytes`, which is the same each time; what is written there is written to them. */
  place(name: string, bytes: Uint8Array): bigint {
    const known = this.#addresses.get(bytes)
    if (known !== undefined) return known
    const address = this.#next++ * distance + middle
    this.#pieces.set(address, { name, bytes })
    this.#addresses.set(bytes, address)
    return address
  }

  /** From here on nothing is there. */
  remove(bytes: Uint8Array): void {
    this.#pieces.delete(this.#addresses.get(bytes) ?? 0n)
    this.#addresses.delete(bytes)
  }

  /** The bytes themselves, not a copy. Throws RangeError, which says how far from what it is, unless all of them are in one piece. */
  bytes(address: bigint, length: number): Uint8Array {
    const start = address - address % distance + middle
    const piece = this.#pieces.get(start)
    if (piece === undefined) throw new RangeError(`there is nothing at 0x${address.toString(16)}`)
    const offset = Number(address - start)
    if (offset < 0 || offset + length > piece.bytes.length) {
      throw new RangeError(`bytes ${offset} to ${offset + length} of ${piece.name}, which has ${piece.bytes.length}`)
    }
    return piece.bytes.subarray(offset, offset + length)
  }

  /** A number of so many bytes, little-endian and without a sign. */
  read(address: bigint, length: number): bigint {
    const word = new Uint8Array(8)
    word.set(this.bytes(address, length))
    return new DataView(word.buffer).getBigUint64(0, true)
  }

  /** Writes the lowest bytes of a number. */
  write(address: bigint, length: number, value: bigint): void {
    const word = new Uint8Array(BigUint64Array.of(value).buffer)
    this.bytes(address, length).set(word.subarray(0, length))
  }
}
