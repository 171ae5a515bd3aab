import {
  address, type Btf, call, type Code, exit, is, label, mov, note, r0, r1, r2, r6, r7, record, rsh, text, when,
} from '../../bpf-asm/index.js'
import { type Ends, endsOf, endsRecord, readEnds } from './ends.js'
import { send } from './event.js'

const connectionRecord = record({ time: 'u64', pid: 'u64', comm: text(16), ends: endsRecord })
/** Bytes of an event about a connection, for `eventMaps`. */
export const connectionSize = connectionRecord.size

/**
 * Sends an event about the TCP socket in r6 and the current process, if that is `pid` or no `pid` is given. Clobbers r0 to r5 and r7, and the top
 * of the stack. Throws BtfError when the kernel lacks a member that is read.
 */
export function sendConnection(queue: string, btf: Btf, pid?: number): Code {
  const event = connectionRecord.onStack()
  const fill = [
    event.pid.store(r7),
    call('ktime_get_ns'),
    event.time.store(r0),
    note('its name', address(r1, event.comm)),
    mov(r2, 16),
    call('get_current_comm'),
    readEnds(btf, r6, event.ends),
    send(queue, event),
  ]
  return [
    call('get_current_pid_tgid'),
    note('r7: the thread group, which users call the process', mov(r7, r0), rsh(r7, 32)),
    pid === undefined ? fill : when(is.eq(r7, pid), fill),
  ]
}

/** `sendConnection` as the rest of a program, which may leave before it by a jump to the label `exit`. */
export function emitConnection(queue: string, btf: Btf, pid?: number): Code {
  return [sendConnection(queue, btf, pid), label('exit'), mov(r0, 0), exit()]
}

/** A connection, and the process that opened or accepted it. */
export interface Connection extends Ends {
  /** Nanoseconds since boot, without those in suspend (`CLOCK_MONOTONIC`). */
  readonly time: bigint
  readonly pid: number
  readonly comm: string
}

/** Reads an event that `sendConnection` sent. */
export function connectionOf(event: DataView): Connection {
  const { time, pid, comm, ends } = connectionRecord.decode(event)
  return { time, pid: Number(pid), comm, ...endsOf(ends) }
}
