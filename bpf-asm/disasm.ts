import { type Assembly, distanceField, slotsOf } from './assemble.js'
import type { Insn } from './code.js'
import { helperName } from './helper.js'
import {
  Alu, Atomic, Class, classOf, Jump, loadImm64Code, Mode, modeOf, operationOf, Pseudo, OperandSource, Width, widthOf,
} from './opcode.js'
import { comparisons, operations, signedOperations } from './operation.js'

/**
 * One line an instruction, as `print_bpf_insn` (kernel/bpf/disasm.c, Linux 6.18) prints it in the verifier’s log, with the slot
 * before it: `12: (79) r6 = *(u64 *)(r1 +0)`. The value of a map or function address is the kernel’s own affair: it prints the
 * address, we the descriptor, or 0. Decoded instructions do not know the names of the kernel's functions.
 */
export function list({ insns }: Assembly): string[] {
  let slot = 0
  return insns.map(insn => {
    const line = `${slot}: ${text(insn)}`
    slot += slotsOf(insn)
    return line
  })
}

/** An instruction as people want to see it. */
export interface Line {
  readonly slot: number
  /** The labels in front of it. */
  readonly labels: readonly string[]
  /** As in `list`, without the slot, with the names of maps and labels. */
  readonly text: string
  readonly note: string | undefined
  readonly insn: Insn
}

/** The same for people: with labels, the names of maps and the notes. */
export function lines({ insns, labels, notes }: Assembly): Line[] {
  let slot = 0
  return insns.map(insn => {
    const meaning = insn.map === undefined ? text(insn) : text(insn).replace(/ = .*/, ` = ${mapText(insn, insn.map)}`)
    const line: Line = {
      slot,
      labels: labels.get(slot) ?? [],
      text: insn.label === undefined ? meaning : `${meaning} <${insn.label}>`,
      note: notes[slot],
      insn,
    }
    slot += slotsOf(insn)
    return line
  })
}

/** Those lines as text. */
export function listing(assembly: Assembly): string {
  const out = lines(assembly).flatMap(({ slot, labels, text, note }) => {
    const line = `${`${slot}:`.padStart(6)} ${text}`
    return [
      ...labels.length > 0 ? [`${labels.join(', ')}:`] : [],
      note === undefined ? line : `${line.padEnd(58)} ; ${note}`,
    ]
  })
  return `${out.join('\n')}\n`
}

function mapText({ src, high }: Insn, name: string): string {
  return src === Pseudo.mapValue ? `map[${name}][0]+${high}` : `map[${name}]`
}

const sizes: Readonly<Record<number, string>> = {
  [Width.u8]: 'u8', [Width.u16]: 'u16', [Width.u32]: 'u32', [Width.u64]: 'u64',
}
const fetches: Readonly<Record<number, string>> = {
  [Atomic.add]: 'add', [Atomic.or]: 'or', [Atomic.and]: 'and', [Atomic.xor]: 'xor',
}

const signed = (value: number) => value < 0 ? `${value}` : `+${value}`
const hex = (value: number) => `0x${(value >>> 0).toString(16)}`
const usesRegister = (code: number) => (code & OperandSource.reg) !== 0

function text(insn: Insn): string {
  const code = insn.code.toString(16).padStart(2, '0')
  return `(${code}) ${body(insn)}`
}

function body(insn: Insn): string {
  switch (classOf(insn.code)) {
    case Class.alu:
    case Class.alu64:
      return alu(insn)
    case Class.jmp:
    case Class.jmp32:
      return jump(insn)
    case Class.ldx:
      return `r${insn.dst} = *(${(modeOf(insn.code) === Mode.memsx ? 's' : 'u') + sizeOf(insn).slice(1)} *)(r${insn.src} ${signed(insn.off)})`
    case Class.st:
      return `${place(insn)} = ${insn.imm}`
    case Class.stx:
      return modeOf(insn.code) === Mode.atomic ? atomic(insn) : `${place(insn)} = r${insn.src}`
    default:
      return insn.code === loadImm64Code ? `r${insn.dst} = 0x${wide(insn).toString(16)}` : 'ld'
  }
}

const sizeOf = ({ code }: Insn) => sizes[widthOf(code)] ?? ''
const place = (insn: Insn) => `*(${sizeOf(insn)} *)(r${insn.dst} ${signed(insn.off)})`
const wide = ({ imm, high = 0 }: Insn) => BigInt(high >>> 0) << 32n | BigInt(imm >>> 0)

function alu({ code, dst, src, off, imm }: Insn): string {
  const operation = operationOf(code)
  const is64 = classOf(code) === Class.alu64
  const r = is64 ? 'r' : 'w'
  if (operation === Alu.end) {
    const order = is64 ? 'bswap' : usesRegister(code) ? 'be' : 'le'
    return `r${dst} = ${order}${imm} r${dst}`
  }
  if (operation === Alu.neg) return `${r}${dst} = -${r}${dst}`
  const operator = (off === 1 ? signedOperations : operations)[operation]?.sign
  const extension = operation === Alu.mov && usesRegister(code) && off !== 0 ? `(s${off})` : ''
  return `${r}${dst} ${operator} ${usesRegister(code) ? `${extension}${r}${src}` : imm}`
}

function jump(insn: Insn): string {
  const { code, dst, src, off, imm, kfunc } = insn
  const operation = operationOf(code)
  const r = classOf(code) === Class.jmp ? 'r' : 'w'
  switch (operation) {
    case Jump.call:
      if (src === Pseudo.call) return `call pc${signed(imm)}`
      return `call ${src === Pseudo.kfunc ? kfunc ?? 'kernel-function' : helperName(imm) ?? 'unknown'}#${imm}`
    case Jump.exit:
      return 'exit'
    case Jump.ja:
      return `${r === 'r' ? 'goto' : 'gotol'} pc${signed(insn[distanceField(insn)])}`
    case Jump.jcond:
      return `may_goto pc${signed(off)}`
    default:
      return `if ${r}${dst} ${comparisons[operation]?.sign} ${usesRegister(code) ? `${r}${src}` : hex(imm)} goto pc${signed(off)}`
  }
}

function atomic(insn: Insn): string {
  const { code, dst, src, off, imm } = insn
  const suffix = widthOf(code) === Width.u64 ? '64' : ''
  const target = `(${sizeOf(insn)} *)(r${dst} ${signed(off)})`
  switch (imm) {
    case Atomic.xchg:
      return `r${src} = atomic${suffix}_xchg(${target}, r${src})`
    case Atomic.cmpxchg:
      return `r0 = atomic${suffix}_cmpxchg(${target}, r0, r${src})`
    case Atomic.loadAcquire:
      return `r${dst} = load_acquire((${sizeOf(insn)} *)(r${src} ${signed(off)}))`
    case Atomic.storeRelease:
      return `store_release(${target}, r${src})`
    default:
      return imm & Atomic.fetch
        ? `r${src} = atomic${suffix}_fetch_${fetches[imm & ~Atomic.fetch]}(${target}, r${src})`
        : `lock *${target} ${operations[imm]?.sign} r${src}`
  }
}
