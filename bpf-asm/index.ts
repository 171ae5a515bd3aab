/**
 * BPF programs as bytes: assembled, listed and read, and what the kernel’s BTF says. Needs no kernel.
 * @module tcptop/bpf-asm
 */

export { assemble, type Assembly, decode, encode, placed } from './assemble.js'
export { all, any, aside, block, is, leave, loop, not, rarely, type Test, unless, when } from './block.js'
export { type Btf, BtfError, type Func, type Member, parseBtf } from './btf.js'
export { storageBtf } from './btf-writer.js'
export { AssemblyError, type Code, type Insn, type Label, type Place, place, type Target } from './code.js'
export { debugInfo, type DebugInfo, placeOf, type SourceLine } from './debug.js'
export { type Line, lines, list, listing } from './disasm.js'
export { type HelperName, helperName } from './helper.js'
export * from './insn.js'
export { checkedName, increment, lookup, type MapName, mapOf, type RecordMap, remove, update } from './entry.js'
export { type Helper, interpret, InterpretError, type Machine, type Setting } from './interpret.js'
export { MapModel, type MapShape } from './map.js'
export { Memory } from './memory.js'
export { fieldOf, readInto, readKernel, type StructField } from './read.js'
export {
  address, at, type Bytes, bytes, copy, type Field, fieldAt, type Fields, type Integer, type Located, located, part, type Placed, type Pointer, record,
  type RecordType, type RecordValues, type RecordView, type Shape, type ShapeOf, text, type ValueOf, type ViewOf, zero,
} from './record.js'
