import type { Btf } from '../bpf-asm/index.js'

/** What this kernel has, as far as it can be told without privileges. */
export interface Facts {
  readonly btf: Btf
  /** The BTF id that a program on this tracepoint is attached by, a typedef `btf_trace_<name>` (since 5.5). */
  tracepoint(name: string): number | undefined
  /** The BTF id of an iterator, a function `bpf_iter_<name>` (since 5.8). */
  iterator(name: string): number | undefined
}

/** Tells the facts from the BTF of the running kernel. */
export function factsOf(btf: Btf): Facts {
  return {
    btf,
    tracepoint: name => btf.typedef(`btf_trace_${name}`),
    iterator: name => btf.func(`bpf_iter_${name}`)?.id,
  }
}
