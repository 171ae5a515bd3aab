import type { Code } from './code.js'
import { add, call, mov, r1, r10, r2, r3, type Register } from './insn.js'

/** Copies `size` bytes of the kernel's memory, from `base` + `offset`, to `at` of the stack (since Linux 5.5). Clobbers r0 to r5. */
export function readKernel(at: number, size: number, base: Register, offset: number): Code {
  return [mov(r3, base), offset === 0 ? [] : add(r3, offset), mov(r2, size), mov(r1, r10), add(r1, at), call('probe_read_kernel')]
}
