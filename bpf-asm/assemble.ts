import { AssemblyError, type Code, type Insn, isLabel, isList, type Label, type Place, type Target, withoutSites } from './code.js'
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

const gotolCode = Class.jmp32 | Jump.ja

/** Slots that an instruction takes. */
export function slotsOf(insn: Insn): number {
  return insn.high === undefined ? 1 : 2
}

/**
 * Joins the parts of a program, appends the code of asides, and resolves labels and places to distances. Throws AssemblyError, with the stack of
 * the call that made the instruction, label or place: when a target is missing or defined twice, when it is at the end, where there is no
 * instruction, when it is too far away, and when code runs on into an aside. Code passed as a function is made without such stacks, which are
 * slow, and made again when they are needed.
 */
export function assemble(code: Code | (() => Code)): Assembly {
  if (typeof code !== 'function') return join(code)
  try {
    const assembly = withoutSites(() => join(code()))
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
  const { parts, uses } = reached(gather(code))
  const places = new Map<Target, number>()
  let slots = 0
  for (const part of parts) {
    if (!isLabel(part)) slots += slotsOf(part)
    else if (!places.has(placeOf(part))) places.set(placeOf(part), slots)
    else throw at(part.site, part.place === undefined ? `label ${part.define} is defined twice` : `${shown(part.place)} is placed twice`)
  }
  const names = namesOf(places, uses)
  const insns: Insn[] = []
  const notes = new Array<string | undefined>(slots).fill(undefined)
  const maps = new Set<string>()
  let slot = 0
  for (const part of parts) {
    if (isLabel(part)) continue
    if (part.note !== undefined) notes[slot] = part.note
    if (part.map !== undefined) maps.add(part.map)
    insns.push(resolve(part, slot, places, names, slots))
    slot += slotsOf(part)
  }
  const labels = new Map<number, string[]>()
  for (const [target, name] of names) {
    const place = places.get(target)!
    labels.set(place, [...labels.get(place) ?? [], name])
  }
  return { insns, slots, notes, labels, maps: [...maps] }
}

/** What a label defines and where an instruction goes. Places are compared by identity, labels by name. */
const placeOf = ({ define, place }: Label): Target => place ?? define
const goalOf = ({ label, place }: Insn): Target | undefined => place ?? label

/** A target as errors show it. */
function shown(target: Target): string {
  return typeof target === 'string' ? `label ${target}` : target.name === '' ? 'a place without a name' : `place ${target.name}`
}

/** All parts of a program in a row. */
interface Gathered {
  readonly parts: readonly (Insn | Label)[]
  /** How many instructions go to each target. */
  readonly uses: Map<Target, number>
  /** Whether there are asides, or jumps that may be dropped. */
  readonly isOpen: boolean
}

/**
 * The program, then the code of each aside that is used, once. The asides of a function follow it directly, because the verifier allows no jump out
 * of a function.
 */
function gather(code: Code): Gathered {
  const parts: (Insn | Label)[] = []
  const uses = new Map<Target, number>()
  const [jumped, called]: [Place[], Place[]] = [[], []]
  let isOpen = false
  const add = (code: Code): void => {
    if (isList(code)) return code.forEach(add)
    parts.push(code)
    const goal = isLabel(code) ? undefined : goalOf(code)
    if (goal === undefined) return
    const count = uses.get(goal) ?? 0
    uses.set(goal, count + 1)
    const { ifReached, code: opcode } = code as Insn
    isOpen ||= ifReached === true
    if (count > 0 || typeof goal === 'string' || goal.code === undefined) return
    if (distanceField(code as Insn) === 'imm' && opcode !== gotolCode) called.push(goal)
    else jumped.push(goal)
  }
  add(code)
  for (let place = jumped.shift() ?? called.shift(); place !== undefined; place = jumped.shift() ?? called.shift()) {
    isOpen = true
    add([{ define: place.name, place, site: place.site }, place.code!()])
  }
  return { parts, uses, isOpen }
}

/** Drops the `ifReached` jumps that nothing reaches. Throws AssemblyError when code runs on into an aside, which is for jumps and calls alone. */
function reached(gathered: Gathered): Gathered {
  const { parts, uses, isOpen } = gathered
  if (!isOpen) return gathered
  let isReached = true
  const kept = parts.filter(part => {
    if (isLabel(part)) {
      if (isReached && part.place?.code !== undefined) throw at(part.site, `the code before the aside ${part.define} runs on into it`)
      isReached ||= (uses.get(placeOf(part)) ?? 0) > 0
      return true
    }
    if (part.ifReached && !isReached) {
      uses.set(goalOf(part)!, uses.get(goalOf(part)!)! - 1)
      return false
    }
    isReached = !leaves(part)
    return true
  })
  // A dropped jump may have been the only way to another one.
  return kept.length === parts.length ? gathered : reached({ parts: kept, uses, isOpen })
}

/** Whether the next instruction can be reached by jumps alone. */
function leaves({ code }: Insn): boolean {
  return code === (Class.jmp | Jump.ja) || code === (Class.jmp | Jump.exit) || code === gotolCode
}

/** Unique names of all labels and of the places that are used. A place without a name is numbered from the named one before it. */
function namesOf(places: ReadonlyMap<Target, number>, uses: ReadonlyMap<Target, number>): Map<Target, string> {
  const names = new Map<Target, string>()
  const taken = new Set<string>()
  for (const target of places.keys()) if (typeof target === 'string') taken.add(target)
  const numbered = (stem: string, number: number): string => taken.has(`${stem}.${number}`) ? numbered(stem, number + 1) : `${stem}.${number}`
  let before = ''
  for (const target of places.keys()) {
    if (typeof target === 'string') names.set(target, before = target)
    if (typeof target === 'string' || !uses.get(target)) continue
    const name = target.name === '' ? numbered(before, 1) : taken.has(target.name) ? numbered(target.name, 2) : target.name
    if (target.name !== '') before = name
    taken.add(name)
    names.set(target, name)
  }
  return names
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
  return isCall || code === gotolCode ? 'imm' : 'off'
}

function resolve(insn: Insn, slot: number, places: ReadonlyMap<Target, number>, names: ReadonlyMap<Target, string>, slots: number): Insn {
  const goal = goalOf(insn)
  if (goal === undefined) return insn
  const where = places.get(goal)
  if (where === undefined) throw at(insn.site, typeof goal === 'string' ? `label ${goal} is not defined` : `${shown(goal)} is used but never placed`)
  if (where === slots) throw at(insn.site, `${shown(goal)} is at the end, where no instruction is`)
  const field = distanceField(insn)
  // Also after an instruction of two slots the kernel counts from the slot after the first.
  const distance = where - slot - 1
  if (field === 'off' && (distance < -0x8000 || distance > 0x7fff)) {
    throw at(insn.site, `${shown(goal)} is ${distance} slots from instruction ${slot}: a jump reaches 32767, gotol any`)
  }
  if (insn.place === undefined) return { ...insn, [field]: distance }
  const { code, dst, src, off, imm, high, note, site } = insn
  const resolved = { code, dst, src, off, imm, site, label: names.get(goal)!, [field]: distance }
  if (high === undefined && note === undefined) return resolved
  return { ...resolved, ...high === undefined ? {} : { high }, ...note === undefined ? {} : { note } }
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
