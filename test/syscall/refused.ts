import { readFileSync } from 'node:fs'
import {
  add, assemble, type Assembly, call, type Code, encode, exit, ja, jeq, label, load, loadMap, mov, note, parseBtf, r0, r1, r2, r3, r6, r10, store,
} from '../../bpf-asm/index.js'
import { type Kernel, type ProgramSpec, VerifierError } from '../../syscall/index.js'

/** A program with a common mistake. */
export interface Refused {
  /** Also the name of its logs in the fixture. */
  readonly name: string
  readonly assembly: Assembly
  readonly license?: string
  /** The tracepoint that it is for, with typed arguments; none for a raw tracepoint. */
  readonly tracepoint?: string
  /** A word of what it is told to mean. */
  readonly meaning: RegExp
  /** A word of what the verifier says, in whichever kernel. */
  readonly says: RegExp
}

const maps = {
  numbers: { name: 'numbers', type: 'hash', keySize: 4, valueSize: 8, maxEntries: 10 },
  events: { name: 'events', type: 'ringbuf', keySize: 0, valueSize: 0, maxEntries: 4096 },
} as const

const end: Code = [mov(r0, 0), exit()]
/** `r0 =` the value of key 1. */
const find: Code = [store('u32', r10, -4, 1), mov(r2, r10), add(r2, -4), loadMap(r1, 'numbers'), call('map_lookup_elem')]

const programs: readonly (Omit<Refused, 'assembly'> & { readonly code: Code })[] = [
  { name: 'or-null', meaning: /it may be 0/, says: /_or_null/, code: [find, note('the count', load(r1, 'u64', r0, 0)), end] },
  { name: 'scalar', meaning: /a number is used as a pointer/, says: /invalid mem access '(scalar|inv)'/, code: [
    note('a pointer of the kernel', load(r6, 'u64', r1, 0)), note('its first field', load(r1, 'u64', r6, 0)), end,
  ] },
  { name: 'not-set', meaning: /holds nothing/, says: /R2 !read_ok/, code: [
    mov(r2, 1), call('ktime_get_ns'), note('lost in the call', add(r0, r2)), exit(),
  ] },
  { name: 'unbounded', meaning: /may be anything/, says: /unbounded/, code: [
    load(r6, 'u64', r1, 0), find, jeq(r0, 0, 'none'), note('the index is the argument', add(r0, r6)), load(r1, 'u8', r0, 0), label('none'), end,
  ] },
  { name: 'beyond-value', meaning: /beyond the end/, says: /invalid access to map value/, code: [
    find, jeq(r0, 0, 'none'), note('the second word', load(r1, 'u64', r0, 8)), label('none'), end,
  ] },
  { name: 'stack', meaning: /512 bytes/, says: /stack/, code: [note('a large buffer', store('u64', r10, -520, 0)), end] },
  { name: 'gpl', license: 'MIT', meaning: /licence/, says: /GPL/, code: [
    mov(r1, r10), add(r1, -8), mov(r2, 8), mov(r3, 0), note('for the GPL alone', call('probe_read_kernel')), end,
  ] },
  { name: 'helper', meaning: /may not call that function/, says: /unknown func|cannot use helper/, code: [
    mov(r1, 5), note('from a tracepoint', call('redirect')), end,
  ] },
  { name: 'argument', meaning: /of the wrong kind/, says: /expected=/, code: [
    loadMap(r1, 'numbers'), mov(r2, 1), note('the key itself', call('map_lookup_elem')), end,
  ] },
  { name: 'loop', meaning: /does not come to an end/, says: /infinite loop|back-edge/, code: [
    mov(r0, 0), label('again'), note('r0 does not change', jeq(r0, 0, 'again')), exit(),
  ] },
  { name: 'too-large', meaning: /does not come to an end/, says: /too large|too complex/, code: [
    mov(r0, 0), label('again'), load(r6, 'u64', r1, 0), note('nothing bounds it', add(r0, 1)), jeq(r6, 0, 'out'), ja('again'), label('out'), exit(),
  ] },
  { name: 'context', meaning: /no such place/, says: /invalid bpf_context access/, code: [note('beyond all arguments', load(r1, 'u64', r1, 1024)), end] },
  { name: 'beyond-struct', tracepoint: 'tcp_destroy_sock', meaning: /no such field/, says: /access beyond struct/, code: [
    note('struct sock', load(r6, 'u64', r1, 0)), note('not that large', load(r1, 'u64', r6, 32232)), end,
  ] },
  { name: 'leak', meaning: /given back/, says: /Unreleased reference|reference leak/, code: [
    loadMap(r1, 'events'), mov(r2, 8), mov(r3, 0), call('ringbuf_reserve'), note('never submitted', jeq(r0, 0, 'none')), label('none'), end,
  ] },
  { name: 'unreachable', meaning: /no way leads/, says: /unreachable insn/, code: [ja('end'), note('forgotten', mov(r1, 1)), label('end'), end] },
]

export const refused: readonly Refused[] = programs.map(({ code, ...rest }) => ({ ...rest, assembly: assemble(code) }))

function typeFor(tracepoint: string | undefined): Pick<ProgramSpec, 'type' | 'expectedAttachType' | 'attachBtfId'> {
  if (tracepoint === undefined) return { type: 'raw_tracepoint' }
  const attachBtfId = parseBtf(readFileSync('/sys/kernel/btf/vmlinux')).typedef(`btf_trace_${tracepoint}`) ?? 0
  return { type: 'tracing', expectedAttachType: 'trace_raw_tp', attachBtfId }
}

/** How the kernel refuses it. Throws when it does not. */
export function refuse(kernel: Kernel, { assembly, license = 'GPL', tracepoint }: Refused, more: Partial<ProgramSpec> = {}): VerifierError {
  const made = assembly.maps.map(name => kernel.createMap(maps[name as keyof typeof maps]))
  const fds = Object.fromEntries(made.map(({ name, fd }) => [name, fd]))
  const spec: ProgramSpec = { name: 'refused', ...typeFor(tracepoint), insns: encode(assembly, fds), license, ...more }
  try {
    kernel.loadProgram(spec).close()
  } catch (error) {
    if (error instanceof VerifierError) return error
    throw error
  } finally {
    for (const map of made) map.close()
  }
  throw new Error('the kernel takes it')
}
