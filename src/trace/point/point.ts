import type { Btf, Func } from '../../../bpf-asm/index.js'
import type { AttachType, BpfMap, Descriptor, Iterator, Kernel, Program, ProgramType } from '../../../syscall/index.js'

/** What a kernel has to attach programs to. */
export interface Places {
  /** The BTF in which they were found; a program reads the running kernel's when this is missing. */
  readonly btf?: Btf
  /** The BTF id that a typed program on this tracepoint is attached by, a typedef `btf_trace_<name>` (since 5.5). */
  tracepoint(name: string): number | undefined
  /** A function, for a program at its entry or return (since 5.5). */
  func(name: string): Func | undefined
  /** The BTF id of an iterator, a function `bpf_iter_<name>` (since 5.8). */
  iterator(name: string): number | undefined
  /** Whether there is a tracepoint, a function of this name; true also where that is not known. */
  mayHaveTracepoint(name: string): boolean
  mayHaveFunction(name: string): boolean
}

/** The points of a kernel with this BTF. */
export function placesOf(btf: Btf): Places {
  const tracepoint = (name: string) => btf.typedef(`btf_trace_${name}`)
  return {
    btf,
    tracepoint,
    func: name => btf.func(name),
    iterator: name => btf.func(`bpf_iter_${name}`)?.id,
    mayHaveTracepoint: name => tracepoint(name) !== undefined,
    mayHaveFunction: name => btf.func(name) !== undefined,
  }
}

/** The points of a kernel without BTF: raw tracepoints and kprobes, which are attached by name, and nothing else. */
export const byName: Places = {
  tracepoint: () => undefined,
  func: () => undefined,
  iterator: () => undefined,
  mayHaveTracepoint: () => true,
  mayHaveFunction: () => true,
}

/** What a program is loaded as. */
export interface Load {
  readonly type: ProgramType
  readonly attachType?: AttachType
  /** The BTF id that it is loaded and attached for, where it is found by that. */
  readonly btfId?: number
}

/** What a program of type tracing is loaded as; undefined without a BTF id. */
export function tracing(attachType: AttachType, btfId: number | undefined): Load | undefined {
  return btfId === undefined ? undefined : { type: 'tracing', attachType, btfId }
}

/** What a program is called with, as a function. Offsets are relative to r1 at its start. */
export interface Signature {
  /** The parameters and the result, from the kernel's BTF; undefined when that has none. Looked up when it is asked for. */
  readonly func: Func | undefined
  /** Where the argument at this position is, from 0 on; undefined when this machine has it in no place that is known. */
  offset(position: number): number | undefined
  /** Where the result is; undefined when it is not known yet: everywhere but at a return. */
  readonly result: number | undefined
}

/** Arguments as tracing programs and raw tracepoints have them, in 8 bytes each, and behind them at a return the result. */
export function words(find: () => Func | undefined, isReturn = false): Signature {
  const offset = (position: number) => 8 * position
  return {
    get func() {
      return find()
    },
    offset,
    get result() {
      const func = isReturn ? find() : undefined
      return func && offset(func.params.length)
    },
  }
}

/** A place in the kernel where programs run, of any kind. */
export type AttachPoint = {
  /** As one reads it: `tracepoint sock_send_length`. */
  readonly name: string
  /** The function of the kernel at which it is, if it is at one. */
  readonly func?: string
  /** What a program there is loaded as; undefined when the kernel has no such point. */
  load(places: Places): Load | undefined
  /** What a program there is called with, on a machine by Node's name of it. */
  call(places: Places, arch: string): Signature
} & (
  | {
    readonly runs: 'at events'
    /** Lets a program run there from now on. Throws SyscallError; UnsupportedError where the kernel has no kprobes. */
    attach(kernel: Kernel, program: Program): Descriptor
  }
  | {
    readonly runs: 'at start'
    /** Attaches a program that runs when it is read. Throws SyscallError. */
    attach(kernel: Kernel, program: Program): Iterator
  }
  | {
    readonly runs: 'on request'
    /** The name of the map over whose entries a program runs. */
    readonly map: string
    /** Attaches a program that runs over the entries of `over` when it is read. Throws SyscallError. */
    attach(kernel: Kernel, program: Program, over?: BpfMap): Iterator
  }
)

/** A kind of attach points: how a literal such as `{ tracepoint: 'tcp_probe' }` becomes one. */
export interface PointKind<Literal> {
  /** What several are called. */
  readonly title: string
  /** What kernel has such points. */
  readonly needs: string
  at(on: Literal): AttachPoint
}
