import { type Assembly, distanceField, slotsOf } from './assemble.js'
import type { Insn } from './code.js'
import { helperName } from './helper.js'
import {
  Alu, Atomic, Class, classOf, Jump, loadImm64Code, Mode, modeOf, operationOf, Pseudo, Source, Width, widthOf,
} from './opcode.js'

/** Names that are not in the instructions. */
export interface Symbols {
  /** The kernel function with this BTF id. */
  readonly kfunc?: (btfId: number) => string | undefined
}

/**
 * One line an instruction, as `print_bpf_insn` (kernel/bpf/disasm.c, Linux 6.18) prints it in the verifier’s log, with the slot
 * before it: `12: (79) r6 = *(u64 *)(r1 +0)`. The value of a map or function address is the kernel’s own affair: it prints the
 * address, we the descriptor, or 0.
 */
export function list({ insns }: Assembly, symbols: Symbols = {}): string[] {
  let slot = 0
  return insns.map(insn => {
    const line = `${slot}: ${text(insn, symbols)}`
    slot += slotsOf(insn)
    return line
  })
}

/** The same for people: with labels, the names of maps and the notes. */
export function listing(assembly: Assembly, symbols: Symbols = {}): string {
  const lines = list(assembly, symbols)
  const out: string[] = []
  let slot = 0
  assembly.insns.forEach((insn, index) => {
    const labels = assembly.labels.get(slot)
    if (labels !== undefined) out.push(`${labels.join(', ')}:`)
    const [number, instruction] = split(lines[index] ?? '')
    const meaning = insn.map === undefined ? instruction : instruction.replace(/ = .*/, ` = ${mapText(insn, insn.map)}`)
    const target = insn.label === undefined ? meaning : `${meaning} <${insn.label}>`
    const line = `${number.padStart(6)} ${target}`
    out.push(insn.note === undefined ? line : `${line.padEnd(58)} ; ${insn.note}`)
    slot += slotsOf(insn)
  })
  return `${out.join('\n')}\n`
}

function split(line: string): [string, string] {
  const colon = line.indexOf(':')
  return [line.slice(0, colon + 1), line.slice(colon + 2)]
}

function mapText({ src, high }: Insn, name: string): string {
  return src === Pseudo.mapValue ? `map[${name}][0]+${high}` : `map[${name}]`
}

const operators: Readonly<Record<number, string>> = {
  [Alu.add]: '+=', [Alu.sub]: '-=', [Alu.mul]: '*=', [Alu.div]: '/=', [Alu.or]: '|=', [Alu.and]: '&=', [Alu.lsh]: '<<=',
  [Alu.rsh]: '>>=', [Alu.mod]: '%=', [Alu.xor]: '^=', [Alu.mov]: '=', [Alu.arsh]: 's>>=',
}
const comparisons: Readonly<Record<number, string>> = {
  [Jump.jeq]: '==', [Jump.jgt]: '>', [Jump.jge]: '>=', [Jump.jset]: '&', [Jump.jne]: '!=', [Jump.jsgt]: 's>', [Jump.jsge]: 's>=',
  [Jump.jlt]: '<', [Jump.jle]: '<=', [Jump.jslt]: 's<', [Jump.jsle]: 's<=',
}
const sizes: Readonly<Record<number, string>> = {
  [Width.u8]: 'u8', [Width.u16]: 'u16', [Width.u32]: 'u32', [Width.u64]: 'u64',
}
const fetches: Readonly<Record<number, string>> = {
  [Atomic.add]: 'add', [Atomic.or]: 'or', [Atomic.and]: 'and', [Atomic.xor]: 'xor',
}

const signed = (value: number) => value < 0 ? `${value}` : `+${value}`
const hex = (value: number) => `0x${(value >>> 0).toString(16)}`
const usesRegister = (code: number) => (code & Source.reg) !== 0

function text(insn: Insn, symbols: Symbols): string {
  const code = insn.code.toString(16).padStart(2, '0')
  return `(${code}) ${body(insn, symbols)}`
}

function body(insn: Insn, symbols: Symbols): string {
  switch (classOf(insn.code)) {
    case Class.alu:
    case Class.alu64:
      return alu(insn)
    case Class.jmp:
    case Class.jmp32:
      return jump(insn, symbols)
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
  const isDivision = operation === Alu.div || operation === Alu.mod
  const operator = (isDivision && off === 1 ? 's' : '') + operators[operation]
  const extension = operation === Alu.mov && usesRegister(code) && off !== 0 ? `(s${off})` : ''
  return `${r}${dst} ${operator} ${usesRegister(code) ? `${extension}${r}${src}` : imm}`
}

function jump(insn: Insn, { kfunc }: Symbols): string {
  const { code, dst, src, off, imm } = insn
  const operation = operationOf(code)
  const r = classOf(code) === Class.jmp ? 'r' : 'w'
  switch (operation) {
    case Jump.call:
      if (src === Pseudo.call) return `call pc${signed(imm)}`
      return `call ${src === Pseudo.kfunc ? kfunc?.(imm) ?? 'kernel-function' : helperName(imm) ?? 'unknown'}#${imm}`
    case Jump.exit:
      return 'exit'
    case Jump.ja:
      return `${r === 'r' ? 'goto' : 'gotol'} pc${signed(insn[distanceField(insn)])}`
    case Jump.jcond:
      return `may_goto pc${signed(off)}`
    default:
      return `if ${r}${dst} ${comparisons[operation]} ${usesRegister(code) ? `${r}${src}` : hex(imm)} goto pc${signed(off)}`
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
        : `lock *${target} ${operators[imm]} r${src}`
  }
}
