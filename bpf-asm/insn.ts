import { AssemblyError, type Code, type Insn, isLabel, isList, type Label, site, type Target } from './code.js'
import { helperId, type HelperName } from './helper.js'
import { Alu, Atomic, Class, Jump, loadImm64Code, Mode, Pseudo, OperandSource, Width } from './opcode.js'

/** One of the eleven registers. */
export interface Register {
  readonly register: number
}

const register = (number: number): Register => Object.freeze({ register: number })
/** What a call and the program return. */
export const r0 = register(0)
/** The first argument of a call, the context at the start; clobbered by calls like the four after it. */
export const r1 = register(1)
/** The second argument. */
export const r2 = register(2)
/** The third argument. */
export const r3 = register(3)
/** The fourth argument. */
export const r4 = register(4)
/** The fifth argument. */
export const r5 = register(5)
/** Kept over calls, like the three after it. */
export const r6 = register(6)
/** Kept over calls. */
export const r7 = register(7)
/** Kept over calls. */
export const r8 = register(8)
/** Kept over calls. */
export const r9 = register(9)
/** The frame pointer: the end of 512 bytes of stack; read-only. */
export const r10 = register(10)

const registers: readonly Register[] = [r0, r1, r2, r3, r4, r5, r6, r7, r8, r9, r10]

/** Sizes of what is loaded and stored: bytes 1, 2, 4 and 8. */
export type Size = 'u8' | 'u16' | 'u32' | 'u64'
/** Sizes of what is loaded with its sign (since Linux 6.6). */
export type SignedSize = 's8' | 's16' | 's32'
/** Atomic operations exist on words of these sizes alone. */
export type AtomicSize = 'u32' | 'u64'

/** The source of most instructions: a register, or an immediate. */
export type Operand = Register | number

const int32 = 0x80000000

function readable(register: Register): number {
  if (registers[register.register] === undefined) throw new AssemblyError(`no register r${register.register}`)
  return register.register
}

function writable(register: Register): number {
  if (register.register === 10) throw new AssemblyError('r10 is the frame pointer and cannot be written')
  return readable(register)
}

function inRange(what: string, value: number, from: number, to: number): number {
  if (Number.isInteger(value) && value >= from && value <= to) return value
  throw new AssemblyError(`${what} must be an integer of ${from} to ${to}, got ${value}`)
}

/** A signed 32-bit immediate; where only 32 bits of it matter it may be written unsigned too. */
const immediate = (value: number, wide: boolean) => inRange('an immediate', value, -int32, wide ? int32 - 1 : 2 * int32 - 1) | 0
const displacement = (value: number) => inRange('an offset', value, -0x8000, 0x7fff)

function insn(code: number, dst: number, src: number, off: number, imm: number): Insn {
  return { code, dst, src, off, imm, site: site() }
}

function alu(operation: number, wide: boolean, off = 0) {
  const code = (wide ? Class.alu64 : Class.alu) | operation
  return (dst: Register, src: Operand): Insn => typeof src === 'number'
    ? insn(code | OperandSource.imm, writable(dst), 0, off, immediate(src, wide))
    : insn(code | OperandSource.reg, writable(dst), readable(src), off, 0)
}

/** Division by an immediate zero is refused by the kernel; by a register that holds zero it gives 0, and mod leaves dst. */
function divide(operation: number, wide: boolean, off = 0) {
  const emit = alu(operation, wide, off)
  return (dst: Register, src: Operand): Insn => {
    if (src === 0) throw new AssemblyError('division by zero')
    return emit(dst, src)
  }
}

/** A shift by an immediate of the operand's width or more is refused by the kernel; by a register it is taken modulo that. */
function shift(operation: number, wide: boolean) {
  const emit = alu(operation, wide)
  return (dst: Register, src: Operand): Insn =>
    emit(dst, typeof src === 'number' ? inRange('a shift', src, 0, wide ? 63 : 31) : src)
}

/** `dst = src`; an immediate is sign-extended. */
export const mov = alu(Alu.mov, true)
/** `dst += src` */
export const add = alu(Alu.add, true)
/** `dst -= src` */
export const sub = alu(Alu.sub, true)
/** `dst *= src` */
export const mul = alu(Alu.mul, true)
/** `dst /= src`, unsigned */
export const div = divide(Alu.div, true)
/** `dst |= src` */
export const or = alu(Alu.or, true)
/** `dst &= src` */
export const and = alu(Alu.and, true)
/** `dst <<= src` */
export const lsh = shift(Alu.lsh, true)
/** `dst >>= src` */
export const rsh = shift(Alu.rsh, true)
/** `dst %= src`, unsigned */
export const mod = divide(Alu.mod, true)
/** `dst ^= src` */
export const xor = alu(Alu.xor, true)
/** `dst s>>= src`: the sign moves in */
export const arsh = shift(Alu.arsh, true)
/** `dst s/= src` (since Linux 6.6) */
export const sdiv = divide(Alu.div, true, 1)
/** `dst s%= src` (since Linux 6.6) */
export const smod = divide(Alu.mod, true, 1)

// The same on the lower halves, "w" in listings; the upper half of dst becomes zero.
/** `wdst = wsrc` */
export const mov32 = alu(Alu.mov, false)
/** `wdst += wsrc` */
export const add32 = alu(Alu.add, false)
/** `wdst -= wsrc` */
export const sub32 = alu(Alu.sub, false)
/** `wdst *= wsrc` */
export const mul32 = alu(Alu.mul, false)
/** `wdst /= wsrc` */
export const div32 = divide(Alu.div, false)
/** `wdst |= wsrc` */
export const or32 = alu(Alu.or, false)
/** `wdst &= wsrc` */
export const and32 = alu(Alu.and, false)
/** `wdst <<= wsrc` */
export const lsh32 = shift(Alu.lsh, false)
/** `wdst >>= wsrc` */
export const rsh32 = shift(Alu.rsh, false)
/** `wdst %= wsrc` */
export const mod32 = divide(Alu.mod, false)
/** `wdst ^= wsrc` */
export const xor32 = alu(Alu.xor, false)
/** `wdst s>>= wsrc` */
export const arsh32 = shift(Alu.arsh, false)
/** `wdst s/= wsrc` (since Linux 6.6) */
export const sdiv32 = divide(Alu.div, false, 1)
/** `wdst s%= wsrc` (since Linux 6.6) */
export const smod32 = divide(Alu.mod, false, 1)

/** `dst = -dst` */
export const neg = (dst: Register): Insn => insn(Class.alu64 | Alu.neg, writable(dst), 0, 0, 0)
/** `wdst = -wdst` */
export const neg32 = (dst: Register): Insn => insn(Class.alu | Alu.neg, writable(dst), 0, 0, 0)

function oneOf<T>(what: string, value: T, values: readonly T[]): T {
  if (values.includes(value)) return value
  throw new AssemblyError(`${what} must be one of ${values.join(', ')}, got ${String(value)}`)
}

function signExtend(klass: number, widths: readonly number[]) {
  return (dst: Register, src: Register, bits: number): Insn =>
    insn(klass | Alu.mov | OperandSource.reg, writable(dst), readable(src), oneOf('bits', bits, widths), 0)
}

/** `dst = (s8)src`, `(s16)src` or `(s32)src` (since Linux 6.6) */
export const movsx: (dst: Register, src: Register, bits: 8 | 16 | 32) => Insn = signExtend(Class.alu64, [8, 16, 32])
/** `dst = (s8)src` or `(s16)src` on the lower half (since Linux 6.6) */
export const movsx32: (dst: Register, src: Register, bits: 8 | 16) => Insn = signExtend(Class.alu, [8, 16])

function swap(code: number) {
  return (dst: Register, bits: 16 | 32 | 64): Insn => insn(code, writable(dst), 0, 0, oneOf('bits', bits, [16, 32, 64]))
}

/** `dst = le16 dst`: to little-endian, cut to that many bits */
export const le = swap(Class.alu | Alu.end | OperandSource.imm)
/** `dst = be16 dst`: to big-endian */
export const be = swap(Class.alu | Alu.end | OperandSource.reg)
/** `dst = be16 dst`: from network to host order, and back; of a port, for example. */
export const ntohs = (dst: Register): Insn => be(dst, 16)
/** `dst = be32 dst`: from network to host order, and back. */
export const ntohl = (dst: Register): Insn => be(dst, 32)
/** `dst = bswap16 dst`: to the other order, on any machine (since Linux 6.6) */
export const bswap = swap(Class.alu64 | Alu.end | OperandSource.imm)

const unsigned: readonly Size[] = ['u8', 'u16', 'u32', 'u64']
const loadable: readonly (Size | SignedSize)[] = [...unsigned, 's8', 's16', 's32']

const width = (size: Size): number => Width[oneOf('a size', size, unsigned)]

/** A store keeps only the lowest bits of its immediate: it must fit them, signed or unsigned. 64 bits are the 32 sign-extended. */
function stored(value: number, size: Size): number {
  const half = size === 'u64' ? int32 : 2 ** (Number(size.slice(1)) - 1)
  return inRange('an immediate', value, -half, size === 'u64' ? int32 - 1 : 2 * half - 1) | 0
}

/** `dst = *(size *)(src + off)`; a signed size extends the sign (since Linux 6.6) */
export function load(dst: Register, size: Size | SignedSize, src: Register, off: number): Insn {
  const mode = oneOf('a size', size, loadable).startsWith('s') ? Mode.memsx : Mode.mem
  const bits = Width[`u${size.slice(1)}` as Size]
  return insn(Class.ldx | mode | bits, writable(dst), readable(src), displacement(off), 0)
}

/** `*(size *)(dst + off) = value` */
export function store(size: Size, dst: Register, off: number, value: Operand): Insn {
  return typeof value === 'number'
    ? insn(Class.st | Mode.mem | width(size), readable(dst), 0, displacement(off), stored(value, size))
    : insn(Class.stx | Mode.mem | width(size), readable(dst), readable(value), displacement(off), 0)
}

function atomic(imm: number) {
  return (size: AtomicSize, dst: Register, off: number, src: Register): Insn =>
    insn(Class.stx | Mode.atomic | width(oneOf('an atomic size', size, ['u32', 'u64'])), readable(dst),
      imm & Atomic.fetch ? writable(src) : readable(src), displacement(off), imm)
}

/** `lock *(size *)(dst + off) += src` */
export const atomicAdd = atomic(Atomic.add)
/** `lock *(size *)(dst + off) |= src` (this and the following since Linux 5.12) */
export const atomicOr = atomic(Atomic.or)
/** `lock *(size *)(dst + off) &= src` */
export const atomicAnd = atomic(Atomic.and)
/** `lock *(size *)(dst + off) ^= src` */
export const atomicXor = atomic(Atomic.xor)
/** `src = atomic_fetch_add((size *)(dst + off), src)`: src becomes what was there before */
export const fetchAdd = atomic(Atomic.add | Atomic.fetch)
/** `src = atomic_fetch_or((size *)(dst + off), src)` */
export const fetchOr = atomic(Atomic.or | Atomic.fetch)
/** `src = atomic_fetch_and((size *)(dst + off), src)` */
export const fetchAnd = atomic(Atomic.and | Atomic.fetch)
/** `src = atomic_fetch_xor((size *)(dst + off), src)` */
export const fetchXor = atomic(Atomic.xor | Atomic.fetch)
/** `src = atomic_xchg((size *)(dst + off), src)` */
export const xchg = atomic(Atomic.xchg)
/** `r0 = atomic_cmpxchg((size *)(dst + off), r0, src)`: stores src if r0 is there; r0 becomes what was there */
export const cmpxchg = atomic(Atomic.cmpxchg)

/** `dst = load_acquire((size *)(src + off))` (since Linux 6.15) */
export function loadAcquire(dst: Register, size: Size, src: Register, off: number): Insn {
  return insn(Class.stx | Mode.atomic | width(size), writable(dst), readable(src), displacement(off), Atomic.loadAcquire)
}

/** `store_release((size *)(dst + off), src)` (since Linux 6.15) */
export function storeRelease(size: Size, dst: Register, off: number, src: Register): Insn {
  return insn(Class.stx | Mode.atomic | width(size), readable(dst), readable(src), displacement(off), Atomic.storeRelease)
}

/** The target of an instruction, until it is assembled. */
function goal(to: Target): Pick<Insn, 'label' | 'place'> {
  if (to === '') throw new AssemblyError('a label needs a name')
  return typeof to === 'string' ? { label: to } : { place: to }
}

function jump(operation: number, wide: boolean) {
  const code = (wide ? Class.jmp : Class.jmp32) | operation
  const emit = (dst: Register, src: Operand, to: Target): Insn => ({
    ...(typeof src === 'number'
      ? insn(code | OperandSource.imm, readable(dst), 0, 0, immediate(src, wide))
      : insn(code | OperandSource.reg, readable(dst), readable(src), 0, 0)),
    ...goal(to),
    site: site(),
  })
  return emit
}

const goto = (code: number) => (to: Target): Insn => ({ ...insn(code, 0, 0, 0, 0), ...goal(to) })

/** `goto label`, at most 32,767 slots away */
export const ja = goto(Class.jmp | Jump.ja)
/** `gotol label`, as far as you like (since Linux 6.6) */
export const gotol = goto(Class.jmp32 | Jump.ja)
/** `may_goto label`: goes there once the loop has run too often (since Linux 6.9) */
export const mayGoto = goto(Class.jmp | Jump.jcond)

/** `if dst == src goto label`; an immediate is sign-extended */
export const jeq = jump(Jump.jeq, true)
/** `if dst != src goto label` */
export const jne = jump(Jump.jne, true)
/** `if dst > src goto label`, unsigned like the three after it */
export const jgt = jump(Jump.jgt, true)
/** `if dst >= src goto label` */
export const jge = jump(Jump.jge, true)
/** `if dst < src goto label` */
export const jlt = jump(Jump.jlt, true)
/** `if dst <= src goto label` */
export const jle = jump(Jump.jle, true)
/** `if dst s> src goto label`, signed like the three after it */
export const jsgt = jump(Jump.jsgt, true)
/** `if dst s>= src goto label` */
export const jsge = jump(Jump.jsge, true)
/** `if dst s< src goto label` */
export const jslt = jump(Jump.jslt, true)
/** `if dst s<= src goto label` */
export const jsle = jump(Jump.jsle, true)
/** `if dst & src goto label` */
export const jset = jump(Jump.jset, true)

// The same on the lower halves (since Linux 5.1).
/** `if wdst == wsrc goto label` */
export const jeq32 = jump(Jump.jeq, false)
/** `if wdst != wsrc goto label` */
export const jne32 = jump(Jump.jne, false)
/** `if wdst > wsrc goto label` */
export const jgt32 = jump(Jump.jgt, false)
/** `if wdst >= wsrc goto label` */
export const jge32 = jump(Jump.jge, false)
/** `if wdst < wsrc goto label` */
export const jlt32 = jump(Jump.jlt, false)
/** `if wdst <= wsrc goto label` */
export const jle32 = jump(Jump.jle, false)
/** `if wdst s> wsrc goto label` */
export const jsgt32 = jump(Jump.jsgt, false)
/** `if wdst s>= wsrc goto label` */
export const jsge32 = jump(Jump.jsge, false)
/** `if wdst s< wsrc goto label` */
export const jslt32 = jump(Jump.jslt, false)
/** `if wdst s<= wsrc goto label` */
export const jsle32 = jump(Jump.jsle, false)
/** `if wdst & wsrc goto label` */
export const jset32 = jump(Jump.jset, false)

function loadTwoSlots(dst: Register, src: number, imm: number, high: number): Insn & { readonly high: number } {
  return { ...insn(loadImm64Code, writable(dst), src, 0, imm | 0), high: high | 0 }
}

/** `dst = value`: 64 bits, signed or unsigned */
export function loadImm64(dst: Register, value: bigint | number): Insn {
  if (typeof value === 'number' && !Number.isSafeInteger(value)) throw new AssemblyError(`${value} is not exact: give a bigint`)
  const wide = BigInt(value)
  if (wide < -(1n << 63n) || wide >= 1n << 64n) throw new AssemblyError(`${wide} does not fit into 64 bits`)
  return loadTwoSlots(dst, 0, Number(BigInt.asIntN(32, wide)), Number(BigInt.asIntN(32, wide >> 32n)))
}

/** `dst = map`: a map by the name that `encode` is given its descriptor under */
export function loadMap(dst: Register, map: string): Insn {
  return { ...loadTwoSlots(dst, Pseudo.mapFd, 0, 0), map }
}

/** `dst = &map.value[off]`: inside the first value of an array map (since Linux 5.2) */
export function loadMapValue(dst: Register, map: string, off: number): Insn {
  return { ...loadTwoSlots(dst, Pseudo.mapValue, 0, inRange('an offset', off, 0, int32 - 1)), map }
}

/** `dst = &variable`: a kernel variable by its BTF id (since Linux 5.10) */
export function loadVariable(dst: Register, btfId: number): Insn {
  return loadTwoSlots(dst, Pseudo.btfId, inRange('a BTF id', btfId, 1, int32 - 1), 0)
}

/** `dst = &function`: one of this program's, for helpers that call back (since Linux 5.13) */
export function loadFunction(dst: Register, label: Target): Insn {
  return { ...loadTwoSlots(dst, Pseudo.func, 0, 0), ...goal(label) }
}

/** `r0 = bpf_helper(r1, …, r5)`; clobbers r1 to r5 */
export function call(helper: HelperName): Insn {
  const id = helperId(helper)
  if (id === undefined || id === 0) throw new AssemblyError(`no helper bpf_${helper}`)
  return insn(Class.jmp | Jump.call, 0, 0, 0, id)
}

/** A function of the kernel that programs may call. */
export interface Kfunc {
  readonly name: string
  /** Its id in the kernel's BTF, or in that of the module that has it. */
  readonly id: number
}

/** `r0 = kernel_function(r1, …, r5)` (since Linux 5.13); `module` is an index into the program's `fd_array` */
export function callKfunc({ name, id }: Kfunc, module = 0): Insn {
  const off = inRange('a module', module, 0, 0x7fff)
  return { ...insn(Class.jmp | Jump.call, 0, Pseudo.kfunc, off, inRange('a BTF id', id, 1, int32 - 1)), kfunc: name }
}

/** `r0 = function(r1, …, r5)`: one of this program's, which has a stack of its own and keeps r6 to r9 */
export function callFunction(label: Target): Insn {
  return { ...insn(Class.jmp | Jump.call, 0, Pseudo.call, 0, 0), ...goal(label) }
}

/** `return r0` */
export function exit(): Insn {
  return insn(Class.jmp | Jump.exit, 0, 0, 0, 0)
}

/** Names the next instruction, or says that a place is here. */
export function label(at: Target): Label {
  if (at === '') throw new AssemblyError('a label needs a name')
  return typeof at === 'string' ? { define: at, site: site() } : { define: at.name, place: at, site: site() }
}

/** Says why the first instruction of `code` is there. Throws AssemblyError when there is none. */
export function note(text: string, ...code: readonly Code[]): Code {
  let noted = false
  const annotate = (part: Code): Code => {
    if (noted) return part
    if (isList(part)) return part.map(annotate)
    if (isLabel(part)) return part
    noted = true
    return { ...part, note: text }
  }
  const annotated = code.map(annotate)
  if (!noted) throw new AssemblyError(`nothing to note "${text}" on`)
  return annotated
}
