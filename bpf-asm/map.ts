/** What a map is made with; what plans say of theirs fits. */
export interface MapShape {
  readonly name: string
  /** One whose name has `array` in it has every entry from the beginning; all others are hashes. */
  readonly type: string
  readonly keySize: number
  readonly valueSize: number
  readonly maxEntries: number
}

/** Errors and flags of the kernel's interface (include/uapi/asm-generic/errno-base.h, linux/bpf.h). */
const [ENOENT, E2BIG, EEXIST, EINVAL] = [2, 7, 17, 22]
const [noExist, exist] = [1n, 2n]

/** A map for interpreted programs, on one processor. Results are the kernel's: 0 or a negative errno. */
export class MapModel {
  readonly #entries = new Map<string, Uint8Array>()
  readonly #isArray: boolean

  constructor(readonly shape: MapShape) {
    this.#isArray = shape.type.includes('array')
    if (!this.#isArray) return
    for (let index = 0; index < shape.maxEntries; index++) {
      this.#entries.set(nameOf(new Uint8Array(Uint32Array.of(index).buffer)), new Uint8Array(shape.valueSize))
    }
  }

  get size(): number {
    return this.#entries.size
  }

  /** Keys and values; the values are the map's own. */
  *entries(): Generator<readonly [key: Uint8Array, value: Uint8Array]> {
    for (const [name, value] of this.#entries) yield [Uint8Array.from(name, letter => letter.charCodeAt(0)), value]
  }

  /** The value itself, as programs have it: what is written to it is in the map. */
  lookup(key: Uint8Array): Uint8Array | undefined {
    return this.#entries.get(nameOf(key))
  }

  update(key: Uint8Array, value: Uint8Array, flags = 0n): number {
    if (flags > exist) return -EINVAL
    const known = this.lookup(key)
    if (known === undefined && this.#isArray) return -E2BIG
    if (known !== undefined && flags === noExist) return -EEXIST
    if (known === undefined && flags === exist) return -ENOENT
    if (known === undefined && this.size >= this.shape.maxEntries) return -E2BIG
    // In a hash the new value takes the place of the old one, while programs that hold its pointer keep writing to the old one; in an array it is overwritten.
    if (known !== undefined && this.#isArray) known.set(value)
    else this.#entries.set(nameOf(key), value.slice())
    return 0
  }

  delete(key: Uint8Array): number {
    if (this.#isArray) return -EINVAL
    return this.#entries.delete(nameOf(key)) ? 0 : -ENOENT
  }
}

const nameOf = (key: Uint8Array) => String.fromCharCode(...key)
