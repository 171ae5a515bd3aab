import type { Btf, Func } from '../../bpf-asm/index.js'
import type { AttachType, ProgramType } from '../../syscall/index.js'

/** Where a program runs. Typed tracepoints, entries, exits and iterators are found in the kernel's BTF, the others by name. */
export type Point =
  | { readonly tracepoint: string }
  | { readonly rawTracepoint: string }
  /** Of a function, by ftrace. */
  | { readonly entry: string }
  | { readonly exit: string }
  | { readonly kprobe: string }
  /** Runs once at the start. */
  | { readonly iterator: string }
  /** Runs over all that a map holds, whenever the tracer asks for it. */
  | { readonly sweep: string; readonly map: string }

const kindNames = {
  tracepoint: 'tracepoint', rawTracepoint: 'raw tracepoint', entry: 'entry of', exit: 'return of', kprobe: 'kprobe', iterator: 'iterator', sweep: 'sweep of',
} as const

/** A point as one reads it: `tracepoint sock_send_length`. */
export function pointName(on: Point): string {
  const [[kind, name] = []] = Object.entries(on)
  return `${kindNames[kind as keyof typeof kindNames]} ${name}`
}

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

/** What a program at a point is loaded as; undefined when the kernel has no such point. */
export function loadAt(on: Point, places: Places): Load | undefined {
  const tracing = (attachType: AttachType, btfId: number | undefined): Load | undefined =>
    btfId === undefined ? undefined : { type: 'tracing', attachType, btfId }
  if ('tracepoint' in on) return tracing('trace_raw_tp', places.tracepoint(on.tracepoint))
  if ('iterator' in on) return tracing('trace_iter', places.iterator(on.iterator))
  if ('sweep' in on) return tracing('trace_iter', places.iterator(on.sweep))
  if ('entry' in on) return tracing('trace_fentry', places.func(on.entry)?.id)
  if ('exit' in on) return tracing('trace_fexit', places.func(on.exit)?.id)
  if ('rawTracepoint' in on) return places.mayHaveTracepoint(on.rawTracepoint) ? { type: 'raw_tracepoint' } : undefined
  return places.mayHaveFunction(on.kprobe) ? { type: 'kprobe' } : undefined
}

/**
 * Where a kprobe at the entry of a function finds its first argument, as an offset into `struct pt_regs`, by Node's name of the machine:
 * `di` of arch/x86/include/asm/ptrace.h, `regs[0]` of arch/arm64/include/uapi/asm/ptrace.h. Undefined for other machines.
 */
export function firstArgument(arch: string): number | undefined {
  return { x64: 112, arm64: 0 }[arch]
}
