import type { Btf, Member } from './btf.js'
import { AssemblyError, type Code, type Insn } from './code.js'
import { add, call, load, mov, r1, r10, r2, r3, type Register, type Size } from './insn.js'
import { address, type Located, located, where } from './record.js'

/** Copies `size` bytes of the kernel's memory, from `base` + `offset`, to `at` of the stack (since Linux 5.5). Clobbers r0 to r5. */
export function readKernel(at: number, size: number, base: Register, offset: number): Code {
  return readInto(located(r10, at, size), base, offset)
}

/**
 * Copies kernel memory from `base` + `offset` to a field or record, all of it: `probe_read_kernel` (since Linux 5.5). What cannot be read becomes
 * zeros. Clobbers r0 to r5.
 */
export function readInto(to: Located, base: Register, offset: number): Code {
  return [mov(r3, base), offset === 0 ? [] : add(r3, offset), mov(r2, to[where].size), address(r1, to), call('probe_read_kernel')]
}

/** A member of a kernel structure, found by BTF. */
export interface StructField extends Member {
  /**
   * `dst = base->member`: one load, for programs whose pointers have types: at tracepoints, entries, returns and iterators. Throws AssemblyError for
   * a bit field and for any size but 1, 2, 4 and 8.
   */
  load(dst: Register, base: Register): Insn
  /** Copies the member, at any point, to a field or record of its size: `readInto`. Throws AssemblyError for another size. */
  read(to: Located, base: Register): Code
}

const sizes: Readonly<Record<number, Size>> = { 1: 'u8', 2: 'u16', 4: 'u32', 8: 'u64' }

/**
 * A member by the name of the structure and its path, such as `sock` and `__sk_common.skc_dport`. Throws BtfError when the kernel has no such
 * member.
 */
export function fieldOf(btf: Btf, struct: string, path: string): StructField {
  const member = btf.member(struct, path)
  const name = `${struct}.${path}`
  return {
    ...member,
    load(dst, base) {
      const size = sizes[member.size]
      if (member.bitSize !== undefined) throw new AssemblyError(`${name} is a bit field: load its unit, then shift and mask`)
      if (size === undefined) throw new AssemblyError(`${name} has ${member.size} bytes, too many for one load`)
      return load(dst, size, base, member.offset)
    },
    read(to, base) {
      if (to[where].size !== member.size) throw new AssemblyError(`${name} has ${member.size} bytes, and ${to[where].size} are to be read`)
      return readInto(to, base, member.offset)
    },
  }
}
