import { AssemblyError, type Code, type Insn, isLabel, type Label, withoutSites } from './code.js'
import { Class, exists, Jump, loadImm64Code, Pseudo } from './opcode.js'

/** A program whose labels are resolved: only descriptors of maps are missing. */
export interface Assembly {
  /** Instructions in order; one that takes two slots is one instruction. */
  readonly insns: readonly Insn[]
  /** Slots of 8 bytes, the unit in which the kernel counts, jumps and numbers its log. */
  readonly slots: number
  /** The notes, at the slot of their instruction. */
  readonly notes: readonly (string | undefined)[]
  /** The labels that are defined at a slot. */
  readonly labels: ReadonlyMap<number, readonly string[]>
  /** Names of the maps that it refers to. */
  readonly maps: readonly string[]
}

/** Bytes of a slot. */
const slotSize = 8

/** Slots that an instruction takes. */
export function slotsOf(insn: Insn): number {
  return insn.high === undefined ? 1 : 2
}

/**
 * Puts the parts of a program together and turns labels into distances. Throws AssemblyError, with the stack of the call
 * that made the instruction or label, when a label is missing or defined twice, when it is at the end, where no instruction
 * is, or further away than the instruction can go. Code that is yet to be made is made without such stacks, and again where they are wanted.
 */
export function assemble(code: Code | (() => Code)): Assembly {
  if (typeof code !== 'function') return join(code)
  try {
    const assembly = join(withoutSites(code))
    makers.set(assembly, code)
    return assembly
  } catch (error) {
    throw error instanceof AssemblyError ? errorOf(() => join(code())) ?? error : error
  }
}

/** How programs were made whose instructions do not know where they were emitted. */
const makers = new WeakMap<Assembly, () => Code>()

/** The same program with instructions that know where they were emitted: from code that was yet to be made it is made again. */
export function placed(assembly: Assembly): Assembly {
  const code = makers.get(assembly)
  return code === undefined ? assembly : join(code())
}

function errorOf(run: () => unknown): unknown {
  try {
    run()
  } catch (error) {
    return error
  }
  return undefined
}

function join(code: Code): Assembly {
  const parts = [code as unknown].flat(Infinity) as (Insn | Label)[]
  const places = new Map<string, number>()
  let slots = 0
  for (const part of parts) {
    if (!isLabel(part)) slots += slotsOf(part)
    else if (places.has(part.define)) throw at(part.site, `label ${part.define} is defined twice`)
    else places.set(part.define, slots)
  }
  const insns: Insn[] = []
  const notes = new Array<string | undefined>(slots).fill(undefined)
  const maps = new Set<string>()
  let slot = 0
  for (const part of parts) {
    if (isLabel(part)) continue
    if (part.note !== undefined) notes[slot] = part.note
    if (part.map !== undefined) maps.add(part.map)
    insns.push(resolve(part, slot, places, slots))
    slot += slotsOf(part)
  }
  const labels = new Map<number, string[]>()
  for (const [name, place] of places) labels.set(place, [...labels.get(place) ?? [], name])
  return { insns, slots, notes, labels, maps: [...maps] }
}

function at(site: Error | undefined, message: string): AssemblyError {
  const error = new AssemblyError(message)
  if (site?.stack !== undefined) error.stack = site.stack.replace(/^[^\n]*/, `${error.name}: ${message}`)
  return error
}

/** The field of an instruction that holds the distance to its label. */
export function distanceField({ code, src }: Insn): 'off' | 'imm' {
  if (code === loadImm64Code) return 'imm'
  const isCall = code === (Class.jmp | Jump.call) && src === Pseudo.call
  return isCall || code === (Class.jmp32 | Jump.ja) ? 'imm' : 'off'
}

function resolve(insn: Insn, slot: number, places: ReadonlyMap<string, number>, slots: number): Insn {
  if (insn.label === undefined) return insn
  const place = places.get(insn.label)
  if (place === undefined) throw at(insn.site, `label ${insn.label} is not defined`)
  if (place === slots) throw at(insn.site, `label ${insn.label} is at the end, where no instruction is`)
  const field = distanceField(insn)
  // Also after an instruction of two slots the kernel counts from the slot after the first.
  const distance = place - slot - 1
  if (field === 'off' && (distance < -0x8000 || distance > 0x7fff)) {
    throw at(insn.site, `label ${insn.label} is ${distance} slots from instruction ${slot}: a jump reaches 32767, gotol any`)
  }
  return { ...insn, [field]: distance }
}

/** The bytes that the kernel takes, little-endian. Throws AssemblyError when a map has no descriptor. */
export function encode(assembly: Assembly, maps: Readonly<Record<string, number>> = {}): Uint8Array {
  const bytes = new Uint8Array(assembly.slots * slotSize)
  const view = new DataView(bytes.buffer)
  let offset = 0
  for (const insn of assembly.insns) {
    putSlot(view, offset, insn, insn.map === undefined ? insn.imm : descriptor(maps, insn.map))
    offset += slotSize
    if (insn.high === undefined) continue
    view.setInt32(offset + 4, insn.high, true)
    offset += slotSize
  }
  return bytes
}

function descriptor(maps: Readonly<Record<string, number>>, name: string): number {
  const fd = Object.hasOwn(maps, name) ? maps[name] : undefined
  if (fd === undefined) throw new AssemblyError(`no descriptor for map ${name}`)
  return fd
}

function putSlot(view: DataView, offset: number, { code, dst, src, off }: Insn, imm: number): void {
  view.setUint8(offset, code)
  view.setUint8(offset + 1, dst | src << 4)
  view.setInt16(offset + 2, off, true)
  view.setInt32(offset + 4, imm, true)
}

/**
 * Reads what `encode` wrote, without the names: of labels there are the distances, of maps the descriptors. Throws
 * AssemblyError for bytes that are no whole number of instructions, or no instruction or register that there is.
 */
export function decode(bytes: Uint8Array): Assembly {
  if (bytes.length % slotSize !== 0) throw new AssemblyError(`${bytes.length} bytes are no whole number of instructions`)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const slots = bytes.length / slotSize
  const insns: Insn[] = []
  for (let slot = 0; slot < slots; slot++) {
    const insn = getSlot(view, slot)
    if (!exists(insn)) throw new AssemblyError(`instruction ${slot} is unknown: opcode 0x${insn.code.toString(16)}`)
    if (insn.code !== loadImm64Code) {
      insns.push(insn)
      continue
    }
    slot++
    if (slot === slots) throw new AssemblyError(`instruction ${slot - 1} is cut off`)
    const { imm: high, ...rest } = getSlot(view, slot)
    if (rest.code !== 0 || rest.dst !== 0 || rest.src !== 0 || rest.off !== 0) {
      throw new AssemblyError(`instruction ${slot} is no second half of a 64-bit immediate`)
    }
    insns.push({ ...insn, high })
  }
  return { insns, slots, notes: new Array<undefined>(slots).fill(undefined), labels: new Map(), maps: [] }
}

function getSlot(view: DataView, slot: number): Insn {
  const offset = slot * slotSize
  const code = view.getUint8(offset)
  const registers = view.getUint8(offset + 1)
  const dst = registers & 0x0f
  const src = registers >> 4
  if (dst > 10 || src > 10) throw new AssemblyError(`instruction ${slot} names a register above r10`)
  return { code, dst, src, off: view.getInt16(offset + 2, true), imm: view.getInt32(offset + 4, true) }
}
