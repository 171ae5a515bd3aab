import type { Member, Memory } from '../../bpf-asm/index.js'

/** A structure of the kernel in the memory of programs; counters in it wrap. */
export class Struct {
  readonly #memory: Memory
  readonly address: bigint

  /** Some lie at multiples of a cache line. */
  constructor(memory: Memory, name: string, lines = 0) {
    this.#memory = memory
    this.address = memory.place(name, new Uint8Array(8192 + 64 * lines)) + BigInt(64 * lines)
  }

  get({ offset, size }: Member): bigint {
    return this.#memory.read(this.address + BigInt(offset), size)
  }

  set({ offset, size }: Member, value: bigint | number): void {
    this.#memory.write(this.address + BigInt(offset), size, BigInt(value))
  }

  /** Members that are longer than a number. */
  bytes({ offset, size }: Member): Uint8Array {
    return this.#memory.bytes(this.address + BigInt(offset), size)
  }

  add(member: Member, bytes: number): void {
    this.set(member, this.get(member) + BigInt(bytes))
  }
}
