import type { Access } from './access.js'
import type { KernelFields, Mptcp } from './field.js'
import type { Filter } from './filter.js'

/** What every part of a program is generated from. */
export interface Context {
  readonly field: KernelFields
  readonly filter: Filter
  readonly access: Access
  /** Whether all hooks read a socket under its lock, so that no two CPUs charge the same bytes. */
  readonly locked: boolean
  /**
   * Whether hooks see what calls return. A socket in a sockmap is then counted by that, and an MPTCP socket too unless there is `mptcp`. Otherwise
   * their TCP is counted: of MPTCP the subflows, unless there is `mptcp`; of a sockmap what its sockets received.
   */
  readonly calls: boolean
  /** Where an MPTCP socket has its own counters, when it is counted by them. */
  readonly mptcp?: Mptcp | undefined
  /** Whether a process that has a socket to itself counts in a slot. Only with `locked`. */
  readonly slots: boolean
  /** Whether programs may copy kernel memory, for structures whose types they do not know. */
  readonly mayCopy: boolean
  /** Whether an audit may charge bytes while other programs run, so that `txSeen` and `rxSeen` change by compare-and-exchange. */
  readonly audited: boolean
}

/** Whether nothing else changes a flow while a program works on it. Otherwise it changes by atomic exchange. */
export function isAlone({ locked, audited }: Context): boolean {
  return locked && !audited
}

/** Where a program finds the arguments of the function or tracepoint: offsets into its context, 8 bytes each. */
export interface Call {
  /** Of the first argument. */
  readonly first: number
  /** Of the argument with this name; undefined when the function has none. */
  argument(name: string): number | undefined
  /** Of the return value. */
  readonly result: number
}

/** The call of a function with these parameters, as tracing programs see it. */
export function callOf(params: readonly string[]): Call {
  return {
    first: 0,
    argument: name => params.includes(name) ? 8 * params.indexOf(name) : undefined,
    result: 8 * params.length,
  }
}
