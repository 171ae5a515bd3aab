/**
 * Writes a small BTF that answers what our program asks of a kernel's BTF as that one does, so that the plan for this
 * kernel can be tested on any other.
 *
 *   node dist/tools/btf-fixture.js VMLINUX_BTF OUT
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { type Btf, type Member, parseBtf } from '../bpf-asm/index.js'
import { factsOf } from '../src/backend/facts.js'
import { backends, variants } from '../src/backend/index.js'
import { makePlans, PlanError } from '../src/backend/plan.js'
import { fieldsOf } from '../src/program/index.js'
import { loadAt } from '../src/trace/index.js'

/** What the program asks of BTF. */
export interface Questions {
  /** Paths of members, by structure. */
  readonly members: ReadonlyMap<string, ReadonlySet<string>>
  readonly funcs: ReadonlySet<string>
  readonly typedefs: ReadonlySet<string>
  /** Enumerators, by enumeration. */
  readonly enumerators: ReadonlyMap<string, ReadonlySet<string>>
}

/** Listens to what all fields and all backends ask of `btf`. */
export function questionsOf(btf: Btf): Questions {
  const members = new Map<string, Set<string>>()
  const enumerators = new Map<string, Set<string>>()
  const funcs = new Set<string>()
  const typedefs = new Set<string>()
  const note = (asked: Map<string, Set<string>>, of: string, name: string) => asked.set(of, (asked.get(of) ?? new Set()).add(name))
  const refuse = () => {
    throw new Error('the program asks something that a fixture does not keep yet: teach tools/btf-fixture.ts')
  }
  const listening: Btf = {
    types: btf.types,
    // A kernel that lacks one is asked for the others all the same.
    member: (struct, path) => note(members, struct, path) && (btf.findMember(struct, path) ?? { offset: 0, size: 8 }),
    findMember: (struct, path) => note(members, struct, path) && btf.findMember(struct, path),
    func: name => funcs.add(name) && btf.func(name),
    typedef: name => typedefs.add(name) && btf.typedef(name),
    enumValue: (of, name) => note(enumerators, of, name) && btf.enumValue(of, name),
    findStruct: name => btf.findStruct(name),
    struct: refuse, sizeOf: refuse, sizeOfType: refuse, tracepoint: refuse, nameOf: refuse, variable: refuse,
  }
  fieldsOf(listening)
  // Also what a plan does not look for because it has something better.
  const facts = factsOf(listening, 'x64')
  for (const { on } of variants.flatMap(({ hooks }) => hooks)) loadAt(on, facts)
  const filter = { pids: [1], cgroup: true, cgroupIds: true, mntnsIds: true }
  for (const backend of backends) {
    try {
      // On any machine that has kprobes: the fixture's name says which one it is of.
      Array.from(makePlans({ backend, filter, maxFlows: 1 }, facts))
    } catch (error) {
      if (!(error instanceof PlanError)) throw error
    }
  }
  return { members, funcs, typedefs, enumerators }
}

/** Kinds of a type (include/uapi/linux/btf.h). */
const Kind = { int: 1, ptr: 2, array: 3, struct: 4, enum: 6, typedef: 8, func: 12, funcProto: 13 } as const
/** Of a structure: its members may be bit fields. */
const kindFlag = 2 ** 31

/** The blob that answers `questions` as `btf` does; what `btf` lacks is skipped, as is what no question asks for. */
export function fixtureOf(btf: Btf, questions: Questions = questionsOf(btf)): Uint8Array {
  const names = new Map<string, number>([['', 0]])
  let strings = '\0'
  const nameAt = (name: string) => {
    const known = names.get(name)
    if (known !== undefined) return known
    const at = Buffer.byteLength(strings)
    strings += `${name}\0`
    names.set(name, at)
    return at
  }

  const words: number[] = []
  let types = 0
  const add = (name: string, kind: number, sizeOrType: number, ...more: readonly number[]) => {
    words.push(nameAt(name), kind * 2 ** 24, sizeOrType, ...more)
    return ++types
  }
  /** The same, of a type that is written once however often it is needed. */
  const once = new Map<string, number>()
  const shared = (key: string, write: () => number) => once.get(key) ?? once.set(key, write()).get(key)!
  const int = (name: string, size: number) => shared(`int ${name}`, () => add(name, Kind.int, size, 8 * size))
  const pointer = () => shared('pointer', () => add('', Kind.ptr, 0))

  /** A type for a member: of a bit field, one that is larger than any. */
  function leaf({ size, bitSize }: Member): number {
    if (bitSize !== undefined) return int('u64', 8)
    if ([1, 2, 4, 8].includes(size)) return int(`u${8 * size}`, size)
    const [byte, index] = [int('u8', 1), int('u32', 4)]
    return shared(`bytes ${size}`, () => add('', Kind.array, 0, byte, index, size))
  }

  /** The structure `name`, or the one within it at the path `own`, with the members at these paths below it. */
  function struct(name: string, own: string, paths: readonly string[]): number {
    const { offset, size } = own === '' ? { offset: 0, size: btf.sizeOf(name) } : btf.member(name, own)
    const parts = [...new Set(paths.map(path => path.split('.')[0]!))]
    const members = parts.map(part => {
      const path = own === '' ? part : `${own}.${part}`
      const below = paths.filter(path => path.startsWith(`${part}.`)).map(path => path.slice(part.length + 1))
      const place = btf.member(name, path)
      const type = below.length === 0 ? leaf(place) : struct(name, path, below)
      const bit = 8 * (place.offset - offset) + (place.bitOffset ?? 0)
      return [nameAt(part), type, (place.bitSize ?? 0) * 2 ** 24 + bit]
    })
    const info = kindFlag + Kind.struct * 2 ** 24 + members.length
    words.push(nameAt(own === '' ? name : ''), info, size, ...members.flat())
    return ++types
  }

  /** Of what has no name, only pointers are passed to functions. */
  function argument(id: number): number {
    if (id === 0) return 0
    const name = btf.nameOf(id)
    return name === '' ? pointer() : int(name, btf.sizeOf(name))
  }

  for (const [name, asked] of questions.members) {
    const paths = [...asked].filter(path => btf.findMember(name, path) !== undefined)
    if (paths.length > 0) struct(name, '', paths)
  }
  for (const [name, asked] of questions.enumerators) {
    const values = [...asked].flatMap(asked => {
      const value = btf.enumValue(name, asked)
      return value === undefined ? [] : [nameAt(asked), Number(value)]
    })
    if (values.length === 0) continue
    words.push(nameAt(name), Kind.enum * 2 ** 24 + values.length / 2, 4, ...values)
    types++
  }
  for (const name of questions.typedefs) if (btf.typedef(name) !== undefined) add(name, Kind.typedef, pointer())
  for (const name of questions.funcs) {
    const func = btf.func(name)
    if (func === undefined) continue
    const params = func.params.flatMap(({ name, typeId }) => [nameAt(name), argument(typeId)])
    const returns = argument(func.returns)
    words.push(0, Kind.funcProto * 2 ** 24 + func.params.length, returns, ...params)
    add(name, Kind.func, ++types)
  }

  const text = Buffer.from(strings)
  // magic and version · header's length · types at, length · strings at, length
  const header = [0x1eb9f, 24, 0, 4 * words.length, 4 * words.length, text.length]
  return Buffer.concat([Buffer.from(Uint32Array.from([...header, ...words]).buffer), text])
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [from, to] = process.argv.slice(2)
  if (from === undefined || to === undefined) throw new Error('usage: node dist/tools/btf-fixture.js VMLINUX_BTF OUT')
  writeFileSync(to, fixtureOf(parseBtf(readFileSync(from))))
}
