import type { Code } from '../../bpf-asm/index.js'
import type { Context } from '../program/index.js'

/** Where a program runs. */
export interface Hook {
  /** The program's name in the kernel, at most 15 characters. */
  readonly program: string
  /** A tracepoint, or an iterator that runs once at the start. */
  readonly on: { readonly tracepoint: string } | { readonly iterator: string }
  readonly code: (context: Context) => Code
}

/** A set of hooks that together count every byte. */
export interface Backend {
  readonly name: string
  readonly hooks: readonly Hook[]
  /** Why the running kernel might lack a hook. */
  readonly needs: string
  /** What it cannot see or sees in another way than one would think, for `-v` and the README. */
  readonly limits: readonly string[]
}
