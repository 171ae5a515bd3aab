/**
 * The bytes that the BPF program writes, WASM reads and rows decode. One file, compiled by both `tsc` and `asc`, so it
 * imports nothing. All integers are in the machine's byte order, except that ports are big-endian as in a packet.
 *
 * ```
 * flow key      0        8     12     14  16
 *               | cookie | pid | port | 0 |   pid 0: the socket's own entry; otherwise what one further process moved
 *
 * flow value    0       4      8    16   24       32       40      48
 *               | flags | isn  | tx | rx | txSeen | rxSeen | txEnd |    counters, u64, never reset
 *               48    52     56     72      88      104   106     108       110      112     116      120     128  136      144     152
 *               | pid | last | comm | laddr | raddr | lport | rport | service | family | netns | cgroup | start | sk | opened | ended |
 *               the identity is what is before sk
 *
 * row           0          80       96      104
 *               | identity | hidden | total | amounts … |
 *
 *               the identity above, masked by the grouping; what WASM keeps beside it; then u64 each, of one frame: the total, and an amount for
 *               each entry of the list in frame/measure.ts
 * ```
 */

/** The key of a flow: a socket, or one further process that used it. */
export const enum Key {
  /** u64: the socket's cookie, unique while the kernel runs; or the time when it was first seen, where there are no cookies. */
  cookie = 0,
  /** u32: 0 for the socket's own entry, the process for a share of it. */
  pid = 8,
  /**
   * u16, big-endian: the local port, so that a socket that connects once more has an entry of its own for it. Where
   * there are no cookies, as of MPTCP, the processor on which the socket was met.
   */
  port = 12,
  size = 16,
}

/** The value of a flow. */
export const enum Value {
  /** u32 of `Flag`. */
  flags = 0,
  /** u32: the sequence number of the first byte sent, so that `write_seq - isn` is what was ever queued; of an MPTCP socket, its token. */
  isn = 4,
  /** u64: bytes that `pid` sent on this socket. */
  tx = 8,
  /** u64: bytes that `pid` received on this socket. */
  rx = 16,
  /** u64: the socket's absolute count of bytes queued, as far as it has been charged to somebody. */
  txSeen = 24,
  /** u64: the same of bytes consumed. */
  rxSeen = 32,
  /** u64: the absolute count of bytes queued when the connection ended; all ones until then. */
  txEnd = 40,
  /** u32: the process whose bytes `tx` and `rx` are; `Pid.kernel` for none, `Pid.nobody` until a process moves bytes. */
  pid = 48,
  /** u32: the process that used the socket last: charged with what the kernel moves when no process is at work. */
  last = 52,
  /** char[16]: the name of `pid`'s thread group leader. */
  comm = 56,
  /** 16 bytes; IPv4 as ::ffff:a.b.c.d. */
  laddr = 72,
  raddr = 88,
  /** u16, big-endian. */
  lport = 104,
  rport = 106,
  /** u16, big-endian: the service's port: the local one of an accepted connection, the remote one of an opened one. */
  service = 108,
  /** u16: 4 or 6, as shown: IPv4-mapped IPv6 is 4. */
  family = 110,
  /** u32: inode of the network namespace. */
  netns = 112,
  /**
   * u32: the lower half of the id of the cgroup that `pid` was in when it first moved bytes here; 0 when that is not known. No two cgroups
   * of a kernel have it in common while they live.
   */
  cgroup = 116,
  /**
   * u64: when `pid` started, in nanoseconds of the kernel's monotonic clock (`task_struct.start_time`), as it was when `pid` first moved bytes
   * here: two processes that had one id after the other differ in it. 0 where it is not known.
   */
  start = 120,
  /** u64: the address of the `struct sock`, for the audit; 0 in a share and of MPTCP. */
  sk = 128,
  /** u64: when the connection was established, in nanoseconds of the kernel's monotonic clock; 0 where that was not seen, and of MPTCP. */
  opened = 136,
  /** u64: when it ended, which may be long before its socket is closed; 0 until then. Both are read in the socket's own entry. */
  ended = 144,
  size = 152,
}

/** The value of `mapName.names`, under the id of a process (u32): its name since it was renamed last. */
export const enum Name {
  /** u64: as in `Value`. */
  start = 0,
  /** char[16] */
  comm = 8,
  size = 24,
}

/** Where the identity, the part of a value that a grouping masks, starts and ends. */
export const enum Identity {
  start = 48,
  size = 80,
}

/** Bits of `Value.flags`. */
export const enum Flag {
  /** The socket is gone: this entry will not change any more. */
  gone = 1,
}

/** Process ids that are no process. */
export const enum Pid {
  kernel = 0,
  nobody = 0xffffffff,
  /** A process that a filter leaves out. */
  filtered = 0xfffffffe,
}

/**
 * A row as WASM hands it out: the identity of the group, then what it moved in one frame. Its size depends on the number of measures. Within WASM
 * two sets of amounts are in the place of the total and its amounts: one frame is picked from while the next is counted.
 */
export const enum RowLayout {
  identity = 0,
  /** u32 each, WASM's own: the frames that the first and the second amounts are of. */
  frames = 80,
  /** u32, WASM's own: the number of the row of a coarser grouping to which the amounts were added last. */
  group = 88,
  /** u64: the sum of all amounts that count as traffic. */
  total = 96,
  /** u64 each: counters first, then gauges. */
  amounts = 104,
}

/** The counters that the program keeps about itself: one value of an array map, u64 each. */
export const enum Stat {
  /** Times that bytes could not be attributed. */
  lostEvents = 0,
  lostTx = 8,
  lostRx = 16,
  /** Entries ever made in the flow map. */
  entered = 24,
  /** Entries whose socket is closed: a drain frees them. */
  gone = 32,
  /** Entries of the map of unsettled sockets. */
  unsettled = 40,
  size = 48,
}
