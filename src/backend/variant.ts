import type { Code } from '../../bpf-asm/index.js'
import type { Access, Call, Cast, Context, KernelFields } from '../program/index.js'
import type { Point } from '../trace/index.js'

/** A helper that came with Linux 5.12, as did atomic operations that fetch and much that typed programs may do, which BTF does not show. */
export const of5_12 = 'check_mtu'

/**
 * What a variant has as a whole or not at all: names that processes get, slots, which need those, the audit of what programs missed, or MPTCP
 * sockets counted by their own counters.
 */
export type Part = 'names' | 'slots' | 'audit' | 'mptcp'

export interface Hook {
  /** The program's name in the kernel, at most 15 characters. */
  readonly program: string
  readonly on: Point
  /** Whether a kernel may lack the point: it then has nothing that would pass there, or a limitation names it. */
  readonly optional?: true
  /** The part that it serves alone: a variant does without it where a kernel lacks any of its points. */
  readonly part?: Part
  /** The part without which alone it is needed. */
  readonly without?: Part
  /** A helper that it calls, where the kernel need not have it just because it has the point. */
  readonly helper?: string
  readonly code: (context: Context, call: Call) => Code
}

/** Hooks that together count every byte, and how they read what they see. */
export interface Variant extends Pick<Context, 'locked' | 'calls'> {
  /** The backend that it is a variant of: what users call its way of hooking into the kernel. */
  readonly backend: string
  /** What a kernel needs that has all hooks. */
  readonly needs: string
  /** A helper that came with the Linux version from which on programs may do what these do, where the hooks alone do not show it. */
  readonly helper?: string
  /** Whether programs make typed pointers of addresses. */
  readonly casts?: true
  readonly access: (field: KernelFields, cast: Cast | undefined) => Access
  readonly hooks: readonly Hook[]
  /** Its known limitations, texts of limit.ts. */
  readonly limits: readonly string[]
}
