/**
 * BPF programs as bytes: assembled, listed and read, and what the kernel’s BTF says. Needs no kernel.
 * @module tcptop/bpf-asm
 */

export { assemble, type Assembly, decode, encode, placed } from './assemble.js'
export { type Btf, BtfError, type Func, type Member, parseBtf } from './btf.js'
export { AssemblyError, type Code, type Insn, type Label } from './code.js'
export { debugInfo, type DebugInfo, placeOf, type SourceLine } from './debug.js'
export { type Line, lines, list, listing } from './disasm.js'
export { type HelperName, helperName } from './helper.js'
export * from './insn.js'
export { type Helper, interpret, InterpretError, type Machine, type Setting } from './interpret.js'
export { MapModel, type MapShape } from './map.js'
export { Memory } from './memory.js'
export { readKernel } from './read.js'
export { storageBtf } from './storage.js'
