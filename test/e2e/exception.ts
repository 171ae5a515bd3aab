import { limit } from '../../src/backend/limit.js'
import { isBefore } from '../../syscall/index.js'

/**
 * How bytes are counted: at the return of functions, by tracepoints that report what a call returned, by those that report packets, or at
 * `release_sock`, there also with fields found by measurement, without BTF.
 */
export type Way = 'return' | 'tracepoint' | 'packet' | 'release' | 'measured'

/** What a case cannot be on some kernels, and why: everything else must be run and be exact. */
export interface Exception {
  readonly cases: readonly string[]
  /** `inexact`: the tool is known to be wrong there. `absent`: the kernel cannot run it. */
  readonly kind: 'inexact' | 'absent'
  /** By which way of counting; by all without. */
  readonly ways?: readonly Way[]
  /** From this version of Linux on, before that one; of all without. */
  readonly since?: string
  readonly before?: string
  /** Only in a run in which the kernel skipped runs of the programs, or does not count them. */
  readonly ifMissed?: true
  readonly reason: string
}

/** Several processes on one socket. */
const shared = ['four-senders-one-socket', 'four-receivers-one-socket', 'passed-over-unix-socket', 'inherited-over-fork', 'existing-inherited']
/** Many processes on sockets that do not last. */
const brief = ['short-lived-processes', 'short-connections', 'many-open-connections', 'addresses-reused-by-other-process']
const mptcp = [
  'mptcp', 'mptcp-fallback', 'mptcp-read-in-part', 'mptcp-nonblocking', 'mptcp-fast-open', 'mptcp-shared', 'mptcp-older', 'blocked-mptcp-send',
  'blocked-mptcp-receive',
]
const sockmap = ['sockmap-message-to-egress', 'sockmap-message-to-ingress']

/**
 * Kernels are Debian's. The tool's own limitations are those of src/backend/limit.ts; programs are preempted, and then skipped, with
 * CONFIG_PREEMPT_LAZY, which Debian's kernels have since 6.18.
 */
export const exceptions: readonly Exception[] = [
  { cases: mptcp, kind: 'absent', before: '5.11', reason: 'Debian’s 5.10 has no MPTCP' },
  { cases: ['mptcp-fast-open'], kind: 'absent', before: '6.2', reason: 'MPTCP sends no data with the SYN before Linux 6.2' },
  { cases: ['kernel-tls', 'blocked-tls'], kind: 'absent', before: '5.11', reason: 'Debian’s 5.10 has no kernel TLS' },
  { cases: ['peek-offset'], kind: 'absent', before: '6.9', reason: 'TCP has SO_PEEK_OFF since Linux 6.9' },
  { cases: ['uring-zerocopy-send', 'uring-multishot'], kind: 'absent', before: '6.0', reason: 'io_uring has these since Linux 6.0' },
  { cases: ['urgent-byte-alone'], kind: 'inexact', ways: ['return', 'packet'], reason: limit.urgentAlone },
  { cases: sockmap, kind: 'inexact', ways: ['packet', 'release', 'measured'], reason: limit.sockmapQueue },
  // Tracepoints can be preempted since 7.0, and receives are seen by one. Sends are seen at a return under the socket's lock: a process that
  // preempts that cannot reach the same socket. With all cases at once on an emulated 7.3, 44,453 of 18,273,726 bytes were in another reader's row.
  { cases: shared, kind: 'inexact', ways: ['tracepoint'], since: '7.0', ifMissed: true, reason: limit.skipped },
  { cases: ['four-receivers-one-socket'], kind: 'inexact', ways: ['return'], since: '7.0', ifMissed: true, reason: limit.skipped },
  { cases: [...shared, ...brief], kind: 'inexact', ways: ['release', 'measured'], since: '6.18', ifMissed: true, reason: limit.skipped },
  { cases: sockmap, kind: 'inexact', ways: ['tracepoint'], since: '7.0', ifMissed: true, reason: limit.skippedCall },
  { cases: mptcp, kind: 'inexact', ways: ['tracepoint'], since: '6.18', ifMissed: true, reason: limit.skippedCall },
  {
    cases: ['mptcp-read-in-part', 'mptcp-shared', 'mptcp-older', 'blocked-mptcp-send', 'blocked-mptcp-receive'], kind: 'inexact', ways: ['packet'],
    reason: limit.mptcpSubflow,
  },
  { cases: mptcp, kind: 'inexact', ways: ['measured'], reason: limit.mptcpSubflow },
  { cases: ['blocked-mptcp-send'], kind: 'inexact', ways: ['tracepoint'], reason: limit.mptcpCall },
  {
    cases: ['passed-over-unix-socket', 'inherited-over-fork', 'four-senders-one-socket', 'existing-inherited'],
    kind: 'inexact', ways: ['packet'],
    reason: limit.packets,
  },
]

/** How a backend counts on a kernel. */
export function wayOf(backend: string, release: string, hasBtf: boolean): Way {
  if (backend === 'tracepoint') return hasBtf && !isBefore(release, '6.3') ? 'tracepoint' : 'packet'
  return backend === 'fentry' && !isBefore(release, '5.12') ? 'return' : hasBtf ? 'release' : 'measured'
}

/** The first exception of a case on a kernel, in a run in which it skipped so many runs of the programs; null where it does not count them. */
export function exceptionFor(name: string, release: string, way: Way, missed: number | null): Exception | undefined {
  return exceptions.find(({ cases, ways, since, before, ifMissed }) =>
    cases.includes(name) && (ways?.includes(way) ?? true) && (since === undefined || !isBefore(release, since)) &&
    (before === undefined || isBefore(release, before)) && (!ifMissed || missed !== 0))
}
