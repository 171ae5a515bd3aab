/**
 * BPF programs as bytes: assembled, listed and read, and what the kernel’s BTF says. Needs no kernel.
 * @module tcptop/bpf-asm
 */

export { assemble, type Assembly, decode, encode } from './assemble.js'
export { type Btf, BtfError, type Func, type Member, parseBtf } from './btf.js'
export { AssemblyError, type Code, type Insn, type Label } from './code.js'
export { list, listing, type Symbols } from './disasm.js'
export { type HelperName, helperName } from './helper.js'
export * from './insn.js'
export { storageBtf } from './storage.js'
