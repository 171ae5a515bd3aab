import { type Code, jset, type Member, r1, r6, r7, r8, r9, type Register } from '../../bpf-asm/index.js'
import { Key, Value } from '../layout.js'
import type { Access } from './access.js'
import { type Field, type Mptcp, present } from './field.js'
import type { Filter } from './filter.js'

/** What every part of a program is generated from. */
export interface Context {
  readonly field: Field
  readonly filter: Filter
  readonly access: Access
  /** Whether all hooks read a socket under its lock, so that no two processors take the same difference. */
  readonly locked: boolean
  /**
   * Whether hooks see what calls return: one in a sockmap is then counted by that, and an MPTCP socket unless there is `mptcp`. Otherwise their
   * TCP is: of MPTCP the subflows, unless there is `mptcp`, of a sockmap what its sockets received.
   */
  readonly calls: boolean
  /** Where an MPTCP socket is counted by its own counters: where they are. */
  readonly mptcp?: Mptcp | undefined
  /** Whether a process that has a socket to itself counts in its pocket. Only under the lock. */
  readonly pocket: boolean
  /** Whether programs may copy the kernel's memory, where they know no types. */
  readonly mayCopy: boolean
  /** Whether an audit may charge bytes while other programs run, so that what was seen of a socket changes by atomic exchange. */
  readonly audited: boolean
}

/** Whether nobody else changes a flow while a program works on it: otherwise it changes by atomic exchange. */
export function isAlone({ locked, audited }: Context): boolean {
  return locked && !audited
}

/** Where a program finds what the function or tracepoint was called with: offsets into its context, 8 bytes each. */
export interface Call {
  /** Of the first argument. */
  readonly first: number
  /** Of the argument with this name; undefined when the function has none. */
  argument(name: string): number | undefined
  /** Of what the function returned. */
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

/** The socket at hand. */
export const socket = r6
/** Bytes to be charged; before that, the most that may be charged. */
export const amount = r7
/** The socket's entry in the flow map. */
export const flow = r8
/** The task that is charged. */
export const task = r9

/** The names under which the program refers to its maps. */
export const mapName = {
  flows: 'flows',
  sockets: 'sockets',
  /** The same of MPTCP sockets that are counted by their own counters, by their addresses. */
  mptcpSockets: 'mptcp_sockets',
  stats: 'stats',
  /** A `Known`: what user space tells the programs. */
  known: 'known',
  cgroup: 'cgroup',
  /** The processes that are wanted, where they are too many to be compared. */
  wanted: 'wanted',
  cgroupIds: 'cgroup_ids',
  mntnsIds: 'mntns_ids',
  /** What processes are called in the tool's pid namespace, by what they are called on the host. */
  pids: 'pids',
  /** Of sockets that a process has to itself: one value with them all. */
  pockets: 'pockets',
  /** A value for each part of `pockets` that is emptied at once: what is walked over for that. */
  pages: 'pages',
  /** When processes got another name, for pockets. */
  renames: 'renames',
  /** What processes are called that got another name. */
  names: 'names',
  /** Sockets on which a call was under way that no program sees return, by the keys of their flows. */
  unsettled: 'unsettled',
  /** The format of `access.copyText`. */
  text: 'text',
} as const

/** What user space tells the programs, in the one value of `mapName.known`. */
export const Known = {
  /** u64: whether all that was there before us has been found, so that what is met from then on is new. */
  found: 0,
  /** u64: the id of the cgroup to stay in. */
  cgroup: 8,
  size: 16,
} as const

/** Where things lie on the program's stack, as offsets from r10. */
export const stack = {
  /** A flow key. */
  key: -Key.size,
  /** The key of a filter map, or a word that is kept over calls. */
  filterKey: -Key.size - 8,
  /** A socket's address as a key, or 16 bytes on their way from the kernel. */
  passing: -Key.size - 24,
  /** u64: bytes received, where `amount` are those sent. */
  received: -Key.size - 32,
  /** u64: whether the process at work is wanted, while an entry is made. */
  wanted: -Key.size - 40,
  /** A flow value in the making. */
  value: -Key.size - 40 - Value.size,
} as const

/** `IPPROTO_TCP` and `IPPROTO_MPTCP` (include/uapi/linux/in.h). */
export const protocol = { tcp: 6, mptcp: 262 } as const
/** `AF_INET` and `AF_INET6` (include/linux/socket.h). */
export const family = { inet: 2, inet6: 10 } as const
/** include/net/tcp_states.h */
export const state = {
  established: 1, synSent: 2, synRecv: 3, finWait1: 4, finWait2: 5, timeWait: 6, close: 7, closeWait: 8, lastAck: 9, listen: 10,
  closing: 11, newSynRecv: 12,
} as const

/** A set of states: a bit for each. */
export const bits = (...states: readonly number[]) => states.reduce((set, one) => set | (1 << one), 0)
/** `SOCK_DEAD` (include/net/sock.h): no process has the socket any more. */
export const socketDead = 1

/**
 * Goes to `redirected` when the socket at `source` is in a sockmap: `SK_USER_DATA_PSOCK` (include/net/sock.h, since 6.0). Programs may
 * then move its bytes to other sockets, so that only the return values of calls tell what a process moved.
 */
export function ifRedirected({ field, access, calls }: Context, source: Register, redirected: string): Code {
  return calls ? [access.read(r1, present(field, 'userData'), source), jset(r1, 4, redirected)] : []
}

/** The bits of a member within what `read` loads. */
export function maskOf({ size, bitOffset = 0, bitSize = 8 * size }: Member): number {
  return (2 ** bitSize - 1) * 2 ** bitOffset
}
