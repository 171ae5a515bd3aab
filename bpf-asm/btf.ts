import { Kind } from './btf-writer.js'

/** Where a member lies in its structure. */
export interface Member {
  /** Bytes from the start of the structure; of a bit field: of the smallest aligned unit that holds it. */
  readonly offset: number
  /** Bytes; of a bit field: of that unit. */
  readonly size: number
  /** Of a bit field: its first bit in the unit, counted from the least significant, and its bits. */
  readonly bitOffset?: number
  readonly bitSize?: number
}

/** A function of the kernel. */
export interface Func {
  readonly id: number
  readonly params: readonly { readonly name: string; readonly typeId: number }[]
  /** Type of the result; 0 for void. */
  readonly returns: number
}

/** What a BTF blob says. Ids are those the kernel knows the types by. */
export interface Btf {
  /** The id of a structure or union. Throws BtfError when there is none. */
  struct(name: string): number
  /** The same, or undefined. */
  findStruct(name: string): number | undefined
  /**
   * A member by its path, as C would write it: `inet_conn.icsk_inet.sk.sk_protocol`. Members of anonymous structures and unions
   * are found by their plain names. Throws BtfError when there is none.
   */
  member(struct: string, path: string): Member
  /** The same, or undefined when the structure or the member does not exist. */
  findMember(struct: string, path: string): Member | undefined
  /** Bytes of a structure, union, base type or typedef. Throws BtfError when there is none. */
  sizeOf(name: string): number
  /** The value of an enumerator; an empty enum name looks through the anonymous ones. */
  enumValue(enumName: string, name: string): bigint | undefined
  /** A function with its prototype. */
  func(name: string): Func | undefined
  /**
   * A tracepoint: the id that programs are attached by, that of the typedef `btf_trace_<name>`, and its arguments. Their names are empty where the
   * BTF has no function `__traceiter_<name>` or `__bpf_trace_<name>`, whose prototypes have them.
   */
  tracepoint(name: string): Func | undefined
  /** Bytes of a value of a type. Throws BtfError for a type without a size, such as void or a function. */
  sizeOfType(id: number): number
  /** The id of a typedef. */
  typedef(name: string): number | undefined
  /** The id of a variable, for `loadVariable`: most kernels list only per-CPU ones. */
  variable(name: string): number | undefined
  /** The name of a type; empty when it has none, as void, which is 0. */
  nameOf(id: number): string
  /** Types in it, without void. */
  readonly types: number
  /** Why no type behind these can be read: one is of a kind that is newer than this program, and its length is not known. */
  readonly incomplete?: string
}

/** A blob that is no BTF or is damaged, or something that it does not have. */
export class BtfError extends Error {
  override readonly name = 'BtfError'
}

/** Words behind the three that every type has: fixed ones, and for each of its members. */
const extra: Readonly<Record<number, readonly [fixed: number, each: number]>> = {
  [Kind.int]: [1, 0], [Kind.ptr]: [0, 0], [Kind.array]: [3, 0], [Kind.struct]: [0, 3], [Kind.union]: [0, 3], [Kind.enum]: [0, 2],
  [Kind.fwd]: [0, 0], [Kind.typedef]: [0, 0], [Kind.volatile]: [0, 0], [Kind.const]: [0, 0], [Kind.restrict]: [0, 0],
  [Kind.func]: [0, 0], [Kind.funcProto]: [0, 2], [Kind.var]: [1, 0], [Kind.datasec]: [0, 3], [Kind.float]: [0, 0],
  [Kind.declTag]: [1, 0], [Kind.typeTag]: [0, 0], [Kind.enum64]: [0, 3],
}
const kinds = 128
/** The same by kind in one number: all words without members, 0 for what is no kind, and above them those of a member. */
const shapes = Uint16Array.from({ length: kinds }, (_, kind) => shapeOf(extra[kind]))

function shapeOf(words: readonly [fixed: number, each: number] | undefined): number {
  return words === undefined ? 0 : 3 + words[0] | words[1] << 8
}

/** Of the word that has them: kinds have had 7 bits and members 24 since Linux 7.1, and what is more than the 5 and 16 of before was 0. */
const kindIn = (info: number) => info >>> 24 & 0x7f
const membersIn = (info: number) => info & 0xffffff

/** More than any chain of typedefs, dimensions or nameless structures in a compiler's output: a longer one goes in circles. */
const deepest = 64
const headerSize = 24
/** Since Linux 7.1 (commit 222edc843c15) two more words say where the layout section is. */
const headerWithLayout = 32
const pointerSize = 8

/** A member as it is found on the way down: its first bit, counted from the structure's start, its type, and its bits if given. */
interface Place {
  readonly bit: number
  readonly type: number
  readonly bits: number
}

/**
 * Reads a BTF blob such as /sys/kernel/btf/vmlinux (Documentation/bpf/btf.rst). One pass finds where each type starts; everything
 * else is read when it is asked for. The BTF of a module, such as /sys/kernel/btf/nf_conntrack, refers to types and names of the kernel's, its
 * `base`; the result has the types of both. Throws BtfError for what is no BTF of this machine’s byte order, or is damaged; never reads
 * outside of it and never goes on for ever. Types of kinds that it does not know are skipped where the blob has their length; otherwise it is
 * `incomplete`.
 */
export function parseBtf(bytes: Uint8Array, base?: Btf): Btf {
  const before = base && sectionsOf.get(base)
  if (base !== undefined && before === undefined) throw new BtfError('a base must come from parseBtf')
  const { words, strings, layout } = sections(bytes, before)
  const { starts, types, lastOf, before: previous, incomplete } = index(words, strings, layout)
  const found = new Map<string, number>()
  const places = new Map<string, Place | undefined>()
  const encoder = new TextEncoder()
  const decoder = new TextDecoder()

  const word = (at: number) => {
    const value = words[at]
    if (value === undefined) throw new BtfError('a type reaches beyond the end')
    return value
  }
  const startOf = (id: number) => {
    const start = id >= 1 && id <= types ? starts[id] : undefined
    if (start === undefined) throw new BtfError(`there is no type ${id}`)
    return start
  }
  const kindOf = (id: number) => kindIn(word(startOf(id) + 1))
  const membersOf = (id: number) => membersIn(word(startOf(id) + 1))
  const flagOf = (id: number) => word(startOf(id) + 1) >>> 31 === 1
  const sizeOrType = (id: number) => word(startOf(id) + 2)

  function stringAt(offset: number): string {
    if (offset >= strings.length) throw new BtfError('a name lies beyond the end')
    return decoder.decode(strings.subarray(offset, strings.indexOf(0, offset)))
  }

  function isNamed(at: number, name: Uint8Array): boolean {
    if (at + name.length >= strings.length || strings[at + name.length] !== 0) return false
    for (let index = 0; index < name.length; index++) if (strings[at + index] !== name[index]) return false
    return true
  }

  /** The first type with this name of one of these kinds. */
  function find(name: string, kinds: readonly number[]): number | undefined {
    if (name === '') return undefined
    const key = `${kinds.join()} ${name}`
    const known = found.get(key)
    if (known !== undefined) return known
    const wanted = encoder.encode(name)
    const { length } = wanted
    let first: number | undefined
    for (let id = lastOf[beginning(wanted)]!; id !== 0; id = previous[id]!) {
      const at = words[starts[id]!]!
      // Most differ in length already, which saves the call.
      if (strings[at + length] === 0 && isNamed(at, wanted) && kinds.includes(kindOf(id))) first = id
    }
    if (first !== undefined) found.set(key, first)
    return first
  }

  /** The type behind typedefs and qualifiers. */
  function strip(id: number): number {
    for (let depth = 0, at = id; depth < deepest; depth++) {
      switch (kindOf(at)) {
        case Kind.typedef:
        case Kind.volatile:
        case Kind.const:
        case Kind.restrict:
        case Kind.typeTag:
          at = sizeOrType(at)
          break
        default:
          return at
      }
    }
    throw new BtfError(`type ${id} refers to itself`)
  }

  function sizeOfType(id: number, depth = 0): number {
    if (depth > deepest) throw new BtfError(`type ${id} contains itself`)
    const type = strip(id)
    switch (kindOf(type)) {
      case Kind.ptr:
        return pointerSize
      case Kind.array: {
        const start = startOf(type)
        const size = word(start + 5) * sizeOfType(word(start + 3), depth + 1)
        if (!Number.isSafeInteger(size)) throw new BtfError(`type ${type} is too large`)
        return size
      }
      case Kind.int:
      case Kind.struct:
      case Kind.union:
      case Kind.enum:
      case Kind.enum64:
      case Kind.float:
        return sizeOrType(type)
      default:
        throw new BtfError(`type ${type} has no size`)
    }
  }

  /** Looks into each anonymous structure once, so that not even damaged input, in circles, takes long. */
  function step(struct: number, name: Uint8Array, seen = new Set<number>(), depth = 0): Place | undefined {
    if (depth > deepest) throw new BtfError(`type ${struct} lies too deep`)
    const kind = kindOf(struct)
    if (seen.has(struct) || (kind !== Kind.struct && kind !== Kind.union)) return undefined
    seen.add(struct)
    const start = startOf(struct)
    const packed = flagOf(struct)
    for (let index = 0; index < membersOf(struct); index++) {
      const at = start + 3 + 3 * index
      const [nameAt, type, where] = [word(at), word(at + 1), word(at + 2)]
      const bit = packed ? where & 0xffffff : where
      if (nameAt === 0 || strings[nameAt] === 0) {
        const inner = step(strip(type), name, seen, depth + 1)
        if (inner !== undefined) return { ...inner, bit: bit + inner.bit }
      } else if (isNamed(nameAt, name)) {
        return { bit, type, bits: packed ? where >>> 24 : 0 }
      }
    }
    return undefined
  }

  function findMember(struct: string, path: string): Member | undefined {
    const place = placeOf(struct, path)
    return place === undefined ? undefined : memberAt(place)
  }

  /** Paths that start alike are walked once. */
  function placeOf(struct: string, path: string): Place | undefined {
    const key = `${struct} ${path}`
    if (places.has(key)) return places.get(key)
    const dot = path.lastIndexOf('.')
    const start = find(struct, [Kind.struct, Kind.union])
    const outer = dot >= 0 ? placeOf(struct, path.slice(0, dot)) : start === undefined ? undefined : { bit: 0, type: start, bits: 0 }
    const inner = outer && step(strip(outer.type), encoder.encode(path.slice(dot + 1)))
    const place = outer && inner && { ...inner, bit: outer.bit + inner.bit }
    places.set(key, place)
    return place
  }

  function memberAt({ bit, type, bits }: Place): Member {
    const size = sizeOfType(type)
    const stripped = strip(type)
    // Compilers before the flag described bit fields in the integer’s own type: its offset and its number of bits.
    const encoding = kindOf(stripped) === Kind.int ? word(startOf(stripped) + 3) : 0
    const width = bits !== 0 ? bits : encoding & 0xff
    if (width === 0 || (width === 8 * size && bit % 8 === 0)) return { offset: Math.floor(bit / 8), size }
    const first = bit + (bits !== 0 ? 0 : encoding >>> 16 & 0xff)
    for (const unit of [1, 2, 4, 8]) {
      const offset = Math.floor(first / (8 * unit)) * unit
      if (first + width <= 8 * (offset + unit)) return { offset, size: unit, bitOffset: first - 8 * offset, bitSize: width }
    }
    throw new BtfError(`a bit field of ${width} bits at bit ${first} is in no unit`)
  }

  function prototype(id: number): Func {
    const proto = sizeOrType(id)
    if (kindOf(proto) !== Kind.funcProto) throw new BtfError(`function ${id} has no prototype`)
    const start = startOf(proto) + 3
    const params = Array.from({ length: membersOf(proto) }, (_, index) =>
      ({ name: stringAt(word(start + 2 * index)), typeId: word(start + 2 * index + 1) }))
    return { id, params, returns: sizeOrType(proto) }
  }

  function enumerator(id: number, name: Uint8Array): bigint | undefined {
    const wide = kindOf(id) === Kind.enum64
    const start = startOf(id) + 3
    for (let index = 0; index < membersOf(id); index++) {
      const at = start + (wide ? 3 : 2) * index
      if (!isNamed(word(at), name)) continue
      const value = BigInt(word(at + 1)) | (wide ? BigInt(word(at + 2)) << 32n : 0n)
      return flagOf(id) ? BigInt.asIntN(wide ? 64 : 32, value) : value
    }
    return undefined
  }

  function enumValue(enumName: string, name: string): bigint | undefined {
    const wanted = encoder.encode(name)
    const isEnum = (id: number) => kindOf(id) === Kind.enum || kindOf(id) === Kind.enum64
    if (enumName !== '') {
      const id = find(enumName, [Kind.enum, Kind.enum64])
      return id === undefined ? undefined : enumerator(id, wanted)
    }
    for (let id = 1; id <= types; id++) {
      if (!isEnum(id) || word(startOf(id)) !== 0) continue
      const value = enumerator(id, wanted)
      if (value !== undefined) return value
    }
    return undefined
  }

  function tracepoint(name: string): Func | undefined {
    const id = find(`btf_trace_${name}`, [Kind.typedef])
    if (id === undefined) return undefined
    // A pointer to a function whose first parameter is the program's own.
    const { params: [, ...params], returns } = prototype(strip(id))
    const namer = [`__traceiter_${name}`, `__bpf_trace_${name}`].map(func => find(func, [Kind.func])).find(func => func !== undefined)
    const named = namer === undefined ? [] : prototype(namer).params.slice(1)
    return { id, params: params.map(({ typeId }, index) => ({ name: named[index]?.name ?? '', typeId })), returns }
  }

  const orThrow = <T>(value: T | undefined, what: string): T => {
    if (value === undefined) throw new BtfError(incomplete === undefined ? `this kernel has no ${what}` : `${what} is not before the end: ${incomplete}`)
    return value
  }
  const findStruct = (name: string) => find(name, [Kind.struct, Kind.union])
  const btf: Btf = {
    types,
    ...incomplete === undefined ? {} : { incomplete },
    findStruct,
    struct: name => orThrow(findStruct(name), `struct ${name}`),
    findMember,
    member: (struct, path) => orThrow(findMember(struct, path), `${path} in struct ${struct}`),
    sizeOf: name => sizeOfType(orThrow(
      find(name, [Kind.int, Kind.struct, Kind.union, Kind.typedef, Kind.enum, Kind.enum64, Kind.float]), `type ${name}`)),
    enumValue,
    func: name => {
      const id = find(name, [Kind.func])
      return id === undefined ? undefined : prototype(id)
    },
    tracepoint,
    sizeOfType: id => sizeOfType(id),
    typedef: name => find(name, [Kind.typedef]),
    variable: name => find(name, [Kind.var]),
    nameOf: id => id === 0 ? '' : stringAt(word(startOf(id))),
  }
  sectionsOf.set(btf, { words, strings, layout })
  return btf
}

/** The types and the names of a blob, and how long types of each kind are, which is empty where the blob is older than that. */
interface Sections {
  readonly words: Uint32Array
  readonly strings: Uint8Array
  readonly layout: Uint8Array
}

/** Of each BTF, for those that are split from it. */
const sectionsOf = new WeakMap<Btf, Sections>()

/** The sections, checked against the blob’s length. Those of a module go on where the ids and offsets of its base end. */
function sections(bytes: Uint8Array, base?: Sections): Sections {
  if (bytes.length < headerSize) throw new BtfError(`${bytes.length} bytes are no BTF`)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const magic = view.getUint16(0, true)
  if (magic === 0x9feb) throw new BtfError('this BTF is of a machine of the other byte order')
  if (magic !== 0xeb9f) throw new BtfError(`no BTF: it starts with 0x${magic.toString(16)}`)
  const version = view.getUint8(2)
  if (version !== 1) throw new BtfError(`BTF version ${version} is unknown`)
  const header = view.getUint32(4, true)
  const section = (at: number) => {
    const start = header + view.getUint32(at, true)
    const length = view.getUint32(at + 4, true)
    if (start + length > bytes.length) throw new BtfError('it is cut off')
    return bytes.subarray(start, start + length)
  }
  const types = section(8)
  const strings = section(16)
  if (strings.length === 0 ? base === undefined : (base === undefined && strings[0] !== 0) || strings[strings.length - 1] !== 0) {
    throw new BtfError('its names are damaged')
  }
  if (types.length % 4 !== 0) throw new BtfError('its types are damaged')
  const aligned = types.byteOffset % 4 === 0 ? types : types.slice()
  const words = new Uint32Array(aligned.buffer, aligned.byteOffset, types.length / 4)
  const layout = header < headerWithLayout || bytes.length < headerWithLayout ? new Uint8Array() : section(24)
  if (base === undefined) return { words, strings, layout }
  return { words: joined(new Uint32Array(base.words.length + words.length), base.words, words),
    strings: joined(new Uint8Array(base.strings.length + strings.length), base.strings, strings), layout: layout.length > 0 ? layout : base.layout }
}

function joined<Of extends Uint8Array | Uint32Array>(all: Of, first: Of, second: Of): Of {
  all.set(first)
  all.set(second, first.length)
  return all
}

/** Where each type starts; the first has the id 1. Those whose names begin alike are a chain, from the last of them to the first. */
interface Index {
  readonly starts: Uint32Array
  readonly types: number
  /** The last type whose name begins like this. */
  readonly lastOf: Uint32Array
  /** The type before a type in its chain, or 0. */
  readonly before: Uint32Array
  readonly incomplete?: string
}

/** The shapes of kinds that are not known here, too, where the blob has them: `struct btf_layout`, a byte each for all bytes behind a type and for those of a member. */
function shapesWith(layout: Uint8Array): Uint16Array {
  if (layout.length === 0) return shapes
  return shapes.map((shape, kind) => {
    const [fixed, each] = layout.subarray(4 * kind, 4 * kind + 2)
    if (shape !== 0 || kind === 0 || fixed === undefined || each === undefined || fixed % 4 !== 0 || each % 4 !== 0) return shape
    return shapeOf([fixed / 4, each / 4])
  })
}

/** How a name begins: its first two bytes. */
function beginning(name: Uint8Array): number {
  return name[0]! << 8 | name[1]!
}

/**
 * Of a kernel these are 160,000 types, gone over before an engine has compiled this well: nothing is allocated on the way, nor a function called,
 * nor anything looked up that need not be.
 */
function index(words: Uint32Array, strings: Uint8Array, layout: Uint8Array): Index {
  const { length } = words
  const shapes = shapesWith(layout)
  const starts = new Uint32Array(Math.floor(length / 3) + 1)
  const lastOf = new Uint32Array(2 ** 16)
  const before = new Uint32Array(starts.length)
  let types = 0
  let at = 0
  while (at < length) {
    const info = words[at + 1]!
    const shape = shapes[info >>> 24 & 0x7f]!
    if (shape === 0) return { starts, types, lastOf, before, incomplete: `type ${types + 1} is of kind ${info >>> 24 & 0x7f}, which is unknown` }
    starts[++types] = at
    const name = words[at]!
    if (name !== 0) {
      const bucket = strings[name]! << 8 | strings[name + 1]!
      before[types] = lastOf[bucket]!
      lastOf[bucket] = types
    }
    at += (shape & 0xff) + (shape >> 8) * (info & 0xffffff)
  }
  if (at > length) throw new BtfError(`type ${types} is cut off`)
  return { starts, types, lastOf, before }
}
