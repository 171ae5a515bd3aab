import { aside, type Code, is, label, type Place, place, r0 } from '../../bpf-asm/index.js'
import type { Context } from './context.js'
import { writeBack } from './slot.js'

/**
 * Looks up the flow of `socket` and writes its slot back, so that `flow` has all that was counted; leaves for `unknown` when there is none, or one of
 * an earlier socket at this address. `fresh` comes before anything of the socket is read. Clobbers r0 to r5.
 */
export function findFlow(context: Context, unknown: Place, fresh: Code = []): Code {
  const { access } = context
  return [access.find(), is.eq(r0, 0).jump(unknown), writeBack(context), fresh, access.unlessStale(unknown)]
}

/** What a hook does with the flow of its socket. */
export interface Work {
  /** Looks it up, or leaves for `unknown`: otherwise `findFlow`. */
  readonly find?: (unknown: Place) => Code
  /** Makes it and leaves for `known`: `enter`. Goes on where there is no space, or the socket is not wanted yet: `flow` then is what is kept beside it. */
  readonly make: (known: Place) => Code
  /** With the flow. */
  readonly found: Code
  /** Without one, after `make`: what was moved is lost, if it is wanted. Must leave. */
  readonly spilled: Code
}

/** The skeleton of a hook: finds the flow of `socket` and goes on with it, or makes it first, out of line. */
export function withFlow(context: Context, { find = unknown => findFlow(context, unknown), make, found, spilled }: Work): Code {
  const known = place('found')
  const unknown = aside('unknown', () => [make(known), spilled])
  return [find(unknown), label(known), found]
}
