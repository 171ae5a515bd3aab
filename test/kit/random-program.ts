import {
  add, atomicOr, bswap, call, callFunction, callKfunc, type Code, cmpxchg, exit, fetchAdd, gotol, type Insn, ja, jeq,
  jset32, jsle, label, load, loadAcquire, loadFunction, loadImm64, loadMap, loadMapValue, loadVariable, lsh32, mayGoto,
  mov, movsx, neg32, r0, r1, r2, r3, r4, r5, r6, r7, r8, r9, r10, sdiv, store, storeRelease, sub32, xor,
} from '../../bpf-asm/index.js'
import type { Random } from './random.js'

const writable = [r0, r1, r2, r3, r4, r5, r6, r7, r8, r9]
const all = [...writable, r10]

/** A program of `length` random instructions with labels between them: it means nothing, but it can be assembled. */
export function randomProgram(random: Random, length: number): Code[] {
  const names = Array.from({ length: 1 + random.below(8) }, (_, index) => `label ${index}`)
  const dst = () => random.pick(writable)
  const src = () => random.pick(all)
  const to = () => random.pick(names)
  const signed = (bits: number) => random.below(2 ** bits) - 2 ** (bits - 1)
  const operand = () => random.chance(0.5) ? src() : signed(32)
  const kinds: readonly (() => Insn)[] = [
    () => random.pick([mov, add, xor])(dst(), operand()),
    () => sub32(dst(), operand()),
    () => sdiv(dst(), 1 + random.below(1000)),
    () => lsh32(dst(), random.below(32)),
    () => movsx(dst(), src(), random.pick([8, 16, 32])),
    () => neg32(dst()),
    () => bswap(dst(), random.pick([16, 32, 64])),
    () => random.pick([jeq, jsle, jset32])(src(), operand(), to()),
    () => random.pick([ja, gotol, mayGoto, callFunction])(to()),
    () => load(dst(), random.pick(['u8', 'u16', 'u32', 'u64', 's8', 's16', 's32']), src(), signed(16)),
    () => store('u64', src(), signed(16), operand()),
    () => random.pick([atomicOr, fetchAdd, cmpxchg])(random.pick(['u32', 'u64']), src(), signed(16), dst()),
    () => loadAcquire(dst(), random.pick(['u8', 'u16', 'u32', 'u64']), src(), signed(16)),
    () => storeRelease(random.pick(['u8', 'u16', 'u32', 'u64']), src(), signed(16), src()),
    () => loadImm64(dst(), BigInt(random.below(2 ** 32)) << 32n | BigInt(random.below(2 ** 32))),
    () => loadMap(dst(), random.pick(['numbers', 'words'])),
    () => loadMapValue(dst(), random.pick(['numbers', 'words']), random.below(4096)),
    () => loadVariable(dst(), 1 + random.below(2 ** 31 - 1)),
    () => loadFunction(dst(), to()),
    () => call(random.pick(['map_lookup_elem', 'cgrp_storage_delete'])),
    () => callKfunc({ name: 'kernel-function', id: 1 + random.below(2 ** 31 - 1) }, random.below(2 ** 15)),
    exit,
  ]
  const code: Code[] = Array.from({ length }, () => random.pick(kinds)())
  for (const name of names) code.splice(random.below(code.length), 0, label(name))
  return code
}
