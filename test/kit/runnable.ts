import {
  type Code, callFunction, exit, type Insn, jeq, label, load, loadImm64, loadMapValue, mov, r0, r1, r2, r3, r4, r5, r6, r7, r8, r9, r10,
  store,
} from '../../bpf-asm/index.js'
import { Alu, Atomic, Class, classOf, Jump, Mode, modeOf, operationOf, OperandSource, Width, widthOf } from '../../bpf-asm/opcode.js'
import type { Random } from './random.js'
import { forms } from './form.js'

const registers = [r0, r1, r2, r3, r4, r5, r6, r7, r8, r9]
/** Words on the stack that the program works on. */
const words = 8
/** What it leaves in the map `words`: all registers, and those words. */
export const outcome = { name: 'words', type: 'array', keySize: 4, valueSize: 8 * (registers.length + words), maxEntries: 1 } as const

/** Bytes of its context: a word for every register. */
export const contextSize = 8 * registers.length

/** Numbers at which arithmetic goes wrong, if it does, and others. */
export function trickyNumber(random: Random): bigint {
  const near = 1n << BigInt(random.pick([0, 7, 8, 15, 16, 31, 32, 63, 64]))
  const any = BigInt(random.below(2 ** 32)) << 32n | BigInt(random.below(2 ** 32))
  return BigInt.asUintN(64, random.pick([any, any >> BigInt(random.below(64)), near, near - 1n, -near, BigInt(random.below(4))]))
}

const trickyImmediate = (random: Random) => Number(BigInt.asIntN(32, trickyNumber(random)))

/** Whether the two interpretations of a form must be the same: not of the clock, and not of the end. */
const runs = (insn: Insn) => classOf(insn.code) !== Class.jmp || ![Jump.call, Jump.exit].some(one => one === operationOf(insn.code))

/**
 * A program of random instructions of every form that Linux `isThere` has, with jumps that lead onwards only, that the verifier takes:
 * its registers start with the words of its context, and all that it has at its end is in the map `words`.
 */
export function runnable(random: Random, blocks: number, isThere: (since?: string) => boolean): Code {
  const known = forms.filter(([insn, , , since]) => runs(insn) && isThere(since))
  const body = Array.from({ length: blocks }, (_, block) => {
    const onwards = () => `block ${block + 1 + random.below(blocks - block)}`
    return [
      label(`block ${block}`),
      Array.from({ length: 8 }, (_, place) => random.chance(0.02) ? calling() : vary(random.pick(known)[0], random, onwards(), `${block} ${place}`)),
    ]
  })
  const slot = (word: number) => -8 * (word + 1)
  const all = Array.from({ length: words + registers.length }, (_, word) => word)
  return [
    registers.filter(register => register !== r1).map(register => load(register, 'u64', r1, 8 * register.register)),
    load(r1, 'u64', r1, 8),
    all.slice(0, words).map(word => store('u64', r10, slot(word), registers[word]!)),
    body,
    label(`block ${blocks}`),
    calling(),
    registers.map((register, index) => store('u64', r10, slot(words + index), register)),
    loadMapValue(r1, outcome.name, 0),
    all.map(word => [load(r2, 'u64', r10, slot(word)), store('u64', r1, 8 * word, r2)]),
    mov(r0, 0),
    exit(),
    label('function'),
    mov(r0, r3),
    store('u64', r10, -8, r1),
    load(r6, 'u64', r10, -8),
    exit(),
  ]
}

/** A call of its function, after which r1 to r5 must be set. */
function calling(): Code {
  return [callFunction('function'), [r1, r2, r3, r4, r5].map((register, index) => load(register, 'u64', r10, -8 * (index + 1)))]
}

/** A word below those that the program works on, free until registers have their places there at the end. */
const spare = -8 * (words + 1)

/**
 * All of r0 is read. cmpxchg of 4 bytes clears its upper half (Documentation/bpf/standardization/instruction-set.rst), which on x86 the verifier
 * adds an instruction for if it sees that somebody reads it; Linux 6.18 does not where that is beyond a place at which it has stopped.
 */
const wanted = store('u64', r10, spare, r0)

/**
 * Lets the verifier forget what it knows of a word on the stack, which stays as it is. Before commit 179ee84a8911 ("bpf: Fix incorrect pruning
 * due to atomic fetch precision tracking", 2026) it took a jump that depends on what was fetched for certain, and left the other way out.
 */
function forget(off: number): Code {
  return [store('u64', r10, spare, r7), load(r7, 'u8', r10, off), store('u8', r10, off, r7), load(r7, 'u64', r10, spare)]
}

/** An instruction of the same form with other operands; on memory it works on the words of the stack. */
function vary(insn: Insn, random: Random, to: string, name: string): Code {
  const { code } = insn
  const register = () => random.below(registers.length)
  const operation = operationOf(code)
  const isImmediate = (code & OperandSource.reg) === 0
  const operands = (imm: number) => ({ dst: register(), ...(isImmediate ? { imm } : { src: register() }) })
  const size = { [Width.u8]: 1, [Width.u16]: 2, [Width.u32]: 4, [Width.u64]: 8 }[widthOf(code)]!
  const off = -size * (1 + random.below(8 * words / size))
  switch (classOf(code)) {
    case Class.ld:
      return loadImm64(registers[register()]!, trickyNumber(random))
    case Class.alu:
    case Class.alu64: {
      if (operation === Alu.end || operation === Alu.neg) return { ...insn, dst: register() }
      const isShift = operation === Alu.lsh || operation === Alu.rsh || operation === Alu.arsh
      return { ...insn, ...operands(isShift ? random.below(classOf(code) === Class.alu ? 32 : 64) : trickyImmediate(random) || 1) }
    }
    case Class.ldx:
      return { ...insn, dst: register(), src: 10, off }
    case Class.st:
      return { ...insn, dst: 10, off, imm: trickyImmediate(random) }
    case Class.stx: {
      const imm = modeOf(code) === Mode.atomic ? insn.imm : undefined
      if (imm === Atomic.loadAcquire) return { ...insn, dst: register(), src: 10, off }
      const stored = { ...insn, dst: 10, src: register(), off }
      // What is to be there is there by no chance.
      const whole = imm === Atomic.cmpxchg && random.chance(0.5) ? [load(r0, 'u64', r10, off & -8), stored] : stored
      if (imm === undefined || imm >= Atomic.loadAcquire || (imm & Atomic.fetch) === 0) return whole
      return [forget(off), whole, imm === Atomic.cmpxchg && size === 4 ? wanted : []]
    }
    default:
      if (operation === Jump.jcond) return { ...insn, label: to }
      if (operation !== Jump.ja) return { ...insn, ...operands(trickyImmediate(random)), label: to }
      // Without a way around it what follows could not be reached.
      return [jeq(registers[register()]!, registers[register()]!, name), { ...insn, label: to }, label(name)]
  }
}
