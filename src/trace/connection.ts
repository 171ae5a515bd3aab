import { add, type Btf, call, type Code, exit, jne, label, mov, note, r0, r1, r10, r2, r6, r7, rsh, store } from '../../bpf-asm/index.js'
import { type Ends, endsOf, endsSize, readEnds } from './ends.js'
import { emit } from './event.js'
import { cText } from './text.js'

/** Where the parts of an event are, which the program puts together at the end of its stack. */
const part = { time: 0, pid: 8, comm: 16, ends: 32 } as const
/** Bytes of an event about a connection, for `eventMaps`. */
export const connectionSize = part.ends + endsSize

/**
 * The rest of a program that has a TCP socket in r6, or has left for `exit`: sends an event about its connection and the current process, if that
 * is `pid` or none is asked for. Once in a program. Throws BtfError when the BTF has not what is read.
 */
export function emitConnection(queue: string, btf: Btf, pid?: number): Code {
  return [
    call('get_current_pid_tgid'),
    note('r7: the thread group, which users call the process', mov(r7, r0), rsh(r7, 32)),
    pid === undefined ? [] : jne(r7, pid, 'exit'),
    store('u64', r10, part.pid - connectionSize, r7),
    call('ktime_get_ns'),
    store('u64', r10, part.time - connectionSize, r0),
    note('its name', mov(r1, r10), add(r1, part.comm - connectionSize), mov(r2, 16), call('get_current_comm')),
    readEnds(btf, r6, part.ends - connectionSize),
    emit(queue, -connectionSize),
    label('exit'),
    mov(r0, 0),
    exit(),
  ]
}

/** A connection, and the process that opened or accepted it. */
export interface Connection extends Ends {
  /** Nanoseconds since the machine was started, but for those in which it slept. */
  readonly time: bigint
  readonly pid: number
  readonly comm: string
}

/** What `emitConnection` sent. */
export function connectionOf(event: DataView): Connection {
  return {
    time: event.getBigUint64(part.time, true),
    pid: Number(event.getBigUint64(part.pid, true)),
    comm: cText(event, part.comm, 16),
    ...endsOf(event, part.ends),
  }
}
