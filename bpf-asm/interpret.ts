import { type Assembly, distanceField, slotsOf } from './assemble.js'
import type { Insn } from './code.js'
import { list } from './disasm.js'
import { helperName, type HelperName } from './helper.js'
import { MapModel } from './map.js'
import { Memory } from './memory.js'
import { Alu, Atomic, Class, classOf, Jump, Mode, modeOf, operationOf, Pseudo, OperandSource, Width, widthOf } from './opcode.js'
import { comparisons, operations, signedOperations } from './operation.js'

/**
 * A function of the kernel, as an interpreted program calls it. It takes as many arguments as it has parameters beside the machine,
 * and the program must have set them.
 */
export type Helper = (machine: Machine, ...args: bigint[]) => bigint

/** What a helper sees of the interpreter. */
export interface Machine {
  readonly memory: Memory
  /** The map that a program means by this address. */
  map(address: bigint): MapModel
  /** Calls a function of the program, by the address that `loadFunction` gave. */
  call(address: bigint, ...args: bigint[]): bigint
}

/** What is around an interpreted program. */
export interface Setting {
  /** What r1 points to. */
  readonly context?: Uint8Array
  /** What pointers in the context lead to; the program's stack and the values of maps are put there too. */
  readonly memory?: Memory
  readonly maps?: readonly MapModel[]
  /** Beside those that look up, update and delete entries of maps, which are there. */
  readonly helpers?: Readonly<Partial<Record<HelperName, Helper>>>
  /** Kernel functions by name. */
  readonly kfuncs?: Readonly<Record<string, Helper>>
  /** Instructions after which it is given up: a million. */
  readonly limit?: number
  /** Called before each instruction, with how many were done: what another processor does meanwhile. */
  readonly meanwhile?: (steps: number) => void
}

/** What an interpreted program did wrong, and where: the message has the instruction and its note. */
export class InterpretError extends Error {
  override readonly name = 'InterpretError'

  constructor(readonly slot: number, line: string, note: string | undefined, cause: Error) {
    super(`${line}${note === undefined ? '' : ` (${note})`}: ${cause.message}`, { cause })
  }
}

const stackSize = 512
/** Functions that may have called each other: `MAX_CALL_FRAMES` (include/linux/bpf_verifier.h). */
const deepest = 8
/** Turns after which may_goto goes: the kernel's first count, before it looks at the clock (`BPF_MAX_TIMED_LOOPS`). */
const mostTurns = 0xffff

const mapHelpers: Readonly<Partial<Record<HelperName, Helper>>> = {
  map_lookup_elem: ({ map, memory }, address: bigint, key: bigint) => {
    const found = map(address)
    const value = found.lookup(memory.bytes(key, found.shape.keySize))
    return value === undefined ? 0n : memory.place(`a value of map ${found.shape.name}`, value)
  },
  map_update_elem: ({ map, memory }, address: bigint, key: bigint, value: bigint, flags: bigint) => {
    const found = map(address)
    const { keySize, valueSize } = found.shape
    return BigInt(found.update(memory.bytes(key, keySize), memory.bytes(value, valueSize), flags))
  },
  map_delete_elem: ({ map, memory }, address: bigint, key: bigint) => {
    const found = map(address)
    return BigInt(found.delete(memory.bytes(key, found.shape.keySize)))
  },
}

/** Registers of one function at work. */
class Frame {
  readonly #values: (bigint | undefined)[]
  turns = 0

  constructor(args: readonly (bigint | undefined)[], framePointer: bigint) {
    this.#values = [undefined, ...args.slice(0, 5)]
    this.#values[10] = framePointer
  }

  /** Throws for a register that was never written, or not since a call, as the verifier would. */
  get(register: number): bigint {
    const value = this.#values[register]
    if (value === undefined) throw new Error(`r${register} holds nothing`)
    return value
  }

  set(register: number, value: bigint): void {
    this.#values[register] = BigInt.asUintN(64, value)
  }

  /** r1 to r5, of which some may hold nothing. */
  get arguments(): readonly (bigint | undefined)[] {
    return this.#values.slice(1, 6)
  }

  /** After a call. */
  returned(result: bigint): void {
    this.#values.fill(undefined, 1, 6)
    this.set(0, result)
  }
}

/**
 * Runs a program without the kernel, for tests: what r0 is at its end, without a sign, and how many instructions that took. Memory
 * that the kernel would not zero is zero here, and nothing else runs between its instructions except `meanwhile`. Throws InterpretError for what the verifier would refuse, at
 * the instruction: missing memory, a register without a value, a helper that is not given.
 */
export function interpret(assembly: Assembly, setting: Setting = {}): { readonly result: bigint; readonly steps: number } {
  const { context = new Uint8Array(), memory = new Memory(), maps = [], kfuncs = {}, limit = 1_000_000, meanwhile } = setting
  const helpers: Readonly<Record<string, Helper>> = { ...mapHelpers, ...setting.helpers }
  const code = memory.place('the program', new Uint8Array(8 * assembly.slots))
  const models = new Map(maps.map(model => [memory.place(`map ${model.shape.name}`, new Uint8Array()), model]))
  const starts = new Map<number, number>()
  let slots = 0
  for (const [index, insn] of assembly.insns.entries()) {
    starts.set(slots, index)
    slots += slotsOf(insn)
  }
  let steps = 0
  let depth = 0

  const machine: Machine = {
    memory,
    map: address => models.get(address) ?? fail('that is no map'),
    call: (address, ...args) => run(Number(address - code) / 8, args),
  }

  function run(from: number, args: readonly (bigint | undefined)[]): bigint {
    if (depth === deepest) fail(`more than ${deepest} functions have called each other`)
    const stack = new Uint8Array(stackSize)
    const frame = new Frame(args, memory.place('the stack', stack) + BigInt(stackSize))
    depth++
    try {
      for (let slot: number | undefined = from; slot !== undefined;) slot = step(slot, frame)
      return frame.get(0)
    } finally {
      depth--
      memory.remove(stack)
    }
  }

  /** Does one instruction and returns the slot of the next; undefined at the function's end. */
  function step(slot: number, frame: Frame): number | undefined {
    const index = starts.get(slot) ?? fail(`there is no instruction ${slot}`)
    const insn = assembly.insns[index]!
    try {
      meanwhile?.(steps)
      if (++steps > limit) fail(`after ${limit} instructions it is not at its end`)
      return execute(insn, slot, frame)
    } catch (error) {
      if (error instanceof InterpretError || !(error instanceof Error)) throw error
      throw new InterpretError(slot, list(assembly)[index]!, assembly.notes[slot], error)
    }
  }

  function execute(insn: Insn, slot: number, frame: Frame): number | undefined {
    const { code: opcode, dst, src, off, imm } = insn
    const at = (register: number) => BigInt.asUintN(64, frame.get(register) + BigInt(off))
    const size = bytesOf[widthOf(opcode)]!
    switch (classOf(opcode)) {
      case Class.alu:
      case Class.alu64:
        frame.set(dst, calculate(insn, frame))
        break
      case Class.ld:
        frame.set(dst, addressOf(insn, slot))
        break
      case Class.ldx: {
        const value = memory.read(at(src), size)
        frame.set(dst, modeOf(opcode) === Mode.memsx ? BigInt.asIntN(8 * size, value) : value)
        break
      }
      case Class.st:
        memory.write(at(dst), size, BigInt.asUintN(64, BigInt(imm)))
        break
      case Class.stx:
        if (modeOf(opcode) === Mode.atomic) exchange(insn, size, at, frame)
        else memory.write(at(dst), size, frame.get(src))
        break
      default:
        switch (operationOf(opcode)) {
          case Jump.exit:
            // Here, where an error can say which instruction it is.
            frame.get(0)
            return undefined
          case Jump.call:
            frame.returned(src === Pseudo.call ? run(slot + 1 + imm, frame.arguments) : ask(insn, frame))
            break
          default:
            if (isTaken(insn, frame)) return slot + 1 + insn[distanceField(insn)]
        }
    }
    return slot + slotsOf(insn)
  }

  function addressOf({ src, imm, high = 0, map }: Insn, slot: number): bigint {
    if (src === 0) return BigInt(high) << 32n | BigInt(imm >>> 0)
    if (src === Pseudo.func) return code + BigInt(8 * (slot + 1 + imm))
    const [address, model] = [...models].find(([, { shape }]) => shape.name === map) ?? fail(`there is no map ${map}`)
    if (src === Pseudo.mapFd) return address
    if (src !== Pseudo.mapValue) fail('the kernel’s variables are not here')
    const value = model.lookup(new Uint8Array(model.shape.keySize)) ?? fail(`map ${map} has no first value`)
    return memory.place(`a value of map ${map}`, value) + BigInt(high)
  }

  /** A call of a function of the kernel. */
  function ask({ src, imm, kfunc }: Insn, frame: Frame): bigint {
    const name = src === Pseudo.kfunc ? kfunc : helperName(imm)?.replace('bpf_', '')
    const helper = (src === Pseudo.kfunc ? kfuncs : helpers)[name ?? ''] ?? fail(`${name} is not given`)
    return helper(machine, ...Array.from({ length: helper.length - 1 }, (_, index) => frame.get(1 + index)))
  }

  function exchange({ dst, src, imm }: Insn, size: number, at: (register: number) => bigint, frame: Frame): void {
    if (imm === Atomic.loadAcquire) return frame.set(dst, memory.read(at(src), size))
    const place = at(dst)
    const before = memory.read(place, size)
    const cut = (value: bigint) => BigInt.asUintN(8 * size, value)
    const operand = frame.get(src)
    if (imm === Atomic.cmpxchg) {
      if (before === cut(frame.get(0))) memory.write(place, size, operand)
      return frame.set(0, before)
    }
    const operation = operations[imm & ~Atomic.fetch]
    memory.write(place, size, operation === undefined ? operand : cut(operation.result(before, operand, 64)))
    if (imm & Atomic.fetch) frame.set(src, before)
  }

  const result = run(0, [memory.place('the context', context)])
  return { result, steps }
}

const bytesOf: Readonly<Record<number, number>> = { [Width.u8]: 1, [Width.u16]: 2, [Width.u32]: 4, [Width.u64]: 8 }

function fail(reason: string): never {
  throw new Error(reason)
}

/** The second operand of an ALU instruction or a jump: the immediate is sign-extended. */
function operandOf({ code, src, imm }: Insn, frame: Frame): bigint {
  return code & OperandSource.reg ? frame.get(src) : BigInt(imm)
}

function calculate(insn: Insn, frame: Frame): bigint {
  const { code, dst, off, imm } = insn
  const isWide = classOf(code) === Class.alu64
  const bits = isWide ? 64 : 32
  const cut = (value: bigint) => BigInt.asUintN(bits, value)
  switch (operationOf(code)) {
    case Alu.end:
      return isWide || code & OperandSource.reg ? reverse(frame.get(dst), imm) : BigInt.asUintN(imm, frame.get(dst))
    case Alu.neg:
      return cut(-frame.get(dst))
    case Alu.mov:
      return cut(off === 0 ? operandOf(insn, frame) : BigInt.asIntN(off, operandOf(insn, frame)))
    default: {
      const operation = (off === 1 ? signedOperations : operations)[operationOf(code)] ?? fail('there is no such operation')
      return cut(operation.result(cut(frame.get(dst)), cut(operandOf(insn, frame)), bits))
    }
  }
}

/** The lowest bits with their bytes the other way round. */
function reverse(value: bigint, bits: number): bigint {
  let result = 0n
  for (let bit = 0; bit < bits; bit += 8) result = result << 8n | value >> BigInt(bit) & 0xffn
  return result
}

function isTaken(insn: Insn, frame: Frame): boolean {
  const { code, dst } = insn
  const bits = classOf(code) === Class.jmp ? 64 : 32
  const cut = (value: bigint) => BigInt.asUintN(bits, value)
  switch (operationOf(code)) {
    case Jump.ja:
      return true
    case Jump.jcond:
      return ++frame.turns > mostTurns
    default: {
      const comparison = comparisons[operationOf(code)] ?? fail('there is no such jump')
      return comparison.holds(cut(frame.get(dst)), cut(operandOf(insn, frame)), bits)
    }
  }
}
