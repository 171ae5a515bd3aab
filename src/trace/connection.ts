import { type Btf, call, type Code, exit, is, label, mov, r0, r1, r6, record, when } from '../../bpf-asm/index.js'
import { type Ends, endsOf, endsRecord, readEnds } from './ends.js'
import { send } from './event.js'
import { type PidNamespace, processRecord, readProcess } from './process.js'

const connectionRecord = record({ time: 'u64', process: processRecord, ends: endsRecord })
/** Bytes of an event about a connection, for `eventMaps`. */
export const connectionSize = connectionRecord.size

/** Which connections `sendConnection` sends, and how it names processes. */
export interface Sending {
  /** Only those of this process. */
  readonly pid?: number | undefined
  /** What processes are called in this pid namespace; without one, in the initial one. */
  readonly namespace?: PidNamespace | undefined
}

/**
 * Sends an event about the TCP socket in r6 and the current process. Clobbers r0 to r5 and r7, and the top of the stack. Throws BtfError when the
 * kernel lacks a member that is read.
 */
export function sendConnection(queue: string, btf: Btf, { pid, namespace }: Sending = {}): Code {
  const event = connectionRecord.onStack()
  const fill = [call('ktime_get_ns'), event.time.store(r0), readEnds(btf, r6, event.ends), send(queue, event)]
  return [
    readProcess(btf, event.process, namespace),
    pid === undefined ? fill : [event.process.ids.process.load(r1), when(is.eq(r1, pid), fill)],
  ]
}

/** `sendConnection` as the rest of a program, which may leave before it by a jump to the label `exit`. */
export function emitConnection(queue: string, btf: Btf, pid?: number): Code {
  return [sendConnection(queue, btf, { pid }), label('exit'), mov(r0, 0), exit()]
}

/** A connection, and the process that opened or accepted it. */
export interface Connection extends Ends {
  /** Nanoseconds since boot, without those in suspend (`CLOCK_MONOTONIC`). */
  readonly time: bigint
  /** The process; 0 when it is not directly in the pid namespace that was given. */
  readonly pid: number
  /** The name of its main thread, as the kernel has it: it may contain anything but a NUL. */
  readonly comm: string
  readonly uid: number
  /** The id of its cgroup (v2): the inode of the directory. */
  readonly cgroup: bigint
  /** The inode of its mount namespace. */
  readonly mntns: number
}

/** Reads an event that `sendConnection` sent. */
export function connectionOf(event: DataView): Connection {
  const { time, process: { ids, comm, uid, cgroup, mntns }, ends } = connectionRecord.decode(event)
  return { time, pid: ids.process, comm, uid, cgroup, mntns, ...endsOf(ends) }
}
