import { at, block, bytes, type Code, leave, type Place, r6, r7, r8, r9, record, type RecordView } from '../../bpf-asm/index.js'
import { Key, Name, Stat, Value } from '../layout.js'

/**
 * What all programs share: registers with one meaning each, the records in the maps, and the stack frame. Offsets that user space reads come from
 * src/layout.ts.
 */

/** The key of a flow. */
export const FlowKey = record({
  cookie: at(Key.cookie, 'u64'), pid: at(Key.pid, 'u32'), port: at(Key.port, 'be16'),
  /** Everything after the cookie, padding included. */
  rest: at(Key.pid, 'u64'),
}, Key.size)

/** A flow: the value under a `FlowKey`. A share has the same layout. */
export const Flow = record({
  flags: at(Value.flags, 'u32'), isn: at(Value.isn, 'u32'),
  tx: at(Value.tx, 'u64'), rx: at(Value.rx, 'u64'),
  txSeen: at(Value.txSeen, 'u64'), rxSeen: at(Value.rxSeen, 'u64'), txEnd: at(Value.txEnd, 'u64'),
  pid: at(Value.pid, 'u32'), last: at(Value.last, 'u32'), comm: at(Value.comm, bytes(16)),
  laddr: at(Value.laddr, bytes(16)), raddr: at(Value.raddr, bytes(16)),
  lport: at(Value.lport, 'be16'), rport: at(Value.rport, 'be16'), service: at(Value.service, 'be16'), family: at(Value.family, 'u16'),
  netns: at(Value.netns, 'u32'), cgroup: at(Value.cgroup, 'u32'), start: at(Value.start, 'u64'),
  sk: at(Value.sk, 'u64'), opened: at(Value.opened, 'u64'), ended: at(Value.ended, 'u64'),
  /** What a share has of its own, and what it has in common with its flow. */
  own: at(0, bytes(Value.laddr)), common: at(Value.laddr, bytes(Value.size - Value.laddr)),
}, Value.size)

/** A flow or share in memory. */
export type FlowView = RecordView<typeof Flow.fields>

/**
 * What is kept of a socket beside its flow, in `mapName.sockets`: the counters that a flow starts with. Where sockets are known by their addresses, two
 * counters that are always zero here hold the key of the flow.
 */
export const Counters = record({
  isn: at(Value.isn, 'u32'), cookie: at(Value.tx, 'u64'), port: at(Value.rx, 'u64'),
  txSeen: at(Value.txSeen, 'u64'), rxSeen: at(Value.rxSeen, 'u64'), txEnd: at(Value.txEnd, 'u64'),
}, Value.pid)

/** The programs' counters about themselves: the one value of `mapName.stats`. */
export const Stats = record({
  lostEvents: at(Stat.lostEvents, 'u64'), lostTx: at(Stat.lostTx, 'u64'), lostRx: at(Stat.lostRx, 'u64'),
  entered: at(Stat.entered, 'u64'), gone: at(Stat.gone, 'u64'), unsettled: at(Stat.unsettled, 'u64'),
}, Stat.size)

/** What a process is called: the value under its id in `mapName.names`. */
export const ProcessName = record({ start: at(Name.start, 'u64'), comm: at(Name.comm, bytes(16)) }, Name.size)

/** What user space passes to the programs: the one value of `mapName.known`. */
export const Known = record({
  /** Whether all sockets older than the programs have been found, so that one first seen from then on is new. */
  found: 'u64',
  /** The id of the cgroup to stay in. */
  cgroup: 'u64',
})

/** Where a process that has a socket to itself counts: see slot.ts. */
export const Slot = record({
  /** `copied_seq` less all that was ever consumed: constant until a FIN is received. */
  firstReceived: 'u32',
  isn: at(Value.isn, 'u32'),
  /** The `identity` of the socket that has the slot, 0 when it is free, or `over`. */
  identity: 'u64',
  /** The process that counts here, or nobody. */
  pid: 'u32',
  /** As in the flow, and ahead of it while the slot is in use. */
  txSeen: at(Value.txSeen, 'u64'), rxSeen: at(Value.rxSeen, 'u64'),
  /** Bytes that the flow does not have yet. */
  tx: 'u64', rx: 'u64',
  /**
   * Nanoseconds: the flow's name is up to date unless the process was renamed after this. Not noticed: a child that gets the id of a dead process and
   * has its parent's name.
   */
  named: 'u64',
  /** Of `keepConnection`. */
  connection: 'u64',
  /** The flow's. It stays until a flush frees the slot, so that a flush always adds to this flow. */
  key: FlowKey,
})

/** The socket at hand. */
export const socket = r6
/** Bytes to charge; before that, the most that may be charged. */
export const amount = r7
/** The socket's flow. */
export const flow = Flow.in(r8)
/** The same while it is made on the stack, as the counters that are kept beside a flow. */
export const making = Counters.in(flow)
/** The task to charge. */
export const task = r9

const Frame = record({
  /** A flow in the making. */
  value: Flow,
  /** While a flow is made: whether the process at work is wanted. */
  wanted: 'u64',
  /** Bytes received, where `amount` has those sent. */
  received: 'u64',
  /** A socket's address as a key, or up to 16 bytes copied from the kernel. */
  passing: record({ word: 'u64', second: 'u64', id: at(0, 'u32') }),
  /** The key of a filter map, or a word kept over calls. */
  scratch: record({ word: 'u64', id: at(0, 'u32'), inside: at(0, record({ thread: 'u32', process: 'u32' })) }),
  key: FlowKey,
  /** In the place of a flow. */
  name: at(0, ProcessName),
})

/** The stack frame, which ends at r10. */
export const stack = Frame.onStack()
/** Bytes of the stack frame. What reading.ts copies of a socket lies below it. */
export const stackSize = Frame.size

/** A whole program: `body` leaves for `exit`, ends by itself, or comes to its end. */
export const program = (body: (exit: Place) => Code): Code => [block('exit', body), leave()]

/** The names of the maps. */
export const mapName = {
  flows: 'flows',
  sockets: 'sockets',
  /** As `sockets`, of MPTCP sockets with counters of their own, by their addresses. */
  mptcpSockets: 'mptcp_sockets',
  stats: 'stats',
  /** A `Known`. */
  known: 'known',
  cgroup: 'cgroup',
  /** The processes that are wanted, where they are too many to compare. */
  wanted: 'wanted',
  cgroupIds: 'cgroup_ids',
  mntnsIds: 'mntns_ids',
  /** The ids of processes in the tool's pid namespace, by their ids on the host. */
  pids: 'pids',
  /** All slots, in one value. */
  slots: 'slots',
  /** An entry for each page of slots that one run of the flush empties: user space iterates over this map to flush. */
  pages: 'pages',
  /** When processes were renamed, for slots. */
  renames: 'renames',
  /** A `ProcessName` for each process that was renamed. */
  names: 'names',
  /** Flows whose socket had a call under way that no program sees return. */
  unsettled: 'unsettled',
  /** The format of `access.copyText`. */
  text: 'text',
} as const
