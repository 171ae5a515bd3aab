import type { Btf, Func } from '../bpf-asm/index.js'
import { type Field, fieldsOf } from './program/index.js'

/** What this kernel has, as far as it can be told without privileges. */
export interface Facts {
  /** Where the kernel keeps what the programs read. Throws BtfError when something is missing. */
  field(): Field
  /** Where a kprobe at the entry of a function finds its first argument: offset into `struct pt_regs`; undefined on unknown machines. */
  readonly firstArgument: number | undefined
  /** The BTF id that a typed program on this tracepoint is attached by, a typedef `btf_trace_<name>` (since 5.5). */
  tracepoint(name: string): number | undefined
  /** A function, for a program at its entry or return (since 5.5). */
  func(name: string): Func | undefined
  /** The BTF id of an iterator, a function `bpf_iter_<name>` (since 5.8). */
  iterator(name: string): number | undefined
  /** Whether there is a helper of this name, for programs of some type. */
  helper(name: string): boolean
  /** Whether there is a tracepoint, a function of this name; true also where that cannot be told. */
  mayHaveTracepoint(name: string): boolean
  mayHaveFunction(name: string): boolean
}

/** By Node's name of the machine: `di` of arch/x86/include/asm/ptrace.h, `regs[0]` of arch/arm64/include/uapi/asm/ptrace.h. */
const firstArgument: Readonly<Record<string, number>> = { x64: 112, arm64: 0 }

/** Tells the facts from the BTF of the running kernel and the machine it runs on. */
export function factsOf(btf: Btf, arch: string): Facts {
  const tracepoint = (name: string) => btf.typedef(`btf_trace_${name}`)
  return {
    field: () => fieldsOf(btf),
    firstArgument: firstArgument[arch],
    tracepoint,
    func: name => btf.func(name),
    iterator: name => btf.func(`bpf_iter_${name}`)?.id,
    helper: name => btf.enumValue('bpf_func_id', `BPF_FUNC_${name}`) !== undefined,
    mayHaveTracepoint: name => tracepoint(name) !== undefined,
    mayHaveFunction: name => btf.func(name) !== undefined,
  }
}

/** The facts of a kernel whose own BTF is not known, only the fields: nothing is found by its id there, but some things by their names. */
export function factsByName(field: Field, arch: string): Facts {
  return {
    field: () => field,
    firstArgument: firstArgument[arch],
    tracepoint: () => undefined,
    func: () => undefined,
    iterator: () => undefined,
    helper: () => false,
    mayHaveTracepoint: () => true,
    mayHaveFunction: () => true,
  }
}
