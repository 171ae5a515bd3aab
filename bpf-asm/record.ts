import { AssemblyError, type Code, type Insn } from './code.js'
import {
  add, atomicAdd, type AtomicSize, atomicAnd, atomicOr, atomicXor, cmpxchg, fetchAdd, load, mov, type Operand, r10, type Register, type SignedSize,
  type Size, store, xchg,
} from './insn.js'

/** Integers in a record: unsigned, signed (`s…`), or unsigned in network byte order (`be…`). */
export type Integer = Size | SignedSize | 's64' | 'be16' | 'be32'

/** Bytes that are no integer: text that ends at a NUL, or raw. */
export interface Bytes {
  readonly bytes: number
  readonly isText: boolean
}

/** The type of a field. */
export type Shape = Integer | Bytes | RecordType<Fields>

/** A field at an explicit offset. */
export interface Placed<Of extends Shape = Shape> {
  readonly at: number
  readonly shape: Of
}

/** The fields of a record, by name. */
export type Fields = Readonly<Record<string, Shape | Placed>>

/** `char[length]`; in JavaScript a string, up to the NUL. */
export const text = (length: number): Bytes & { readonly isText: true } => ({ bytes: length, isText: true })
/** `u8[length]`; in JavaScript a Uint8Array. */
export const bytes = (length: number): Bytes & { readonly isText: false } => ({ bytes: length, isText: false })
/** A field at an explicit offset, such as one from a layout that other code shares. */
export const at = <Of extends Shape>(offset: number, shape: Of): Placed<Of> => ({ at: offset, shape })

/** The shape of a field, wherever it is. */
export type ShapeOf<Of> = Of extends Placed<infer Inner> ? Inner : Of
/** The value of a shape in JavaScript. */
export type ValueOf<Of> =
  Of extends 'u64' | 's64' ? bigint : Of extends Integer ? number : Of extends Bytes ? (Of['isText'] extends true ? string : Uint8Array)
    : Of extends RecordType<infer Inner> ? RecordValues<Inner> : never
/** What a program has of a shape in memory. */
export type ViewOf<Of> = Of extends Integer ? Field : Of extends RecordType<infer Inner> ? RecordView<Inner> : Located

/** A record in JavaScript: bigint for 64 bits, number for fewer, string for text, Uint8Array for bytes, an object for a record. */
export type RecordValues<Of extends Fields> = { readonly [Name in keyof Of]: ValueOf<ShapeOf<Of[Name]>> }

/** The property that holds the location. */
export const where = Symbol('where')

/** Something in memory, located relative to a register: a record or a field. */
export interface Located {
  readonly [where]: { readonly base: Register; readonly offset: number; readonly size: number }
}

/** A record in memory with its fields. */
export type RecordView<Of extends Fields> = Located & { readonly [Name in keyof Of]: ViewOf<ShapeOf<Of[Name]>> }

/** A register that points to a record, and is still a register. */
export type Pointer<Of extends Fields> = Register & RecordView<Of>

/** An integer in memory. Each method emits one instruction. All but `load` and `store` are atomic, and only for 4 and 8 bytes. */
export interface Field extends Located {
  /** `dst = field`; a signed one of up to 32 bits is sign-extended (since Linux 6.6), `be…` keeps network order */
  load(dst: Register): Insn
  /** `field = value` */
  store(value: Operand): Insn
  /** `lock field += src` */
  add(src: Register): Insn
  /** `lock field |= src` (this and the following since Linux 5.12) */
  or(src: Register): Insn
  /** `lock field &= src` */
  and(src: Register): Insn
  /** `lock field ^= src` */
  xor(src: Register): Insn
  /** `src = field`, then `field += ` the old `src` */
  fetchAdd(src: Register): Insn
  /** Swaps `src` and `field` */
  exchange(src: Register): Insn
  /** `field = src` if `field == r0`; `r0 =` the old value */
  compareExchange(src: Register): Insn
}

/** The fields of a record, for programs and for JavaScript. */
export interface RecordType<Of extends Fields> {
  readonly fields: Of
  /** Size in bytes. */
  readonly size: number
  /** The record that `register` points to. */
  in(register: Register): Pointer<Of>
  /** The record `offset` bytes after where `base` points. */
  at(base: Register, offset: number): RecordView<Of>
  /** The record at the top of the stack frame, 8-byte aligned: it ends at r10. */
  onStack(): RecordView<Of>
  /** Reads a record. Throws RangeError beyond the end of the view. */
  decode(view: DataView, offset?: number): RecordValues<Of>
  /** Writes a record, with zero padding. Throws RangeError for text that is too long and for bytes of another length. */
  encode(values: RecordValues<Of>): Uint8Array<ArrayBuffer>
}

const integers: Readonly<Record<Integer, { readonly load: Size | SignedSize; readonly store: Size }>> = {
  u8: { load: 'u8', store: 'u8' }, u16: { load: 'u16', store: 'u16' }, u32: { load: 'u32', store: 'u32' }, u64: { load: 'u64', store: 'u64' },
  s8: { load: 's8', store: 'u8' }, s16: { load: 's16', store: 'u16' }, s32: { load: 's32', store: 'u32' }, s64: { load: 'u64', store: 'u64' },
  be16: { load: 'u16', store: 'u16' }, be32: { load: 'u32', store: 'u32' },
}

const isPlaced = (field: Shape | Placed): field is Placed => typeof field === 'object' && 'shape' in field
const isBytes = (shape: Shape): shape is Bytes => typeof shape === 'object' && 'bytes' in shape
const bytesIn = (size: Size) => Number(size.slice(1)) / 8

function sizeOf(shape: Shape): number {
  if (typeof shape === 'string') return bytesIn(integers[shape].store)
  return isBytes(shape) ? shape.bytes : shape.size
}

/** Integers as in C. Bytes and records get the largest alignment that divides their size, so that they can be copied in words. */
function alignmentOf(shape: Shape): number {
  const size = sizeOf(shape)
  if (typeof shape === 'string') return size
  return [8, 4, 2].find(unit => size % unit === 0) ?? 1
}

const upTo = (offset: number, unit: number) => Math.ceil(offset / unit) * unit

/**
 * A record with these fields, in order: each at the next multiple of its alignment, or where `at` says. `size` overrides the size in bytes.
 * Throws AssemblyError for a field without a size or named `register`, and for a `size` that is too small.
 *
 * ```ts
 * const Flow = record({ tx: 'u64', rx: 'u64', port: 'be16', comm: text(16) })
 * const flow = Flow.in(r8)
 * flow.tx.add(r1)
 * ```
 */
export function record<const Of extends Fields>(fields: Of, size?: number): RecordType<Of> {
  const offsets: Record<string, number> = {}
  let [end, unit] = [0, 1]
  for (const [name, field] of Object.entries(fields)) {
    if (name === 'register') throw new AssemblyError('a field cannot be named register')
    const shape = isPlaced(field) ? field.shape : field
    const offset = isPlaced(field) ? field.at : upTo(end, alignmentOf(shape))
    if (!Number.isInteger(sizeOf(shape)) || sizeOf(shape) <= 0 || !Number.isInteger(offset) || offset < 0) {
      throw new AssemblyError(`field ${name} has ${sizeOf(shape)} bytes at ${offset}`)
    }
    offsets[name] = offset
    end = Math.max(end, offset + sizeOf(shape))
    unit = Math.max(unit, isPlaced(field) ? 1 : alignmentOf(shape))
  }
  if (size !== undefined && size < end) throw new AssemblyError(`the fields take ${end} bytes of ${size}`)
  const all = Object.entries(fields).map(([name, field]) => ({ name, offset: offsets[name]!, shape: isPlaced(field) ? field.shape : field }))
  // Programs use few fields of the many records that they name, so each is made when it is asked for.
  const views = Object.defineProperties({}, Object.fromEntries(all.map(({ name, offset, shape }) => [name, {
    enumerable: true,
    get(this: Located) {
      return viewOf(shape, this[where].base, this[where].offset + offset)
    },
  }])))
  const type: RecordType<Of> = {
    fields,
    size: size ?? upTo(end, unit),
    in: register => Object.assign(type.at(register, 0), { register: register.register }),
    at: (base, offset) => Object.assign(Object.create(views) as RecordView<Of>, located(base, offset, type.size)),
    onStack: () => type.at(r10, -upTo(type.size, 8)),
    decode: (view, offset = 0) => Object.fromEntries(
      all.map(field => [field.name, decoded(field.shape, view, offset + field.offset)])) as RecordValues<Of>,
    encode(values) {
      const out = new Uint8Array(type.size)
      for (const field of all) out.set(encoded(field.shape, values[field.name], field.name), field.offset)
      return out
    },
  }
  return type
}

/** `size` bytes, `offset` bytes after where `base` points. */
export const located = (base: Register, offset: number, size: number): Located => ({ [where]: { base, offset, size } })

function viewOf(shape: Shape, base: Register, offset: number): Located {
  if (typeof shape !== 'string') return isBytes(shape) ? located(base, offset, shape.bytes) : shape.at(base, offset)
  return fieldAt(base, offset, shape)
}

/** An integer `offset` bytes after where `base` points. */
export function fieldAt(base: Register, offset: number, shape: Integer): Field {
  return new Word(base, offset, shape)
}

class Word implements Field {
  readonly [where]: Located[typeof where]

  constructor(private readonly base: Register, private readonly offset: number, private readonly shape: Integer) {
    this[where] = { base, offset, size: bytesIn(integers[shape].store) }
  }

  /** Refused by the instruction unless it is one of 4 or 8 bytes. */
  private get atomic(): AtomicSize {
    return integers[this.shape].store as AtomicSize
  }

  load(dst: Register): Insn {
    return load(dst, integers[this.shape].load, this.base, this.offset)
  }

  store(value: Operand): Insn {
    return store(integers[this.shape].store, this.base, this.offset, value)
  }

  add(src: Register): Insn {
    return atomicAdd(this.atomic, this.base, this.offset, src)
  }

  or(src: Register): Insn {
    return atomicOr(this.atomic, this.base, this.offset, src)
  }

  and(src: Register): Insn {
    return atomicAnd(this.atomic, this.base, this.offset, src)
  }

  xor(src: Register): Insn {
    return atomicXor(this.atomic, this.base, this.offset, src)
  }

  fetchAdd(src: Register): Insn {
    return fetchAdd(this.atomic, this.base, this.offset, src)
  }

  exchange(src: Register): Insn {
    return xchg(this.atomic, this.base, this.offset, src)
  }

  compareExchange(src: Register): Insn {
    return cmpxchg(this.atomic, this.base, this.offset, src)
  }
}

/** An integer within a field or record, such as a word of an address. Throws AssemblyError when it is not all inside. */
export function part(of: Located, offset: number, shape: Integer): Field {
  const { base, offset: start, size } = of[where]
  if (offset < 0 || offset + sizeOf(shape) > size) throw new AssemblyError(`${sizeOf(shape)} bytes at ${offset} are not within ${size}`)
  return fieldAt(base, start + offset, shape)
}

/** `dst =` the address of a field or record, or a copy of a register. Emits a move and an addition, or what of these is needed. */
export function address(dst: Register, of: Located | Register): Code {
  const { base, offset } = where in of ? of[where] : { base: of, offset: 0 }
  return [base.register === dst.register ? [] : mov(dst, base), offset === 0 ? [] : add(dst, offset)]
}

/** The words of a field or record, with smaller units at the end. */
function words(of: Located): Field[] {
  const fields: Field[] = []
  for (let offset = 0, { size } = of[where]; offset < size;) {
    const unit = ([8, 4, 2, 1] as const).find(unit => offset + unit <= size)!
    fields.push(part(of, offset, ({ 8: 'u64', 4: 'u32', 2: 'u16', 1: 'u8' } as const)[unit]))
    offset += unit
  }
  return fields
}

/** Zeroes all of a field or record, padding too: a store per word. A key must have every byte initialised. */
export function zero(of: Located): Code {
  return words(of).map(word => word.store(0))
}

/** Copies a field or record through register `by`: a load and a store per word. Throws AssemblyError when the sizes differ. */
export function copy(to: Located, from: Located, by: Register): Code {
  if (to[where].size !== from[where].size) throw new AssemblyError(`${from[where].size} bytes cannot be copied to ${to[where].size}`)
  const targets = words(to)
  return words(from).map((word, index) => [word.load(by), targets[index]!.store(by)])
}

function decoded(shape: Shape, view: DataView, offset: number): unknown {
  if (typeof shape !== 'string') return isBytes(shape) ? decodedBytes(shape, view, offset) : shape.decode(view, offset)
  switch (shape) {
    case 'u8': return view.getUint8(offset)
    case 'u16': return view.getUint16(offset, true)
    case 'u32': return view.getUint32(offset, true)
    case 'u64': return view.getBigUint64(offset, true)
    case 's8': return view.getInt8(offset)
    case 's16': return view.getInt16(offset, true)
    case 's32': return view.getInt32(offset, true)
    case 's64': return view.getBigInt64(offset, true)
    case 'be16': return view.getUint16(offset)
    case 'be32': return view.getUint32(offset)
  }
}

function decodedBytes({ bytes, isText }: Bytes, view: DataView, offset: number): string | Uint8Array {
  const copy = new Uint8Array(view.buffer, view.byteOffset + offset, bytes).slice()
  if (offset + bytes > view.byteLength) throw new RangeError(`${bytes} bytes at ${offset} are not within ${view.byteLength}`)
  if (!isText) return copy
  const end = copy.indexOf(0)
  return new TextDecoder().decode(end < 0 ? copy : copy.subarray(0, end))
}

function encoded(shape: Shape, value: unknown, name: string): Uint8Array {
  if (typeof shape !== 'string') return isBytes(shape) ? encodedBytes(shape, value as string | Uint8Array, name) : shape.encode(value as never)
  const size = sizeOf(shape)
  const word = new DataView(new ArrayBuffer(8))
  const isNetwork = shape.startsWith('be')
  word.setBigUint64(0, BigInt.asUintN(8 * size, BigInt(value as number | bigint)) << BigInt(isNetwork ? 64 - 8 * size : 0), !isNetwork)
  return new Uint8Array(word.buffer, 0, size)
}

function encodedBytes({ bytes, isText }: Bytes, value: string | Uint8Array, name: string): Uint8Array {
  const content = typeof value === 'string' ? new TextEncoder().encode(value) : value
  if (isText ? content.length > bytes : content.length !== bytes) throw new RangeError(`${name} has ${content.length} bytes, and there are ${bytes}`)
  return content
}
