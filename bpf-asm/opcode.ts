import type { Insn } from './code.js'

/** The fields of an opcode, as include/uapi/linux/bpf.h and bpf_common.h have them. */

export const Class = { ld: 0x00, ldx: 0x01, st: 0x02, stx: 0x03, alu: 0x04, jmp: 0x05, jmp32: 0x06, alu64: 0x07 } as const
export const Mode = { imm: 0x00, mem: 0x60, memsx: 0x80, atomic: 0xc0 } as const
/** Whether the second operand is a register or the immediate. */
export const OperandSource = { imm: 0x00, reg: 0x08 } as const
export const Width = { u32: 0x00, u16: 0x08, u8: 0x10, u64: 0x18 } as const

export const Alu = {
  add: 0x00, sub: 0x10, mul: 0x20, div: 0x30, or: 0x40, and: 0x50, lsh: 0x60, rsh: 0x70, neg: 0x80, mod: 0x90, xor: 0xa0,
  mov: 0xb0, arsh: 0xc0, end: 0xd0,
} as const

export const Jump = {
  ja: 0x00, jeq: 0x10, jgt: 0x20, jge: 0x30, jset: 0x40, jne: 0x50, jsgt: 0x60, jsge: 0x70, call: 0x80, exit: 0x90, jlt: 0xa0,
  jle: 0xb0, jslt: 0xc0, jsle: 0xd0, jcond: 0xe0,
} as const

/** The immediate of an atomic instruction. */
export const Atomic = {
  add: 0x00, or: 0x40, and: 0x50, xor: 0xa0, fetch: 0x01, xchg: 0xe1, cmpxchg: 0xf1, loadAcquire: 0x100, storeRelease: 0x110,
} as const

/** What the source register of a 64-bit immediate load or of a call means: `BPF_PSEUDO_…`. */
export const Pseudo = { mapFd: 1, mapValue: 2, btfId: 3, func: 4, mapIndexValue: 6, call: 1, kfunc: 2 } as const

/** The only instruction that takes two slots: a load of a 64-bit immediate. */
export const loadImm64Code = Class.ld | Mode.imm | Width.u64

export const classOf = (code: number) => code & 0x07
/** The operation of an ALU or jump instruction. */
export const operationOf = (code: number) => code & 0xf0
/** The mode of a load or store. */
export const modeOf = (code: number) => code & 0xe0
export const widthOf = (code: number) => code & 0x18

/** Every choice of one value from each list, put together. */
const combine = (...fields: readonly (readonly number[])[]) =>
  fields.reduce<number[]>((codes, values) => codes.flatMap(code => values.map(value => code | value)), [0])
const without = (all: Readonly<Record<string, number>>, ...some: readonly number[]) =>
  Object.values(all).filter(one => !some.includes(one))

const opcodes: ReadonlySet<number> = new Set([
  loadImm64Code,
  ...combine([Class.ldx, Class.st, Class.stx], [Mode.mem], without(Width)),
  ...combine([Class.ldx], [Mode.memsx], without(Width, Width.u64)),
  ...combine([Class.stx], [Mode.atomic], without(Width)),
  ...combine([Class.alu, Class.alu64], without(Alu, Alu.neg, Alu.end), without(OperandSource)),
  ...combine([Class.alu, Class.alu64], [Alu.neg, Alu.end]),
  Class.alu | Alu.end | OperandSource.reg,
  ...combine([Class.jmp, Class.jmp32], without(Jump, Jump.ja, Jump.call, Jump.exit, Jump.jcond), without(OperandSource)),
  ...combine([Class.jmp], [Jump.ja, Jump.call, Jump.exit, Jump.jcond]),
  Class.jmp32 | Jump.ja,
])
const ordered: readonly number[] = [Atomic.loadAcquire, Atomic.storeRelease]
const atomics: ReadonlySet<number> = new Set([
  ...combine([Atomic.add, Atomic.or, Atomic.and, Atomic.xor], [0, Atomic.fetch]),
  Atomic.xchg, Atomic.cmpxchg, ...ordered,
])

/** Whether there is such an instruction: its opcode, and what other fields choose within it. */
export function exists({ code, src, off, imm }: Insn): boolean {
  if (!opcodes.has(code)) return false
  const operation = operationOf(code)
  switch (classOf(code)) {
    case Class.ld:
      return src <= Pseudo.mapIndexValue
    case Class.alu:
    case Class.alu64:
      if (operation === Alu.end) return [16, 32, 64].includes(imm) && off === 0
      if (operation === Alu.div || operation === Alu.mod) return off === 0 || off === 1
      if (operation !== Alu.mov || (code & OperandSource.reg) === 0) return off === 0
      return [0, 8, 16].includes(off) || (off === 32 && classOf(code) === Class.alu64)
    case Class.stx:
      if (modeOf(code) !== Mode.atomic) return true
      return atomics.has(imm) && (ordered.includes(imm) || widthOf(code) === Width.u32 || widthOf(code) === Width.u64)
    case Class.jmp:
      return operation === Jump.call ? src <= Pseudo.kfunc : operation !== Jump.jcond || src === 0
    default:
      return true
  }
}
